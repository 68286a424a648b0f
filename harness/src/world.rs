//! A world that is up: written to a file that every later command and every scenario process attaches to.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::artifact::Origin;
use crate::artifact::cache::Inputs;
use crate::clock::Span;
use crate::cluster::nodes;
use crate::engine;
use crate::error::Context as _;
use crate::layout::Layout;
use crate::notice::Noticed;
use crate::plan::Graph;
use crate::progress::Note;
use crate::render::Values;
use crate::setup::{InClusters, Otherwise, Scenarios, Setup};
use crate::world_id::{self, WorldId};
use crate::{Code, Error, Result, kube};
use proof::claim::Expectation;
use proof::identity::Declared;
use proof::topology::{Cluster, ClusterName, Topology};

/// What is known of a world that is up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    /// What its network, nodes and engine carry.
    pub id: WorldId,
    /// What it is a world of: its topology's name.
    pub name: String,
    /// The set-up's name, or several with commas between.
    pub setup: String,
    /// What proves it.
    pub scenarios: Scenarios,
    /// Documents for istioctl that its set-up adds, below `manifests/`.
    #[serde(default)]
    pub istio: Vec<String>,
    /// In which way its set-up is otherwise than others.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// Which SPIFFE IDs its workloads must have, where not Istio's.
    #[serde(default)]
    pub identities: Declared,
    /// The claims that must break.
    #[serde(default)]
    pub expect: Vec<Expectation>,
    /// What it was made from; nothing where an older version made it.
    #[serde(default)]
    pub inputs: Inputs,
    /// Whether upstream's intervals are in force.
    pub defaults: bool,
    /// Whose builds run in it.
    pub origin: Origin,
    /// Which source delivered them, and why that one.
    pub source: String,
    /// What exactly they are: `sha256:…` by the lock's names, as the first cluster has them.
    pub digests: BTreeMap<String, String>,
    /// The version of each component, in each cluster; nothing where an older version of Vouchsafe made it.
    #[serde(default)]
    pub versions: InClusters,
    /// The engine that its nodes live in.
    pub engine: engine::Record,
    /// Its clusters as data.
    pub topology: Topology,
    /// Its clusters as made.
    pub sites: BTreeMap<ClusterName, Access>,
    /// When it was made.
    pub made: jiff::Timestamp,
    /// The steps of its making.
    pub graph: Graph,
    /// How long each of them took.
    pub timings: Vec<crate::plan::Timing>,
    /// What all of it took; nothing where the kernel keeps no account.
    #[serde(default)]
    pub span: Option<Span>,
    /// How late its making noticed what it waited for.
    #[serde(default)]
    pub noticed: Option<Noticed>,
}

/// Where a cluster is reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Access {
    /// A kubeconfig of its own.
    pub kubeconfig: PathBuf,
    /// The node's address, which is also its gateway's.
    pub address: IpAddr,
    /// What our manifests may name in this cluster.
    pub values: Values,
    /// Of the digests, those that are other ones in this cluster.
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
    /// The program that rendered its Istio; empty where an older version of Vouchsafe made it.
    #[serde(default)]
    pub istioctl: PathBuf,
}

/// An image, and the clusters that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageOf {
    /// Its role in the lock.
    pub role: String,
    /// As manifests name it; empty for a program, which none names.
    pub reference: String,
    /// `sha256:…`; empty where it is not known.
    pub digest: String,
    /// The clusters, where not all have it.
    pub clusters: Vec<ClusterName>,
}

impl World {
    /// The world that is up.
    ///
    /// # Errors
    /// [`Code::Usage`] when there is none; [`Code::CacheUnusable`] when its file is damaged.
    pub fn read(layout: &Layout) -> Result<Self> {
        Self::at(&file(layout))
    }

