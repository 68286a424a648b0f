//! The packages source: every image, tool and upstream manifest of a run, made out of package registries, for
//! machines that reach no container registry. See [`recipes`] for what there is.
//!
//! What lies in the cache and whose inputs did not change is never made again; an interrupted build goes on
//! where it stopped.

mod build;
mod compilers;
pub mod debian;
mod estimate;
pub mod go;
pub mod images;
mod modes;
pub mod node;
mod node_system;
pub mod oci;
mod preload;
pub mod recipes;
mod schedule;
mod tree;
mod wheel;
mod workload;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use self::recipes::{ARTIFACTS, Recipe};
use super::cache::{Cache, Cached};
use super::{Artifacts, Image, Origin};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::progress::Note;
use crate::{Error, Result};

/// The packages source of one checkout and one cache.
#[derive(Debug)]
pub struct Packages {
    layout: Layout,
    lock: Lock,
    cache: Cache,
    shared: build::Shared,
}

/// What obtaining everything would do about one artifact.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// The artifact.
    pub name: &'static str,
    /// Whether it lies in the cache, made of the present inputs.
    pub cached: bool,
    /// How long it took the last time, in seconds, if it was ever made here.
    pub last_seconds: Option<f64>,
}

impl Packages {
    /// Looks at nothing yet.
    pub fn new(layout: &Layout, lock: &Lock) -> Self {
        Self {
            layout: layout.clone(),
            lock: lock.clone(),
            cache: Cache::new(layout.artifacts()),
            shared: build::Shared::default(),
        }
    }

    /// What [`Packages::obtain`] would find and what it would make.
    ///
    /// # Errors
    /// [`crate::Code::Internal`] for an incomplete checkout.
    pub fn plan(&self) -> Result<Vec<Planned>> {
        let keys = self.keys()?;
        let planned = ARTIFACTS.iter().filter_map(|artifact| {
            let inputs = keys.get(artifact.name)?;
            let cached = self.cache.find(artifact.name, inputs).is_some();
            Some(Planned {
                name: artifact.name,
                cached,
                last_seconds: self.cache.last_seconds(artifact.name),
            })
        });
        Ok(planned.collect())
    }

