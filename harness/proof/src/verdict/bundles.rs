//! The two servers' bundles share no key, and each is what the other holds for it.

use super::{Finding, Located};
use crate::evidence::{ClusterSeen, Evidence, Part, missing};
use crate::identity::{Authority, Bundle};
use crate::topology::{ClusterName, Way};
use crate::{Error, Result};

/// The bundles of the two clusters share no key.
///
/// # Errors
/// [`crate::Code::Evidence`] when a bundle was not collected.
pub fn share_no_key(evidence: &Evidence, one: &ClusterName, other: &ClusterName) -> Result<Located> {
    let (one, other) = (evidence.cluster(one)?.published()?, evidence.cluster(other)?.published()?);
    Ok((disjoint(one, other), "/clusters".to_owned()))
}

/// No key is in both bundles.
pub fn disjoint(one: &Bundle, other: &Bundle) -> Finding {
    let shared = one.shared_with(other);
    let expected =
        format!("no key in both the bundle of {} and that of {}", one.trust_domain, other.trust_domain);
    if let Some(authority) = shared.first() {
        let observed = format!("{} shared: {}", shared.len(), keys(shared.iter().copied()));
        return Finding::new(false, expected, observed).signed_by(authority.key_id());
    }
    Finding::new(true, expected, format!("{}; {}", described(one), described(other)))
}

/// What the client's SPIRE server holds for the server's trust domain is what that one publishes.
///
/// # Errors
/// [`crate::Code::Evidence`] when a bundle was not collected.
pub fn peer_bundle_held(evidence: &Evidence, way: &Way) -> Result<Located> {
    let (holder, owner) = (evidence.cluster(&way.from)?, evidence.cluster(&way.to)?);
    let domain = owner.trust_domain()?;
    let what = format!("what the SPIRE server of {} holds for others", way.from);
    let what = || holder.lacks(Part::PeerBundles, what);
    let held =
        holder.peer_bundles.as_ref().ok_or_else(what)?.iter().find(|bundle| bundle.trust_domain == domain);
    let expected = |keys: &str| format!("exactly the keys that {} publishes{keys}", way.to);
    let finding = match (held, owner.published()) {
        // Whatever the peer publishes: nothing is not it.
        (None, published) => {
            let keys = published.map(|published| format!(": {}", described(published))).unwrap_or_default();
            Finding::new(false, expected(&keys), format!("{} holds no bundle for {domain}", way.from))
        }
        (Some(held), published) => {
            let published = published?;
            let expected = expected(&format!(": {}", described(published)));
            Finding::new(published.same_keys(&held.authorities), expected, described(held))
        }
    };
    Ok((finding, "/clusters".to_owned()))
}

/// The server's own attempt to fetch its peer's bundle came to a good end. A relationship that was seeded works on the day
/// of its making whether or not any fetch ever does; no object's status says so.
///
/// # Errors
/// [`crate::Code::Evidence`] when it was not asked to.
pub fn peer_bundle_fetched(evidence: &Evidence, way: &Way) -> Result<Located> {
    let (seen, peer) = (evidence.cluster(&way.from)?, evidence.cluster(&way.to)?.trust_domain()?);
    let what = format!("the SPIRE server of {} fetching the bundle of {peer}", way.from);
    let what = || seen.lacks(Part::Fetches, what);
    let fetch = seen.fetches.iter().flatten().find(|fetch| fetch.trust_domain == peer).ok_or_else(what)?;
    let said = if fetch.said.trim().is_empty() { "nothing" } else { fetch.said.trim() };
    let observed = format!("status {}: {said}", fetch.status);
    let finding = Finding::new(fetch.status == 0, format!("the bundle of {peer} comes"), observed);
    Ok((finding, format!("/clusters/{}/fetches", evidence.index(&way.from))))
}

/// `cluster1.local: key ab12…`, for a person.
pub(super) fn described(bundle: &Bundle) -> String {
    format!("{}: {}", bundle.trust_domain, keys(&bundle.authorities))
}

pub(super) fn keys<'a>(authorities: impl IntoIterator<Item = &'a Authority>) -> String {
    let keys: Vec<_> = authorities.into_iter().map(|a| format!("key {}", a.key_id())).collect();
    if keys.is_empty() { "no key".into() } else { keys.join(", ") }
}

/// Every cluster's published bundle.
pub(super) fn all_published(evidence: &Evidence) -> Result<Vec<&Bundle>, Error> {
    if evidence.clusters.is_empty() {
        return Err(missing("any cluster"));
    }
    evidence.clusters.iter().map(ClusterSeen::published).collect()
}
