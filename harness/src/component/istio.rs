//! Istio's control plane: rendered by istioctl for each cluster, applied by us, so that all clusters go side by
//! side and the wait is a watch.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::istioctl::{self, Asked};
use super::{Cx, Making, Site, of, rendered, step};
use crate::kube::apply::{apply, would_apply};
use crate::kube::rollout::{Workload, rolled_out};
use crate::plan::Plan;
use crate::progress::Note;
use crate::render::Values;
use crate::{Result, patience};
use proof::topology::{Cluster, ClusterName};

pub(super) fn steps(plan: &mut Plan<Cx>, cluster: &Cluster) {
    let id = |name| of(cluster, name);
    plan.add(step(cluster, "istio-rendered", "Istio's manifests rendered", made).needs(["artifacts"]));
    plan.add(step(cluster, "istio-applied", "istiod applied", applied).needs([
        id("istio-rendered"),
        id("crds"),
        // In a prepared node a pod starts as soon as it is asked for.
        id("pods-allowed"),
    ]));
    plan.add(step(cluster, "istiod", "istiod ready", ready).needs([
        id("istio-applied"),
        id("images"),
        id("pods-allowed"),
    ]));
}

async fn made(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    manifests(&cx, &site, &note).await.map(drop)
}

async fn applied(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let mut objects = rendered::read(&manifests(&cx, &site, &note).await?)?;
    // istioctl leaves its namespace to the installer. The network's label tells istiod where its pods are.
    objects.insert(
        0,
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": "istio-system", "labels": { "topology.istio.io/network": site.cluster.network } } }),
    );
    apply(site.client()?, &objects, &note).await
}

async fn ready(_cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let client = site.client()?;
    rolled_out(client, Workload::Deployment, "istio-system", "istiod", patience::STEP, &note).await?;
    // Its Service leads there a moment later. A pod that is asked for before is refused, and its ReplicaSet asks again after
    // 10 s only (seen in one of 20 runs).
    would_apply(client, &injected(), &note).await
}

/// A pod that the API server asks the injector about.
fn injected() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "asks-the-injector", "namespace": "istio-system",
            "labels": { "sidecar.istio.io/inject": "true" } },
        "spec": { "serviceAccountName": "istiod", "containers": [{ "name": "none", "image": "none" }] },
    })
}

/// What istioctl is given for this cluster.
pub(super) fn asked<'a>(cx: &'a Making, cluster: &'a ClusterName, values: Values) -> Result<Asked<'a>> {
    let files = istioctl::files(&cx.order.setup.istio, cx.artifacts(cluster)?.origin);
    Ok(Asked { layout: &cx.layout, cluster, files, otherwise: &cx.order.setup.otherwise, values })
}

/// The rendered manifests of this cluster, from the cache or freshly made.
async fn manifests(cx: &Cx, site: &Site, note: &Note) -> Result<PathBuf> {
    let cluster = &site.cluster.name;
    let asked = asked(cx, cluster, cx.values(site)?)?;
    asked.files.iter().for_each(|file| cx.reads(note, file));
    asked.rendered(cx.artifacts(cluster)?.tool("istioctl")?).await
}
