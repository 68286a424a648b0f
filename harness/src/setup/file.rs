//! The files behind set-ups, read strictly: what a set-up says about itself, and the values that manifests name.

use std::path::Path;

use serde::Deserialize;

use crate::render::{self, Values};
use crate::{Code, Error, Result};

/// A set-up's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// One sentence for lists.
    pub about: String,
    /// The source document; none for a mesh that is only configured otherwise.
    pub document: Option<String>,
    pub(super) world: String,
    #[serde(default)]
    pub(super) values: Values,
    #[serde(default)]
    pub(super) reads: Vec<String>,
    #[serde(default)]
    pub(super) changes: Vec<String>,
    #[serde(default)]
    pub(super) images: Vec<String>,
    #[serde(default)]
    pub(super) istio: Vec<String>,
}

impl About {
    pub(super) fn read(manifests: &Path, name: &str) -> Result<Self> {
        render::read(&manifests.join(format!("setups/{name}.yaml")), Code::Internal)
    }

    /// What its world is called. Values change a world for everybody in it, so a set-up that has any shares with
    /// nobody. Images and documents for istioctl only add something.
    pub(super) fn world_of(&self, name: &str) -> String {
        if self.values.is_empty() { self.world.clone() } else { name.to_owned() }
    }
}

/// Every set-up with its sentence and its document, by name.
///
/// # Errors
/// [`Code::Internal`] when the folder is missing from the checkout or a file of it is malformed.
pub fn list(manifests: &Path) -> Result<Vec<(String, About)>> {
    let names = names(manifests)?;
    names
        .into_iter()
        .map(|name| {
            let file = About::read(manifests, &name)?;
            Ok((name, file))
        })
        .collect()
}

pub(super) fn names(manifests: &Path) -> Result<Vec<String>> {
    let dir = manifests.join("setups");
    let listing = std::fs::read_dir(&dir)
        .map_err(|e| Error::internal(format!("cannot list {}", dir.display())).because(e))?;
    let mut names: Vec<_> = listing
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuning {
    tuned: Values,
    defaults: Values,
    either: Values,
}

/// The values of a lane, with those of the set-up in their place.
///
/// # Errors
/// [`Code::Usage`] for a name that the set-up made up.
pub(super) fn values(manifests: &Path, name: &str, file: &About, defaults: bool) -> Result<Values> {
    let Tuning { tuned, defaults: upstream, either } =
        render::read(&manifests.join("tuning.yaml"), Code::Internal)?;
    let mut values = if defaults { upstream } else { tuned };
    values.extend(either);
    if let Some(unknown) = file.values.keys().find(|key| !values.contains_key(*key)) {
        let known: Vec<_> = values.keys().map(String::as_str).collect();
        let what = format!("the set-up {name} gives a value to `{unknown}`, a name that no manifest has");
        return Err(Error::new(Code::Usage, what)
            .seen(format!("names: {}", known.join(", ")))
            .next(format!("correct manifests/setups/{name}.yaml; nothing was touched")));
    }
    values.extend(file.values.clone());
    Ok(values)
}
