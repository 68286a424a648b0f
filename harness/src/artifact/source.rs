//! Which source delivers, and why that one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::archive;
use super::packages::Packages;
use super::registry::{Delivery, Mirrors, Registry, architecture};
use super::{Artifacts, Image, Origin};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::progress::Note;
use crate::{Error, Result};

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// What the cache holds in full, else the registry if it answers within seconds, else packages.
    #[default]
    Auto,
    /// Upstream's images by reference and its tools by download.
    Registry,
    /// Everything built from package registries.
    Packages,
    /// A file that `images export` wrote.
    Archive(PathBuf),
}

/// What was obtained, and from where.
#[derive(Clone, Debug)]
pub struct Obtained {
    /// Ready for use.
    pub artifacts: Artifacts,
    /// `sha256:…` by the lock's names, for the report: what a registry calls it, or an image's id where no
    /// registry was asked.
    pub digests: BTreeMap<String, String>,
    /// `registry`, `packages` or `archive`.
    pub from: &'static str,
    /// Why that one, for people.
    pub why: String,
}

/// Obtains everything. No engine is needed; an archive also brings the private engine's programs into the cache,
/// so this comes before an engine is started.
///
/// # Errors
/// The chosen source's own: [`Registry::obtain`], [`Packages::obtain`], [`archive::import`].
pub async fn obtain(
    choice: &Choice,
    mirrors: &Mirrors,
    layout: &Layout,
    lock: &Lock,
    note: &Note,
) -> Result<Obtained> {
    let registry = Registry::new(lock, mirrors, layout)?;
    let packages = Packages::new(layout, lock);
    let decided = match choice {
        Choice::Auto => decide(&registry, &packages).await?,
        Choice::Registry => Chosen::registry("it was asked for"),
        Choice::Packages => Chosen::packages("it was asked for"),
        Choice::Archive(_) => Chosen { name: "archive", why: "it was asked for".to_owned() },
    };
    note.tell(format!("source: {} ({})", decided.name, decided.why));
    let delivered = match (choice, decided.name) {
        (Choice::Archive(file), _) => archive::import(file, layout, note).await.map(|(delivery, _)| delivery),
        (_, REGISTRY) => registry.obtain(note).await,
        _ => packages.obtain(note).await.map(built),
    };
    let delivery = delivered.map_err(|e| match choice {
        // Who did not choose a source wants to know why it was this one.
        Choice::Auto => {
            Error::new(e.code(), format!("the source {} ({}) failed", decided.name, decided.why)).because(e)
        }
        _ => e,
    })?;
    if decided.name == REGISTRY || delivery.artifacts.origin == Origin::Upstream {
        if let Some(line) = unpinned(lock) {
            note.tell(line);
        }
    } else if matches!(choice, Choice::Archive(_)) {
        note.tell(
            "the archive was built from packages by whoever made it: it is whole, and no pin says more of it",
        );
    }
    // An archive may have been made for other set-ups.
    for role in lock.images.keys().filter(|role| *role != "node") {
        delivery.artifacts.image(role)?;
    }
    Ok(Obtained {
        artifacts: delivery.artifacts,
        digests: delivery.digests,
        from: decided.name,
        why: decided.why,
    })
}

/// What a run over upstream's images has to say each time, where it cannot be sure of all of them.
fn unpinned(lock: &Lock) -> Option<String> {
    let open = lock.unpinned(architecture());
    let (names, mut reasons): (Vec<_>, Vec<_>) = open.into_iter().unzip();
    reasons.sort_unstable();
    reasons.dedup();
    let all = lock.images.len() + lock.downloads.len();
    let (some, named, why) = (names.len(), names.join(", "), reasons.join("; "));
    (some > 0).then(|| {
        format!(
            "{some} of {all} images and downloads are pinned by nothing, so they are what their servers sent, as the \
             report has it: {named}. Why: {why}. cargo xtask lock update pins them"
        )
    })
}

/// A artifacts that no registry named anything of is known by its images' ids.
pub fn built(artifacts: Artifacts) -> Delivery {
    let images = artifacts
        .images
        .iter()
        .map(|(role, image)| (role.as_str(), image))
        .chain([("node", &artifacts.node)]);
    let id = |(role, image): (&str, &Image)| (role.to_owned(), image.id.clone());
    Delivery { digests: images.map(id).collect(), artifacts }
}

const REGISTRY: &str = "registry";
const PACKAGES: &str = "packages";

struct Chosen {
    name: &'static str,
    why: String,
}

impl Chosen {
    fn registry(why: impl Into<String>) -> Self {
        Self { name: REGISTRY, why: why.into() }
    }

    fn packages(why: impl Into<String>) -> Self {
        Self { name: PACKAGES, why: why.into() }
    }
}

async fn decide(registry: &Registry<'_>, packages: &Packages) -> Result<Chosen> {
    if registry.held().is_some() {
        return Ok(Chosen::registry("the cache holds all of it"));
    }
    if packages.is_held()? {
        return Ok(Chosen::packages("the cache holds all of it"));
    }
    Ok(match registry.silence().await? {
        None => Chosen::registry("it answers"),
        Some(why) => Chosen::packages(why),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_not_pinned_is_said_with_its_reason() {
        let mut lock = Lock::read(Path::new("../manifests")).unwrap();
        let line = unpinned(&lock).unwrap();
        assert!(line.contains("image pilot") && line.contains("download spire-crds"), "{line}");
        assert!(lock.reasons.values().all(|why| line.contains(why)), "{line}");
        let digest = Some("sha256:0".to_owned());
        lock.images.values_mut().for_each(|pin| pin.digest.clone_from(&digest));
        let hashes = lock.downloads.values_mut().flat_map(|download| download.sha256.values_mut());
        hashes.for_each(|hash| hash.clone_from(&digest));
        assert_eq!(unpinned(&lock), None);
    }
}
