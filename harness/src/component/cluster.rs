//! What all else runs on: engine, artifacts, network, and in each cluster the node, its images and the upstream CRDs.
//!
//! Nodes are prepared once and started for each world ([`crate::cluster::prepared`]), or made by kind in the run itself:
//! where `--fresh-nodes` asks for that, and in an engine that was there before.

use std::path::Path;
use std::sync::Arc;

use futures::future::try_join_all;
use serde_json::json;

use super::{Cx, Making, Site, found, of, rendered, step};
use crate::artifact::cache::Cache;
use crate::artifact::packages::Packages;
use crate::artifact::{Artifacts, DEFINITIONS, Image, source};
use crate::cluster::images::Unpack;
use crate::cluster::prepared::{self, Wanted, WantedNode};
use crate::cluster::{self, kind, nodes};
use crate::engine::objects::Object;
use crate::engine::private::Programs;
use crate::engine::{self, Engine, Record};
use crate::error::Context as _;
use crate::layout::Layout;
use crate::ledger::Thing;
use crate::lock::{self, Lock};
use crate::plan::{Plan, Step};
use crate::progress::Note;
use crate::setup::Setup;
use crate::{Code, Error, Result, kube, patience, render, world};

pub(super) use crate::cluster::network::NAME as NETWORK;

/// What stands before the first node.
pub(super) fn ground(plan: &mut Plan<Cx>) {
    plan.add(
        Step::new("artifacts", "", "images, tools and manifests at hand", artifacts)
            .again(artifacts)
            .limit(patience::BUILD * 2),
    );
    // An archive brings the private engine's programs with it, so the artifacts comes first.
    plan.add(
        Step::new("engine", "", "container engine answers", engine)
            .needs(["artifacts"])
            .again(engine_again)
            .limit(patience::BUILD),
    );
    plan.add(Step::new("node-image", "", "engine holds the node image", node_image).needs(["engine"]));
    let step = Step::new("network", "", "the clusters' network", network).needs(["engine"]);
    plan.add(step.again(network_again));
}

