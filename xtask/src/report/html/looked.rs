//! What a failed run looked at before it was taken down: its causes at the top of the page, and, where nothing was judged, a
//! picture of the clusters as far as they had come.

use std::path::Path;

use maud::{Markup, html};
use proof::diagnosis::{Cause, ClusterLook, Look, Observations};
use proof::evidence::{ClusterSeen, Evidence, Proxy, Workload};
use proof::topology::Cluster;
use serde_json::Value;

use super::run::{Document, Shown};
use super::seen::{Scene, State};
use super::{heading, picture};
use crate::diagnose;

/// What was looked at, and what a diagnosis made of it.
#[derive(Default)]
pub struct Looked {
    /// Each once, the first first.
    pub causes: Vec<Cause>,
    /// The last look.
    observed: Option<Observations>,
}

impl Looked {
    /// What a report's folder has; nothing where nothing failed.
    pub fn read(dir: &Path) -> Self {
        let observed = diagnose::stored(dir).unwrap_or_default().pop();
        Self { causes: diagnose::causes_of(dir), observed }
    }

    /// The causes, with what to run next.
    pub fn causes(&self) -> Markup {
        if self.causes.is_empty() {
            return Markup::default();
        }
        html! {
            section #causes {
                (heading(2, if self.causes.len() == 1 { "Cause" } else { "Causes" }))
                @for cause in &self.causes {
                    h3 { (cause.name) }
                    p { (cause.sentence) "." }
                    ul { @for seen in &cause.evidence { li { (seen.cluster) ": " (seen.object) ": " (seen.seen) } } }
                    p { "Next: " code { (cause.next) } }
                }
            }
        }
    }

    /// The clusters as they were seen, where no claim was judged that would show them.
    pub fn picture(&self) -> Markup {
        let Some(scene) = self.scene() else { return Markup::default() };
        let about = picture::about(&scene, "that failed");
        html! {
            section #seen {
                (heading(2, "What was seen before it ended"))
                div.wide tabindex="0" role="group" aria-label="Picture of what was seen" { (picture::inline(&scene, &about)) }
            }
        }
    }

    /// Red where a cause was seen; no claim says anything of the rest.
    pub fn scene(&self) -> Option<Scene> {
        let observed = self.observed.as_ref().filter(|all| !all.clusters.is_empty())?;
        let document = Document { file: "diagnosis/observations.json".into(), evidence: evidence(observed) };
        let (lines, history, documents) = (Vec::new(), Vec::new(), vec![document]);
        let shown = Shown { name: String::new(), world: None, lines, documents, history };
        let mut scene = Scene::of(&shown)?;
        for cause in &self.causes {
            for seen in &cause.evidence {
                let group = scene.clusters.iter_mut().find(|group| group.cluster.name.0 == seen.cluster);
                if let Some(group) = group.filter(|group| group.mark.why().is_none()) {
                    group.mark.state = State::Broken(format!("{}: {}", cause.name, seen.object));
                }
            }
        }
        Some(scene)
    }
}

/// The same in the form of evidence, of which a picture is drawn; nothing judges it.
fn evidence(observed: &Observations) -> Evidence {
    let clusters: Vec<_> = observed.clusters.iter().map(cluster).collect();
    let mut evidence = Evidence::of(&clusters, observed.collected_at);
    evidence.clusters =
        observed.clusters.iter().zip(clusters).map(|(look, cluster)| seen(look, cluster)).collect();
    evidence
}

fn cluster(look: &ClusterLook) -> Cluster {
    let network = look
        .objects("namespaces")
        .unwrap_or_default()
        .iter()
        .chain(look.objects("services").unwrap_or_default());
    let mut network =
        network.filter_map(|one| one.pointer("/metadata/labels")?.get("topology.istio.io/network")?.as_str());
    Cluster {
        name: look.name.as_str().into(),
        trust_domain: look.trust_domain.to_string(),
        network: network.next_back().unwrap_or("no network seen").to_owned(),
        // No look says them, and no picture shows them.
        pods: Default::default(),
        services: Default::default(),
        version: String::new(),
    }
}

fn seen(look: &ClusterLook, cluster: Cluster) -> ClusterSeen {
    fn known<T: Clone>(look: &Look<T>) -> Option<T> {
        look.get().ok().cloned()
    }
    ClusterSeen {
        gateway: address(look),
        bundle: known(&look.server.bundle),
        peer_bundles: known(&look.server.peers),
        fetches: known(&look.server.fetches),
        entries: known(&look.server.entries),
        istiod_root: known(&look.istiod_root),
        istiod_intermediate: None,
        remote_clusters: known(&look.remotes),
        tls_settings: None,
        proxies: proxies(look),
        history: None,
        istio_id: None,
        unread: Default::default(),
        cluster,
    }
}

fn proxies(look: &ClusterLook) -> Vec<Proxy> {
    let pods = look.objects("pods").unwrap_or_default();
    let account = |namespace: &str, name: &str| {
        let is_it =
            |pod: &&Value| pod["metadata"]["name"] == name && pod["metadata"]["namespace"] == namespace;
        pods.iter()
            .find(is_it)
            .and_then(|pod| pod["spec"]["serviceAccountName"].as_str())
            .unwrap_or("default")
            .to_owned()
    };
    let proxy = |one: &proof::diagnosis::ProxyLook| {
        let workload = Workload {
            namespace: one.namespace.clone(),
            pod: one.pod.clone(),
            service_account: account(&one.namespace, &one.pod),
            uid: None,
        };
        Proxy::of(workload, one.held.get().ok().cloned())
    };
    look.proxies.iter().map(proxy).collect()
}

/// Where the east-west gateway is reached, if it is.
fn address(look: &ClusterLook) -> Option<String> {
    let services = look.objects("services").unwrap_or_default().iter();
    let leads = services.filter(|one| one.pointer("/metadata/labels/topology.istio.io~1network").is_some());
    let mut ip = leads.filter_map(|one| one.pointer("/status/loadBalancer/ingress/0/ip")?.as_str());
    ip.next_back().map(|ip| format!("{ip}:15443"))
}
