//! Named worlds: a topology and the settings that go with it, each a file under `manifests/setups/`.

use std::path::Path;

use serde::Deserialize;

use crate::render::{self, Values};
use crate::topology::Topology;
use crate::{Code, Error, Result};

/// A world to be made.
#[derive(Clone, Debug)]
pub struct Setup {
    /// As `--setup` takes it: the file's name.
    pub name: String,
    /// One sentence for lists.
    pub about: String,
    /// Its clusters.
    pub topology: Topology,
    /// Probe and sync intervals, by the names that manifests use.
    pub tuning: Values,
    /// Whether `tuning` holds upstream's values.
    pub defaults: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    topology: Topology,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuning {
    tuned: Values,
    defaults: Values,
}

impl Setup {
    /// Reads the set-up called `name`; `topology` is a file that replaces its clusters, `defaults` leaves
    /// upstream's intervals.
    ///
    /// # Errors
    /// [`Code::Usage`] for a name that does not exist, [`Code::Topology`] for clusters that cannot be.
    pub fn read(manifests: &Path, name: &str, topology: Option<&Path>, defaults: bool) -> Result<Self> {
        let known = Self::names(manifests)?;
        if !known.iter().any(|k| k == name) {
            return Err(Error::new(Code::Usage, format!("there is no set-up `{name}`"))
                .seen(format!("set-ups: {}", known.join(", ")))
                .next("name one of these with --setup; nothing was touched"));
        }
        let file: File = render::read(&manifests.join(format!("setups/{name}.yaml")), Code::Topology)?;
        let topology = match topology {
            Some(path) => render::read(path, Code::Topology)?,
            None => file.topology,
        };
        topology.validate()?;
        let tuning: Tuning = render::read(&manifests.join("tuning.yaml"), Code::Internal)?;
        let tuning = if defaults { tuning.defaults } else { tuning.tuned };
        Ok(Self { name: name.to_owned(), about: file.about, topology, tuning, defaults })
    }

    /// All names, sorted.
    ///
    /// # Errors
    /// [`Code::Internal`] when the folder is missing from the checkout.
    pub fn names(manifests: &Path) -> Result<Vec<String>> {
        let dir = manifests.join("setups");
        let listing = std::fs::read_dir(&dir)
            .map_err(|e| Error::internal(format!("cannot list {}", dir.display())).because(e))?;
        let mut names: Vec<_> = listing
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".yaml").map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFESTS: &str = "../manifests";

    #[test]
    fn every_named_set_up_can_be_read() {
        for name in Setup::names(Path::new(MANIFESTS)).unwrap() {
            let setup = Setup::read(Path::new(MANIFESTS), &name, None, false).unwrap();
            assert!(!setup.about.is_empty());
        }
    }

    #[test]
    fn both_lanes_set_the_same_names() {
        let names = |defaults| {
            let setup = Setup::read(Path::new(MANIFESTS), "federated", None, defaults).unwrap();
            setup.tuning.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names(true), names(false));
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let e = Setup::read(Path::new(MANIFESTS), "fedrated", None, false).unwrap_err();
        assert_eq!(e.code(), Code::Usage);
        assert!(e.to_string().contains("set-ups: federated"), "{e}");
    }

    #[test]
    fn an_unknown_topology_key_has_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.yaml");
        std::fs::write(&path, "clusters:\n  - name: a\n    colour: red\n").unwrap();
        let e = Setup::read(Path::new(MANIFESTS), "federated", Some(&path), false).unwrap_err();
        assert_eq!(e.code(), Code::Topology);
        assert!(e.to_string().contains("t.yaml:3:5 is malformed"), "{e}");
        assert!(e.to_string().contains("unknown field `colour`"), "{e}");
    }
}
