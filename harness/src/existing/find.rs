//! Finding SPIRE, Istio, gateways and proxies in a cluster that others run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use proof::evidence::{Part, Proxy};
use proof::topology::Cluster;

use super::list::{Listed, list};
use super::reach::Existing;
use super::rights::{CONFIG, EXEC, FORWARD, PODS, SERVICES};
use super::{config, pods, sample};
use crate::kube::conditions::Standing;
use crate::kube::exec::exec;
use crate::kube::{fault, pod};
use crate::spire::{SOCKET, Server};
use crate::{Code, Error, Result};

/// The port on which networks meet.
const CROSS_NETWORK: i32 = 15443;
/// Addresses of clusters that others run may be anybody's, and name nobody.
const NOWHERE: &str = "0.0.0.0/32";

/// What was found in a cluster.
pub struct Found {
    /// The cluster as evidence has it. Without a trust domain where nobody says it: then nothing about it is judged.
    pub cluster: Cluster,
    /// What the mesh's istiods call it.
    pub istio_id: Option<String>,
    /// Address and port of its east-west gateway.
    pub gateway: Option<String>,
    /// Its proxies, not asked yet.
    pub proxies: Vec<Proxy>,
    /// Why parts of it cannot be looked at.
    pub unread: BTreeMap<Part, String>,
    /// What whoever reads the report should know, a line each.
    pub notes: Vec<String>,
    /// Namespace and labels of its east-west gateway's pods.
    pub crossing: Option<(String, String)>,
    /// The injector's templates that its workloads name.
    pub(super) templates: Option<String>,
    pub(super) server: Option<Server>,
    pub(super) istiods: Vec<Istiod>,
}

/// A pod of istiod.
pub(super) struct Istiod {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) revision: String,
}

/// Looks for all of it, within the caller's rights. `sample` is how many pods of a workload are asked at most, and only
/// workloads of `namespaces` are, where some are named.
///
/// # Errors
/// [`Code::KubeFailed`] when the API server goes away.
pub async fn find(existing: &Existing, namespaces: &[String], sample: Option<usize>) -> Result<Found> {
    let client = &existing.client;
    let listed = match PODS.denied(client, None).await {
        Some(denied) => Err(denied),
        None => Ok(list(existing, namespaces).await?),
    };
    let (listed, missing) = match listed {
        Ok(listed) => (listed, None),
        Err(denied) => (Listed::default(), Some(denied)),
    };
    let Listed { servers, istiods, mut proxies, network, templates, unplaced, ambient } = listed;
    if let Some(most) = sample {
        sample::leave_out(&mut proxies, most);
    }
    let mut found = Found {
        cluster: cluster(existing, network),
        istio_id: None,
        gateway: None,
        crossing: None,
        templates,
        proxies: proxies.into_iter().map(|(_, proxy)| proxy).collect(),
        unread: BTreeMap::new(),
        notes: Vec::new(),
        server: None,
        istiods: Vec::new(),
    };
    match &missing {
        Some(denied) => found.nothing_of_pods(denied),
        None => {
            Box::pin(found.server_among(existing, servers)).await;
            Box::pin(found.istiods_among(existing, istiods)).await;
        }
    }
    found.gateways(client).await;
    found.without_forward(client).await;
    if unplaced > 0 {
        found.notes.push(format!("{unplaced} pods with a proxy wait for a node, and hold nothing"));
    }
    if ambient {
        found.notes.push("nodes' own proxies (ambient mode) are there, and are not judged".to_owned());
    }
    Ok(found)
}

fn cluster(Existing { named, .. }: &Existing, network: Option<String>) -> Cluster {
    let nowhere = || NOWHERE.parse().unwrap_or_default();
    Cluster {
        name: named.name.clone(),
        trust_domain: named.trust_domain.clone().unwrap_or_default(),
        network: network.unwrap_or_default(),
        pods: nowhere(),
        services: nowhere(),
        version: String::new(),
    }
}

