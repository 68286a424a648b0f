//! Who is who among the pods of a cluster, by what they run.

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt as _;
use proof::evidence::Proxy;

use crate::kube::conditions::Standing;
use crate::kube::{pod, pods::workload_of};
use crate::proxy;

/// SPIRE's own name for its server: of the image, and of the container in its charts and manifests.
const SERVER: &str = "spire-server";
/// Istio's own for its control plane.
const ISTIOD: (&str, &str) = ("discovery", "pilot");

/// What a pod is to an audit; a pod may be nothing of it.
pub(super) fn server(pod: &Pod) -> Option<&Container> {
    containers(pod).find(|one| one.name == SERVER || image(one).contains(SERVER))
}

/// The container of an istiod.
pub(super) fn istiod(pod: &Pod) -> Option<&Container> {
    let labelled = pod.labels().get("app").is_some_and(|app| app == "istiod");
    let (name, program) = ISTIOD;
    containers(pod).find(|one| one.name == name && (labelled || image(one).contains(program)))
}

/// The container of a mesh proxy, beside the others or as an init container that stays. (ztunnel, of Istio's ambient mode,
/// calls its own by the same name, and is the proxy of a node.)
pub(super) fn proxy(pod: &Pod) -> Option<&Container> {
    containers(pod).find(|one| one.name == proxy::CONTAINER && !is_ztunnel(one))
}

/// Whether it is a node's proxy of ambient mode.
pub(super) fn is_ambient(pod: &Pod) -> bool {
    containers(pod).any(is_ztunnel)
}

fn is_ztunnel(container: &Container) -> bool {
    image(container).contains("ztunnel")
}

/// Whether it is there to stay, on a node.
pub(super) fn stays(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let placed = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    placed && pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// As evidence has it, before it was asked anything.
pub(super) fn as_proxy(pod: &Pod) -> Proxy {
    let mut proxy = Proxy::of(workload_of(pod), None);
    if !proxy::runs_in(pod) {
        let why = match pod::pod(pod) {
            Standing::Ready => "nobody says that it runs".to_owned(),
            Standing::Not(why) => why,
        };
        proxy.unread = Some(format!("its proxy does not run: {why}"));
    }
    let labels = pod.labels().iter().map(|(key, value)| format!("k8s:pod-label:{key}:{value}"));
    let node = pod
        .spec
        .iter()
        .filter_map(|spec| spec.node_name.as_ref())
        .map(|node| format!("k8s:node-name:{node}"));
    // It is the proxy that asks the agent.
    let own = std::iter::once(format!("k8s:container-name:{}", proxy::CONTAINER));
    proxy.selectors = labels.chain(node).chain(own).collect();
    proxy
}

/// A variable of a container that was given as it is.
pub(super) fn variable<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    container.env.iter().flatten().find(|one| one.name == name)?.value.as_deref()
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = pod.spec.iter();
    spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()))
}

/// The last part of an image's name: mirrors put theirs before it.
fn image(container: &Container) -> &str {
    let image = container.image.as_deref().unwrap_or_default();
    let image = image.split('@').next().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(labels: &serde_json::Value, container: &str, image: &str) -> Pod {
        let pod = json!({ "metadata": { "name": "x", "namespace": "y", "labels": labels },
            "spec": { "nodeName": "n", "containers": [{ "name": container, "image": image }] } });
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_server_is_known_by_its_image_or_its_container() {
        let none = json!({});
        for (container, image) in [
            ("spire-server", "registry.example/identity@sha256:00"),
            ("main", "ghcr.io/spiffe/spire-server:1"),
            ("main", "registry.example:5000/mirror/spiffe-spire-server-rhel9@sha256:00"),
        ] {
            assert!(server(&pod(&none, container, image)).is_some(), "{container} {image}");
        }
        for (container, image) in [
            ("spire-controller-manager", "ghcr.io/spiffe/spire-controller-manager:1"),
            ("spire-agent", "spire-agent"),
        ] {
            assert!(server(&pod(&none, container, image)).is_none(), "{container} {image}");
        }
    }

    #[test]
    fn istiods_and_proxies_are_known_whatever_their_revision() {
        let app = json!({ "app": "istiod", "istio.io/rev": "canary" });
        assert!(istiod(&pod(&app, "discovery", "registry.example/own-build:1")).is_some());
        assert!(istiod(&pod(&json!({}), "discovery", "docker.io/istio/pilot:1-distroless")).is_some());
        assert!(istiod(&pod(&json!({}), "discovery", "registry.example/service-discovery:1")).is_none());
        assert!(proxy(&pod(&json!({}), "istio-proxy", "docker.io/istio/proxyv2:1")).is_some());
        let ambient = pod(&json!({}), "istio-proxy", "docker.io/istio/ztunnel:1");
        assert!(proxy(&ambient).is_none() && is_ambient(&ambient));
    }

    #[test]
    fn a_proxy_that_does_not_run_says_so_and_selectors_are_the_pods_own() {
        let proxy = as_proxy(&pod(&json!({ "app": "web" }), "istio-proxy", "proxyv2"));
        assert!(proxy.unread.unwrap().starts_with("its proxy does not run: "));
        assert_eq!(
            proxy.selectors,
            ["k8s:pod-label:app:web", "k8s:node-name:n", "k8s:container-name:istio-proxy"]
        );
    }
}
