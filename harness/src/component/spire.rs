//! SPIRE and its CSI driver in one cluster.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::{Cx, Site, found, of, step, upstream};
use crate::kube::conditions::Standing;
use crate::kube::rollout::{Workload, rolled_out};
use crate::kube::watch::until;
use crate::plan::Plan;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Result, patience, spire};
use proof::topology::Cluster;

pub(super) fn steps(plan: &mut Plan<Cx>, cluster: &Cluster, peers: &[&Cluster]) {
    let id = |name| of(cluster, name);
    plan.add(
        step(cluster, "spire-server", "SPIRE server applied", server).needs([id("crds"), id("pods-allowed")]),
    );
    plan.add(
        step(cluster, "bundle", "SPIRE server publishes its bundle", bundle)
            .needs([id("spire-server"), id("images"), id("pods-allowed")])
            .again(found(cluster, bundle)),
    );
    plan.add(step(cluster, "csi", "SPIFFE CSI driver ready", csi).needs([
        id("spire-server"),
        id("images"),
        id("pods-allowed"),
    ]));
    plan.add(step(cluster, "spire-agent", "SPIRE agent ready", agent).needs([id("bundle")]));
    // SPIRE refuses an entry that federates with a trust domain of which it has no bundle.
    let exchanged = (!peers.is_empty()).then(|| id("federation"));
    plan.add(
        step(cluster, "identities", "identities asked for", identities)
            .needs([id("bundle")])
            .needs(exchanged),
    );
}

async fn server(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    upstream::bring(&cx, &site, &note).await?;
    cx.apply(&site, "spire/server.yaml", &[], &note).await
}

async fn bundle(_cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let client = site.client()?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "spire");
    until(
        &maps,
        "spire-bundle",
        "the server's bundle in its ConfigMap",
        patience::STEP,
        &note,
        |map: &ConfigMap| {
            let filled = map.data.as_ref().is_some_and(|d| d.contains_key("bundle.crt"));
            if filled { Standing::Ready } else { Standing::Not("still empty".into()) }
        },
    )
    .await?;
    let bundle = wait::eventually("the SPIRE server", patience::STEP, &note, || async {
        match spire::bundle(client).await {
            Ok(bundle) => Look::Ready(bundle),
            Err(e) => Look::not_yet(e),
        }
    })
    .await?;
    site.publishes(bundle)
}

async fn agent(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    cx.apply(&site, "spire/agent.yaml", &[], &note).await?;
    rolled_out(site.client()?, Workload::DaemonSet, "spire", "spire-agent", patience::STEP, &note).await
}

async fn csi(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    cx.apply(&site, "spire/csi.yaml", &[], &note).await?;
    rolled_out(site.client()?, Workload::DaemonSet, "spire", "spiffe-csi-driver", patience::STEP, &note).await
}

async fn identities(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    cx.apply(&site, "spire/identities.yaml", &[], &note).await?;
    if cx.has_peers() {
        cx.apply(&site, "spire/gateway-identity.yaml", &[], &note).await?;
    }
    Ok(())
}