pub(super) fn steps(plan: &mut Plan<Cx>, setup: &Setup) {
    ground(plan);
    plan.add(
        Step::new("nodes", "", "nodes prepared, or left to kind", nodes)
            .needs(["node-image", "network"])
            .again(nodes_again)
            .limit(patience::CLUSTER * 2),
    );
    for cluster in &setup.topology.clusters {
        let id = |name| of(cluster, name);
        plan.add(
            step(cluster, "cluster", "kind cluster", create)
                .needs(["nodes"])
                .again(found(cluster, create_again))
                .limit(patience::CLUSTER),
        );
        plan.add(
            step(cluster, "images", "images in the node", images).needs(["nodes"]).limit(patience::CLUSTER),
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
        Some(found) => {
            let engine = &found;
            let clusters = Some(cx.sites().map(|site| site.cluster.name.clone()).collect());
            let (engine, owner) = (engine.record().clone(), cx.world().to_string());
            cx.ledger.will_make(&Thing::Belongings { engine, owner, clusters })?;
            found
        }
        None => {
            let packages = Packages::new(&cx.layout, &Lock::read(&cx.layout.manifests())?);
            let root = packages.obtain_engine(&note).await?;
            let shim = packages.obtain_workloads(&note).await?.join("oci-shim");
            let (state, programs) = (cx.layout.engine(), Programs { root, shim });
            cx.ledger
                .will_make(&Thing::PrivateEngine { state: state.clone(), programs: programs.root.clone() })?;
            engine::private::start(&state, &programs, cx.world(), &note).await?
        }
    };
    cx.set_engine(engine)
}

async fn engine_again(cx: Cx, _note: Note) -> Result<()> {
    let record =
        cx.begun().engine.as_ref().ok_or_else(|| Error::internal("the engine was not written down"))?;
    cx.set_engine(Engine::attach(record).await?)
}

async fn artifacts(cx: Cx, note: Note) -> Result<()> {
    cx.reads(&note, lock::FILE);
    cx.set_obtained(source::obtain(&cx.order.source, &cx.order.mirrors, &cx.layout, cx.locks(), &note).await?)
}

async fn node_image(cx: Cx, note: Note) -> Result<()> {
    for delivery in &cx.obtained()?.deliveries {
        node_image_of(&cx, &delivery.artifacts.node, &note).await?;
    }
    Ok(())
}

async fn node_image_of(cx: &Making, node: &Image, note: &Note) -> Result<()> {
    let engine = cx.engine()?;
    let before = engine.image_id(&node.reference).await?;
    if before.as_deref() == Some(node.id.as_str()) {
        note.say("it is there already");
        return Ok(());
    }
    // A private engine keeps it for the next run, and is nobody else's.
    if let Record::System { .. } = engine.record()
        && !cx.order.keep_image
    {
        let (engine, reference, id) = (engine.record().clone(), node.reference.clone(), node.id.clone());
        cx.ledger.will_make(&Thing::Image { engine, reference, id, before })?;
    }
    engine.load(&node.archive).await
}

async fn network(cx: Cx, _note: Note) -> Result<()> {
    for site in cx.sites() {
        kind::refuse_foreign(cx.engine()?, [&site.cluster.name]).await?;
    }
    let network = cx.engine()?.create_network(NETWORK, cx.world().as_str()).await?;
    // `doctor` could only foresee it.
    cluster::network::apart(network.subnet, &cx.order.setup.topology)?;
    cx.set_network(network)
}

async fn network_again(cx: Cx, _note: Note) -> Result<()> {
    let network = cx.engine()?.network(NETWORK).await?;
    let ours = network.filter(|network| network.owner.as_deref() == Some(cx.world().as_str()));
    let gone = || Error::new(Code::EngineFailed, format!("the network {NETWORK} of this world is gone"));
    cx.set_network(ours.ok_or_else(|| gone().next("cargo xtask down, then this again"))?)
}

async fn nodes_again(cx: Cx, _note: Note) -> Result<()> {
    let (cache, nodes) = (Cache::new(cx.layout.artifacts()), wanted_nodes(&cx)?);
    let wanted = wanted(&cx, &cache, &nodes)?;
    let prepared = if cx.order.fresh_nodes || !wanted.possible() { None } else { wanted.find()? };
    cx.set_prepared(prepared)
}

fn wanted_nodes(cx: &Making) -> Result<Vec<WantedNode<'_>>> {
    let of_each = cx.sites().map(|site| {
        let (cluster, kubeconfig) = (&site.cluster, site.kubeconfig.as_path());
        Ok(WantedNode { cluster, kubeconfig, artifacts: cx.artifacts(&cluster.name)? })
    });
    of_each.collect()
}

