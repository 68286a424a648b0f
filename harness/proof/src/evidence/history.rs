//! What the proxies of a cluster held over time: what is true at the end may have been false before.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Workload;
use crate::envoy::Held;

/// What one proxy was found to hold. It is looked at more often than this is written down: when something is new, and now and
/// then to say that nothing is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldAt {
    /// When it was looked at.
    pub at: Timestamp,
    /// The longest time between two looks since it was written down before; nothing of a proxy's first look, which came as
    /// soon as it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_ms: Option<u64>,
    /// When its pod was created, as Kubernetes says, to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_created: Option<Timestamp>,
    /// Whose proxy it is.
    pub workload: Workload,
    /// What it held; nothing when that was the same as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}
