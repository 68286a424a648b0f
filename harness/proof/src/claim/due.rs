//! Which claims are due: functions of the topology alone, one for each question that is asked of a mesh.

use super::{Claim, Kind, Subject};
use crate::evidence::Control;
use crate::topology::{ClusterName, Topology, Way};

/// Every workload of the mesh that has a proxy, in each cluster: namespace and service account.
pub const WORKLOADS: [(&str, &str); 3] =
    [("istio-test", "curl"), ("istio-test", "helloworld"), ("istio-system", "east-west-istio")];

/// Do the servers' trust bundles keep the trust domains apart, and does each hold its peers'?
pub fn bundles(topology: &Topology) -> Vec<Claim> {
    let names: Vec<_> = topology.clusters.iter().map(|cluster| &cluster.name).collect();
    let pairs = names.iter().enumerate().flat_map(|(i, one)| {
        let others = names[i + 1..].iter();
        others.map(|other| Subject::Pair((*one).clone(), (*other).clone())).collect::<Vec<_>>()
    });
    let apart = pairs.map(|pair| Claim::of(Kind::BundlesShareNoKey, pair));
    apart.chain(ways(topology, Kind::PeerBundleHeld)).chain(ways(topology, Kind::PeerBundleFetched)).collect()
}

/// Is the federation set up as it should be?
pub fn federation(topology: &Topology) -> Vec<Claim> {
    let of = |one: &crate::topology::Cluster| {
        [Kind::OneEntryForEachPod, Kind::EntriesFederate].map(|kind| Claim::cluster(kind, &one.name))
    };
    let entries = topology.clusters.iter().flat_map(of);
    entries.chain(ways(topology, Kind::IstiodReadsPeer)).collect()
}

/// Who is everybody, and whom do they believe?
pub fn identities(topology: &Topology) -> Vec<Claim> {
    let proxies = topology.clusters.iter().flat_map(|one| WORKLOADS.map(|workload| (&one.name, workload)));
    proxies.flat_map(|(cluster, workload)| proxy(cluster, workload)).collect()
}

/// Was that so all the time?
pub fn history(topology: &Topology) -> Vec<Claim> {
    let of = |one: &crate::topology::Cluster| {
        [Kind::NeverOfIstiod, Kind::NeverCeasedToBelieve].map(|kind| Claim::cluster(kind, &one.name))
    };
    topology.clusters.iter().flat_map(of).collect()
}

/// The same of one workload, by namespace and service account.
pub(crate) fn proxy(cluster: &ClusterName, (namespace, service_account): (&str, &str)) -> [Claim; 3] {
    let subject = || Subject::Proxy {
        cluster: cluster.clone(),
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
    };
    [Kind::ProxySvid, Kind::ProxyValidationContext, Kind::ProxyNothingOfIstiod]
        .map(|kind| Claim::of(kind, subject()))
}

/// What looking alone decides, of clusters that others made: nothing of traffic, and nothing of what was before. `workloads`
/// are those that were found to have a proxy: cluster, namespace and service account.
pub fn by_looking(topology: &Topology, workloads: &[(ClusterName, String, String)]) -> Vec<Claim> {
    let domain = |name: &ClusterName| topology.get(name).ok().map(|cluster| cluster.trust_domain.as_str());
    // Clusters of one trust domain have nothing to keep apart, and nothing to exchange.
    let makes_sense = |claim: &Claim| match (&claim.subject, claim.kind) {
        (_, Kind::IstiodReadsPeer) => true,
        (Subject::Way(way), _) => domain(&way.from) != domain(&way.to),
        (Subject::Pair(one, other), _) => domain(one) != domain(other),
        (Subject::Cluster(name), Kind::EntriesFederate) => {
            topology.clusters.iter().any(|other| Some(other.trust_domain.as_str()) != domain(name))
        }
        _ => true,
    };
    let of_proxies =
        workloads.iter().flat_map(|(cluster, namespace, account)| proxy(cluster, (namespace, account)));
    let of_mesh = bundles(topology).into_iter().chain(federation(topology));
    of_mesh.filter(makes_sense).chain(of_proxies).collect()
}

/// Does a client reach every cluster?
pub fn replies(from: &ClusterName) -> Vec<Claim> {
    vec![Claim::cluster(Kind::EveryClusterAnswers, from)]
}

/// Who met whom on a way, and who issued their certificates?
pub fn handshake(way: &Way) -> Vec<Claim> {
    let kinds = [
        Kind::RemoteAnswers,
        Kind::ThroughRemoteGateway,
        Kind::GatewayCounted,
        Kind::ServerSvid,
        Kind::ClientSvid,
        Kind::OneConnection,
        Kind::NothingOfIstiodUsed,
    ];
    kinds.map(|kind| Claim::way(kind, way)).into()
}

