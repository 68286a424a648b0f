//! Each server gets its peers' bundles through the API, at once, instead of polling for them.

use std::sync::Arc;

use super::{Cx, Site, of, step};
use crate::plan::Plan;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Result, patience, spire};
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
            ("PEER_BUNDLE", peer.bundle()?.trim_end().to_owned()),
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
