//! The verdicts on a ticket: those of a run, with what a ticket does not tell taken into account.
//!
//! A ticket is less than a run's evidence: lists are cut, dumps are of different moments, nobody says which clusters the
//! mesh has. What may come of that alone is neither held nor broken.

use jiff::Timestamp;

use super::fill::{Asked, Filled};
use super::found::{Found, Place};
use super::sides::{Item, Side};
use crate::claim::{Claim, Kind, Subject, due};
use crate::envoy::Record;
use crate::evidence::Evidence;
use crate::topology::{ClusterName, Topology, Way};
use crate::verdict::{Outcome, Verdict, judge_one};

/// A verdict on each claim that is due between these clusters, and on each proxy. With `told`, the moment was given by a
/// person, and counts for everything.
pub fn verdicts(filled: &Filled, sides: &[Side], items: &[Item], told: bool) -> Vec<Verdict> {
    let one = |claim: Claim| {
        let seen = view(&filled.evidence, sides, &claim);
        let mut verdict = reserved(filled, &seen, &claim, told, judge_one(&seen, &claim));
        verdict.evidence = sources(filled, items, &claim).join(", ");
        verdict
    };
    claims(&filled.evidence, sides).into_iter().map(one).collect()
}

/// What is due: for each pair that has to do with one another, and for each proxy.
fn claims(evidence: &Evidence, sides: &[Side]) -> Vec<Claim> {
    let clusters: Vec<_> = evidence.clusters.iter().map(|seen| seen.cluster.clone()).collect();
    let topology = Topology { clusters };
    let related = |one: &ClusterName, other: &ClusterName| {
        let side = |name: &ClusterName| sides.iter().find(|side| side.name == name.0);
        side(one).zip(side(other)).is_some_and(|(one, other)| one.peers.contains(&other.trust_domain))
    };
    let met = topology
        .ways()
        .into_iter()
        .flat_map(|way| due::handshake(&way))
        .filter(|claim| !matches!(claim.kind, Kind::RemoteAnswers | Kind::GatewayCounted));
    let all = [due::bundles(&topology), due::federation(&topology), met.collect()].concat();
    let mut all: Vec<_> = all
        .into_iter()
        .filter(|claim| match &claim.subject {
            Subject::Way(way) => related(&way.from, &way.to),
            Subject::Pair(one, other) => related(one, other),
            // Where nobody else is, nobody is to be federated with.
            Subject::Cluster(name) => {
                claim.kind != Kind::EntriesFederate
                    || sides.iter().any(|side| side.name == name.0 && !side.peers.is_empty())
            }
            _ => true,
        })
        .collect();
    for (seen, proxy) in
        evidence.clusters.iter().flat_map(|seen| seen.proxies.iter().map(move |proxy| (seen, proxy)))
    {
        let workload = (proxy.workload.namespace.as_str(), proxy.workload.service_account.as_str());
        let own = due::proxy(&seen.cluster.name, workload);
        all.extend(own.into_iter().filter(|claim| !all.contains(claim)).collect::<Vec<_>>());
    }
    all
}

/// The part of the evidence that a claim is about: of a cluster, itself and those that it has to do with.
fn view(evidence: &Evidence, sides: &[Side], claim: &Claim) -> Evidence {
    let (Subject::Cluster(name) | Subject::Proxy { cluster: name, .. }) = &claim.subject else {
        return evidence.clone();
    };
    let mut seen = evidence.clone();
    if let Some(side) = sides.iter().find(|side| side.name == name.0) {
        seen.clusters.retain(|one| {
            one.cluster.name == *name
                || side.peers.iter().any(|peer| peer.as_str() == one.cluster.trust_domain)
        });
    }
    seen
}

