//! The federation is set up as it should be: registration entries federate, and each istiod watches the
//! other cluster.

use super::judge::index;
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
    let mut ids: Vec<SpiffeId> =
        seen.proxies.iter().map(|proxy| proxy.workload.id(&domain)).collect::<Result<_>>()?;
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
    Ok((finding, format!("/clusters/{}/entries", index(evidence, name))))
}

/// The istiod of the way's start has read the cluster at its end.
///
/// # Errors
/// [`crate::Code::Evidence`] when istiod was not asked.
pub fn istiod_watches(evidence: &Evidence, way: &Way) -> Result<Located> {
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
    Ok((finding, format!("/clusters/{}/remote_clusters", index(evidence, &way.from))))
}

fn list(ids: &[SpiffeId]) -> String {
    ids.iter().map(SpiffeId::to_string).collect::<Vec<_>>().join(", ")
}
