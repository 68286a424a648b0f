//! What containers wrote.

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, LogParams};

use super::fault;
use crate::{Result, patience, wait};

/// The log of one container, as much of it as `params` ask for (`previous`, `tail_lines`, `since_seconds` …).
///
/// # Errors
/// [`crate::Code::KubeFailed`] with the kubelet's words, for instance when there is no previous container;
/// [`crate::Code::TimedOut`] after [`patience::COMMAND`].
pub async fn logs(client: &Client, ns: &str, pod: &str, params: &LogParams) -> Result<String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), ns);
    let container = params.container.as_deref().unwrap_or("its container");
    let what = format!("the log of {ns}/{pod} ({container})");
    wait::within(&what, patience::COMMAND, async {
        api.logs(pod, params).await.map_err(|fault| fault::failed(format!("cannot read {what}"), &fault))
    })
    .await
}