impl Found {
    /// What was found, in a line.
    pub fn told(&self) -> String {
        let mut text = match &self.server {
            Some(Server { namespace, pod, .. }) => {
                format!("SPIRE server {namespace}/{pod}, trust domain {}", self.cluster.trust_domain)
            }
            None => "no SPIRE server".to_owned(),
        };
        for Istiod { namespace, pod, revision } in &self.istiods {
            let _ = write!(text, "; istiod {namespace}/{pod} (revision {revision})");
        }
        if let Some(id) = &self.istio_id {
            let _ = write!(text, ", which calls it {id}");
        }
        if let Some(gateway) = &self.gateway {
            let _ = write!(text, "; east-west gateway {gateway}");
        }
        let left_out = self.proxies.iter().filter(|proxy| proxy.left_out).count();
        let _ = write!(
            text,
            "; {} pods with a proxy, of {} workloads",
            self.proxies.len(),
            self.workloads().len()
        );
        if left_out > 0 {
            let _ = write!(text, ", {left_out} of them left out by the sample");
        }
        text
    }

    /// The revision of its istiod.
    pub(super) fn revision(&self) -> &str {
        self.istiods.first().map_or("default", |one| one.revision.as_str())
    }

    /// Namespace and service account of each workload that has a proxy.
    pub fn workloads(&self) -> BTreeSet<(String, String)> {
        let all = self.proxies.iter().map(|proxy| &proxy.workload);
        all.map(|one| (one.namespace.clone(), one.service_account.clone())).collect()
    }

    fn nothing_of_pods(&mut self, why: &str) {
        const ALL: [Part; 7] = [
            Part::Bundle,
            Part::PeerBundles,
            Part::Fetches,
            Part::Entries,
            Part::IstiodRoot,
            Part::RemoteClusters,
            Part::Proxies,
        ];
        self.unread.extend(ALL.map(|part| (part, why.to_owned())));
    }

    fn nothing_of_server(&mut self, why: &str) {
        let all = [Part::Bundle, Part::PeerBundles, Part::Fetches, Part::Entries];
        self.unread.extend(all.map(|part| (part, why.to_owned())));
    }

    /// The SPIRE server, and what it was told; why it cannot be asked, where it cannot.
    async fn server_among(&mut self, existing: &Existing, mut candidates: Vec<Pod>) {
        let client = &existing.client;
        // A ready one before others, always in the same order.
        candidates
            .sort_by_key(|one| (!matches!(pod::pod(one), Standing::Ready), one.namespace(), one.name_any()));
        let of = |one: &Pod| {
            (one.namespace(), one.spec.as_ref().and_then(|spec| spec.service_account_name.clone()))
        };
        let groups: BTreeSet<_> = candidates.iter().map(of).collect();
        if groups.len() > 1 {
            let names: Vec<_> = candidates.iter().map(shown).collect();
            let why = format!(
                "several SPIRE servers are there ({}): say which by --spire-server LABELS",
                names.join(", ")
            );
            return self.nothing_of_server(&why);
        }
        let chosen = candidates.first().and_then(|one| {
            let given = || one.spec.as_ref()?.containers.first();
            Some((one, pods::server(one).or_else(given)?))
        });
        let Some((one, container)) = chosen else {
            return self
                .nothing_of_server("no SPIRE server was found: name its pods by --spire-server LABELS");
        };
        let (namespace, name) = (one.namespace().unwrap_or_default(), one.name_any());
        let told = match CONFIG.denied(client, Some(&namespace)).await {
            Some(denied) => Err(denied),
            None => config::of_server(client, one, container).await.map_err(|e| words(&e)),
        };
        let told = told.unwrap_or_else(|why| {
            self.notes.push(format!("what the SPIRE server was told could not be read: {why}"));
            config::Told::default()
        });
        if let Some(domain) = told.trust_domain.filter(|_| self.cluster.trust_domain.is_empty()) {
            self.cluster.trust_domain = domain;
        }
        if self.cluster.trust_domain.is_empty() {
            self.notes.push("nothing says its trust domain: trust_domain in --clusters FILE does".to_owned());
        }
        if let Some(denied) = EXEC.denied(client, Some(&namespace)).await {
            return self.nothing_of_server(&denied);
        }
        let socket = existing.named.spire_socket.clone().or(told.socket).unwrap_or_else(|| SOCKET.to_owned());
        match program(client, (&namespace, &name, &container.name), config::programs(container)).await {
            Ok(program) => {
                let container = container.name.clone();
                self.server = Some(Server { namespace, pod: name, container, program, socket });
            }
            Err(e) => self.nothing_of_server(&words(&e)),
        }
    }

