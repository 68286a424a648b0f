//! Set-ups: what a source document describes, by name, each a file under `manifests/setups/`. It says in which world
//! it is shown (a topology under `manifests/worlds/`) and which scenarios prove it; set-ups of one world share it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::render::{self, Values};
use crate::{Code, Error, Result};
use proof::topology::Topology;

/// The name that stands for every set-up.
pub const ALL: &str = "all";

/// A world to be made, and what is proven in it.
#[derive(Clone, Debug)]
pub struct Setup {
    /// As `--setup` takes it: the file's name, or several with commas between when they share the world.
    pub name: String,
    /// The world that it is shown in: the topology's file.
    pub world: String,
    /// Its clusters.
    pub topology: Topology,
    /// The scenarios that prove it.
    pub scenarios: Scenarios,
    /// Roles of images that it needs beside those of every set-up.
    pub images: Vec<String>,
    /// Documents for istioctl that it adds, below `manifests/`.
    pub istio: Vec<String>,
    /// Probe and sync intervals, by the names that manifests use.
    pub tuning: Values,
    /// Whether `tuning` holds upstream's values.
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

/// A set-up's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// One sentence for lists.
    pub about: String,
    /// The source document.
    pub document: String,
    world: String,
    #[serde(default)]
    reads: Vec<String>,
    #[serde(default)]
    changes: Vec<String>,
    #[serde(default)]
    images: Vec<String>,
    #[serde(default)]
    istio: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuning {
    tuned: Values,
    defaults: Values,
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
        let known = names_of(manifests)?;
        let mut wanted: Vec<&str> = Vec::new();
        for name in names {
            match known.iter().any(|k| k == name) {
                true => wanted.push(name),
                false if *name == ALL => wanted.extend(known.iter().map(String::as_str)),
                false => {
                    return Err(Error::new(Code::Usage, format!("there is no set-up `{name}`"))
                        .seen(format!("set-ups: {}, and {ALL}", known.join(", ")))
                        .next("name some of these with --setup; nothing was touched"));
                }
            }
        }
        let mut setups: Vec<Self> = Vec::new();
        for name in wanted {
            let file = about(manifests, name)?;
            match setups.iter_mut().find(|setup| setup.world == file.world) {
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
        let clusters: Topology = render::read(topology.unwrap_or(&world), Code::Topology)?;
        clusters.validate()?;
        let tuning: Tuning = render::read(&manifests.join("tuning.yaml"), Code::Internal)?;
        Ok(Self {
            name: name.to_owned(),
            world: file.world,
            topology: clusters,
            scenarios: Scenarios { reads: file.reads, changes: file.changes },
            images: file.images,
            istio: file.istio,
            tuning: if defaults { tuning.defaults } else { tuning.tuned },
            defaults,
        })
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
        add(&mut self.scenarios.reads, file.reads);
        add(&mut self.scenarios.changes, file.changes);
        add(&mut self.images, file.images);
        add(&mut self.istio, file.istio);
    }
}

/// Every set-up with its sentence and its document, by name.
///
/// # Errors
/// [`Code::Internal`] when the folder is missing from the checkout or a file of it is malformed.
pub fn list(manifests: &Path) -> Result<Vec<(String, About)>> {
    names_of(manifests)?
        .into_iter()
        .map(|name| {
            let file = about(manifests, &name)?;
            Ok((name, file))
        })
        .collect()
}

fn about(manifests: &Path, name: &str) -> Result<About> {
    render::read(&manifests.join(format!("setups/{name}.yaml")), Code::Internal)
}

fn names_of(manifests: &Path) -> Result<Vec<String>> {
    let dir = manifests.join("setups");
    let listing = std::fs::read_dir(&dir)
        .map_err(|e| Error::internal(format!("cannot list {}", dir.display())).because(e))?;
    let mut names: Vec<_> = listing
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFESTS: &str = "../manifests";

    fn read(names: &[&str]) -> Vec<Setup> {
        Setup::read(Path::new(MANIFESTS), names, None, false).unwrap()
    }

    #[test]
    fn every_set_up_can_be_read_and_says_what_it_is_of() {
        for (name, file) in list(Path::new(MANIFESTS)).unwrap() {
            assert_eq!(read(&[&name]).len(), 1);
            assert!(!file.about.is_empty() && !file.document.is_empty(), "{name}");
        }
    }

    #[test]
    fn set_ups_of_one_world_share_it_and_none_is_shown_twice() {
        let all = read(&[ALL]);
        let mut worlds: Vec<_> = all.iter().map(|setup| &setup.world).collect();
        worlds.dedup();
        assert_eq!(worlds.len(), all.len());
        let shown: usize = all.iter().map(|setup| setup.name.split(',').count()).sum();
        assert_eq!(shown, list(Path::new(MANIFESTS)).unwrap().len());
        assert_eq!(read(&["federated", "federated"])[0].name, "federated");
    }

    #[test]
    fn both_lanes_set_the_same_names() {
        let names = |defaults| {
            let setups = Setup::read(Path::new(MANIFESTS), &["federated"], None, defaults).unwrap();
            setups[0].tuning.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(names(true), names(false));
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let e = Setup::read(Path::new(MANIFESTS), &["fedrated"], None, false).unwrap_err();
        assert_eq!(e.code(), Code::Usage);
        assert!(e.to_string().contains("federated"), "{e}");
    }

    #[test]
    fn an_unknown_topology_key_has_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.yaml");
        std::fs::write(&path, "clusters:\n  - name: a\n    colour: red\n").unwrap();
        let e = Setup::read(Path::new(MANIFESTS), &["federated"], Some(&path), false).unwrap_err();
        assert_eq!(e.code(), Code::Topology);
        assert!(e.to_string().contains("t.yaml:3:5 is malformed"), "{e}");
        assert!(e.to_string().contains("unknown field `colour`"), "{e}");
    }
}
