//! Other versions of a component than the lock's first, chosen by `--with`: what each has in the place of the entries
//! above it. A choice gives a lock, and whoever reads one never knows that there was a choice.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Download, ImagePin, Lock, refuse};
use crate::{Code, Error, Result};
use proof::topology::ClusterName;

/// A version for each component.
pub type Versions = BTreeMap<String, String>;

/// A component of which there are several versions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The one that the lock's own entries are.
    pub now: String,
    /// The others.
    pub others: BTreeMap<String, Release>,
}

/// What another version has in the place of the lock's own entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Release {
    /// Images by role.
    pub images: BTreeMap<String, ImagePin>,
    /// Tools and upstream manifests.
    pub downloads: BTreeMap<String, Download>,
    /// Of the pins of the packages source, those that are other ones.
    pub packages: serde_json::Map<String, Value>,
    /// The folder that a recipe is in instead.
    pub recipes: BTreeMap<String, String>,
}

/// A version that was asked for: `[CLUSTER:]COMPONENT=VERSION`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct With {
    /// The cluster that is meant; every one where it is left out.
    pub cluster: Option<ClusterName>,
    /// The component.
    pub component: String,
    /// Its version, or the beginning of it.
    pub version: String,
}

impl FromStr for With {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || format!("`{text}` is not [CLUSTER:]COMPONENT=VERSION, such as spire=1.13");
        let (before, version) = text.split_once('=').ok_or_else(shape)?;
        let (cluster, component) = match before.split_once(':') {
            Some((cluster, component)) => (Some(cluster), component),
            None => (None, before),
        };
        if component.is_empty() || version.is_empty() || cluster == Some("") {
            return Err(shape());
        }
        let cluster = cluster.map(ClusterName::from);
        Ok(Self { cluster, component: component.to_owned(), version: version.to_owned() })
    }
}

impl std::fmt::Display for With {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(cluster) = &self.cluster {
            write!(f, "{cluster}:")?;
        }
        write!(f, "{}={}", self.component, self.version)
    }
}

impl Lock {
    /// The versions that are taken where nothing is asked for.
    pub fn now(&self) -> Versions {
        self.releases.iter().map(|(name, component)| (name.clone(), component.now.clone())).collect()
    }

    /// The whole version of that component that `asked` is, or begins.
    ///
    /// # Errors
    /// [`Code::Usage`] telling what there is.
    pub fn version(&self, component: &str, asked: &str) -> Result<&str> {
        let nothing = "nothing was touched; manifests/lock.yaml has them all, under releases";
        let Some(known) = self.releases.get(component) else {
            return Err(Error::new(Code::Usage, format!("there is one version only of `{component}`"))
                .seen(format!("several of: {}", names(self.releases.keys())))
                .next(nothing));
        };
        let all: Vec<&str> = known.all().collect();
        let meant: Vec<&str> = match all.iter().find(|version| **version == plain(asked)) {
            Some(version) => vec![*version],
            None => all.iter().copied().filter(|version| begins(version, plain(asked))).collect(),
        };
        match meant.as_slice() {
            [version] => Ok(version),
            [] => {
                let what = format!("there is no version {asked} of {component}");
                Err(Error::new(Code::Usage, what).seen(format!("versions: {}", all.join(", "))).next(nothing))
            }
            several => {
                let what = format!("several versions of {component} begin with {asked}");
                Err(Error::new(Code::Usage, what)
                    .seen(several.join(", "))
                    .next("name one; nothing was touched"))
            }
        }
    }

    /// The lock of these versions.
    ///
    /// # Errors
    /// [`Code::Lock`] where the lock has them not, or an entry of theirs replaces none.
    pub fn with(&self, versions: &Versions) -> Result<Self> {
        let mut lock = self.clone();
        for (name, version) in versions {
            let component = self.releases.get(name).filter(|known| known.all().any(|one| one == version));
            let component = component
                .ok_or_else(|| refuse(format!("it has no version {version} of {name} under releases")))?;
            if let Some(release) = component.others.get(version) {
                lock.replace(&format!("{name}={version}"), release)?;
            }
        }
        Ok(lock)
    }

    fn replace(&mut self, name: &str, release: &Release) -> Result<()> {
        let none = |what: &str| refuse(format!("{name} has {what} in the place of none"));
        for (role, pin) in &release.images {
            let own = self.images.get_mut(role).ok_or_else(|| none(&format!("an image {role}")))?;
            own.clone_from(pin);
        }
        for (file, pin) in &release.downloads {
            let own = self.downloads.get_mut(file).ok_or_else(|| none(&format!("a download {file}")))?;
            own.clone_from(pin);
        }
        let unfit = |e| refuse(format!("the packages of {name} are malformed")).because(e);
        let mut packages = serde_json::to_value(&self.packages).map_err(unfit)?;
        json_patch::merge(&mut packages, &Value::Object(release.packages.clone()));
        self.packages = serde_json::from_value(packages).map_err(unfit)?;
        self.recipes.extend(release.recipes.clone());
        if release.images.is_empty() && release.downloads.is_empty() {
            self.packages_only.push(name.to_owned());
        }
        Ok(())
    }

    /// The folder below `manifests/packages/` in which that recipe is.
    pub fn recipe<'a>(&'a self, name: &'a str) -> &'a str {
        self.recipes.get(name).map_or(name, String::as_str)
    }

