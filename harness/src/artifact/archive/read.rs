//! One file into folders of the cache, all of it checked before any of it is in its place.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::super::cache::{Cache, hex};
use super::{
    Artifacts, FORMAT, MANIFEST, MANIFEST_LIMIT, Manifest, Member, Size, folder, pinned, refuse, unreadable,
    with_paths,
};
use crate::artifact::registry::Delivery;
use crate::error::Context as _;
use crate::lock::Lock;
use crate::progress::Note;
use crate::{Code, Error, Result};

pub(super) fn read(
    file: &Path,
    root: &Path,
    lock: &str,
    pins: &Lock,
    note: &Note,
) -> Result<(Delivery, Size)> {
    let opened = File::open(file).or_fail(Code::ArtifactUnavailable, unreadable(file))?;
    let mut tar = tar::Archive::new(BufReader::with_capacity(1 << 20, opened));
    let mut entries = tar.entries().or_fail(Code::ArtifactUnavailable, unreadable(file))?;
    let manifest = manifest(file, &mut entries)?;
    if manifest.lock != lock {
        let what = format!("{} was made with another manifests/lock.yaml", file.display());
        return Err(Error::new(Code::ArtifactUnavailable, what).next(
            "check out the commit that it was made from, or make it again with `cargo xtask images export`",
        ));
    }
    let mut reading = Reading::begin(file, root, &manifest)?;
    for entry in entries {
        reading.member(entry, note)?;
    }
    reading.is_complete()?;
    pinned::check(&reading.places()?, pins)?;
    reading.finish(note)?;
    let artifacts = with_paths(&manifest.artifacts, |path| Ok(root.join(path)))?;
    Ok((Delivery { artifacts, digests: manifest.digests.clone() }, manifest.size()))
}

fn manifest<R: Read>(file: &Path, entries: &mut tar::Entries<'_, R>) -> Result<Manifest> {
    let foreign = || format!("{} is no archive of Vouchsafe", file.display());
    let refused = || refuse(Code::ArtifactUnavailable, foreign());
    let first = entries.next().and_then(std::io::Result::ok).ok_or_else(refused)?;
    if !first.path().is_ok_and(|path| path == Path::new(MANIFEST)) || first.size() > MANIFEST_LIMIT {
        return Err(refused());
    }
    let altered = || format!("{}: its {MANIFEST} is truncated or altered", file.display());
    let manifest: Manifest = serde_json::from_reader(first).or_fail(Code::DigestMismatch, altered)?;
    if manifest.format != FORMAT {
        let found =
            format!("{} has format {} and this program reads {FORMAT}", file.display(), manifest.format);
        return Err(refuse(Code::ArtifactUnavailable, found));
    }
    if let Some((path, why)) = manifest.unsafe_member() {
        let what = format!("{}: its member {} is none that an export writes", file.display(), path.display());
        return Err(refuse(Code::DigestMismatch, what).seen(why));
    }
    // Nothing outside the folders that it brings can be meant by it.
    let brought: BTreeSet<_> = manifest.members.keys().filter_map(|path| folder(path)).collect();
    let inside = |path: &Path| folder(path).is_some_and(|folder| brought.contains(folder));
    let strays = manifest.members.keys().find(|path| folder(path).is_none() || path.components().count() < 2);
    let strange = with_paths(&manifest.artifacts, |path| match inside(path) {
        true => Ok(path.to_owned()),
        false => Err(refuse(Code::DigestMismatch, format!("{} names {}", altered(), path.display()))),
    });
    match strays {
        Some(path) => Err(refuse(Code::DigestMismatch, format!("{} names {}", altered(), path.display()))),
        None => strange.map(|_| manifest),
    }
}

/// Members on their way into a hidden folder beside those of the cache.
struct Reading<'a> {
    file: &'a Path,
    root: &'a Path,
    aside: Aside,
    manifest: &'a Manifest,
    /// Folders that the cache has; their members are checked and not written.
    held: BTreeSet<&'a Path>,
    seen: BTreeSet<PathBuf>,
}

impl<'a> Reading<'a> {
    fn begin(file: &'a Path, root: &'a Path, manifest: &'a Manifest) -> Result<Self> {
        let aside = Aside::make(root.join(".archive.making"))
            .or_fail(Code::CacheUnusable, || format!("cannot write to the cache {}", root.display()))?;
        let mut held: BTreeSet<_> = manifest.members.keys().filter_map(|path| folder(path)).collect();
        for (path, member) in &manifest.members {
            let size = root.join(path).symlink_metadata().map(|found| found.len());
            let same = match member {
                Member::File { bytes, .. } => size.is_ok_and(|size| size == *bytes),
                Member::Link { .. } => size.is_ok(),
            };
            if let (false, Some(folder)) = (same, folder(path)) {
                held.remove(folder);
            }
        }
        // What was damaged since is put back.
        let cache = Cache::new(root);
        held.retain(|folder| cache.is_as_made(folder));
        Ok(Self { file, root, aside, manifest, held, seen: BTreeSet::new() })
    }

