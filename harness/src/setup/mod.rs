//! Set-ups: what a source document describes, or a mesh that is configured otherwise, by name, each a file under
//! `manifests/setups/`. It says in which world it is shown (a topology under `manifests/worlds/`) and which scenarios
//! prove it. Set-ups of one world share it; one that gives other `values` to manifests has its world to itself, and so has
//! a user's own, a file anywhere that says what is otherwise than in one of ours ([`own`]).

mod file;
mod otherwise;
mod own;
mod patch;
pub mod versions;

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use file::{About, list};
pub use otherwise::{Document, Moment, Objects, Otherwise};
pub use own::schema;
pub use patch::{Change, Patch};
pub use versions::InClusters;

use crate::lock::Lock;
use crate::render::{self, Values};
use crate::{Code, Error, Result};
use proof::claim::Expectation;
use proof::identity::Declared;
use proof::topology::{Cluster, Topology};

/// The name that stands for every set-up.
pub const ALL: &str = "all";

/// A world to be made, and what is proven in it.
#[derive(Clone, Debug)]
pub struct Setup {
    /// As `--setup` takes it: the name of one of ours, or several with commas between when they share the world, or the
    /// path of a user's own.
    pub name: String,
    /// One sentence, for people; a line each where several set-ups share the world.
    pub about: String,
    /// The world that it is shown in: the topology's file, or its own name where it has the world to itself.
    pub world: String,
    /// Its clusters.
    pub topology: Topology,
    /// The scenarios that prove it.
    pub scenarios: Scenarios,
    /// Roles of images that it needs beside those of every set-up.
    pub images: Vec<String>,
    /// Documents for istioctl that it adds, below `manifests/`.
    pub istio: Vec<String>,
    /// The version of each component, in each cluster.
    pub versions: InClusters,
    /// What manifests name.
    pub values: Values,
    /// In which way it is configured otherwise than others; its values are among `values`, too.
    pub otherwise: Otherwise,
    /// Which SPIFFE IDs its workloads must have, where not Istio's.
    pub identities: Declared,
    /// The claims that must break. All others that are due must hold.
    pub expect: Vec<Expectation>,
    /// Whether probe and sync intervals are upstream's.
    pub defaults: bool,
}

/// Modules of scenarios.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenarios {
    /// They only look, so they run side by side.
    pub reads: Vec<String>,
    /// They change the world and put it back, one at a time, after the others.
    pub changes: Vec<String>,
}

impl Setup {
    /// Reads the set-ups of these names ([`ALL`] for every one) and puts those that share a world together, in the
    /// order in which they are named. `topology` is a file that replaces the world's clusters, `defaults` leaves
    /// upstream's intervals.
    ///
    /// # Errors
    /// [`Code::Usage`] for a name that does not exist, [`Code::Topology`] for clusters that cannot be.
    pub fn read(
        manifests: &Path,
        names: &[&str],
        topology: Option<&Path>,
        defaults: bool,
    ) -> Result<Vec<Self>> {
        let known = file::names(manifests)?;
        let mut wanted: Vec<&str> = Vec::new();
        for name in names {
            if own::is_path(name) {
                wanted.push(name);
                continue;
            }
            match known.iter().any(|k| k == name) {
                true => wanted.push(name),
                false if *name == ALL => wanted.extend(known.iter().map(String::as_str)),
                false => {
                    return Err(Error::new(Code::Usage, format!("there is no set-up `{name}`"))
                        .seen(format!("set-ups: {}, and {ALL}", known.join(", ")))
                        .next(format!(
                            "name some of these with --setup, or a folder of your own with a slash: ./{name}; nothing was touched"
                        )));
                }
            }
        }
        let mut setups: Vec<Self> = Vec::new();
        for name in wanted {
            if own::is_path(name) {
                let own = own::read(manifests, name, topology, defaults)?;
                if let Some(other) = setups.iter().find(|setup| setup.world == own.world) {
                    let what =
                        format!("the worlds of {} and {name} would both be called {}", other.name, own.world);
                    return Err(Error::new(Code::Usage, what)
                        .next("name one of them, or rename a file or folder; nothing was touched"));
                }
                setups.push(own);
                continue;
            }
            let file = About::read(manifests, name)?;
            match setups.iter_mut().find(|setup| setup.world == file.world_of(name)) {
                Some(setup) => setup.join(name, file),
                None => setups.push(Self::new(manifests, name, file, topology, defaults)?),
            }
        }
        Ok(setups)
    }

