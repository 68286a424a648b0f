//! What the picture shows, before it is drawn: clusters, who is in them, and who trusts and met whom, as observed. What
//! was planned and not observed is not here, unless a claim was due about it; then it says so.

mod mark;
mod meeting;
mod place;
mod trust;

use proof::claim::Subject;
use proof::evidence::{ClusterSeen, Evidence, Workload};
use proof::topology::{Cluster, ClusterName, Way};

pub use mark::{Mark, State};
pub use meeting::issuer;
use place::Place;

use super::run::{Document, Shown};
use crate::report::{Tally, shorter};

/// All of it.
pub struct Scene {
    /// In the order of the topology.
    pub clusters: Vec<Group>,
    /// Trust bundles first, then handshakes.
    pub edges: Vec<Edge>,
    /// What came of the claims that are about nothing in the picture.
    pub undrawn: Tally,
}

/// One cluster.
pub struct Group {
    /// Who it is.
    pub cluster: Cluster,
    /// What came of the claims about all of it.
    pub mark: Mark,
    /// Who is in it.
    pub nodes: Vec<Node>,
}

/// Somebody in a cluster.
pub struct Node {
    place: Place,
    /// What it is.
    pub title: String,
    /// What was seen of it.
    pub facts: Vec<String>,
    /// What came of the claims about it.
    pub mark: Mark,
}

/// From one cluster to another.
pub struct Edge {
    /// Whether it is a trust bundle that is held; else it is a handshake.
    pub is_bundle: bool,
    /// Where it begins.
    pub from: End,
    /// Where it ends.
    pub to: End,
    /// The gateway that it passed on its way.
    pub via: Option<End>,
    /// What it is.
    pub title: String,
    /// What was seen of it.
    pub facts: Vec<String>,
    /// What came of the claims about it.
    pub mark: Mark,
}

/// A node, or a cluster of which no node was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Which cluster.
    pub cluster: usize,
    /// Which of its nodes.
    pub node: Option<usize>,
}

impl Scene {
    /// What was seen in a world; nothing where nothing was.
    pub fn of(shown: &Shown) -> Option<Self> {
        let clusters: Vec<_> = match (&shown.world, shown.documents.first()) {
            (_, Some(document)) => {
                document.evidence.clusters.iter().map(|seen| seen.cluster.clone()).collect()
            }
            (Some(world), None) if !shown.lines.is_empty() => world.topology.clusters.clone(),
            _ => return None,
        };
        let look = Look { shown };
        let clusters: Vec<_> = clusters.into_iter().map(|cluster| look.group(cluster)).collect();
        let ways = || {
            let names = || clusters.iter().map(|group| group.cluster.name.clone());
            names().flat_map(move |from| names().map(move |to| Way { from: from.clone(), to }))
        };
        let bundles = ways().filter_map(|way| look.bundle(&clusters, &way));
        let meetings = ways().filter_map(|way| look.meeting(&clusters, &way));
        let edges: Vec<_> = bundles.chain(meetings).collect();
        let undrawn = shown.lines.iter().filter(|line| place::of(&line.verdict.id).is_empty());
        Some(Self { edges, undrawn: Tally::of(undrawn), clusters })
    }

    /// Everything that did not hold: what it is, and what came of it.
    pub fn not_held(&self) -> impl Iterator<Item = (String, &Mark)> {
        let clusters = self.clusters.iter().map(|group| (group.cluster.name.to_string(), &group.mark));
        let nodes = self.clusters.iter().flat_map(|group| {
            group.nodes.iter().map(|node| (format!("{} of {}", node.title, group.cluster.name), &node.mark))
        });
        let edges = self.edges.iter().map(|edge| (edge.title.clone(), &edge.mark));
        clusters.chain(nodes).chain(edges).filter(|(_, mark)| mark.why().is_some())
    }
}

/// A look at the evidence of one world.
struct Look<'a> {
    shown: &'a Shown,
}

impl<'a> Look<'a> {
    fn mark(&self, place: &Place) -> Mark {
        Mark::of(&self.shown.lines, place)
    }

