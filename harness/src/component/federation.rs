//! Each server gets its peers' bundles through the API, at once, instead of polling for them.
//!
//! Each bundle is given with its hint. The first fetch mostly fails, for the peer's endpoint is not served yet; and how soon
//! SPIRE tries again then follows from the bundle that it holds: from its hint, or from nothing but the life of its
//! authorities, which is 36 minutes with one of a day (`calculateNextUpdate` of `pkg/server/bundle/client`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Cx, Site, of, step};
use crate::plan::Plan;
use crate::progress::Note;
use crate::render::Values;
use crate::wait::{self, Look};
use crate::{Error, Result, patience, spire};
use proof::topology::Cluster;

pub(super) fn steps(plan: &mut Plan<Cx>, cluster: &Cluster, peers: &[&Cluster]) {
    let bundles = peers.iter().map(|peer| of(peer, "bundle"));
    plan.add(
        step(cluster, "federation", "SPIRE server holds its peers' bundles", federate)
            .needs([of(cluster, "bundle")])
            .needs(bundles),
    );
}

async fn federate(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let client = site.client()?;
    for peer in cx.sites().filter(|peer| peer.cluster.name != site.cluster.name) {
        let domain = &peer.cluster.trust_domain;
        let values = [
            ("PEER", peer.cluster.name.to_string()),
            ("PEER_TRUST_DOMAIN", domain.clone()),
            ("PEER_ADDRESS", peer.address()?.to_string()),
            ("PEER_BUNDLE", hinted(peer.bundle()?, &cx.values(peer)?)?),
        ];
        cx.apply(&site, "spire/federation.yaml", &values, &note).await?;
        wait::eventually(&format!("the bundle of {domain}"), patience::STEP, &note, || async {
            match spire::bundle_of_peer(client, domain).await {
                Ok(Some(_)) => Look::Ready(()),
                Ok(None) => Look::NotYet("the server does not hold it yet".into()),
                Err(e) => Look::not_yet(e),
            }
        })
        .await?;
    }
    Ok(())
}

/// What the server prints of itself, with what its endpoint says beside it.
fn hinted(bundle: &str, of_the_peer: &Values) -> Result<String> {
    let hint =
        of_the_peer.get("SPIRE_REFRESH_HINT").and_then(|hint| hint.parse::<jiff::SignedDuration>().ok());
    let hint = hint.ok_or_else(|| Error::internal("SPIRE_REFRESH_HINT is no duration"))?;
    let mut bundle: Value =
        serde_json::from_str(bundle).map_err(|e| Error::internal("a server's own bundle").because(e))?;
    bundle["spiffe_refresh_hint"] = json!(hint.as_secs());
    Ok(bundle.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_given_with_the_hint_of_its_endpoint() {
        let values = |hint: &str| Values::from([("SPIRE_REFRESH_HINT".to_owned(), hint.to_owned())]);
        let given = hinted(r#"{"keys": [], "spiffe_sequence": 1}"#, &values("1m30s")).unwrap();
        let given: Value = serde_json::from_str(&given).unwrap();
        assert_eq!(given, json!({ "keys": [], "spiffe_sequence": 1, "spiffe_refresh_hint": 90 }));
        assert!(hinted("{}", &values("soon")).is_err());
    }
}