/// The verdict, or why there can be none.
fn reserved(filled: &Filled, seen: &Evidence, claim: &Claim, told: bool, verdict: Verdict) -> Verdict {
    let none = |why: String| Verdict::unjudged(claim, verdict.claim.clone(), why);
    match (&claim.subject, verdict.verdict) {
        (_, Outcome::Unjudged) => verdict,
        (Subject::Proxy { cluster, namespace, service_account }, outcome) => {
            let asked: Vec<_> = filled
                .asked
                .iter()
                .filter(|asked| {
                    let seen = &filled.evidence.clusters[asked.at.0];
                    let workload = &seen.proxies[asked.at.1].workload;
                    (&seen.cluster.name, &workload.namespace, &workload.service_account)
                        == (cluster, namespace, service_account)
                })
                .collect();
            proxy(seen, claim, told, &asked, outcome, verdict.clone()).unwrap_or_else(none)
        }
        (Subject::Cluster(name), outcome) => {
            let some = position(filled, name).is_some_and(|side| filled.limits[side].some_entries);
            match claim.kind {
                Kind::EntriesFederate if some => {
                    entries(seen, claim, name, verdict.clone()).unwrap_or_else(none)
                }
                Kind::OneEntryForEachPod if some => {
                    none(format!("the registration entries of {name} that are here may be some of several"))
                }
                _ if outcome == Outcome::Broken => verdict,
                _ => verdict,
            }
        }
        (Subject::Way(way), Outcome::Broken) => {
            let Some(limits) = position(filled, &way.from).map(|side| &filled.limits[side]) else {
                return verdict;
            };
            let absent = verdict.observed.contains("holds no bundle for");
            match claim.kind {
                Kind::PeerBundleHeld if limits.some_peers && absent => {
                    none(format!("the peers' bundles of {} that are here may be some of several", way.from))
                }
                Kind::OneConnection
                    if renewed(filled, way) && verdict.observed.contains(" was shown, and ") =>
                {
                    none(format!(
                        "{}; the proxy got its present certificate after that request, and which it held then, nothing says",
                        verdict.observed
                    ))
                }
                Kind::IstiodReadsPeer if limits.strange_clusters => none(format!(
                    "which of the clusters in istiod's list is {}: {}",
                    way.to, verdict.observed
                )),
                _ => verdict,
            }
        }
        _ => verdict,
    }
}

/// Whether a proxy at an end of a way has another certificate since a request than it may have had then. A dump and a log
/// are of two moments, and SVIDs are renewed every half an hour or so.
fn renewed(filled: &Filled, way: &Way) -> bool {
    let met = filled.evidence.handshakes.iter().filter(|handshake| handshake.way == *way);
    met.flat_map(|one| [(one, &one.client, &way.from), (one, &one.server, &way.to)]).any(
        |(one, pod, cluster)| {
            let began = one.by_client.as_ref().and_then(Record::began);
            let Some(side) = position(filled, cluster) else { return false };
            let proxies =
                filled.evidence.clusters[side].proxies.iter().filter(|proxy| proxy.workload.pod == pod.pod);
            let secrets = proxies.filter_map(|proxy| proxy.held.as_ref()).flat_map(|held| &held.secrets);
            secrets.filter(|secret| secret.name == "default").any(|secret| {
                let (Some(got), Some(began)) = (secret.last_updated, began) else { return true };
                got > began
            })
        },
    )
}

fn position(filled: &Filled, name: &ClusterName) -> Option<usize> {
    filled.evidence.clusters.iter().position(|seen| seen.cluster.name == *name)
}

/// Of some entries, those that are here are judged, and that one is missing says nothing.
fn entries(seen: &Evidence, claim: &Claim, name: &ClusterName, verdict: Verdict) -> Result<Verdict, String> {
    let mut known = seen.clone();
    let (domain, identities) =
        (known.cluster(name).and_then(|one| one.trust_domain()), known.identities.clone());
    let Ok(one) = known.cluster_mut(name) else { return Ok(verdict) };
    let ids: Vec<_> = one.entries.iter().flatten().map(|entry| entry.spiffe_id.clone()).collect();
    one.proxies.retain(|proxy| {
        domain
            .as_ref()
            .ok()
            .and_then(|domain| proxy.workload.id(domain, &identities).ok())
            .is_some_and(|id| ids.contains(&id))
    });
    let judged = judge_one(&known, claim);
    match judged.verdict {
        Outcome::Broken => Ok(judged),
        _ if verdict.held() => Ok(verdict),
        _ => Err(format!(
            "the registration entries of {name} that are here may be some of several: {}",
            verdict.observed
        )),
    }
}

