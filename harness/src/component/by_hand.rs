//! What a careful person has at hand before making the default world without Vouchsafe: the same images, programs and
//! manifests, as plain files in a folder. It is what the rival of `cargo xtask bench` starts from.
//!
//! The manifests are the set-up's own, so every lesson in them is given away; how to go about it is not: kind's
//! configuration is the stock one. What is known only once a cluster is there stays as `${NODE_ADDRESS}` and the like.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::{Making, cluster, istio};
use crate::artifact::{Artifacts, DEFINITIONS, Origin};
use crate::cluster::{images, kind};
use crate::error::Context as _;
use crate::render::{self, Values};
use crate::{Code, Result};
use proof::topology::Cluster;

/// The manifests that a cluster gets, in the order in which they are applied.
const MANIFESTS: [&str; 7] = [
    "spire/server.yaml",
    "spire/agent.yaml",
    "spire/csi.yaml",
    "spire/identities.yaml",
    "spire/gateway-identity.yaml",
    "gateway/east-west.yaml",
    "workloads/mesh.yaml",
];

/// What a person looks up while at work.
const LATER: [&str; 3] = ["NODE_ADDRESS", "PEER_ADDRESS", "PEER_BUNDLE"];

/// The engine's network for the clusters, by name; taken down with the rest.
pub const NETWORK: &str = cluster::NETWORK;

/// Fills `dir`: `bin/`, `images/`, `crds/`, and a folder for each cluster. The plan of [`super::ground`] has run.
///
/// # Errors
/// [`Code::CacheUnusable`] when a file cannot be written.
pub fn lay_out(making: &Making, dir: &Path) -> Result<()> {
    // Of one set of versions: the rival makes all clusters from the same things.
    let artifacts = &making.obtained()?.deliveries[0].artifacts;
    for tool in ["kind", "istioctl"] {
        link(artifacts.tool(tool)?, &dir.join("bin").join(tool))?;
    }
    for (i, (archive, _)) in images::archives(artifacts).enumerate() {
        link(archive, &dir.join(format!("images/{i}.tar")))?;
    }
    for name in DEFINITIONS {
        let items = cluster::upstream(artifacts.manifest(name)?)?;
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        write(&dir.join(format!("crds/{name}.json")), &list.to_string())?;
    }
    for site in making.sites() {
        let (cluster, dir) = (&site.cluster, dir.join(&site.cluster.name.0));
        let config = kind_config(making.engine()?.address(), artifacts, cluster);
        write(&dir.join("kind.json"), &config.to_string())?;
        if artifacts.origin == Origin::Packages {
            write(&dir.join("10-kind.conflist"), &kind::ptp(cluster).to_string())?;
        }
        let mut values = making.values(site)?;
        values.extend(LATER.map(|name| (name.to_owned(), format!("${{{name}}}"))));
        for (i, text) in
            istio::asked(making, &cluster.name, values.clone())?.documents()?.into_iter().enumerate()
        {
            write(&dir.join(format!("istio/{i}.yaml")), &text)?;
        }
        for manifest in MANIFESTS {
            fill(making, manifest, &values, &dir)?;
        }
        for peer in making.order.setup.topology.peers(&cluster.name) {
            values.insert("PEER".into(), peer.name.to_string());
            values.insert("PEER_TRUST_DOMAIN".into(), peer.trust_domain.clone());
            fill(making, "spire/federation.yaml", &values, &dir)?;
        }
    }
    Ok(())
}

/// kind's configuration as its documentation has it, with the subnets of this cluster.
fn kind_config(published_at: IpAddr, artifacts: &Artifacts, cluster: &Cluster) -> Value {
    json!({
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": kind::networking(published_at, artifacts, cluster),
        "nodes": [{ "role": "control-plane", "image": artifacts.node.reference }],
    })
}

fn fill(making: &Making, manifest: &str, values: &Values, dir: &Path) -> Result<()> {
    let path = making.layout.manifests().join(manifest);
    let text = std::fs::read_to_string(&path)
        .or_fail(Code::Internal, || format!("cannot read {}", path.display()))?;
    write(&dir.join(manifest), &render::fill(&text, values, manifest)?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    beside(path)?;
    std::fs::write(path, text).or_fail(Code::CacheUnusable, || format!("cannot write {}", path.display()))
}

fn link(target: &Path, path: &Path) -> Result<()> {
    beside(path)?;
    std::os::unix::fs::symlink(target, path)
        .or_fail(Code::CacheUnusable, || format!("cannot write {}", path.display()))
}

fn beside(path: &Path) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).or_fail(Code::CacheUnusable, || format!("cannot create {}", dir.display()))
}
