//! Everything from outside: images, tools, upstream manifests. Three sources deliver the same [`Artifacts`], and
//! nothing after this module knows which one it was, but for what [`Origin`] says.

pub mod archive;
pub mod cache;
pub mod download;
pub mod packages;
pub mod print;
pub mod prune;
pub mod registry;
mod retry;
pub mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Code, Error, Result};

/// What a source delivers: all that a run needs, on this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Artifacts {
    /// Whose builds these are.
    pub origin: Origin,
    /// The kind node image.
    pub node: Image,
    /// Every other image, by its role in `lock.yaml`.
    pub images: BTreeMap<String, Image>,
    /// Programs: `kind`, `istioctl`.
    pub tools: BTreeMap<String, PathBuf>,
    /// Upstream manifests, taken unchanged, a file or a folder of files each: `spire-crds`, `gateway-api-crds`.
    pub manifests: BTreeMap<String, PathBuf>,
}

/// The upstream manifests whose definitions every cluster serves before anything of ours is made.
pub const DEFINITIONS: [&str; 2] = ["spire-crds", "gateway-api-crds"];

/// Who built the images: it decides two settings that differ, the node's network plugin and Istio's filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Upstream's own images: the node has kindnetd, the proxy is Istio's Envoy.
    Upstream,
    /// Built from package registries: the node has a static ptp network, the proxy is upstream Envoy.
    Packages,
}

/// An image that lies in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// As manifests name it.
    pub reference: String,
    /// A tar file that both `docker load` and `ctr images import` read. One file may hold several images.
    pub archive: PathBuf,
    /// The digest of its configuration, `sha256:…`, which is the engine's image id.
    pub id: String,
}

impl Artifacts {
    /// The image that plays `role`.
    ///
    /// # Errors
    /// [`Code::ArtifactUnavailable`]: the source delivered less than the lock names.
    pub fn image(&self, role: &str) -> Result<&Image> {
        self.images.get(role).ok_or_else(|| missing("image", role))
    }

    /// A program's path.
    ///
    /// # Errors
    /// As [`Artifacts::image`].
    pub fn tool(&self, name: &str) -> Result<&Path> {
        self.tools.get(name).map(PathBuf::as_path).ok_or_else(|| missing("tool", name))
    }

    /// An upstream manifest's path.
    ///
    /// # Errors
    /// As [`Artifacts::image`].
    pub fn manifest(&self, name: &str) -> Result<&Path> {
        self.manifests.get(name).map(PathBuf::as_path).ok_or_else(|| missing("manifest", name))
    }
}

fn missing(kind: &str, name: &str) -> Error {
    Error::new(Code::ArtifactUnavailable, format!("the source delivered no {kind} `{name}`"))
        .next("run `cargo xtask lock check`, then `cargo xtask images list`")
}