/// Is plain text refused?
pub fn plain_text(cluster: &ClusterName) -> Vec<Claim> {
    vec![Claim::cluster(Kind::PlainTextRefused, cluster)]
}

/// The refusals while trust is withdrawn, and the same handshakes as before after it was put back.
pub fn withdrawn(topology: &Topology, control: Control, again: &str) -> Vec<Claim> {
    let refused = topology.ways().into_iter().map(|way| Claim::way(control.kind(), &way));
    let met = topology.ways().into_iter().flat_map(|way| handshake(&way));
    refused.chain(met.map(|claim| claim.when(Some(again)))).collect()
}

/// After a scenario everything is as it was before, in each cluster.
pub fn as_before(topology: &Topology, scenario: &str) -> Vec<Claim> {
    let after = |one: &crate::topology::Cluster| Subject::After {
        scenario: scenario.into(),
        cluster: one.name.clone(),
    };
    topology.clusters.iter().map(|one| Claim::of(Kind::ClusterAsBefore, after(one))).collect()
}

fn ways(topology: &Topology, kind: Kind) -> impl Iterator<Item = Claim> {
    topology.ways().into_iter().map(move |way| Claim::way(kind, &way))
}

impl Control {
    /// The claim that the control makes.
    pub fn kind(self) -> Kind {
        match self {
            Self::PeerBundleTakenAway => Kind::RefusedWithoutPeerBundle,
            Self::FederatesWithAbsent => Kind::RefusedWithoutFederatesWith,
            Self::PlainText => Kind::PlainTextRefused,
        }
    }
}

/// All of the above, for tests that go over every claim.
#[cfg(test)]
pub(crate) fn everything(topology: &Topology) -> Vec<Claim> {
    let mut all = [bundles(topology), federation(topology), identities(topology), history(topology)].concat();
    for cluster in &topology.clusters {
        all.extend(replies(&cluster.name));
        all.extend(plain_text(&cluster.name));
    }
    all.extend(topology.ways().iter().flat_map(handshake));
    all.extend(withdrawn(topology, Control::PeerBundleTakenAway, "again-with-the-bundle-put-back"));
    all.extend(withdrawn(topology, Control::FederatesWithAbsent, "again-with-federatesWith-put-back"));
    all.extend(as_before(topology, "bundle-taken-away"));
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::topology::tests::of_size;

    #[test]
    fn clusters_of_one_trust_domain_have_nothing_to_exchange() {
        let mut topology = of_size(2);
        topology.clusters[1].trust_domain = topology.clusters[0].trust_domain.clone();
        let claims: Vec<_> = by_looking(&topology, &[]).iter().map(ToString::to_string).collect();
        let each = ["one-entry-for-each-pod/cluster1", "one-entry-for-each-pod/cluster2"];
        let ways = ["istiod-reads-peer/cluster1→cluster2", "istiod-reads-peer/cluster2→cluster1"];
        assert_eq!(claims, [each, ways].concat());
    }

    /// Claims about pairs grow with the pairs, all others with the clusters or the ways: none is forgotten.
    #[test]
    fn every_way_cluster_and_pair_is_owed() {
        for clusters in 1..=4_usize {
            let topology = of_size(clusters);
            let (ways, pairs) = (clusters * (clusters - 1), clusters * (clusters - 1) / 2);
            assert_eq!(bundles(&topology).len(), pairs + 2 * ways);
            assert_eq!(federation(&topology).len(), 2 * clusters + ways);
            assert_eq!(identities(&topology).len(), clusters * WORKLOADS.len() * 3);
            assert_eq!(history(&topology).len(), 2 * clusters);
            let found: Vec<_> =
                topology.clusters.iter().map(|c| (c.name.clone(), "shop".into(), "web".into())).collect();
            let federating = if clusters > 1 { clusters } else { 0 };
            assert_eq!(
                by_looking(&topology, &found).len(),
                pairs + 3 * ways + clusters + federating + 3 * clusters
            );
            let control = withdrawn(&topology, Control::FederatesWithAbsent, "again");
            assert_eq!(control.len(), ways * 8);
            assert_eq!(as_before(&topology, "a-scenario").len(), clusters);
            let of_each =
                topology.clusters.iter().map(|one| [replies(&one.name), plain_text(&one.name)].concat());
            assert!(of_each.into_iter().all(|claims| claims.len() == 2));
            let all = everything(&topology);
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "a claim is owed once");
        }
    }
}
