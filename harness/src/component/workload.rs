//! helloworld and curl, and the proof that the plan is done: each client is answered from every cluster.

use std::sync::Arc;

use super::{Cx, Site, of, step};
use crate::kube::rollout::{Workload, rolled_out};
use crate::mesh;
use crate::plan::Plan;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Result, patience};
use proof::topology::Cluster;

pub(super) fn steps(plan: &mut Plan<Cx>, cluster: &Cluster, peers: &[&Cluster]) {
    let id = |name| of(cluster, name);
    plan.add(step(cluster, "workloads", "helloworld and curl ready", ready).needs([
        id("istiod"),
        id("identities"),
        id("spire-agent"),
        id("csi"),
    ]));
    let far = peers.iter().flat_map(|peer| [of(peer, "workloads"), of(peer, "gateway-ready")]);
    let known = (!peers.is_empty()).then(|| id("remote-secrets"));
    plan.add(
        step(cluster, "answers", "curl is answered from every cluster", answers)
            .needs([id("workloads")])
            .needs(known)
            .needs(far),
    );
}

async fn ready(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    cx.apply(&site, "workloads/mesh.yaml", &[], &note).await?;
    cx.apply(&site, "workloads/outsider.yaml", &[], &note).await?;
    for cluster in &cx.order.setup.topology.clusters {
        let version = [("VERSION", cluster.version.clone())];
        cx.apply(&site, "workloads/version.yaml", &version, &note).await?;
    }
    let client = site.client()?;
    let rolled =
        |namespace, name| rolled_out(client, Workload::Deployment, namespace, name, patience::STEP, &note);
    tokio::try_join!(
        rolled("istio-test", "helloworld"),
        rolled("istio-test", "curl"),
        rolled("outside", "outsider")
    )?;
    Ok(())
}

async fn answers(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let client = site.client()?;
    for cluster in &cx.order.setup.topology.clusters {
        let version = &cluster.version;
        let what = format!("an answer from helloworld-{version}");
        wait::eventually(&what, patience::STEP, &note, || async {
            match mesh::ask(client, &format!("helloworld-{version}"), "plan").await {
                Ok(reply) if reply.status == 200 => Look::Ready(()),
                Ok(reply) => Look::NotYet(format!("{} {}", reply.status, reply.body.trim())),
                Err(e) => Look::not_yet(e),
            }
        })
        .await?;
    }
    Ok(())
}
