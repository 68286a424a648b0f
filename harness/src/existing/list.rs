//! The pods of a cluster that matter to an audit, out of however many there are.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use proof::evidence::Proxy;

use super::pods;
use super::reach::Existing;
use crate::Result;
use crate::kube::fault;

/// Pods that are asked for at once: a page.
const PAGE: u32 = 500;

/// The pods of a cluster that matter here.
#[derive(Default)]
pub(super) struct Listed {
    /// Of SPIRE servers.
    pub(super) servers: Vec<Pod>,
    /// Of istiods.
    pub(super) istiods: Vec<Pod>,
    /// With a proxy, and when each was created.
    pub(super) proxies: Vec<(Option<Timestamp>, Proxy)>,
    /// What the first of those calls its network.
    pub(super) network: Option<String>,
    /// What the first of them was injected by, where it says so.
    pub(super) templates: Option<String>,
    /// How many with a proxy wait for a node.
    pub(super) unplaced: usize,
    /// Whether there are nodes' own proxies.
    pub(super) ambient: bool,
}

/// Page by page, and nothing is kept of who is nobody here.
///
/// # Errors
/// [`crate::Code::KubeFailed`] when the API server refuses or goes away.
pub(super) async fn list(existing: &Existing, namespaces: &[String]) -> Result<Listed> {
    let failed = |fault: kube::Error| {
        fault::failed(format!("cannot list the pods of {}", existing.named.name), &fault)
    };
    let api: Api<Pod> = Api::all(existing.client.clone());
    let labelled = async |labels: &Option<String>| match labels {
        None => Ok(None),
        Some(labels) => api.list(&ListParams::default().labels(labels)).await.map(|list| Some(list.items)),
    };
    let mut listed = Listed::default();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let more = api.list(&page).await.map_err(failed)?;
        for pod in more.items {
            listed.take(pod, namespaces);
        }
        match more.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = ListParams::default().limit(PAGE).continue_token(&token),
            None => break,
        }
    }
    if let Some(named) = labelled(&existing.named.spire_server).await.map_err(failed)? {
        listed.servers = named;
    }
    if let Some(named) = labelled(&existing.named.istiod).await.map_err(failed)? {
        listed.istiods = named;
    }
    Ok(listed)
}

impl Listed {
    fn take(&mut self, mut pod: Pod, namespaces: &[String]) {
        let unplaced = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none());
        let wanted = namespaces.is_empty() || pod.namespace().is_some_and(|name| namespaces.contains(&name));
        let proxy = pods::proxy(&pod);
        self.unplaced += usize::from(unplaced && proxy.is_some() && wanted);
        self.ambient |= pods::is_ambient(&pod);
        if !pods::stays(&pod) {
            return;
        }
        if let Some(container) = proxy {
            self.network = self.network.take().or_else(|| {
                pods::variable(container, "ISTIO_META_NETWORK")
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
            });
            let templates = pod.annotations().get("inject.istio.io/templates");
            self.templates =
                self.templates.take().or_else(|| templates.filter(|all| all.contains("sidecar")).cloned());
            if wanted {
                let created = pod.metadata.creation_timestamp.as_ref().map(|at| at.0);
                self.proxies.push((created, pods::as_proxy(&pod)));
            }
        }
        pod.metadata.managed_fields = None;
        if pods::server(&pod).is_some() {
            self.servers.push(pod);
        } else if pods::istiod(&pod).is_some() {
            self.istiods.push(pod);
        }
    }
}