    fn member<R: Read>(&mut self, entry: std::io::Result<tar::Entry<'_, R>>, note: &Note) -> Result<()> {
        let named =
            entry.and_then(|entry| entry.path().map(|path| path.into_owned()).map(|path| (entry, path)));
        let Ok((mut entry, path)) = named else {
            let after = self.seen.last().map_or_else(|| MANIFEST.into(), |last| last.display().to_string());
            let what = format!("{} is truncated or altered after its member {after}", self.file.display());
            return Err(refuse(Code::DigestMismatch, what));
        };
        let Some(member) = self.manifest.members.get(&path) else {
            return Err(self.altered(&path, "its manifest does not name it"));
        };
        if !self.seen.insert(path.clone()) {
            return Err(self.altered(&path, "it is there twice"));
        }
        let kind = entry.header().entry_type();
        match member {
            Member::Link { .. } if kind != tar::EntryType::Symlink => {
                return Err(self.altered(&path, "it is no symlink"));
            }
            Member::File { .. } if kind != tar::EntryType::Regular => {
                return Err(self.altered(&path, "it is no plain file"));
            }
            Member::Link { to } => {
                let found = entry.link_name().ok().flatten();
                if found.as_deref() != Some(to) {
                    return Err(self.altered(&path, "it leads elsewhere"));
                }
            }
            Member::File { sha256, bytes, mode } => {
                if path.ends_with("stamp.json") {
                    note.say(format!("checking {}", path.parent().unwrap_or(&path).display()));
                }
                let (found, read) = self.copy(&mut entry, &path, *mode)?;
                if read != *bytes {
                    return Err(self.altered(&path, &format!("it has {read} of {bytes} bytes")));
                }
                if found != *sha256 {
                    return Err(self.altered(&path, &format!("sha256 {found}, not {sha256}")));
                }
            }
        }
        Ok(())
    }

    /// Hashes a member and writes it aside, unless the cache has it.
    fn copy(&self, from: &mut impl Read, path: &Path, mode: u32) -> Result<(String, u64)> {
        let unwritten = || format!("cannot write {} to the cache", path.display());
        let held = folder(path).is_some_and(|folder| self.held.contains(folder));
        let mut to: Box<dyn Write> = if held {
            Box::new(std::io::sink())
        } else {
            Box::new(self.create(path, mode).or_fail(Code::CacheUnusable, unwritten)?)
        };
        let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; 1 << 20]);
        loop {
            match from.read(&mut piece) {
                Ok(0) => return Ok((hex(&hash.finalize()), bytes)),
                Ok(read) => {
                    hash.update(&piece[..read]);
                    bytes += read as u64;
                    to.write_all(&piece[..read]).or_fail(Code::CacheUnusable, unwritten)?;
                }
                Err(e) => return Err(self.altered(path, &format!("it ends after {bytes} bytes: {e}"))),
            }
        }
    }

    fn create(&self, path: &Path, mode: u32) -> std::io::Result<File> {
        let place = self.aside.0.join(path);
        if let Some(dir) = place.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = File::create(&place)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(file)
    }

    fn is_complete(&self) -> Result<()> {
        match self.manifest.members.keys().find(|path| !self.seen.contains(*path)) {
            Some(missing) => Err(self.altered(missing, "it is missing: the file is truncated")),
            None => Ok(()),
        }
    }

    /// Where everything lies now.
    fn places(&self) -> Result<Artifacts> {
        with_paths(&self.manifest.artifacts, |path| {
            let held = folder(path).is_some_and(|folder| self.held.contains(folder));
            Ok(if held { self.root.join(path) } else { self.aside.0.join(path) })
        })
    }

    /// Everything was right: links last, so that no file was written through one, then whole folders into place.
    fn finish(self, note: &Note) -> Result<()> {
        let unusable = || format!("cannot write to the cache {}", self.root.display());
        let place = || -> std::io::Result<()> {
            for (path, member) in &self.manifest.members {
                let (Member::Link { to }, false) =
                    (member, folder(path).is_some_and(|f| self.held.contains(f)))
                else {
                    continue;
                };
                let link = self.aside.0.join(path);
                std::fs::create_dir_all(link.parent().unwrap_or(&link))?;
                symlink(to, link)?;
            }
            for entry in std::fs::read_dir(&self.aside.0)?.flatten() {
                let target = self.root.join(entry.file_name());
                if target.exists() {
                    std::fs::remove_dir_all(&target)?;
                }
                std::fs::rename(entry.path(), target)?;
            }
            Ok(())
        };
        place().or_fail(Code::CacheUnusable, unusable)?;
        note.say(format!("{} is whole; the cache had {} of it", self.file.display(), self.held.len()));
        Ok(())
    }

    fn altered(&self, member: &Path, how: &str) -> Error {
        refuse(
            Code::DigestMismatch,
            format!("{}: its member {} is not what it was", self.file.display(), member.display()),
        )
        .seen(how)
    }
}

/// The hidden folder; gone with its value, and when a killed import left it, with the next one's begin.
struct Aside(PathBuf);

impl Aside {
    fn make(path: PathBuf) -> std::io::Result<Self> {
        let aside = Self(path);
        aside.remove();
        std::fs::create_dir(&aside.0).map(|()| aside)
    }

    fn remove(&self) {
        // What cannot be removed is in the way of the next import, which says so.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.remove();
    }
}
