//! A verdict on every claim that a document of evidence owes, and on every other that it speaks of.

use super::{
    Located, Verdict, bundles, connection, fact, handshake, held, history, istiod, mesh, path, refusal,
    settings,
};
use crate::claim::{Claim, Kind, Subject, due};
use crate::evidence::{Control, Evidence};
use crate::topology::{ClusterName, Topology, Way};
use crate::{Code, Error, Result};

/// Judges every claim that is due, and every fact; of a document that does not say what it owed, all that it speaks of.
/// A claim that lacks its evidence is unjudged, with what was missing, and does not keep the others from being judged.
pub fn judge(evidence: &Evidence) -> Vec<Verdict> {
    let mut claims = evidence.due.clone();
    let facts = || evidence.facts.iter().map(|fact| fact.id.clone()).collect();
    // What a document needs for its own question is not a question of its own: proxies around a handshake, for instance.
    let spoken: Vec<Claim> = if claims.is_empty() { spoken_of(evidence) } else { facts() };
    for one in spoken {
        if !claims.contains(&one) {
            claims.push(one);
        }
    }
    claims.iter().map(|claim| judge_one(evidence, claim)).collect()
}

/// One verdict.
pub fn judge_one(evidence: &Evidence, claim: &Claim) -> Verdict {
    match located(evidence, claim) {
        Ok((mut finding, at)) => {
            if let Some(why) = settings::tls_settings(evidence, claim).filter(|_| !finding.held) {
                finding.observed = format!("{}; {why}", finding.observed);
            }
            finding.verdict(claim, sentence(evidence, claim), at)
        }
        Err(missing) => {
            let missing = match &evidence.ended_early {
                Some(why) => missing.seen(format!("the trial ended early: {why}")),
                None => missing,
            };
            let missing = missing.to_string().replace("\n  ", "; ");
            Verdict::unjudged(claim, sentence(evidence, claim), missing)
        }
    }
}

/// A fact brings its own sentence, and one that was never shown is named in the words in which it was due.
fn sentence(evidence: &Evidence, claim: &Claim) -> String {
    let own = evidence.facts.iter().find(|fact| fact.id == *claim).map(|fact| fact.claim.clone());
    own.or_else(|| evidence.sentences.get(claim).cloned()).unwrap_or_else(|| claim.sentence())
}

fn located(evidence: &Evidence, claim: &Claim) -> Result<Located> {
    match &claim.subject {
        Subject::Way(way) => of_way(evidence, claim.kind, way),
        Subject::Pair(one, other) => bundles::share_no_key(evidence, one, other),
        Subject::Cluster(name) => of_cluster(evidence, claim.kind, name),
        Subject::Proxy { cluster, namespace, service_account } => {
            of_proxy(evidence, claim.kind, (cluster, namespace, service_account))
        }
        Subject::After { .. } | Subject::Fact { .. } => fact::of(evidence, claim),
        Subject::Scenario(scenario) => fact::completed(evidence, scenario),
    }
}

fn of_way(evidence: &Evidence, kind: Kind, way: &Way) -> Result<Located> {
    match kind {
        Kind::PeerBundleHeld => bundles::peer_bundle_held(evidence, way),
        Kind::PeerBundleFetched => bundles::peer_bundle_fetched(evidence, way),
        Kind::IstiodReadsPeer => mesh::istiod_reads_peer(evidence, way),
        Kind::RemoteAnswers => path::remote_answers(evidence, way),
        Kind::ThroughRemoteGateway => path::through_remote_gateway(evidence, way),
        Kind::GatewayCounted => path::gateway_counted(evidence, way),
        Kind::ServerSvid => handshake::server_svid(evidence, way),
        Kind::ClientSvid => handshake::client_svid(evidence, way),
        Kind::OneConnection => connection::one_connection(evidence, way),
        Kind::NothingOfIstiodUsed => istiod::used_nothing_of_istiod(evidence, way),
        Kind::RefusedWithoutPeerBundle => refusal::was_refused(evidence, Control::PeerBundleTakenAway, way),
        Kind::RefusedWithoutFederatesWith => {
            refusal::was_refused(evidence, Control::FederatesWithAbsent, way)
        }
        other => Err(not_about(other)),
    }
}

