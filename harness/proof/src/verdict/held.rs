//! Every proxy of the mesh holds exactly its own SVID, and believes exactly the trust domains of the mesh.

use super::bundles::{all_published, described, keys};
use super::{Finding, Verdict, vouched};
use crate::Result;
use crate::envoy::{Held, Trust};
use crate::evidence::{ClusterSeen, Evidence, Proxy, missing};
use crate::identity::{Authority, Bundle};

/// SDS names as istiod's TLS contexts ask for them and SPIRE's agent answers to them.
const SVID: &str = "default";
const ROOTS: &str = "ROOTCA";

/// The proxy's `default` certificate names its own service account and was made by its own trust domain.
/// If not, the workload would meet others as somebody else, or as a creature of istiod.
///
/// # Errors
/// [`crate::Code::Evidence`] when the proxy was not asked, or a bundle is missing.
pub fn holds_its_svid(evidence: &Evidence, seen: &ClusterSeen, proxy: &Proxy) -> Result<Verdict> {
    let id = proxy.workload.id(&seen.trust_domain()?)?;
    let shown = held_by(seen, proxy)?.certificate(SVID);
    // What it holds it will show: the intermediates must be with the leaf, not merely somewhere in the mesh.
    let finding = vouched(shown, &[], seen.published()?, &id, evidence.collected_at)?;
    let claim = format!("the proxy of {} holds an SVID of its own SPIRE", name(seen, proxy));
    Ok(finding.claim(claim, None, pointer(evidence, seen, proxy)))
}

/// The proxy's `ROOTCA` holds the published keys of every trust domain of the mesh, and no other.
///
/// # Errors
/// As [`holds_its_svid`].
pub fn believes_the_mesh(evidence: &Evidence, seen: &ClusterSeen, proxy: &Proxy) -> Result<Verdict> {
    let finding = trusts(held_by(seen, proxy)?.trust(ROOTS), &all_published(evidence)?);
    let claim = format!(
        "the proxy of {} believes exactly the published keys of every trust domain",
        name(seen, proxy)
    );
    Ok(finding.claim(claim, None, pointer(evidence, seen, proxy)))
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

/// All claims of this file that the evidence speaks of.
pub(super) fn claims(evidence: &Evidence, found: &mut Vec<Result<Verdict>>) {
    if !asked(evidence) {
        return;
    }
    for seen in &evidence.clusters {
        for proxy in &seen.proxies {
            found.push(holds_its_svid(evidence, seen, proxy));
            found.push(believes_the_mesh(evidence, seen, proxy));
        }
    }
}

/// Whether any proxy was asked: then all must have been. Proxies may also be listed as workloads alone.
pub(super) fn asked(evidence: &Evidence) -> bool {
    evidence.clusters.iter().flat_map(|seen| &seen.proxies).any(|proxy| proxy.held.is_some())
}

/// What the proxy held when it was asked.
pub(super) fn held_by<'a>(seen: &ClusterSeen, proxy: &'a Proxy) -> Result<&'a Held> {
    proxy.held.as_ref().ok_or_else(|| missing(format!("what the proxy of {} holds", name(seen, proxy))))
}

/// `helloworld in cluster2`: the pod's service account tells more than its generated name.
pub(super) fn name(seen: &ClusterSeen, proxy: &Proxy) -> String {
    format!("{} in {}", proxy.workload.service_account, seen.cluster.name)
}

pub(super) fn pointer(evidence: &Evidence, seen: &ClusterSeen, proxy: &Proxy) -> String {
    let cluster =
        evidence.clusters.iter().position(|c| c.cluster.name == seen.cluster.name).unwrap_or_default();
    let index = seen.proxies.iter().position(|p| p.workload == proxy.workload).unwrap_or_default();
    format!("/clusters/{cluster}/proxies/{index}/held")
}
