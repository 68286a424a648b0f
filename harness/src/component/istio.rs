//! Istio's control plane: rendered by istioctl for each cluster, applied by us, so that all clusters go side by
//! side and the wait is a watch.
//!
//! istioctl takes two seconds of a core for each rendering (measured), so what it wrote is kept in the cache,
//! keyed by the program and its input.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Cx, Making, Site, of, step};
use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::kube::apply::{apply, would_apply};
use crate::kube::rollout::{Workload, rolled_out};
use crate::plan::Plan;
use crate::progress::Note;
use crate::render::Values;
use crate::{Code, Error, Result, patience, render};
use proof::topology::{Cluster, ClusterName};

pub(super) fn steps(plan: &mut Plan<Cx>, cluster: &Cluster) {
    let id = |name| of(cluster, name);
    plan.add(step(cluster, "istio-rendered", "Istio's manifests rendered", rendered).needs(["artifacts"]));
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

async fn rendered(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    manifests(&cx, &site, &note).await.map(drop)
}

async fn applied(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let path = manifests(&cx, &site, &note).await?;
    let text = std::fs::read_to_string(&path)
        .or_fail(Code::CacheUnusable, || format!("cannot read {}", path.display()))?;
    let mut objects = render::documents(&text, "istioctl's output")?;
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

/// The documents that istioctl gets for this cluster, filled; those of the set-up's own have the last word.
pub(super) fn documents(cx: &Making, cluster: &ClusterName, mut values: Values) -> Result<Vec<String>> {
    let pilot = &cx.lock(cluster)?.image("pilot")?.reference;
    let (hub, tag) = pilot
        .rsplit_once(':')
        .and_then(|(name, tag)| Some((name.strip_suffix("/pilot")?, tag)))
        .ok_or_else(|| Error::new(Code::Lock, format!("image pilot (`{pilot}`) is not <hub>/pilot:<tag>")))?;
    values.insert("ISTIO_HUB".into(), hub.into());
    values.insert("ISTIO_TAG".into(), tag.into());

    let otherwise = &cx.order.setup.otherwise;
    let filled = files(cx, cluster)?.into_iter().map(|file| {
        let path = cx.layout.manifests().join(file);
        let text = std::fs::read_to_string(&path)
            .or_fail(Code::Internal, || format!("cannot read {}", path.display()))?;
        let text = render::fill(&text, &values, file)?;
        let mut documents = render::documents(&text, file)?;
        // Text that nothing changes stays what it is, and with it the key of what istioctl made of it.
        Ok(match otherwise.patch(file, cluster, &values, &mut documents)? {
            true => documents.iter().map(|one| format!("---\n{one}\n")).collect(),
            false => text,
        })
    });
    let own = otherwise.overlays.iter().map(|own| render::fill(&own.text, &values, &own.file));
    filled.chain(own).collect()
}

/// What istioctl is given, below `manifests/`.
fn files<'a>(cx: &'a Making, cluster: &ClusterName) -> Result<Vec<&'a str>> {
    let mut files = vec!["istio/operator.yaml"];
    files.extend(cx.order.setup.istio.iter().map(String::as_str));
    if cx.upstream_envoy(cluster)? {
        files.push("istio/upstream-envoy.yaml");
    }
    Ok(files)
}

/// The rendered manifests of this cluster, from the cache or freshly made.
async fn manifests(cx: &Cx, site: &Site, note: &Note) -> Result<PathBuf> {
    files(cx, &site.cluster.name)?.into_iter().for_each(|file| cx.reads(note, file));
    let istioctl = cx.artifacts(&site.cluster.name)?.tool("istioctl")?.to_path_buf();
    let inputs = documents(cx, &site.cluster.name, cx.values(site)?)?;
    let mut hash = Sha256::new();
    hash.update(istioctl.as_os_str().as_encoded_bytes());
    inputs.iter().for_each(|text| hash.update(text));
    let key: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    let out = cx.layout.cache.join(format!("rendered/istio-{key}.yaml"));
    if out.is_file() {
        return Ok(out);
    }

    let fail = || format!("cannot write {}", out.display());
    let dir = out.parent().unwrap_or(&cx.layout.cache);
    std::fs::create_dir_all(dir).or_fail(Code::CacheUnusable, fail)?;
    let scratch = tempfile::tempdir_in(dir).or_fail(Code::CacheUnusable, fail)?;
    let mut render = Cmd::new(istioctl).args(["manifest", "generate"]).env("KUBECONFIG", "/dev/null");
    for (i, text) in inputs.iter().enumerate() {
        let path = scratch.path().join(format!("{i}.yaml"));
        std::fs::write(&path, text).or_fail(Code::CacheUnusable, fail)?;
        render = render.arg("-f").arg(path);
    }
    let yaml = render.run().await?.stdout;
    let whole = scratch.path().join("whole");
    std::fs::write(&whole, yaml)
        .and_then(|()| std::fs::rename(&whole, &out))
        .or_fail(Code::CacheUnusable, fail)?;
    Ok(out)
}