    /// The lock of the versions whose images are called so; by role.
    ///
    /// # Errors
    /// As [`Lock::with`].
    pub fn of_images<'a>(&self, reference: impl Fn(&str) -> Option<&'a str>) -> Result<Self> {
        let is = |release: &Release| {
            let mut images = release.images.iter().peekable();
            images.peek().is_some() && images.all(|(role, pin)| reference(role) == Some(&pin.reference))
        };
        let found = self.releases.iter().filter_map(|(name, known)| {
            let (version, _) = known.others.iter().find(|(_, release)| is(release))?;
            Some((name.clone(), version.clone()))
        });
        self.with(&found.collect())
    }

    /// The lock with each of the other versions, one at a time: its name and what it is.
    ///
    /// # Errors
    /// As [`Lock::with`].
    pub fn each(&self) -> Result<Vec<(String, Self)>> {
        let one = |(name, version): (&String, &String)| {
            let lock = self.with(&Versions::from([(name.clone(), version.clone())]))?;
            Ok((format!("{name}={version}"), lock))
        };
        let others = self.releases.iter();
        others
            .flat_map(|(name, known)| known.others.keys().map(move |version| one((name, version))))
            .collect()
    }
}

impl Component {
    fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.now.as_str()).chain(self.others.keys().map(String::as_str))
    }
}

fn names<'a>(all: impl Iterator<Item = &'a String>) -> String {
    all.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn plain(version: &str) -> &str {
    version.strip_prefix('v').unwrap_or(version)
}

/// 1.13 begins 1.13.3, and not 1.130.
fn begins(version: &str, asked: &str) -> bool {
    version.strip_prefix(asked).is_some_and(|rest| rest.starts_with(['.', '-']))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn lock() -> Lock {
        Lock::read(Path::new("../manifests")).unwrap()
    }

    fn spire(version: &str) -> Versions {
        [("spire".to_owned(), version.to_owned())].into()
    }

    #[test]
    fn a_choice_replaces_its_own_entries_and_no_other() {
        let (first, other) = (lock(), lock().with(&spire("1.13.3")).unwrap());
        let changed: Vec<_> =
            first.images.keys().filter(|role| first.images[*role] != other.images[*role]).collect();
        assert_eq!(changed, ["spire-agent", "spire-server"]);
        assert_eq!(other.images["spire-server"].reference, "ghcr.io/spiffe/spire-server:1.13.3");
        assert_eq!((other.recipe("spire"), first.recipe("spire")), ("spire-1.13.3", "spire"));
        assert_eq!(first.with(&first.now()).unwrap(), first);
    }

    #[test]
    fn images_tell_the_versions_that_they_are_of() {
        let (first, other) = (lock(), lock().with(&spire("1.13.3")).unwrap());
        for of in [&first, &other] {
            let found =
                first.of_images(|role| of.images.get(role).map(|pin| pin.reference.as_str())).unwrap();
            assert_eq!(found, *of);
        }
        assert_eq!(first.of_images(|_| None).unwrap(), first);
    }

    #[test]
    fn an_image_that_was_left_out_does_not_come_back() {
        let few = lock().with_extras(&[]).unwrap();
        let other = few.with(&spire("1.13.3")).unwrap();
        assert!(few.images.keys().eq(other.images.keys()));
    }

    #[test]
    fn a_beginning_is_enough_where_it_means_one() {
        let lock = lock();
        for asked in ["1.13.3", "1.13", "v1.13"] {
            assert_eq!(lock.version("spire", asked).unwrap(), "1.13.3");
        }
        assert_eq!(lock.version("spire", "1.15").unwrap(), "1.15.3");
        let refused = |component, asked| lock.version(component, asked).unwrap_err();
        let e = refused("spire", "1");
        assert_eq!((e.code(), e.what()), (Code::Usage, "several versions of spire begin with 1"));
        let e = refused("spire", "1.1");
        assert!(
            e.what().contains("no version 1.1 of spire") && e.to_string().contains("1.15.3, 1.13.3"),
            "{e}"
        );
        let e = refused("curl", "8");
        assert!(e.what().contains("one version only of `curl`") && e.to_string().contains("spire"), "{e}");
    }

    #[test]
    fn what_is_asked_for_is_read_as_it_is_written() {
        for text in ["spire=1.13.3", "cluster2:spire=1.13"] {
            assert_eq!(text.parse::<With>().unwrap().to_string(), text);
        }
        for text in ["spire", "=1", "spire=", ":spire=1", "cluster2:=1", ""] {
            assert!(
                text.parse::<With>().unwrap_err().contains("is not [CLUSTER:]COMPONENT=VERSION"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_replaces_nothing_is_refused() {
        let mut lock = lock();
        let component = lock.releases.get_mut("spire").unwrap();
        let release = component.others.get_mut("1.13.3").unwrap();
        let pin = release.images["spire-server"].clone();
        release.images.insert("spire-sever".into(), pin);
        let e = lock.with(&spire("1.13.3")).unwrap_err();
        assert!(e.what().contains("spire=1.13.3 has an image spire-sever in the place of none"), "{e}");
        let e = lock.with(&spire("1.2")).unwrap_err();
        assert!(e.what().contains("no version 1.2 of spire"), "{e}");
    }
}
