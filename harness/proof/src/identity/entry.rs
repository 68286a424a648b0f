//! Registration entries: whom a SPIRE server will give which identity, and whose bundles come with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SpiffeId, TrustDomain};
use crate::error::Context;
use crate::{Code, Result};

/// One registration entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The server's name for it.
    pub id: String,
    /// The identity that it gives.
    pub spiffe_id: SpiffeId,
    /// Whom it is given through: an agent.
    pub parent_id: SpiffeId,
    /// What a workload must be, as `type:value`.
    pub selectors: Vec<String>,
    /// The trust domains whose bundles the workload gets too.
    pub federates_with: Vec<TrustDomain>,
}

/// Reads what `spire-server entry show -output json` prints.
///
/// # Errors
/// [`Code::Evidence`] when it is something else.
pub fn entries_of(json: &str) -> Result<Vec<Entry>> {
    let what = || "the SPIRE server's registration entries cannot be read".to_owned();
    let shown: Shown = serde_json::from_str(json).or_fail(Code::Evidence, what)?;
    let entry = |shown: ShownEntry| {
        Ok(Entry {
            id: shown.id,
            spiffe_id: shown.spiffe_id.id().or_fail(Code::Evidence, what)?,
            parent_id: shown.parent_id.id().or_fail(Code::Evidence, what)?,
            selectors: shown.selectors.iter().map(|s| format!("{}:{}", s.kind, s.value)).collect(),
            federates_with: shown
                .federates_with
                .iter()
                .map(|domain| domain.strip_prefix("spiffe://").unwrap_or(domain).parse())
                .collect::<std::result::Result<_, _>>()
                .or_fail(Code::Evidence, what)?,
        })
    };
    shown.entries.into_iter().map(entry).collect()
}

#[derive(Deserialize)]
struct Shown {
    entries: Vec<ShownEntry>,
}

#[derive(Deserialize)]
struct ShownEntry {
    id: String,
    spiffe_id: ShownId,
    parent_id: ShownId,
    selectors: Vec<Selector>,
    federates_with: Vec<String>,
}

#[derive(Deserialize)]
struct ShownId {
    trust_domain: String,
    path: String,
}

impl ShownId {
    fn id(&self) -> std::result::Result<SpiffeId, super::InvalidId> {
        format!("spiffe://{}{}", self.trust_domain, self.path).parse()
    }
}

#[derive(Deserialize)]
struct Selector {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}