fn of_cluster(evidence: &Evidence, kind: Kind, name: &ClusterName) -> Result<Located> {
    match kind {
        Kind::OneEntryForEachPod => mesh::one_entry_for_each_pod(evidence, name),
        Kind::EntriesFederate => mesh::entries_federate(evidence, name),
        Kind::NeverOfIstiod => history::never_of_istiod(evidence, name),
        Kind::NeverCeasedToBelieve => history::never_ceased_to_believe(evidence, name),
        Kind::EveryClusterAnswers => path::every_cluster_answers(evidence, name),
        Kind::PlainTextRefused => {
            let within = Way { from: name.clone(), to: name.clone() };
            refusal::was_refused(evidence, Control::PlainText, &within)
        }
        other => Err(not_about(other)),
    }
}

fn of_proxy(evidence: &Evidence, kind: Kind, proxy: (&ClusterName, &str, &str)) -> Result<Located> {
    match kind {
        Kind::ProxySvid => held::each_replica(evidence, proxy, held::holds_its_svid),
        Kind::ProxyValidationContext => held::each_replica(evidence, proxy, held::has_the_validation_context),
        Kind::ProxyNothingOfIstiod => held::each_replica(evidence, proxy, istiod::holds_nothing_of_istiod),
        other => Err(not_about(other)),
    }
}

fn not_about(kind: Kind) -> Error {
    Error::new(Code::Evidence, format!("`{}` is not a claim about that", kind.name()))
}

/// The claims that the document has something to say of, due or not: all that was ever owed by documents that do not
/// say what they owed.
fn spoken_of(evidence: &Evidence) -> Vec<Claim> {
    let topology = Topology { clusters: evidence.clusters.iter().map(|seen| seen.cluster.clone()).collect() };
    let any = |is_there: fn(&crate::evidence::ClusterSeen) -> bool| evidence.clusters.iter().any(is_there);
    let mut all = Vec::new();
    if any(|seen| seen.peer_bundles.is_some()) {
        let fetched = any(|seen| seen.fetches.is_some());
        all.extend(
            due::bundles(&topology).into_iter().filter(|c| fetched || c.kind != Kind::PeerBundleFetched),
        );
    }
    let named = any(|seen| seen.proxies.iter().any(|proxy| proxy.workload.uid.is_some()));
    let federation = due::federation(&topology).into_iter().filter(|claim| match claim.kind {
        Kind::EntriesFederate => any(|seen| seen.entries.is_some()),
        Kind::OneEntryForEachPod => named && any(|seen| seen.entries.is_some()),
        _ => any(|seen| seen.remote_clusters.is_some()),
    });
    all.extend(federation);
    let istiod = any(|seen| seen.istiod_root.is_some());
    if any(|seen| seen.proxies.iter().any(|proxy| proxy.held.is_some())) {
        all.extend(proxies(evidence).into_iter().filter(|c| istiod || c.kind != Kind::ProxyNothingOfIstiod));
    }
    if any(|seen| seen.history.is_some()) {
        all.extend(due::history(&topology));
    }
    all.extend(evidence.replies.iter().flat_map(|replies| due::replies(&replies.from)));
    for way in topology.ways() {
        let met = evidence.handshakes.iter().any(|handshake| handshake.way == way);
        let counted = evidence.crossings.iter().any(|crossing| crossing.way == way);
        all.extend(due::handshake(&way).into_iter().filter(|claim| match claim.kind {
            Kind::GatewayCounted => counted,
            Kind::NothingOfIstiodUsed => met && istiod,
            _ => met,
        }));
    }
    all.extend(evidence.facts.iter().map(|fact| fact.id.clone()));
    all.extend(evidence.refusals.iter().map(|refusal| match refusal.control {
        Control::PlainText => Claim::cluster(Kind::PlainTextRefused, &refusal.way.from),
        control => Claim::way(control.kind(), &refusal.way),
    }));
    all
}

/// The proxies that the document lists, a claim of each kind for each service account.
fn proxies(evidence: &Evidence) -> Vec<Claim> {
    let mut all = Vec::new();
    for (seen, proxy) in
        evidence.clusters.iter().flat_map(|seen| seen.proxies.iter().map(move |one| (seen, one)))
    {
        let workload = (proxy.workload.namespace.as_str(), proxy.workload.service_account.as_str());
        let claims = due::proxy(&seen.cluster.name, workload);
        all.extend(claims.into_iter().filter(|claim| !all.contains(claim)).collect::<Vec<_>>());
    }
    all
}
