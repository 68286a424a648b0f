//! Which source delivers, and why that one.

use std::path::PathBuf;

use super::archive;
use super::packages::{Packages, node};
use super::registry::{Delivery, Mirrors, Registry, architecture};
use super::{Artifacts, Image, Origin};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::progress::Note;
use crate::{Code, Error, Result};

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
    /// Ready for use, for each lock that was asked for. The digests are `sha256:…` by the lock's names, for the report:
    /// what a registry calls it, or an image's id where no registry was asked.
    pub deliveries: Vec<Delivery>,
    /// `registry`, `packages` or `archive`.
    pub from: &'static str,
    /// Why that one, for people.
    pub why: String,
}

/// Obtains everything of each of these locks, all from one source. No engine is needed; an archive also brings the private
/// engine's programs into the cache, so this comes before an engine is started.
///
/// # Errors
/// The chosen source's own: [`Registry::obtain`], [`Packages::obtain`], [`archive::import`]; [`Code::Usage`] for a version
/// that the chosen source has not.
pub async fn obtain(
    choice: &Choice,
    mirrors: &Mirrors,
    layout: &Layout,
    locks: &[Lock],
    note: &Note,
) -> Result<Obtained> {
    let built_only: Vec<_> = locks.iter().flat_map(|lock| lock.packages_only.iter().cloned()).collect();
    let decided = match choice {
        Choice::Archive(_) if !built_only.is_empty() => return Err(untold(&built_only)),
        Choice::Registry if !built_only.is_empty() => return Err(only_built(&built_only)),
        Choice::Auto if !built_only.is_empty() => {
            Chosen::packages(format!("only it has {}", built_only.join(", ")))
        }
        Choice::Auto => decide(mirrors, layout, locks).await?,
        Choice::Registry => Chosen::registry("it was asked for"),
        Choice::Packages => Chosen::packages("it was asked for"),
        Choice::Archive(_) => Chosen { name: "archive", why: "it was asked for".to_owned() },
    };
    note.tell(format!("source: {} ({})", decided.name, decided.why));
    let mut deliveries = Vec::new();
    for lock in locks {
        let delivered = match (choice, decided.name) {
            (Choice::Archive(file), _) => {
                archive::import(file, layout, note).await.map(|(delivery, _)| delivery)
            }
            (_, REGISTRY) => Registry::new(lock, mirrors, layout)?.obtain(note).await,
            _ => Packages::new(layout, lock).obtain(note).await.map(built),
        };
        let delivery = delivered.map_err(|e| match choice {
            // Who did not choose a source wants to know why it was this one.
            Choice::Auto => {
                Error::new(e.code(), format!("the source {} ({}) failed", decided.name, decided.why))
                    .because(e)
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
        is_wanted(&delivery.artifacts, lock)?;
        deliveries.push(delivery);
    }
    Ok(Obtained { deliveries, from: decided.name, why: decided.why })
}

/// An archive may have been made for other set-ups, or of other versions.
fn is_wanted(artifacts: &Artifacts, lock: &Lock) -> Result<()> {
    let (node, nodes) =
        (&artifacts.node.reference, [lock.image("node")?.reference.clone(), node::reference(lock)]);
    if !nodes.contains(node) {
        return Err(another(node, &nodes[1]));
    }
    for (role, pin) in lock.images.iter().filter(|(role, _)| *role != "node") {
        let there = &artifacts.image(role)?.reference;
        if *there != pin.reference {
            return Err(another(there, &pin.reference));
        }
    }
    Ok(())
}

fn another(there: &str, wanted: &str) -> Error {
    let what = format!("the archive has {there}, and {wanted} was asked for");
    Error::new(Code::ArtifactUnavailable, what).next(
        "name by --with what the archive was made with, or make one: cargo xtask images export --with …",
    )
}

fn untold(versions: &[String]) -> Error {
    let what = format!("no archive tells whether it was made with {}", versions.join(", "));
    Error::new(Code::Usage, what).next("leave it out, or use --source packages; nothing was touched")
}

fn only_built(versions: &[String]) -> Error {
    let what = format!("the registry source has no {}: its images bring their own", versions.join(", "));
    Error::new(Code::Usage, what).next("leave it out, or use --source packages; nothing was touched")
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

async fn decide(mirrors: &Mirrors, layout: &Layout, locks: &[Lock]) -> Result<Chosen> {
    let registries =
        locks.iter().map(|lock| Registry::new(lock, mirrors, layout)).collect::<Result<Vec<_>>>()?;
    if registries.iter().all(|registry| registry.held().is_some()) {
        return Ok(Chosen::registry("the cache holds all of it"));
    }
    let built = locks.iter().map(|lock| Packages::new(layout, lock).is_held()).collect::<Result<Vec<_>>>()?;
    if built.into_iter().all(|held| held) {
        return Ok(Chosen::packages("the cache holds all of it"));
    }
    for registry in registries {
        if let Some(why) = registry.silence().await? {
            return Ok(Chosen::packages(why));
        }
    }
    Ok(Chosen::registry("it answers"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::artifact::packages::images::COMPONENTS;
    use crate::lock::Versions;

    fn lock(component: &str, version: &str) -> Lock {
        let lock = Lock::read(Path::new("../manifests")).unwrap();
        lock.with(&Versions::from([(component.to_owned(), version.to_owned())])).unwrap()
    }

    /// What an archive has that was made of that lock.
    fn archived(lock: &Lock) -> Artifacts {
        let image =
            |reference: String| Image { reference, archive: "image.tar".into(), id: "sha256:0".into() };
        let images = COMPONENTS.iter().map(|spec| spec.role.to_owned());
        let images = images.map(|role| (role.clone(), image(lock.images[&role].reference.clone())));
        let (tools, manifests) = (BTreeMap::new(), BTreeMap::new());
        let node = image(node::reference(lock));
        Artifacts { origin: Origin::Packages, node, images: images.collect(), tools, manifests }
    }

    #[test]
    fn an_archive_of_other_versions_is_not_taken() {
        let (first, other) = (Lock::read(Path::new("../manifests")).unwrap(), lock("spire", "1.13.3"));
        is_wanted(&archived(&first), &first).unwrap();
        is_wanted(&archived(&other), &other).unwrap();
        let e = is_wanted(&archived(&first), &other).unwrap_err();
        assert!(
            e.what().contains("spire-agent:1.15.3, and ghcr.io/spiffe/spire-agent:1.13.3 was asked for"),
            "{e}"
        );
    }

    #[tokio::test]
    async fn what_only_one_source_has_is_not_asked_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().into(), repo: "..".into() };
        let mut lock = Lock::read(Path::new("../manifests")).unwrap();
        lock.packages_only.push("envoy=1.38.3".into());
        for (choice, words) in [
            (Choice::Registry, "the registry source has no envoy=1.38.3"),
            (Choice::Archive("a.tar".into()), "no archive tells whether it was made with envoy=1.38.3"),
        ] {
            let (mirrors, locks) = (Mirrors::default(), [lock.clone()]);
            let e = obtain(&choice, &mirrors, &layout, &locks, &Note::silent()).await.unwrap_err();
            assert!(e.code() == Code::Usage && e.what().contains(words), "{e}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

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