/// A proxy's dump may be a part, be of another moment than the rest, or say itself whose it is.
fn proxy(
    seen: &Evidence,
    claim: &Claim,
    told: bool,
    asked: &[&Asked],
    outcome: Outcome,
    verdict: Verdict,
) -> Result<Verdict, String> {
    let may_have = |name: &str, absent: bool| asked.iter().any(|asked| asked.dump.may_have(name) && absent);
    let lacks = |asked: &&&Asked, certificate: bool| {
        let held = &asked.dump.held;
        if certificate { held.certificate("default").is_none() } else { held.trust("ROOTCA").is_none() }
    };
    let cut = match (claim.kind, outcome) {
        (Kind::ProxySvid, Outcome::Broken) => may_have("default", asked.iter().any(|one| lacks(&one, true))),
        (Kind::ProxyValidationContext, Outcome::Broken) => {
            may_have("ROOTCA", asked.iter().any(|one| lacks(&one, false)))
        }
        (Kind::ProxyNothingOfIstiod, Outcome::Held) => {
            asked.iter().any(|one| !one.dump.whole || !one.dump.lost.is_empty())
        }
        _ => false,
    };
    if cut {
        let lost: Vec<_> = asked.iter().flat_map(|one| one.dump.lost.iter().cloned()).collect();
        let why = if lost.is_empty() {
            "only some of the proxy's secrets are here".to_owned()
        } else {
            lost.join("; ")
        };
        return Err(why);
    }
    if outcome == Outcome::Broken && !told && held_then(seen, claim, asked) {
        return Err(format!(
            "{}; it was good when the proxy got it, and whether the dump is as new as the rest, nothing says: give the moment with --at",
            verdict.observed
        ));
    }
    // A name that nobody else vouches for is no finding about whose it is.
    if claim.kind == Kind::ProxySvid && verdict.held() && asked.iter().any(|one| one.by_itself) {
        let note = "the certificate alone says that it is this workload's; kubectl get pods -o json would";
        return Ok(Verdict { observed: format!("{}; {note}", verdict.observed), ..verdict });
    }
    if claim.kind == Kind::ProxySvid
        && outcome == Outcome::Broken
        && verdict.observed.contains(", not spiffe://")
    {
        let shape = asked
            .iter()
            .filter_map(|one| super::sides::leaf_of(&one.dump.held))
            .any(|id| super::sides::ns_sa(&id).is_none());
        if shape && seen.identities.is_empty() {
            return Err(format!(
                "whether IDs of that shape are meant here ({}): registration entries with pods would tell, or identities in ticket.yaml",
                verdict.observed
            ));
        }
    }
    Ok(verdict)
}

/// Whether each of its proxies was as it must be at the moment of its own dump.
fn held_then(seen: &Evidence, claim: &Claim, asked: &[&Asked]) -> bool {
    let Subject::Proxy { cluster, .. } = &claim.subject else { return false };
    asked.iter().all(|one| {
        let Some(own) = moment(one) else { return false };
        let mut then = seen.clone();
        then.collected_at = own;
        if let Ok(cluster) = then.cluster_mut(cluster) {
            cluster.proxies.retain(|proxy| proxy.held.as_ref() == Some(&one.dump.held));
        }
        judge_one(&then, claim).held()
    })
}

fn moment(asked: &Asked) -> Option<Timestamp> {
    let leaf = || Some(asked.dump.held.certificate("default")?.chain().ok()?.leaf.not_before);
    asked.dump.newest.or_else(leaf)
}

/// The files that a claim was judged from.
fn sources(filled: &Filled, items: &[Item], claim: &Claim) -> Vec<String> {
    let clusters = about(claim);
    let mut places: Vec<&Place> = Vec::new();
    if let Subject::Proxy { namespace, service_account, .. } = &claim.subject {
        for asked in &filled.asked {
            let seen = &filled.evidence.clusters[asked.at.0];
            let workload = &seen.proxies[asked.at.1].workload;
            if clusters.contains(&seen.cluster.name)
                && (&workload.namespace, &workload.service_account) == (namespace, service_account)
            {
                places.push(&items[asked.item].place);
            }
        }
        return places.into_iter().map(ToString::to_string).collect();
    }
    let wanted = |found: &Found| match claim.kind {
        Kind::BundlesShareNoKey | Kind::PeerBundleHeld => matches!(found, Found::Bundle(_) | Found::NoPeers),
        Kind::PeerBundleFetched => matches!(found, Found::Refresh { .. }),
        Kind::OneEntryForEachPod | Kind::EntriesFederate => {
            matches!(found, Found::Entries { .. } | Found::Pods(_))
        }
        Kind::IstiodReadsPeer => matches!(found, Found::Watched(_)),
        _ => matches!(found, Found::Records(_)),
    };
    places.extend(items.iter().filter(|item| wanted(&item.found)).map(|item| &item.place));
    places.sort();
    places.dedup();
    places.into_iter().map(ToString::to_string).collect()
}

/// The clusters that a claim is about.
pub fn about(claim: &Claim) -> Vec<ClusterName> {
    match &claim.subject {
        Subject::Way(way) => vec![way.from.clone(), way.to.clone()],
        Subject::Pair(one, other) => vec![one.clone(), other.clone()],
        Subject::Cluster(name) | Subject::Proxy { cluster: name, .. } => vec![name.clone()],
        _ => Vec::new(),
    }
}
