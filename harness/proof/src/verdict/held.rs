//! Every proxy of the mesh holds exactly its own SVID, and believes exactly the trust domains of the mesh.

use super::bundles::{all_published, described, keys};
use super::mesh::{matching, registered_id};
use super::{Finding, Located, verified};
use crate::Result;
use crate::envoy::{Held, Trust};
use crate::evidence::{ClusterSeen, Evidence, Part, Proxy, missing};
use crate::identity::{Authority, Bundle, TrustDomain};
use crate::topology::ClusterName;

/// SDS names as istiod's TLS contexts ask for them and SPIRE's agent answers to them.
const SVID: &str = "default";
const ROOTS: &str = "ROOTCA";

/// The proxy's `default` certificate names its own service account and was made by its own trust domain.
///
/// # Errors
/// [`crate::Code::Evidence`] when the proxy was not asked, or a bundle is missing.
pub fn holds_its_svid(evidence: &Evidence, seen: &ClusterSeen, proxy: &Proxy) -> Result<Finding> {
    let id = registered_id(evidence, seen, &proxy.workload)?;
    let shown = held_by(seen, proxy)?.certificate(SVID);
    // What it holds it will show: the intermediates must be with the leaf, not merely somewhere in the mesh.
    verified(shown, &[], seen.published()?, &id, evidence.collected_at)
}

/// The proxy's `ROOTCA` holds the published keys of every trust domain of the mesh, and no other.
///
/// # Errors
/// As [`holds_its_svid`].
pub fn has_the_validation_context(evidence: &Evidence, seen: &ClusterSeen, proxy: &Proxy) -> Result<Finding> {
    let held = held_by(seen, proxy)?.trust(ROOTS);
    let mut bundles = match all_published(evidence) {
        Ok(bundles) => bundles,
        Err(missing) => return lacks_one(held, evidence).ok_or(missing),
    };
    let others = of_others(evidence, seen, proxy, &bundles)?;
    bundles.extend(others);
    Ok(trusts(held, &bundles))
}

/// The bundles of trust domains that the proxy's entry names and whose clusters were not looked at, as its SPIRE server
/// holds them.
fn of_others<'a>(
    evidence: &Evidence,
    seen: &'a ClusterSeen,
    proxy: &Proxy,
    known: &[&Bundle],
) -> Result<Vec<&'a Bundle>> {
    if !evidence.as_registered {
        return Ok(Vec::new());
    }
    let mut named: Vec<_> =
        matching(seen, &proxy.workload)?.into_iter().flat_map(|entry| &entry.federates_with).collect();
    named.retain(|domain| known.iter().all(|bundle| bundle.trust_domain != **domain));
    named.sort();
    named.dedup();
    let held = |domain: &TrustDomain| {
        let mut all = seen.peer_bundles.iter().flatten();
        let what = format!("what the SPIRE server of {} holds for {domain}", seen.cluster.name);
        all.find(|bundle| bundle.trust_domain == *domain).ok_or_else(|| seen.lacks(Part::PeerBundles, what))
    };
    named.into_iter().map(held).collect()
}

/// That a proxy believes nobody of some cluster's trust domain: broken whatever that one publishes.
fn lacks_one(held: Option<&Trust>, evidence: &Evidence) -> Option<Finding> {
    let names: Vec<_> = evidence.clusters.iter().map(|seen| seen.cluster.trust_domain.as_str()).collect();
    let expected = format!("the trust bundles of {}", names.join(", "));
    let observed = match held {
        None => format!("it holds no {ROOTS}"),
        // What is in one pool, only the bundles tell.
        Some(Trust::AnyName(_)) => return None,
        Some(Trust::PerTrustDomain(domains)) => {
            let have: Vec<_> = domains.iter().map(|held| held.trust_domain.as_str()).collect();
            let absent = names.iter().find(|name| !have.contains(name))?;
            format!("{absent} is not there; there is {}", have.join(", "))
        }
    };
    Some(Finding::new(false, expected, observed))
}

