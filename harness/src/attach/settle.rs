//! Waiting until a cluster whose node was started anew is what it was.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use proof::topology::ClusterName;

use crate::kube::conditions::Standing;
use crate::kube::{self as ours, pod};
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Result, patience};

/// Until the API server answers.
///
/// # Errors
/// [`crate::Code::TimedOut`].
pub(super) async fn answers(client: &Client, name: &ClusterName, note: &Note) -> Result<()> {
    let what = format!("the API server of {name}");
    wait::eventually(&what, patience::CLUSTER, note, || async {
        match ours::answers(client).await {
            Ok(()) => Look::Ready(()),
            Err(e) => Look::not_yet(e),
        }
    })
    .await
}

/// Until every pod is ready again after the node's start, which was at `since`: at first the API server still has what was so
/// before. Those that need a Service before its address leads somewhere wait 30 s for their next try.
///
/// # Errors
/// [`crate::Code::TimedOut`] with the first pod that is not.
pub(super) async fn ready(client: &Client, name: &ClusterName, since: Timestamp, note: &Note) -> Result<()> {
    let pods: Api<Pod> = Api::all(client.clone());
    let what = format!("the pods of {name}");
    wait::eventually(&what, patience::CLUSTER, note, || async {
        match pods.list(&ListParams::default()).await {
            Err(e) => Look::not_yet(e),
            Ok(all) => match all.items.iter().find_map(|pod| trouble(pod, since)) {
                None => Look::Ready(()),
                Some(why) => Look::NotYet(why),
            },
        }
    })
    .await
}

/// Why a pod that should be ready is not.
fn trouble(object: &Pod, since: Timestamp) -> Option<String> {
    let status = object.status.as_ref()?;
    if status.phase.as_deref() == Some("Succeeded") {
        return None;
    }
    let named =
        |why: &str| format!("{}/{}: {why}", object.namespace().unwrap_or_default(), object.name_any());
    let running = status.container_statuses.iter().flatten().filter_map(|container| {
        container.state.as_ref()?.running.as_ref()?.started_at.as_ref().map(|at| at.0)
    });
    // The kubelet rounds down to seconds.
    if running.min().is_some_and(|first| first.as_second() < since.as_second()) {
        return Some(named("its containers are still those of before the node's start"));
    }
    match pod::pod(object) {
        Standing::Ready => None,
        Standing::Not(why) => Some(named(&why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ready: &str, started: &str) -> Option<String> {
        let pod = serde_json::json!({
            "metadata": {"namespace": "spire", "name": "spire-server-0"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}],
                "containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "state": {"running": {"startedAt": started}}}]},
        });
        trouble(&serde_json::from_value(pod).unwrap(), "2026-01-01T12:00:00.5Z".parse().unwrap())
    }

    #[test]
    fn what_was_ready_before_the_node_s_start_is_not_ready() {
        assert_eq!(said("True", "2026-01-01T12:00:00Z"), None);
        let before = "spire/spire-server-0: its containers are still those of before the node's start";
        assert_eq!(said("True", "2026-01-01T11:59:59Z").as_deref(), Some(before));
        assert!(said("False", "2026-01-01T12:00:01Z").is_some());
    }
}