    fn new(
        manifests: &Path,
        name: &str,
        file: About,
        topology: Option<&Path>,
        defaults: bool,
    ) -> Result<Self> {
        let world = manifests.join(format!("worlds/{}.yaml", file.world));
        let own: Topology = render::read(&world, Code::Topology)?;
        let clusters = match topology {
            Some(other) => instead_of(&own, render::read(other, Code::Topology)?, name)?,
            None => own,
        };
        clusters.validate()?;
        Ok(Self {
            name: name.to_owned(),
            world: file.world_of(name),
            values: file::values(manifests, name, &file, defaults)?,
            about: file.about,
            otherwise: Otherwise { values: file.values, ..Otherwise::default() },
            identities: Declared::default(),
            expect: Vec::new(),
            versions: versions::first(&Lock::read(manifests)?, &clusters),
            topology: clusters,
            scenarios: Scenarios { reads: file.reads, changes: file.changes },
            images: file.images,
            istio: file.istio,
            defaults,
        })
    }

    /// Whether it is a user's own, and none of ours.
    pub fn is_own(&self) -> bool {
        own::is_path(&self.name)
    }

    /// What manifests of that cluster may name, as far as it is known beforehand.
    pub fn values_of(&self, cluster: &Cluster) -> Values {
        let all = self.topology.clusters.iter().map(|c| c.trust_domain.clone());
        let peers = self.topology.peers(&cluster.name).map(|c| c.trust_domain.clone());
        let names = [
            ("CLUSTER", cluster.name.to_string()),
            ("TRUST_DOMAIN", cluster.trust_domain.clone()),
            ("TRUST_DOMAINS", Value::from(all.collect::<Vec<_>>()).to_string()),
            ("PEER_TRUST_DOMAINS", Value::from(peers.collect::<Vec<_>>()).to_string()),
            ("NETWORK", cluster.network.clone()),
            ("VERSION", cluster.version.clone()),
        ];
        let mut values = self.values.clone();
        values.extend(names.map(|(key, value)| (key.to_owned(), value)));
        values
    }

    fn join(&mut self, name: &str, file: About) {
        let add = |to: &mut Vec<String>, more: Vec<String>| {
            for one in more {
                if !to.contains(&one) {
                    to.push(one);
                }
            }
        };
        if self.name.split(',').any(|known| known == name) {
            return;
        }
        self.name = format!("{},{name}", self.name);
        self.about = format!("{}\n{}", self.about, file.about);
        add(&mut self.scenarios.reads, file.reads);
        add(&mut self.scenarios.changes, file.changes);
        add(&mut self.images, file.images);
        add(&mut self.istio, file.istio);
    }
}

/// Other clusters than a set-up's own: one where it is of one, several where it is of several.
fn instead_of(own: &Topology, other: Topology, name: &str) -> Result<Topology> {
    let is_of = match (own.clusters.len(), other.clusters.len()) {
        // None at all is refused with the rest.
        (_, 0) | (1, 1) => return Ok(other),
        (1, _) => "one cluster",
        (_, 1) => "several clusters",
        _ => return Ok(other),
    };
    let what = format!("the set-up {name} is of {is_of}, and the topology has {}", other.clusters.len());
    Err(Error::new(Code::Topology, what)
        .next("name another topology, or another set-up with --setup; nothing was touched"))
}

#[cfg(test)]
mod tests;
