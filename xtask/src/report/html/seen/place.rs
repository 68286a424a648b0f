//! Where in the picture a claim belongs.

use proof::claim::{Claim, Kind, Subject};
use proof::evidence::Workload;
use proof::topology::{ClusterName, Way};

/// Something in the picture that a claim can be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A cluster as a whole.
    Cluster(ClusterName),
    /// Its SPIRE server.
    Server(ClusterName),
    /// Its istiod.
    Istiod(ClusterName),
    /// All proxies of a namespace's service account.
    Proxy(ClusterName, String, String),
    /// What the SPIRE server at the way's start holds for the one at its end.
    Bundle(Way),
    /// The handshakes of a way.
    Meeting(Way),
}

impl Place {
    /// Where that workload is.
    pub fn proxy(cluster: &ClusterName, who: &Workload) -> Self {
        Self::Proxy(cluster.clone(), who.namespace.clone(), who.service_account.clone())
    }
}

/// The places of a claim; none for what a source document says, or of a scenario.
pub fn of(claim: &Claim) -> Vec<Place> {
    match &claim.subject {
        Subject::Way(way) => vec![match claim.kind {
            Kind::PeerBundleHeld | Kind::PeerBundleFetched => Place::Bundle(way.clone()),
            Kind::IstiodReadsPeer => Place::Istiod(way.from.clone()),
            _ => Place::Meeting(way.clone()),
        }],
        Subject::Pair(one, other) => {
            let way = |from: &ClusterName, to: &ClusterName| Way { from: from.clone(), to: to.clone() };
            vec![Place::Bundle(way(one, other)), Place::Bundle(way(other, one))]
        }
        Subject::Cluster(name) => vec![match claim.kind {
            Kind::OneEntryForEachPod | Kind::EntriesFederate => Place::Server(name.clone()),
            _ => Place::Cluster(name.clone()),
        }],
        Subject::Proxy { cluster, namespace, service_account } => {
            vec![Place::Proxy(cluster.clone(), namespace.clone(), service_account.clone())]
        }
        Subject::After { cluster, .. } => vec![Place::Cluster(cluster.clone())],
        Subject::Fact { .. } | Subject::Scenario(_) => Vec::new(),
    }
}
