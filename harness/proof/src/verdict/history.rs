//! What was so all the time, not only when somebody looked: a fallback that lasted a second is over when a claim about
//! the present is judged, and so is a gap in what a proxy believes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::bundles::{all_published, keys};
use super::{Finding, Located, istiod};
use crate::Result;
use crate::envoy::{Held, Trust};
use crate::evidence::{ClusterSeen, Evidence, HeldAt, missing};
use crate::topology::ClusterName;

const ROOTS: &str = "ROOTCA";
/// A proxy is looked at every second; one that was not for so long was not watched to the end.
const LATE: SignedDuration = SignedDuration::from_secs(20);

/// No proxy of the cluster ever held a certificate or a root of istiod's. Who else signed is not asked: an authority that
/// was replaced meanwhile is in no bundle any more.
///
/// # Errors
/// [`crate::Code::Evidence`] when a proxy was not watched, a bundle or istiod's root is missing, or the key cannot be told.
pub fn never_of_istiod(evidence: &Evidence, cluster: &ClusterName) -> Result<Located> {
    let seen = evidence.cluster(cluster)?;
    let (history, at) = watched(evidence, seen)?;
    let ca = seen.istiod()?;
    let (spire, known) = (all_published(evidence)?, evidence.intermediates());
    let expected = format!("nothing of istiod's ({})", keys(ca.authorities()));
    for (i, look, held) in states(history) {
        if let Some(finding) = istiod::of_istiod(held, &known, &ca, &spire)? {
            let finding = Finding { expected, observed: told(look, &finding.observed), ..finding };
            return Ok((finding, format!("{at}/{i}")));
        }
    }
    Ok((Finding::new(true, expected, whole(history)), at))
}

/// Whom a proxy of the cluster believed once, it believed from then on.
///
/// # Errors
/// [`crate::Code::Evidence`] when a proxy was not watched.
pub fn never_ceased_to_believe(evidence: &Evidence, cluster: &ClusterName) -> Result<Located> {
    let (history, at) = watched(evidence, evidence.cluster(cluster)?)?;
    let expected = "every trust domain that it believed before";
    let mut believed: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    for (i, look, held) in states(history) {
        let now = trust_domains(held);
        let before = believed.insert(pod(look), now.clone()).unwrap_or_default();
        let lost: Vec<_> = before.difference(&now).copied().collect();
        if !lost.is_empty() {
            let observed = told(look, &format!("{ROOTS} was without {}", lost.join(", ")));
            return Ok((Finding::new(false, expected, observed), format!("{at}/{i}")));
        }
    }
    Ok((Finding::new(true, expected, whole(history)), at))
}

/// Everything that was seen of the cluster's proxies, and its place; each that is there now was watched, until now.
fn watched<'a>(evidence: &Evidence, seen: &'a ClusterSeen) -> Result<(&'a [HeldAt], String)> {
    let name = &seen.cluster.name;
    let never = |what: String| missing(format!("what {what} in {name} held over time"));
    let history = seen.history.as_deref().ok_or_else(|| never("the proxies".to_owned()))?;
    if history.is_empty() {
        return Err(never("any proxy".to_owned()));
    }
    for proxy in &seen.proxies {
        let of_it = history.iter().filter(|look| look.workload.is_the_pod_of(&proxy.workload));
        let last = of_it.map(|look| look.at).max();
        if last.is_none_or(|last| evidence.collected_at.duration_since(last) > LATE) {
            let last = last.map_or_else(|| "never".to_owned(), |at| at.to_string());
            let missing = never(format!("the proxy of {}", proxy.workload.pod));
            return Err(missing.seen(format!("last looked at: {last}; judged at {}", evidence.collected_at)));
        }
    }
    Ok((history, format!("/clusters/{}/history", evidence.index(name))))
}

/// Each with its place: when something was new.
fn states(history: &[HeldAt]) -> impl Iterator<Item = (usize, &HeldAt, &Held)> {
    history.iter().enumerate().filter_map(|(i, look)| Some((i, look, look.held.as_ref()?)))
}

/// One pool of roots for any name is a domain without a name.
fn trust_domains(held: &Held) -> BTreeSet<&str> {
    match held.trust(ROOTS) {
        Some(Trust::PerTrustDomain(domains)) => domains.iter().map(|one| &*one.trust_domain).collect(),
        Some(Trust::AnyName(_)) | None => BTreeSet::new(),
    }
}

fn pod(look: &HeldAt) -> (&str, &str, Option<&str>) {
    (&look.workload.namespace, &look.workload.pod, look.workload.uid.as_deref())
}

fn told(look: &HeldAt, what: &str) -> String {
    format!("at {}, in {}/{}: {what}", look.at, look.workload.namespace, look.workload.pod)
}

/// How much was seen, and how often it was looked.
fn whole(history: &[HeldAt]) -> String {
    let pods: BTreeSet<_> = history.iter().map(pod).collect();
    let since = history.first().map(|look| look.at.to_string()).unwrap_or_default();
    let longest = history.iter().filter_map(|look| look.longest_ms).max();
    let often =
        longest.map(|ms| format!(", and at most {ms} ms passed between two looks")).unwrap_or_default();
    format!("in {} states of {} proxies since {since}{often}", states(history).count(), pods.len())
}
