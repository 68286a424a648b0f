//! The proxy of a mesh pod: whether a pod has one, and what it holds by its own admin interface.

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use proof::envoy::Held;

use crate::Result;
use crate::kube::forward;
use crate::mesh::ENVOY_ADMIN;

/// The container that Istio injects, and the gateways' own (`pkg/kube/inject` of Istio).
pub(crate) const CONTAINER: &str = "istio-proxy";
/// Where the admin interface tells the secrets that are in use, those alone.
pub(crate) const SECRETS: &str = "/config_dump?resource=dynamic_active_secrets";

/// Whether it runs in that pod: as a container beside the others, or as an init container that stays.
pub(crate) fn runs_in(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_ref());
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let mut all = containers.into_iter().chain(init).flatten();
    all.any(|one| one.name == CONTAINER && one.state.as_ref().is_some_and(|state| state.running.is_some()))
}

/// What it holds now.
///
/// # Errors
/// As [`forward::get`]; [`crate::Code::Evidence`] when the answer cannot be read.
pub async fn held(client: &Client, namespace: &str, pod: &str) -> Result<Held> {
    Held::read(&forward::get(client, namespace, pod, ENVOY_ADMIN, SECRETS).await?)
}