/// One finding over the proxies of every pod that runs under a service account, and the place of the one that it
/// tells of: any of a workload's replicas may answer.
///
/// # Errors
/// [`crate::Code::Evidence`] when there is none, or one of them was not asked.
pub fn each_replica(
    evidence: &Evidence,
    (cluster, namespace, account): (&ClusterName, &str, &str),
    find: impl Fn(&Evidence, &ClusterSeen, &Proxy) -> Result<Finding>,
) -> Result<Located> {
    let seen = evidence.cluster(cluster)?;
    let is_one =
        |proxy: &Proxy| proxy.workload.namespace == namespace && proxy.workload.service_account == account;
    let replicas = seen.proxies.iter().enumerate().filter(|(_, proxy)| is_one(proxy));
    let (left_out, replicas): (Vec<_>, Vec<_>) = replicas.partition(|(_, proxy)| proxy.left_out);
    let (mut found, mut unseen) = (Vec::new(), None);
    for (i, proxy) in replicas {
        match find(evidence, seen, proxy) {
            Ok(finding) => found.push((i, finding)),
            Err(missing) => unseen = unseen.or(Some(missing)),
        }
    }
    // One that is broken is so whatever the others are.
    if let Some(missing) = unseen.filter(|_| found.iter().all(|(_, finding): &(_, Finding)| finding.held)) {
        return Err(missing);
    }
    let nobody = || seen.lacks(Part::Proxies, format!("any proxy of {namespace}/{account} in {cluster}"));
    let (mut finding, i) = Finding::all_at("replicas", found).ok_or_else(nobody)?;
    if !left_out.is_empty() {
        finding.observed = format!("{}; {} more were left out", finding.observed, left_out.len());
    }
    Ok((finding, format!("/clusters/{}/proxies/{i}/held", evidence.index(cluster))))
}

/// What a proxy believes covers exactly these bundles' trust domains, with exactly their keys.
pub fn trusts(held: Option<&Trust>, bundles: &[&Bundle]) -> Finding {
    let all: Vec<_> = bundles.iter().map(|bundle| described(bundle)).collect();
    let broken = |observed: String| Finding::new(false, all.join("; "), observed);
    let domains = match held {
        None => return broken(format!("it holds no {ROOTS}")),
        Some(Trust::AnyName(roots)) => {
            let roots = Authority::all_in(roots).map_or_else(|flaw| flaw.to_string(), |roots| keys(&roots));
            return broken(format!(
                "one pool of roots for any name (trusted_ca, as istiod sends it), not a bundle for each trust domain: {roots}"
            ));
        }
        Some(Trust::PerTrustDomain(domains)) => domains,
    };
    for bundle in bundles {
        let domain = &bundle.trust_domain;
        let mut named = domains.iter().filter(|held| held.trust_domain == domain.as_str());
        let (Some(held), None) = (named.next(), named.next()) else {
            let have: Vec<_> = domains.iter().map(|held| held.trust_domain.as_str()).collect();
            return broken(format!("{domain} is not there exactly once; there is {}", have.join(", ")));
        };
        match Authority::all_in(&held.bundle) {
            Err(flaw) => return broken(format!("{domain}: {flaw}")),
            Ok(held) if !bundle.same_keys(&held) => return broken(format!("{domain}: {}", keys(&held))),
            Ok(_) => {}
        }
    }
    let known = |name: &str| bundles.iter().any(|bundle| bundle.trust_domain.as_str() == name);
    if let Some(extra) = domains.iter().find(|held| !known(&held.trust_domain)) {
        return broken(format!("it also believes {}", extra.trust_domain));
    }
    Finding::new(true, all.join("; "), all.join("; "))
}

/// What the proxy held when it was asked.
pub(super) fn held_by<'a>(seen: &ClusterSeen, proxy: &'a Proxy) -> Result<&'a Held> {
    let what = || missing(format!("what the proxy of {} holds", name(seen, proxy)));
    proxy.held.as_ref().ok_or_else(|| match &proxy.unread {
        Some(why) => what().seen(format!("{}: {why}", proxy.workload.pod)),
        None => what(),
    })
}

/// `istio-test/helloworld in cluster2`: the pod's service account tells more than its generated name.
fn name(seen: &ClusterSeen, Proxy { workload, .. }: &Proxy) -> String {
    format!("{}/{} in {}", workload.namespace, workload.service_account, seen.cluster.name)
}
