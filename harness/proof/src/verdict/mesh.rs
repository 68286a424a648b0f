//! The federation is set up as it should be: registration entries federate, and each istiod watches the
//! other cluster.

use super::{Finding, Located};
use crate::evidence::{ClusterSeen, Evidence, Part, Workload, missing};
use crate::identity::{Entry, SpiffeId};
use crate::topology::{ClusterName, Way};
use crate::{Error, Result};

/// Every workload with a proxy has an entry, and each of them federates with every other trust domain.
///
/// # Errors
/// [`crate::Code::Evidence`] when entries or proxies were not collected.
pub fn entries_federate(evidence: &Evidence, name: &ClusterName) -> Result<Located> {
    let seen = evidence.cluster(name)?;
    let (entries, domain) = (entries_in(seen)?, seen.trust_domain()?);
    let mut peers: Vec<_> = evidence.peers(name).map(ClusterSeen::trust_domain).collect::<Result<_>>()?;
    // Clusters of one trust domain have nothing to exchange.
    peers.retain(|peer| *peer != domain);
    let mut ids: Vec<SpiffeId> = seen
        .proxies
        .iter()
        .map(|proxy| registered_id(evidence, seen, &proxy.workload))
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
    let finding = Finding::all("entries", findings).ok_or_else(|| no_proxy(seen))?;
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
    let entries = entries_in(seen)?;
    let findings = seen.proxies.iter().map(|proxy| {
        let pod = &proxy.workload.pod;
        let matching: Vec<_> =
            matching(seen, &proxy.workload)?.into_iter().map(|entry| entry.id.as_str()).collect();
        let ids = if matching.is_empty() { String::new() } else { format!(": {}", matching.join(", ")) };
        let observed = format!("{pod}: {} of {} entries match{ids}", matching.len(), entries.len());
        Ok(Finding::new(matching.len() == 1, "exactly one entry for each pod", observed))
    });
    let findings: Vec<_> = findings.collect::<Result<_>>()?;
    let finding = Finding::all("pods", findings).ok_or_else(|| no_proxy(seen))?;
    Ok((finding, format!("/clusters/{}/entries", evidence.index(name))))
}

/// Who a workload must be: as the set-up declares, or as its entry says where nobody declared anything.
///
/// # Errors
/// [`crate::Code::Evidence`] when the names cannot be part of a SPIFFE ID, entries were not collected, or several entries
/// say different things.
pub(super) fn registered_id(
    evidence: &Evidence,
    seen: &ClusterSeen,
    workload: &Workload,
) -> Result<SpiffeId> {
    let declared = || workload.id(&seen.trust_domain()?, &evidence.identities);
    if !evidence.as_registered {
        return declared();
    }
    let mut ids: Vec<_> = matching(seen, workload)?.into_iter().map(|entry| &entry.spiffe_id).collect();
    ids.sort();
    ids.dedup();
    match ids.as_slice() {
        // That it has none is another claim's finding; Istio would expect its own form.
        [] => declared(),
        [one] => Ok((*one).clone()),
        several => {
            let what = format!("which of {} identities {} has", several.len(), workload.pod);
            Err(missing(what).seen(several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")))
        }
    }
}

/// The entries that select a workload's pod.
///
/// # Errors
/// [`crate::Code::Evidence`] when entries or the pod's UID were not collected, or one selects by something that was not
/// looked at.
pub(super) fn matching<'a>(seen: &'a ClusterSeen, workload: &Workload) -> Result<Vec<&'a Entry>> {
    let (name, pod) = (&seen.cluster.name, &workload.pod);
    let uid = workload.uid.as_ref().ok_or_else(|| missing(format!("the UID of {pod} in {name}")))?;
    let mut own = vec![
        format!("k8s:pod-uid:{uid}"),
        format!("k8s:pod-name:{pod}"),
        format!("k8s:ns:{}", workload.namespace),
        format!("k8s:sa:{}", workload.service_account),
    ];
    let known = seen.proxies.iter().find(|proxy| proxy.workload.uid.as_ref() == Some(uid));
    own.extend(known.into_iter().flat_map(|proxy| proxy.selectors.iter().cloned()));
    let mut matching = Vec::new();
    for entry in entries_in(seen)? {
        match selects(&entry.selectors, &own) {
            Some(true) => matching.push(entry),
            Some(false) => {}
            None => return Err(missing(format!("whether entry {} selects {pod} in {name}", entry.id))),
        }
    }
    Ok(matching)
}

fn entries_in(seen: &ClusterSeen) -> Result<&[Entry]> {
    let what = || seen.lacks(Part::Entries, format!("registration entries in {}", seen.cluster.name));
    seen.entries.as_deref().ok_or_else(what)
}

fn no_proxy(seen: &ClusterSeen) -> Error {
    seen.lacks(Part::Proxies, format!("any proxy in {}", seen.cluster.name))
}

/// Whether all selectors are among the pod's own; nothing when that hangs on one of a kind that was not looked at.
fn selects(selectors: &[String], own: &[String]) -> Option<bool> {
    const ALWAYS: [&str; 4] = ["k8s:pod-uid:", "k8s:pod-name:", "k8s:ns:", "k8s:sa:"];
    const LOOKED_AT: [&str; 3] = ["k8s:pod-label:", "k8s:node-name:", "k8s:container-name:"];
    let looked = |kind: &&&str| own.iter().any(|selector| selector.starts_with(**kind));
    let is_known = |selector: &String| {
        let of = |kind: &&str| selector.starts_with(*kind);
        ALWAYS.iter().any(of) || LOOKED_AT.iter().find(|kind| of(kind)).filter(looked).is_some()
    };
    let (mut matching, mut open, mut foreign) = (0, 0, 0);
    // In a mesh of thousands this is asked millions of times: most end at once.
    for selector in selectors {
        match own.contains(selector) {
            true => matching += 1,
            false if is_known(selector) => return Some(false),
            false if selector.starts_with("k8s:") => open += 1,
            false => foreign += 1,
        }
    }
    match (matching, open + foreign) {
        // An agent's own entry, or an alias of a node: no workload's.
        (0, _) if open == 0 => Some(false),
        (_, 0) => Some(true),
        _ => None,
    }
}

/// The istiod of the way's start has read the cluster at its end.
///
/// # Errors
/// [`crate::Code::Evidence`] when istiod was not asked.
pub fn istiod_reads_peer(evidence: &Evidence, way: &Way) -> Result<Located> {
    let seen = evidence.cluster(&way.from)?;
    let what = format!("the clusters that istiod in {} watches", way.from);
    let remotes = seen.remote_clusters.as_ref().ok_or_else(|| seen.lacks(Part::RemoteClusters, what))?;
    let (own, peer) = (seen.called(), evidence.cluster(&way.to)?.called());
    let expected = format!("{peer} is synced");
    let finding = match remotes.iter().find(|remote| remote.id == peer) {
        // What it says of itself says nothing of the other.
        Some(_) if own == peer => {
            Finding::new(false, expected, format!("{} and {} both call themselves {own}", way.from, way.to))
        }
        Some(remote) => {
            let observed = format!("{peer} is {}", remote.sync_status);
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