    /// The world of that file.
    ///
    /// # Errors
    /// As [`World::read`].
    pub fn at(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::new(Code::Usage, "no world is up").next("cargo xtask up"));
            }
            Err(e) => {
                return Err(e).or_fail(Code::CacheUnusable, || format!("cannot read {}", path.display()));
            }
        };
        serde_json::from_str(&text)
            .or_fail(Code::CacheUnusable, || {
                format!("{} is damaged, or another version wrote it", path.display())
            })
            .map_err(|e| e.next("cargo xtask down, then up again"))
    }

    /// From now on it is judged by what that set-up declares and expects, which made no difference to what was made.
    ///
    /// # Errors
    /// As [`World::write`]: scenarios read it there.
    pub fn judged_by(&mut self, setup: &Setup, layout: &Layout) -> Result<()> {
        if self.identities == setup.identities && self.expect == setup.expect {
            return Ok(());
        }
        self.identities.clone_from(&setup.identities);
        self.expect.clone_from(&setup.expect);
        self.write(layout)
    }

    /// Every image and every download, by its name in the lock; several of a name where clusters differ.
    pub fn images(&self) -> Vec<ImageOf> {
        let mut all: Vec<ImageOf> = Vec::new();
        for (cluster, site) in &self.sites {
            // Manifests name an image by its role, in capitals.
            let named = site.values.iter().filter_map(|(name, reference)| {
                let role = name.strip_prefix("IMAGE_")?.to_lowercase().replace('_', "-");
                Some((role, reference.clone()))
            });
            let mut named: BTreeMap<_, _> = named.collect();
            for role in self.digests.keys() {
                named.entry(role.clone()).or_default();
            }
            for (role, reference) in named {
                let digest = site.digests.get(&role).or_else(|| self.digests.get(&role));
                let digest = digest.cloned().unwrap_or_default();
                let same = |one: &&mut ImageOf| {
                    one.role == role && one.reference == reference && one.digest == digest
                };
                match all.iter_mut().find(same) {
                    Some(one) => one.clusters.push(cluster.clone()),
                    None => all.push(ImageOf { role, reference, digest, clusters: vec![cluster.clone()] }),
                }
            }
        }
        // Of a world that was written down without its clusters.
        let unseen = self.digests.iter().filter(|_| self.sites.is_empty()).map(|(role, digest)| {
            let (role, digest) = (role.clone(), digest.clone());
            ImageOf { role, digest, reference: String::new(), clusters: Vec::new() }
        });
        all.extend(unseen);
        all.sort_by(|one, other| one.role.cmp(&other.role));
        all.iter_mut()
            .filter(|one| one.clusters.len() == self.sites.len())
            .for_each(|one| one.clusters.clear());
        all
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`].
    pub fn write(&self, layout: &Layout) -> Result<()> {
        let path = file(layout);
        let fail = || format!("cannot write {}", path.display());
        let text = serde_json::to_vec_pretty(self).or_fail(Code::Internal, fail)?;
        let part = path.with_extension("part");
        std::fs::write(&part, text)
            .and_then(|()| std::fs::rename(&part, &path))
            .or_fail(Code::CacheUnusable, fail)
    }
}

/// Where the kubeconfig of that cluster is, once it is made.
pub fn kubeconfig(layout: &Layout, cluster: &ClusterName) -> PathBuf {
    layout.world().join(format!("{cluster}.kubeconfig"))
}

/// The world's file.
pub fn file(layout: &Layout) -> PathBuf {
    layout.world().join("world.json")
}

/// Says that what is up stays up on purpose. Without it, the next run takes it for what a killed one left.
///
/// # Errors
/// [`Code::CacheUnusable`].
pub fn keep(layout: &Layout) -> Result<()> {
    let mark = kept(layout);
    match std::fs::write(&mark, "") {
        // Nothing was made, so there is nothing to keep.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.or_fail(Code::CacheUnusable, || format!("cannot write {}", mark.display())),
    }
}

/// Whether what is up stays up on purpose.
pub fn is_kept(layout: &Layout) -> bool {
    kept(layout).exists()
}

fn kept(layout: &Layout) -> PathBuf {
    layout.world().join("kept")
}

/// Puts the world's id on the node of a cluster that has just been made.
///
/// # Errors
/// [`Code::KubeFailed`].
pub async fn mark(client: &::kube::Client, cluster: &Cluster, id: &WorldId, note: &Note) -> Result<()> {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": nodes::name(&cluster.name)}});
    let label = json!({"metadata": {"labels": {world_id::LABEL: id}}});
    kube::object::merge_patch(client, &node, &label, note).await.map(drop)
}

/// Held while a command makes or takes down the world of this cache; the kernel lets go of it when we die.
#[must_use = "dropping it lets another run in"]
pub struct Claimed(#[expect(dead_code, reason = "held, not read")] File);

/// Claims the world of this cache for this process.
///
/// # Errors
/// [`Code::Busy`] naming the process that holds it.
pub fn claim(layout: &Layout) -> Result<Claimed> {
    let path = layout.cache.join("world.lock");
    let fail = || format!("cannot open {}", path.display());
    std::fs::create_dir_all(&layout.cache).or_fail(Code::CacheUnusable, fail)?;
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .or_fail(Code::CacheUnusable, fail)?;
    match file.try_lock() {
        Ok(()) => {
            let note = format!("process {} in {}\n", std::process::id(), layout.repo.display());
            file.set_len(0)
                .and_then(|()| file.write_all(note.as_bytes()))
                .or_fail(Code::CacheUnusable, fail)?;
            Ok(Claimed(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Err(Error::new(Code::Busy, "another run of Vouchsafe is at work with this cache")
                .seen(holder.trim())
                .next("wait for it, or give this run a cache of its own with VOUCHSAFE_CACHE"))
        }
        Err(TryLockError::Error(e)) => {
            Err(e).or_fail(Code::CacheUnusable, || format!("cannot lock {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_run_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().join("cache"), repo: dir.path().join("clone") };
        let held = claim(&layout).unwrap();
        let Err(e) = claim(&layout) else { panic!("two runs at once") };
        assert_eq!(e.code(), Code::Busy);
        assert!(e.to_string().contains(&format!("process {}", std::process::id())), "{e}");
        drop(held);
        drop(claim(&layout).unwrap());
    }

    #[test]
    fn no_world_is_a_usage_error_with_the_next_command() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().into(), repo: dir.path().into() };
        let e = World::read(&layout).unwrap_err();
        assert_eq!((e.code(), e.advice()), (Code::Usage, Some("cargo xtask up")));
    }
}