    /// Which artifacts are not made yet of those that Debian's packages or pip's are unpacked for.
    ///
    /// # Errors
    /// As [`Packages::plan`].
    pub fn lacks_unpacked(&self) -> Result<Vec<&'static str>> {
        let keys = self.keys()?;
        let unpacked = ARTIFACTS
            .iter()
            .filter(|one| matches!(one.recipe, Recipe::Debian(_) | Recipe::Layer(_) | Recipe::Envoy));
        let lacks = |name| keys.get(name).is_some_and(|inputs| self.cache.find(name, inputs).is_none());
        Ok(unpacked.map(|one| one.name).filter(|name| lacks(name)).collect())
    }

    /// Whether [`Packages::obtain`] would find everything made.
    ///
    /// # Errors
    /// As [`Packages::plan`].
    pub fn is_held(&self) -> Result<bool> {
        let keys = self.keys()?;
        Ok(delivered(&self.lock)
            .all(|name| keys.get(name).is_some_and(|inputs| self.cache.find(name, inputs).is_some())))
    }

    /// What the cache holds of it, made of the present inputs.
    ///
    /// # Errors
    /// As [`Packages::plan`].
    pub fn held(&self) -> Result<Vec<Cached>> {
        Ok(self.keys()?.iter().filter_map(|(name, inputs)| self.cache.find(name, inputs)).collect())
    }

    /// Makes what is missing and says where everything is. Progress: an event for each artifact that is made.
    ///
    /// # Errors
    /// [`crate::Code::NotFit`] and [`crate::Code::CacheUnusable`] before anything is made, [`crate::Code::BuildFailed`] with the log.
    pub async fn obtain(&self, note: &Note) -> Result<Artifacts> {
        let made = self.make(delivered(&self.lock).collect(), note).await?;
        let place = |name: &str, file: &str| -> Result<PathBuf> {
            let entry = made.get(name).ok_or_else(|| Error::internal(format!("nobody made {name}")))?;
            Ok(if file.is_empty() { entry.dir.clone() } else { entry.dir.join(file) })
        };
        let mut images = BTreeMap::new();
        for spec in images::COMPONENTS.iter().filter(|spec| self.lock.images.contains_key(spec.role)) {
            let name = format!("image-{}", spec.role);
            images.insert(
                spec.role.to_owned(),
                self.image(&made, &name, &self.lock.image(spec.role)?.reference)?,
            );
        }
        Ok(Artifacts {
            origin: Origin::Packages,
            node: self.image(&made, "node", &node::reference(&self.lock))?,
            images,
            tools: BTreeMap::from([
                ("kind".to_owned(), place("kind", "kind")?),
                ("istioctl".to_owned(), place("istio", "istioctl")?),
            ]),
            manifests: BTreeMap::from([
                ("spire-crds".to_owned(), place("spire-crds", "")?),
                ("gateway-api-crds".to_owned(), place("gateway-api-crds", "")?),
            ]),
        })
    }

    /// The programs of the private engine: a folder with `usr/bin`, `usr/sbin` and `usr/lib` in it.
    ///
    /// # Errors
    /// As [`Packages::obtain`].
    pub async fn obtain_engine(&self, note: &Note) -> Result<PathBuf> {
        Ok(self.one("debian-engine", note).await?.join("root"))
    }

    /// The folder of our own static programs, `oci-shim` among them.
    ///
    /// # Errors
    /// As [`Packages::obtain`].
    pub async fn obtain_workloads(&self, note: &Note) -> Result<PathBuf> {
        self.one("workloads", note).await
    }

    /// The test runner's program.
    ///
    /// # Errors
    /// As [`Packages::obtain`].
    pub async fn obtain_nextest(&self, note: &Note) -> Result<PathBuf> {
        Ok(self.one("nextest", note).await?.join("bin/cargo-nextest"))
    }

    /// The programs that look at the dependencies: cargo-deny and cargo-shear.
    ///
    /// # Errors
    /// As [`Packages::obtain`].
    pub async fn obtain_auditors(&self, note: &Note) -> Result<[PathBuf; 2]> {
        let deny = self.one("deny", note).await?.join("bin/cargo-deny");
        Ok([deny, self.one("shear", note).await?.join("bin/cargo-shear")])
    }

    /// Folders of what no artifacts names and a run may need, as far as it is made: the private engine's programs, our
    /// own, the test runner.
    ///
    /// # Errors
    /// As [`Packages::plan`].
    pub fn extras(&self) -> Result<Vec<PathBuf>> {
        let keys = self.keys()?;
        let found =
            ["debian-engine", "workloads", "nextest"].map(|name| self.cache.find(name, keys.get(name)?));
        Ok(found.into_iter().flatten().map(|entry| entry.dir).collect())
    }

    async fn one(&self, name: &'static str, note: &Note) -> Result<PathBuf> {
        let made = self.make(vec![name], note).await?;
        made.get(name)
            .map(|entry| entry.dir.clone())
            .ok_or_else(|| Error::internal(format!("nobody made {name}")))
    }

    fn image(&self, made: &BTreeMap<&'static str, Cached>, name: &str, reference: &str) -> Result<Image> {
        let entry = made.get(name).ok_or_else(|| Error::internal(format!("nobody made {name}")))?;
        let id = entry.stamp.about.get("id").and_then(|id| id.as_str()).unwrap_or_default();
        Ok(Image { reference: reference.to_owned(), archive: entry.dir.join("image.tar"), id: id.to_owned() })
    }

    fn recipes(&self) -> PathBuf {
        self.layout.manifests().join("packages")
    }
}

/// What the artifacts are put together from; every other artifact is a part of one of these.
fn delivered(lock: &Lock) -> impl Iterator<Item = &'static str> + use<> {
    let is_delivered = |artifact: &&recipes::Artifact| match artifact.recipe {
        Recipe::Image(_) | Recipe::Node => true,
        _ => matches!(artifact.name, "kind" | "istio" | "spire-crds" | "gateway-api-crds"),
    };
    schedule::wanted(lock).into_iter().filter(is_delivered).map(|artifact| artifact.name)
}
