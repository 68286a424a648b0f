//! The federation is set up as it should be: registration entries federate, and each istiod watches the
//! other cluster.

use super::{Finding, Located};
use crate::Result;
use crate::evidence::{ClusterSeen, Evidence, missing};
use crate::identity::SpiffeId;
use crate::topology::{ClusterName, Way};

/// Every workload with a proxy has an entry, and each of them federates with every other trust domain.
///
/// # Errors
/// [`crate::Code::Evidence`] when entries or proxies were not collected.
pub fn entries_federate(evidence: &Evidence, name: &ClusterName) -> Result<Located> {
    let seen = evidence.cluster(name)?;
    let entries = seen.entries.as_ref().ok_or_else(|| missing(format!("registration entries in {name}")))?;
    let domain = seen.trust_domain()?;
    let peers: Vec<_> = evidence.peers(name).map(ClusterSeen::trust_domain).collect::<Result<_>>()?;
    let mut ids: Vec<SpiffeId> = seen
        .proxies
        .iter()
        .map(|proxy| proxy.workload.id(&domain, &evidence.identities))
        .collect::<Result<_>>()?;
    ids.sort();
    ids.dedup();
    let all: Vec<_> = peers.iter().map(|domain| domain.as_str()).collect();
    let expected = format!("an entry that federates with {} for each of {}", all.join(", "), list(&ids));
    let findings = ids.iter().flat_map(|id| {
        let own: Vec<_> = entries.iter().filter(|entry| entry.spiffe_id == *id).collect();
        if own.is_empty() {
            return vec![Finding::new(false, &expected, format!("{id} has no entry"))];
        }
        let judged = own.into_iter().map(|entry| {
            let with: Vec<_> = entry.federates_with.iter().map(|domain| domain.as_str()).collect();
            let held = peers.iter().all(|peer| entry.federates_with.contains(peer));
            let with = if with.is_empty() { "nobody".into() } else { with.join(", ") };
            Finding::new(held, &expected, format!("entry {} of {id} federates with {with}", entry.id))
        });
        judged.collect()
    });
    let finding = Finding::all("entries", findings).ok_or_else(|| missing(format!("any proxy in {name}")))?;
    Ok((finding, format!("/clusters/{}/entries", evidence.index(name))))
}

/// Exactly one entry selects each pod that has a proxy. With none it gets no SVID; of several the agent takes one, and
/// which is nobody's choice.
///
/// # Errors
/// [`crate::Code::Evidence`] when entries, proxies or a pod's UID were not collected, or an entry selects by something
/// that was not looked at.
pub fn one_entry_for_each_pod(evidence: &Evidence, name: &ClusterName) -> Result<Located> {
    let seen = evidence.cluster(name)?;
    let entries = seen.entries.as_ref().ok_or_else(|| missing(format!("registration entries in {name}")))?;
    let findings = seen.proxies.iter().map(|proxy| {
        let workload = &proxy.workload;
        let pod = &workload.pod;
        let uid = workload.uid.as_ref().ok_or_else(|| missing(format!("the UID of {pod} in {name}")))?;
        let own = [
            format!("k8s:pod-uid:{uid}"),
            format!("k8s:pod-name:{pod}"),
            format!("k8s:ns:{}", workload.namespace),
            format!("k8s:sa:{}", workload.service_account),
        ];
        let mut matching = Vec::new();
        for entry in entries {
            match selects(&entry.selectors, &own) {
                Some(true) => matching.push(entry.id.as_str()),
                Some(false) => {}
                None => return Err(missing(format!("whether entry {} selects {pod} in {name}", entry.id))),
            }
        }
        let ids = if matching.is_empty() { String::new() } else { format!(": {}", matching.join(", ")) };
        let observed = format!("{pod}: {} of {} entries match{ids}", matching.len(), entries.len());
        Ok(Finding::new(matching.len() == 1, "exactly one entry for each pod", observed))
    });
    let findings: Vec<_> = findings.collect::<Result<_>>()?;
    let finding = Finding::all("pods", findings).ok_or_else(|| missing(format!("any proxy in {name}")))?;
    Ok((finding, format!("/clusters/{}/entries", evidence.index(name))))
}

/// Whether all selectors are among the pod's own; nothing when that hangs on one of another kind, such as a label's.
fn selects(selectors: &[String], own: &[String]) -> Option<bool> {
    let known = |selector: &String| {
        ["k8s:pod-uid:", "k8s:pod-name:", "k8s:ns:", "k8s:sa:"].iter().any(|kind| selector.starts_with(kind))
    };
    let (known, other): (Vec<_>, Vec<_>) = selectors.iter().partition(|selector| known(selector));
    match known.iter().all(|selector| own.contains(selector)) {
        false => Some(false),
        // An agent's own entry, or an alias of a node: no workload's.
        true if known.is_empty() && other.iter().all(|selector| !selector.starts_with("k8s:")) => Some(false),
        true if other.is_empty() => Some(true),
        true => None,
    }
}

/// The istiod of the way's start has read the cluster at its end.
///
/// # Errors
/// [`crate::Code::Evidence`] when istiod was not asked.
pub fn istiod_reads_peer(evidence: &Evidence, way: &Way) -> Result<Located> {
    let seen = evidence.cluster(&way.from)?;
    let what = || missing(format!("the clusters that istiod in {} watches", way.from));
    let remotes = seen.remote_clusters.as_ref().ok_or_else(what)?;
    let expected = format!("{} is synced", way.to);
    let finding = match remotes.iter().find(|remote| remote.id == way.to.0) {
        Some(remote) => {
            let observed = format!("{} is {}", way.to, remote.sync_status);
            Finding::new(remote.sync_status == "synced", expected, observed)
        }
        None => {
            let ids: Vec<_> = remotes.iter().map(|remote| remote.id.as_str()).collect();
            Finding::new(false, expected, format!("istiod watches {}", ids.join(", ")))
        }
    };
    Ok((finding, format!("/clusters/{}/remote_clusters", evidence.index(&way.from))))
}

fn list(ids: &[SpiffeId]) -> String {
    ids.iter().map(SpiffeId::to_string).collect::<Vec<_>>().join(", ")
}
