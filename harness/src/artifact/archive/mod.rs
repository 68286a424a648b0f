//! One file with everything a run needs, for a machine that reaches nothing.
//!
//! It is a tar file of whole folders of the [cache](super::cache), so that a machine which has read it has the
//! same cache as the one that wrote it. Its first member, `manifest.json`, names every other member with its
//! SHA-256: what is truncated or altered is refused by name before any of it can be used, and so is what the lock pins
//! otherwise ([`pinned`]).

mod pinned;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Artifacts;
use super::cache::{Cache, hex};
use super::registry::Delivery;
use crate::error::Context as _;
use crate::layout::Layout;
use crate::lock::Lock;
use crate::progress::Note;
use crate::{Code, Error, Result};

/// What an archive was found or made to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Files and links in it.
    pub members: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Writes what was delivered to `file`, with further folders of the cache: the private engine, the test runner.
///
/// # Errors
/// [`Code::CacheUnusable`] when something cannot be read or `file` not be written; then there is no `file`.
pub async fn export(
    file: &Path,
    delivery: &Delivery,
    more: &[PathBuf],
    layout: &Layout,
    note: &Note,
) -> Result<Size> {
    let draft = write::Draft::new(delivery, more, layout)?;
    let (file, note) = (file.to_owned(), note.clone());
    let writing = tokio::task::spawn_blocking(move || draft.write(&file, &note)).await;
    writing.or_fail(Code::Internal, || "writing an archive".to_owned())?
}

/// Checks all of `file`, puts what the cache lacks into it, and delivers from there. Makes no outside request.
///
/// # Errors
/// [`Code::DigestMismatch`] naming the member that is truncated, altered, missing or unknown, or what the lock pins
/// otherwise;
/// [`Code::ArtifactUnavailable`] when it is no archive of ours or was made with another lock file;
/// [`Code::CacheUnusable`].
pub async fn import(file: &Path, layout: &Layout, note: &Note) -> Result<(Delivery, Size)> {
    let root = layout.artifacts();
    let _claim = Cache::new(&root).claim("archive", note).await?;
    let (lock, pins) = (lock_hash(layout)?, Lock::read(&layout.manifests())?);
    let (file, note) = (file.to_owned(), note.clone());
    let reading = tokio::task::spawn_blocking(move || read::read(&file, &root, &lock, &pins, &note)).await;
    reading.or_fail(Code::Internal, || "reading an archive".to_owned())?
}

const MANIFEST: &str = "manifest.json";
const FORMAT: u32 = 1;
/// A manifest of a few thousand members is some hundred kilobytes.
const MANIFEST_LIMIT: u64 = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// SHA-256 of the lock file it was made with.
    lock: String,
    /// Paths are relative to the cache's artifacts.
    artifacts: Artifacts,
    digests: BTreeMap<String, String>,
    members: BTreeMap<PathBuf, Member>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Member {
    File { sha256: String, bytes: u64, mode: u32 },
    Link { to: PathBuf },
}

impl Manifest {
    /// A member that an export never writes, and why it is none: one that would be more than a file for everybody to
    /// read, or lead to where the archive has nothing to say.
    fn unsafe_member(&self) -> Option<(&Path, &'static str)> {
        let links: Vec<&Path> = self
            .members
            .iter()
            .filter(|(_, m)| matches!(m, Member::Link { .. }))
            .map(|(path, _)| path.as_path())
            .collect();
        self.members.iter().find_map(|(path, member)| {
            let why = match member {
                Member::File { mode, .. } if mode & !0o755 != 0 => {
                    "its mode gives more than an artifact needs"
                }
                Member::Link { to } if !stays_inside(path, to) => "it leads out of its folder",
                _ if path.ancestors().skip(1).any(|above| links.contains(&above)) => "it lies behind a link",
                _ => return None,
            };
            Some((path.as_path(), why))
        })
    }

    fn size(&self) -> Size {
        let bytes = self.members.values().map(|member| match member {
            Member::File { bytes, .. } => *bytes,
            Member::Link { .. } => 0,
        });
        Size { members: self.members.len(), bytes: bytes.sum() }
    }
}

fn lock_hash(layout: &Layout) -> Result<String> {
    let path = layout.manifests().join("lock.yaml");
    let text = std::fs::read(&path).or_fail(Code::Lock, || format!("cannot read {}", path.display()))?;
    Ok(hex(&Sha256::digest(text)))
}

/// The same artifacts with every path changed.
fn with_paths(artifacts: &Artifacts, change: impl Fn(&Path) -> Result<PathBuf>) -> Result<Artifacts> {
    let mut artifacts = artifacts.clone();
    let images = std::iter::once(&mut artifacts.node)
        .chain(artifacts.images.values_mut())
        .map(|image| &mut image.archive);
    for path in images.chain(artifacts.tools.values_mut()).chain(artifacts.manifests.values_mut()) {
        *path = change(path)?;
    }
    Ok(artifacts)
}

/// The folder of the cache that a path relative to its artifacts lies in. Only plain names: nothing leaves it.
fn folder(relative: &Path) -> Option<&Path> {
    let plain = |component: Component<'_>| matches!(component, Component::Normal(_));
    let first = relative.components().next()?;
    relative.components().all(plain).then_some(Path::new(first.as_os_str()))
}

/// Whether a link at `path` ends in the same folder of the cache, whatever other links there are: it goes up first, and
/// then only down.
fn stays_inside(path: &Path, to: &Path) -> bool {
    // Below the artifact's own folder.
    let deep = path.components().count().saturating_sub(2);
    let up = to.components().take_while(|part| matches!(part, Component::ParentDir)).count();
    let down = to.components().skip(up).all(|part| matches!(part, Component::Normal(_)));
    to != Path::new("") && to.is_relative() && down && up <= deep
}

fn unreadable(what: &Path) -> impl FnOnce() -> String {
    let what = format!("cannot read {}", what.display());
    move || what
}

fn refuse(code: Code, what: String) -> Error {
    Error::new(code, what).next("copy it again, or make it again with `cargo xtask images export`")
}