    /// From the document that decided what came of a place, else from the earliest that says anything: later ones may
    /// be of a world that was changed on purpose.
    fn see<T>(&self, mark: &Mark, see: impl Fn(&'a Document) -> Option<T>) -> Option<T> {
        let decided = |document: &&Document| mark.file.as_deref() == Some(&document.file);
        let documents = || self.shown.documents.iter();
        documents().filter(decided).chain(documents()).find_map(see)
    }

    fn group(&self, cluster: Cluster) -> Group {
        let name = &cluster.name;
        let mut nodes = vec![self.server(name)];
        nodes.extend(self.istiod(name));
        nodes.extend(self.proxies(name).into_iter().map(|(namespace, account)| {
            let place = Place::Proxy(name.clone(), namespace, account);
            self.proxy(name, place)
        }));
        Group { mark: self.mark(&Place::Cluster(name.clone())), nodes, cluster }
    }

    fn server(&self, name: &ClusterName) -> Node {
        let place = Place::Server(name.clone());
        let mark = self.mark(&place);
        let published = self.see(&mark, |document| cluster(&document.evidence, name)?.bundle.as_ref());
        let facts = match published {
            None => vec!["its trust bundle was not seen".to_owned()],
            Some(bundle) => bundle
                .authorities
                .iter()
                .map(|one| format!("publishes key {}", shorter(&one.key_id())))
                .collect(),
        };
        Node { place, title: "SPIRE server".into(), facts, mark }
    }

    fn istiod(&self, name: &ClusterName) -> Option<Node> {
        let place = Place::Istiod(name.clone());
        let mark = self.mark(&place);
        let read = self.see(&mark, |document| cluster(&document.evidence, name)?.remote_clusters.as_ref());
        let facts = match read {
            None if mark.state == State::NotDue => return None,
            None => vec!["what it has read was not seen".to_owned()],
            Some(read) => {
                let own = self.see(&mark, |document| Some(cluster(&document.evidence, name)?.called()));
                let others = read.iter().filter(|one| Some(&*one.id) != own);
                let others: Vec<_> = others.map(|one| format!("{} ({})", one.id, one.sync_status)).collect();
                let others = if others.is_empty() { "no other cluster".into() } else { others.join(", ") };
                vec![format!("reads {others}")]
            }
        };
        Some(Node { place, title: "istiod".into(), facts, mark })
    }

    /// Everybody with a proxy, by namespace and service account: those that were asked, those that met somebody, and
    /// those that a claim is about.
    fn proxies(&self, name: &ClusterName) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = Vec::new();
        let mut add = |namespace: &str, account: &str| {
            let one = (namespace.to_owned(), account.to_owned());
            if !all.contains(&one) {
                all.push(one);
            }
        };
        for document in &self.shown.documents {
            let evidence = &document.evidence;
            for proxy in cluster(evidence, name).into_iter().flat_map(|seen| &seen.proxies) {
                add(&proxy.workload.namespace, &proxy.workload.service_account);
            }
            for met in &evidence.handshakes {
                let ends = [(&met.way.from, &met.client), (&met.way.to, &met.server)];
                for (_, who) in ends.into_iter().filter(|(at, _)| *at == name) {
                    add(&who.namespace, &who.service_account);
                }
            }
        }
        for line in &self.shown.lines {
            if let Subject::Proxy { cluster, namespace, service_account } = &line.verdict.id.subject
                && cluster == name
            {
                add(namespace, service_account);
            }
        }
        all.sort_by_key(|(_, account)| !is_gateway(account));
        all
    }

    fn proxy(&self, name: &ClusterName, place: Place) -> Node {
        let mark = self.mark(&place);
        let Place::Proxy(_, namespace, account) = &place else { return Node::nobody(place, mark) };
        let mut facts = self
            .see(&mark, |document| {
                let is_one = |who: &Workload| place == Place::proxy(name, who);
                let proxies = &cluster(&document.evidence, name)?.proxies;
                let own = proxies.iter().filter(|proxy| is_one(&proxy.workload) && proxy.held.is_some());
                let leaves: Vec<_> =
                    own.filter_map(|proxy| proxy.held.as_ref()?.certificate("default")).collect();
                meeting::leaves(&document.evidence, &leaves)
            })
            .unwrap_or_else(|| vec!["its certificate was not seen".to_owned()]);
        let gateway = is_gateway(account);
        if gateway {
            let address = self.see(&mark, |document| cluster(&document.evidence, name)?.gateway.clone());
            facts.extend(address.map(|address| format!("reached at {address}")));
        }
        // Two namespaces may have an account of one name.
        let title = format!("{}{namespace}/{account}", if gateway { "gateway " } else { "" });
        Node { title, facts, mark, place }
    }

    fn end(&self, clusters: &[Group], name: &ClusterName, is: impl Fn(&Place) -> bool) -> Option<End> {
        let cluster = clusters.iter().position(|group| group.cluster.name == *name)?;
        let node = clusters[cluster].nodes.iter().position(|node| is(&node.place));
        Some(End { cluster, node })
    }
}

impl Node {
    fn nobody(place: Place, mark: Mark) -> Self {
        Self { place, title: String::new(), facts: Vec::new(), mark }
    }
}

fn cluster<'a>(evidence: &'a Evidence, name: &ClusterName) -> Option<&'a ClusterSeen> {
    evidence.clusters.iter().find(|seen| seen.cluster.name == *name)
}

/// A gateway of the Gateway API runs under its own name with that of its class, `istio`; one that was injected is called
/// a gateway.
fn is_gateway(account: &str) -> bool {
    account.ends_with("-istio") || account.contains("gateway")
}