    /// istiod, one pod after the other: each replica watches for itself.
    async fn istiods_among(&mut self, existing: &Existing, candidates: Vec<Pod>) {
        if candidates.is_empty() {
            for part in [Part::IstiodRoot, Part::RemoteClusters] {
                let why = "no istiod was found: name its pods by --istiod LABELS";
                self.unread.insert(part, why.to_owned());
            }
        }
        for one in &candidates {
            let container = pods::istiod(one).or_else(|| one.spec.as_ref()?.containers.first());
            let variable = |name| container.and_then(|container| pods::variable(container, name));
            self.istio_id = self.istio_id.take().or_else(|| variable("CLUSTER_ID").map(str::to_owned));
            self.istiods.push(Istiod {
                namespace: one.namespace().unwrap_or_default(),
                pod: one.name_any(),
                revision: variable("REVISION").unwrap_or("default").to_owned(),
            });
        }
        let places: BTreeSet<_> =
            self.istiods.iter().map(|one| (one.namespace.clone(), one.revision.clone())).collect();
        for (namespace, revision) in places {
            if CONFIG.denied(&existing.client, Some(&namespace)).await.is_some() {
                continue;
            }
            let told = config::mesh_domain(&existing.client, &namespace, &revision).await;
            let known = &self.cluster.trust_domain;
            if let Ok(Some(mesh)) = told
                && !known.is_empty()
                && mesh != *known
            {
                self.notes.push(format!(
                    "istiod of revision {revision} has the trust domain {mesh}, and the SPIRE server {known}: peers expect \
                     names that no certificate has"
                ));
            }
        }
    }

    /// Where other networks reach this one.
    async fn gateways(&mut self, client: &Client) {
        let services: Api<Service> = Api::all(client.clone());
        let listed = match SERVICES.denied(client, None).await {
            Some(denied) => Err(denied),
            None => services.list(&ListParams::default()).await.map_err(|fault| fault::words(&fault)),
        };
        match listed {
            Ok(listed) => {
                let found = listed.items.iter().find_map(|one| Some((address(one)?, one)));
                self.crossing = found.as_ref().and_then(|(_, service)| pods_of(service));
                self.gateway = found.map(|(address, _)| address);
            }
            Err(why) => self.notes.push(format!("east-west gateways could not be looked for: {why}")),
        }
    }

    /// Nobody is asked through a port that the caller may not open.
    async fn without_forward(&mut self, client: &Client) {
        let mut namespaces: BTreeSet<_> =
            self.proxies.iter().map(|proxy| proxy.workload.namespace.clone()).collect();
        namespaces.extend(self.istiods.iter().map(|one| one.namespace.clone()));
        if namespaces.is_empty() {
            return;
        }
        let denied: BTreeMap<_, _> =
            FORWARD.denied_in(client, namespaces.into_iter().collect()).await.into_iter().collect();
        for proxy in &mut self.proxies {
            if let Some(why) = denied.get(&proxy.workload.namespace) {
                proxy.unread = proxy.unread.take().or_else(|| Some(why.clone()));
            }
        }
        if let Some(why) = self.istiods.iter().find_map(|one| denied.get(&one.namespace)) {
            self.unread.insert(Part::RemoteClusters, why.clone());
        }
    }
}

/// The first of these that runs there.
async fn program(
    client: &Client,
    (ns, pod, container): (&str, &str, &str),
    programs: Vec<String>,
) -> Result<String> {
    let mut last =
        Error::new(Code::Evidence, format!("no program of a SPIRE server was found in {ns}/{pod}"));
    for program in programs {
        match exec(client, ns, pod, container, &[&program, "--version"]).await {
            Ok(said) if said.status == 0 => return Ok(program),
            Ok(said) => {
                last = last.seen(format!("{program} ended with {}: {}", said.status, said.stderr.trim()))
            }
            Err(e) => last = last.seen(words(&e)),
        }
    }
    Err(last)
}

/// A Service's address where networks meet.
fn address(service: &Service) -> Option<String> {
    let spec = service.spec.as_ref()?;
    spec.ports.iter().flatten().find(|port| port.port == CROSS_NETWORK)?;
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_ref()?.first());
    let given = ingress.and_then(|first| first.ip.clone().or_else(|| first.hostname.clone()));
    let address = given.or_else(|| spec.external_ips.as_ref()?.first().cloned())?;
    Some(format!("{address}:{CROSS_NETWORK}"))
}

/// Whom a Service leads to: namespace and labels.
fn pods_of(service: &Service) -> Option<(String, String)> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    let labels: Vec<_> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Some((service.namespace()?, labels.join(",")))
}

fn shown(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

/// An error on one line.
pub(super) fn words(e: &Error) -> String {
    e.to_string().replace("\n  ", "; ").replace('\n', " ")
}
