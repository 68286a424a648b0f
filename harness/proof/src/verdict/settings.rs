//! Settings of the mesh that explain a broken claim: a mesh that does as it is configured is not called broken without
//! naming them.

use crate::claim::{Claim, Kind, Subject};
use crate::evidence::{ClusterSeen, Evidence, TlsSetting};

/// The settings that change who speaks mutual TLS, where they can be the cause of what the claim's evidence shows: a
/// sentence, or nothing.
pub(super) fn tls_settings(evidence: &Evidence, claim: &Claim) -> Option<String> {
    let about = matches!(
        claim.kind,
        Kind::EveryClusterAnswers
            | Kind::RemoteAnswers
            | Kind::ServerSvid
            | Kind::ClientSvid
            | Kind::OneConnection
            | Kind::NothingOfIstiodUsed
            | Kind::PlainTextRefused
    );
    let of_claim = |seen: &&ClusterSeen| match &claim.subject {
        Subject::Way(way) => [&way.from, &way.to].contains(&&seen.cluster.name),
        Subject::Cluster(name) => claim.kind == Kind::EveryClusterAnswers || *name == seen.cluster.name,
        _ => false,
    };
    let clusters = evidence.clusters.iter().filter(of_claim).filter(|_| about);
    let set: Vec<_> = clusters
        .flat_map(|seen| seen.tls_settings.iter().flatten().map(move |setting| sentence(seen, setting)))
        .collect();
    (!set.is_empty()).then(|| set.join(", and "))
}

fn sentence(seen: &ClusterSeen, TlsSetting { object, host, mode }: &TlsSetting) -> String {
    let of = host.as_ref().map(|host| format!(" for {host}")).unwrap_or_default();
    format!("in {} {object} sets mutual TLS to {mode}{of}", seen.cluster.name)
}
