//! What all else runs on: engine, artifacts, network, and in each cluster the node, its images and the upstream CRDs.

use std::path::Path;
use std::sync::Arc;

use super::{Cx, Site, of, step};
use crate::artifact::packages::Packages;
use crate::artifact::source;
use crate::engine::private::Programs;
use crate::engine::{self, Engine};
use crate::error::Context as _;
use crate::ledger::Thing;
use crate::plan::{Plan, Step};
use crate::progress::Note;
use crate::setup::Setup;
use crate::{Code, Result, cluster, kube, patience, render};

/// The name of our network in the engine.
const NETWORK: &str = "vouchsafe";

pub(super) fn steps(plan: &mut Plan<Cx>, setup: &Setup) {
    plan.add(
        Step::new("artifacts", "", "images, tools and manifests at hand", artifacts)
            .limit(patience::BUILD * 2),
    );
    // An archive brings the private engine's programs with it, so the artifacts comes first.
    plan.add(
        Step::new("engine", "", "container engine answers", engine)
            .needs(["artifacts"])
            .limit(patience::BUILD),
    );
    plan.add(Step::new("node-image", "", "engine holds the node image", node_image).needs(["engine"]));
    plan.add(Step::new("network", "", "the clusters' network", network).needs(["engine"]));
    for cluster in &setup.topology.clusters {
        let id = |name| of(cluster, name);
        plan.add(
            step(cluster, "cluster", "kind cluster", create)
                .needs(["node-image", "network"])
                .limit(patience::CLUSTER),
        );
        plan.add(
            step(cluster, "images", "images in the node", images)
                .needs(["node-image", "network"])
                .limit(patience::CLUSTER),
        );
        plan.add(
            step(cluster, "pods-allowed", "Services answer, so pods may start", pods_allowed)
                .needs([id("cluster")]),
        );
        plan.add(step(cluster, "crds", "upstream CRDs established", crds).needs([id("cluster")]));
    }
}

async fn engine(cx: Cx, note: Note) -> Result<()> {
    let engine = match Engine::find(cx.order.engine).await? {
        Some(engine) => {
            let owner = cluster::owner(&cx.layout);
            cx.ledger.will_make(&Thing::Belongings { engine: engine.record().clone(), owner })?;
            engine
        }
        None => {
            let packages = Packages::new(&cx.layout, &cx.lock);
            let root = packages.obtain_engine(&note).await?;
            let shim = packages.obtain_workloads(&note).await?.join("oci-shim");
            let (state, programs) = (cx.layout.engine(), Programs { root, shim });
            cx.ledger
                .will_make(&Thing::PrivateEngine { state: state.clone(), programs: programs.root.clone() })?;
            engine::private::start(&state, &programs, &note).await?
        }
    };
    cx.set_engine(engine)
}

async fn artifacts(cx: Cx, note: Note) -> Result<()> {
    cx.set_obtained(source::obtain(&cx.order.source, &cx.order.mirrors, &cx.layout, &cx.lock, &note).await?)
}

async fn node_image(cx: Cx, note: Note) -> Result<()> {
    let (engine, node) = (cx.engine()?, &cx.artifacts()?.node);
    if engine.image_id(&node.reference).await?.as_deref() == Some(node.id.as_str()) {
        note.say("it is there already");
        return Ok(());
    }
    engine.load(&node.archive).await
}

async fn network(cx: Cx, _note: Note) -> Result<()> {
    for site in cx.sites() {
        cluster::kind::refuse_foreign(cx.engine()?, [&site.cluster.name]).await?;
    }
    cx.engine()?.create_network(NETWORK, &cluster::owner(&cx.layout)).await.map(drop)
}

async fn create(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let made =
        cluster::kind::create(cx.engine()?, cx.artifacts()?, &site.cluster, &site.kubeconfig, NETWORK, &note)
            .await?;
    let client = kube::connect(&site.kubeconfig).await?;
    site.is_up(client, made.address)
}

async fn images(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    cluster::images::import(cx.engine()?, cx.artifacts()?, &site.cluster, &note).await
}

async fn pods_allowed(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    cluster::network::open(cx.engine()?, cx.artifacts()?, &site.cluster, &note).await
}

async fn crds(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let artifacts = cx.artifacts()?;
    let mut objects = Vec::new();
    for name in ["spire-crds", "gateway-api-crds"] {
        objects.extend(upstream(artifacts.manifest(name)?)?);
    }
    kube::apply::apply(site.client()?, &objects, &note).await
}

/// Every object of an upstream manifest, a file or a folder, unchanged.
fn upstream(path: &Path) -> Result<Vec<serde_json::Value>> {
    let fail = |path: &Path| format!("cannot read the upstream manifest {}", path.display());
    let mut files = Vec::new();
    if path.is_dir() {
        let listing = std::fs::read_dir(path).or_fail(Code::CacheUnusable, || fail(path))?;
        files.extend(
            listing
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|p| p.extension().is_some_and(|e| e == "yaml")),
        );
        files.sort();
    } else {
        files.push(path.to_path_buf());
    }
    let mut objects = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).or_fail(Code::CacheUnusable, || fail(&file))?;
        objects.extend(render::documents(&text, &file.display().to_string())?);
    }
    // A kustomization is a list of files, not an object of the cluster.
    objects.retain(|o| o["kind"] == "CustomResourceDefinition");
    Ok(objects)
}
