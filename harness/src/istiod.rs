//! Asking istiod, by the debug pages of its own.

use kube::{Client, ResourceExt as _};
use proof::evidence::RemoteCluster;

use crate::Result;
use crate::kube::forward;
use crate::kube::pods::one_ready_pod;

/// Where it runs.
pub const NAMESPACE: &str = "istio-system";
const DEBUG: u16 = 8080;

/// Which clusters it watches.
///
/// # Errors
/// [`crate::Code::KubeFailed`] when none is ready or it does not answer; [`crate::Code::Evidence`] when the answer cannot be
/// read.
pub async fn clusters(client: &Client) -> Result<Vec<RemoteCluster>> {
    let istiod = one_ready_pod(client, NAMESPACE, "app=istiod").await?.name_any();
    clusters_of(client, NAMESPACE, &istiod).await
}

/// Which clusters this pod of it watches.
///
/// # Errors
/// As [`clusters`].
pub async fn clusters_of(client: &Client, namespace: &str, pod: &str) -> Result<Vec<RemoteCluster>> {
    RemoteCluster::all_in(&forward::get(client, namespace, pod, DEBUG, "/debug/clusterz").await?)
}