fn wanted<'a>(cx: &'a Making, cache: &'a Cache, nodes: &'a [WantedNode<'a>]) -> Result<Wanted<'a>> {
    Ok(Wanted { engine: cx.engine()?, network: cx.network()?, nodes, cache })
}

async fn nodes(cx: Cx, note: Note) -> Result<()> {
    let (cache, nodes) = (Cache::new(cx.layout.artifacts()), wanted_nodes(&cx)?);
    let wanted = wanted(&cx, &cache, &nodes)?;
    if cx.order.fresh_nodes || !wanted.possible() {
        return cx.set_prepared(None);
    }
    let prepared = match wanted.find()? {
        Some(prepared) => prepared,
        None => {
            note.tell(
                "preparing nodes for this and later runs: once for each set of versions, about a minute",
            );
            let fill = async || try_join_all(cx.sites().map(|site| fill(&cx, site, &note))).await.map(drop);
            prepared::make(&wanted, fill, &note).await?
        }
    };
    cx.set_prepared(Some(prepared))
}

/// What every world's node has: made by kind, with all images unpacked and the upstream definitions served.
async fn fill(cx: &Making, site: &Site, note: &Note) -> Result<()> {
    let (engine, artifacts) = (cx.engine()?, cx.artifacts(&site.cluster.name)?);
    let made = async {
        kind::create(engine, artifacts, &site.cluster, &site.kubeconfig, NETWORK, note).await?;
        define(&cx.layout, artifacts, &kube::connect(&site.kubeconfig).await?, note).await
    };
    let imported = cluster::images::import(engine, artifacts, &site.cluster, Unpack::Now, note);
    tokio::try_join!(made, imported).map(drop)
}

/// A node that an earlier run has made runs on.
async fn create_again(cx: Cx, site: Arc<Site>, _note: Note) -> Result<()> {
    let (engine, node) = (cx.engine()?, nodes::name(&site.cluster.name));
    if nodes::state(engine, &node).await? != nodes::State::Running {
        let what = format!("the node {node} of this half-made world does not run any more");
        return Err(Error::new(Code::ClusterFailed, what).next("cargo xtask down, then this again"));
    }
    let address = nodes::address(engine, &node, NETWORK).await?;
    site.is_up(kube::connect(&site.kubeconfig).await?, address)
}

async fn create(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let (engine, cluster, kubeconfig) = (cx.engine()?, &site.cluster, &site.kubeconfig);
    // What an earlier run left of a node that it could not finish.
    let clusters = [cluster.name.clone()];
    let half_made = engine.belongings(cx.world().as_str(), Some(&clusters)).await?.own;
    let nodes = half_made.into_iter().filter(|object| matches!(object, Object::Container(_)));
    engine.remove_all(nodes.collect()).await?;
    let made = match cx.prepared()? {
        Some(prepared) => {
            prepared::start(engine, prepared, cluster, kubeconfig, cx.network()?, &note).await?
        }
        None => {
            let artifacts = cx.artifacts(&cluster.name)?;
            kind::create(engine, artifacts, cluster, kubeconfig, NETWORK, &note).await?
        }
    };
    let client = kube::connect(&site.kubeconfig).await?;
    world::mark(&client, cluster, cx.world(), &note).await?;
    site.is_up(client, made.address)
}

async fn images(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let (engine, artifacts) = (cx.engine()?, cx.artifacts(&site.cluster.name)?);
    match cx.prepared()? {
        Some(_) => cluster::images::present(engine, artifacts, &site.cluster, &note).await,
        None => cluster::images::import(engine, artifacts, &site.cluster, Unpack::Later, &note).await,
    }
}

async fn pods_allowed(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    match cx.prepared()? {
        Some(_) => {
            cluster::network::services_answer_soon(cx.engine()?, &site.cluster, &note).await?;
            // One is enough for one node.
            let coredns = json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "coredns", "namespace": "kube-system"}});
            let scale = json!({"spec": {"replicas": 1}});
            kube::object::merge_patch(site.client()?, &coredns, &scale, &note).await.map(drop)
        }
        None => {
            let artifacts = cx.artifacts(&site.cluster.name)?;
            cluster::network::open(cx.engine()?, artifacts, &site.cluster, &note).await
        }
    }
}

async fn crds(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    define(&cx.layout, cx.artifacts(&site.cluster.name)?, site.client()?, &note).await
}

/// Applies the upstream definitions, and waits until objects of them can be made.
async fn define(layout: &Layout, artifacts: &Artifacts, client: &::kube::Client, note: &Note) -> Result<()> {
    let paths = DEFINITIONS.iter().map(|name| artifacts.manifest(name)).collect::<Result<Vec<_>>>()?;
    let bytes = paths.iter().map(|path| path.as_os_str().as_encoded_bytes());
    let kept = rendered::place(layout, "definitions", bytes);
    if !kept.is_file() {
        let all = paths.iter().map(|path| upstream(path)).collect::<Result<Vec<_>>>()?;
        rendered::keep(&kept, &all.concat())?;
    }
    kube::apply::apply(client, &rendered::read(&kept)?, note).await
}

/// Every definition of an upstream manifest, a file or a folder, unchanged.
pub(super) fn upstream(path: &Path) -> Result<Vec<serde_json::Value>> {
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
