//! Prepared nodes: what kind, kubeadm and the import of images leave in a node, made once and started again for every
//! world.
//!
//! Kubernetes is not what is under test, and making two nodes is most of what a set-up waits for. A node that kubeadm
//! has made cannot be made again (kind#2328, kind#2160: it fails on its own etcd data), but it can be *started*, as
//! Docker starts one after the machine's own restart. So a node is made by kind itself, filled with images and the
//! upstream definitions, stopped, and its state is kept: [`make()`]. Every world then gets a copy of it with the same name,
//! address and certificates: [`start()`].
//!
//! Nothing of SPIRE, Istio, the federation or a workload is in it. Nothing stale can pass: the state is keyed by
//! everything that it was made of, it is made anew after [`OLDEST`], and whoever uses it looks at the images and the
//! definitions as if they had just been made.
//!
//! Only a private engine has them: the state is a folder of this machine, which a system's engine may not even see.

mod make;
mod start;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bollard::models::ContainerCreateBody;
use jiff::{SignedDuration, Timestamp};
use proof::topology::{Cluster, ClusterName};
use serde::{Deserialize, Serialize};

use super::kind;
use crate::artifact::cache::{Cache, Cached, Inputs};
use crate::artifact::{Artifacts, DEFINITIONS};
use crate::engine::Engine;
use crate::engine::objects::Network;
use crate::{Code, Error, Result};

pub use make::make;
pub use start::start;

/// The artifact's name.
const NAME: &str = "nodes";
/// Grows with every change of what is kept, or of how.
const FORM: &str = "3";
/// kubeadm's certificates live for a year; this is far from that.
const OLDEST: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How many states are kept: each is gigabytes, and a set-up of other clusters or images has its own.
const KEPT: usize = 6;

/// What lies below `/var` and never changes once it is there: every world's copy shares it.
const SHARED: [(&str, &str); 2] = [
    ("blobs", "lib/containerd/io.containerd.content.v1.content/blobs"),
    ("snapshots", "lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"),
];
/// What is written outside of `/var`: a name for the file, the folder, and the one that it is put into.
const WRITTEN: [(&str, &str, &str); 4] = [
    ("kubernetes", "/etc/kubernetes", "/etc"),
    ("kind", "/kind", "/"),
    ("cni", "/etc/cni", "/etc"),
    ("kubelet", "/etc/systemd/system/kubelet.service.d", "/etc/systemd/system"),
];

/// The kept state of a world's nodes.
#[derive(Clone, Debug)]
pub struct Prepared {
    dir: PathBuf,
    nodes: BTreeMap<ClusterName, Node>,
}

/// What is kept of a node beside its files.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Node {
    /// Its address, which its certificates name.
    address: IpAddr,
    /// The container as kind made it.
    container: ContainerCreateBody,
}

/// What is written beside the files.
#[derive(Serialize, Deserialize)]
struct About {
    made: Timestamp,
    nodes: BTreeMap<ClusterName, Node>,
}

/// The nodes that are wanted: what their state depends on.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The engine that they run in.
    pub engine: &'a Engine,
    /// Where their addresses come from.
    pub network: &'a Network,
    /// One for each cluster.
    pub nodes: &'a [WantedNode<'a>],
    /// Where states are kept.
    pub cache: &'a Cache,
}

/// A node that is wanted.
#[derive(Clone, Copy)]
pub struct WantedNode<'a> {
    /// Its cluster.
    pub cluster: &'a Cluster,
    /// Where the cluster's kubeconfig goes.
    pub kubeconfig: &'a Path,
    /// The node image, the images in it, and the programs.
    pub artifacts: &'a Artifacts,
}

impl Wanted<'_> {
    /// Whether this engine can have prepared nodes at all.
    pub fn possible(&self) -> bool {
        self.engine.scratch().is_some()
    }

    /// The kept state, if there is one of exactly these nodes that is not too old.
    ///
    /// # Errors
    /// [`Code::Internal`] when the nodes' configuration cannot be written down.
    pub fn find(&self) -> Result<Option<Prepared>> {
        Ok(self.cache.find(NAME, &self.inputs()?).and_then(|entry| Prepared::of(&entry)))
    }

    fn inputs(&self) -> Result<Inputs> {
        let mut inputs = Inputs::default().with("form", FORM).with("subnet", self.network.subnet.to_string());
        for WantedNode { cluster, kubeconfig, artifacts } in self.nodes {
            let config = kind::config(self.engine.address(), artifacts, cluster, kubeconfig);
            let path = |path: &Path| path.as_os_str().as_encoded_bytes().to_owned();
            let mut of_it = Inputs::default()
                .with("config", config.to_string())
                .with("image", &artifacts.node.id)
                .with("kind", path(artifacts.tool("kind")?));
            for name in DEFINITIONS {
                of_it = of_it.with(name, path(artifacts.manifest(name)?));
            }
            inputs = inputs.with_all(&cluster.name.0, of_it);
        }
        Ok(inputs)
    }
}

impl Prepared {
    fn of(entry: &Cached) -> Option<Self> {
        let about: About = serde_json::from_value(entry.stamp.about.clone()).ok()?;
        let age = Timestamp::now().duration_since(about.made);
        (age < OLDEST).then(|| Self { dir: entry.dir.clone(), nodes: about.nodes })
    }

    fn node(&self, cluster: &Cluster) -> Result<(&Node, PathBuf)> {
        let node = self.nodes.get(&cluster.name);
        let node = node.ok_or_else(|| {
            Error::new(Code::Internal, format!("the prepared nodes have none of {}", cluster.name))
        })?;
        Ok((node, self.dir.join(&cluster.name.0)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_too_old_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path());
        let of_age = |age: SignedDuration| {
            let about = About { made: Timestamp::now() - age, nodes: BTreeMap::new() };
            let draft = cache.begin(NAME, Inputs::default()).unwrap();
            Prepared::of(&draft.finish(Duration::ZERO, serde_json::to_value(about).unwrap()).unwrap())
        };
        assert!(of_age(OLDEST - SignedDuration::from_hours(1)).is_some());
        assert!(of_age(OLDEST).is_none());
    }
}
