//! Set-ups: what a source document describes, or a mesh that is configured otherwise, by name, each a file under
//! `manifests/setups/`. It says in which world it is shown (a topology under `manifests/worlds/`) and which scenarios
//! prove it. Set-ups of one world share it; one that gives other `values` to manifests has its world to itself.

mod file;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use file::{About, list};

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
    /// What manifests name, and in which way it is configured otherwise than other set-ups.
    pub values: Values,
    /// Those of `values` that are its own.
    pub otherwise: Values,
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
        let clusters: Topology = render::read(topology.unwrap_or(&world), Code::Topology)?;
        clusters.validate()?;
        Ok(Self {
            name: name.to_owned(),
            world: file.world_of(name),
            values: file::values(manifests, name, &file, defaults)?,
            otherwise: file.values,
            topology: clusters,
            scenarios: Scenarios { reads: file.reads, changes: file.changes },
            images: file.images,
            istio: file.istio,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MANIFESTS: &str = "../manifests";

    fn read(names: &[&str]) -> Vec<Setup> {
        Setup::read(Path::new(MANIFESTS), names, None, false).unwrap()
    }

    #[test]
    fn every_set_up_can_be_read_and_says_what_it_is_of() {
        for (name, file) in list(Path::new(MANIFESTS)).unwrap() {
            assert_eq!(read(&[&name]).len(), 1);
            assert!(!file.about.is_empty() && file.document.is_none_or(|it| !it.is_empty()), "{name}");
        }
    }

    #[test]
    fn set_ups_of_one_world_share_it_and_none_is_shown_twice() {
        let all = read(&[ALL]);
        let worlds: BTreeSet<_> = all.iter().map(|setup| &setup.world).collect();
        assert_eq!(worlds.len(), all.len());
        let shown: usize = all.iter().map(|setup| setup.name.split(',').count()).sum();
        assert_eq!(shown, list(Path::new(MANIFESTS)).unwrap().len());
        assert_eq!(read(&["federated", "federated"])[0].name, "federated");
    }

    #[test]
    fn what_has_no_document_changes_nothing_for_what_has_one() {
        let documented = |name: &str| {
            list(Path::new(MANIFESTS))
                .unwrap()
                .iter()
                .any(|(known, file)| known == name && file.document.is_some())
        };
        for setup in read(&[ALL]) {
            let names: Vec<_> = setup.name.split(',').collect();
            assert!(names.len() == 1 || names.into_iter().all(documented), "{} share a world", setup.name);
        }
    }

    /// Two set-ups, of which the second has `values`.
    fn with_values(values: &str) -> Result<Vec<Setup>> {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["setups", "worlds"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        for file in ["tuning.yaml", "worlds/example.yaml"] {
            std::fs::copy(Path::new(MANIFESTS).join(file), dir.path().join(file)).unwrap();
        }
        let setup = |name: &str, more: &str| {
            let text = format!("about: a\nworld: example\n{more}");
            std::fs::write(dir.path().join(format!("setups/{name}.yaml")), text).unwrap();
        };
        setup("plain", "");
        setup("varied", &format!("values: {values}\n"));
        Setup::read(dir.path(), &[ALL], None, false)
    }

    #[test]
    fn values_replace_those_of_the_lane_in_a_world_of_their_own() {
        let setups = with_values("{ HELLOWORLD_REPLICAS: \"2\", SPIRE_REFRESH_HINT: 5s }").unwrap();
        let seen: Vec<_> =
            setups.iter().map(|s| (s.world.as_str(), &*s.values["HELLOWORLD_REPLICAS"])).collect();
        assert_eq!(seen, [("example", "1"), ("varied", "2")]);
        assert_eq!(setups[1].values["SPIRE_REFRESH_HINT"], "5s");
        assert_eq!(setups[0].values.len(), setups[1].values.len());
        assert_eq!((setups[0].otherwise.len(), setups[1].otherwise.len()), (0, 2));
        assert_eq!(with_values("{}").unwrap().len(), 1, "without values they share their world");
    }

    #[test]
    fn a_value_that_no_manifest_names_is_refused_with_those_that_exist() {
        let e = with_values("{ HELLOWORLD_REPLICA: \"2\" }").unwrap_err();
        assert_eq!(e.code(), Code::Usage);
        assert!(e.what().contains("the set-up varied gives a value to `HELLOWORLD_REPLICA`"), "{e}");
        assert!(e.to_string().contains(", HELLOWORLD_REPLICAS, "), "{e}");
    }

    #[test]
    fn both_lanes_set_the_same_names() {
        let names = |defaults| {
            let setups = Setup::read(Path::new(MANIFESTS), &["federated"], None, defaults).unwrap();
            setups[0].values.keys().cloned().collect::<Vec<_>>()
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
