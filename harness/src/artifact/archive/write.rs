//! Folders of the cache into one file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::super::cache::{files_below, hex};
use super::{FORMAT, MANIFEST, Manifest, Member, Size, folder, lock_hash, unreadable, with_paths};
use crate::artifact::registry::Delivery;
use crate::error::Context as _;
use crate::layout::Layout;
use crate::progress::Note;
use crate::{Code, Error, Result};

/// What is to be written; nothing but names has been looked at.
pub(super) struct Draft {
    root: PathBuf,
    folders: BTreeSet<PathBuf>,
    manifest: Manifest,
}

impl Draft {
    pub(super) fn new(delivery: &Delivery, more: &[PathBuf], layout: &Layout) -> Result<Self> {
        let root = layout.artifacts();
        let relative = |path: &Path| {
            let inside = path.strip_prefix(&root).ok().filter(|path| folder(path).is_some());
            inside.map(Path::to_owned).ok_or_else(|| {
                Error::internal(format!("{} is not in the cache {}", path.display(), root.display()))
            })
        };
        let artifacts = with_paths(&delivery.artifacts, relative)?;
        let mut paths = Vec::new();
        for path in more {
            paths.push(relative(path)?);
        }
        let images =
            std::iter::once(&artifacts.node).chain(artifacts.images.values()).map(|image| &image.archive);
        paths.extend(images.chain(artifacts.tools.values()).chain(artifacts.manifests.values()).cloned());
        let folders = paths.iter().filter_map(|path| folder(path)).map(Path::to_owned).collect();
        let manifest = Manifest {
            format: FORMAT,
            lock: lock_hash(layout)?,
            artifacts,
            digests: delivery.digests.clone(),
            members: BTreeMap::new(),
        };
        Ok(Self { root, folders, manifest })
    }

    pub(super) fn write(mut self, file: &Path, note: &Note) -> Result<Size> {
        for dir in &self.folders {
            let inside = files_below(&self.root.join(dir)).or_fail(Code::CacheUnusable, unreadable(dir))?;
            for path in inside.into_iter().map(|path| dir.join(path)) {
                let member =
                    describe(&self.root.join(&path)).or_fail(Code::CacheUnusable, unreadable(&path))?;
                self.manifest.members.insert(path, member);
            }
            note.say(format!("hashed {}", dir.display()));
        }
        // What an import would refuse is not written.
        if let Some((path, why)) = self.manifest.unsafe_member() {
            return Err(Error::internal(format!("{} cannot go into an archive", path.display())).seen(why));
        }
        let part = file.with_added_extension("part");
        let written = self.tar(&part, note).and_then(|()| std::fs::rename(&part, file));
        if written.is_err() {
            // Its absence is what is wanted.
            let _ = std::fs::remove_file(&part);
        }
        written.or_fail(Code::CacheUnusable, || format!("cannot write {}", file.display()))?;
        Ok(self.manifest.size())
    }

    fn tar(&self, part: &Path, note: &Note) -> std::io::Result<()> {
        let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 20, File::create(part)?));
        let text = serde_json::to_vec_pretty(&self.manifest)?;
        tar.append_data(&mut header(text.len() as u64, 0o644), MANIFEST, text.as_slice())?;
        for (path, member) in &self.manifest.members {
            match member {
                Member::File { bytes, mode, .. } => {
                    let file = File::open(self.root.join(path))?;
                    tar.append_data(&mut header(*bytes, *mode), path, file.take(*bytes))?;
                }
                Member::Link { to } => {
                    let mut header = header(0, 0o777);
                    header.set_entry_type(tar::EntryType::Symlink);
                    tar.append_link(&mut header, path, to)?;
                }
            }
            if path.ends_with("stamp.json") {
                note.say(format!("wrote {}", path.parent().unwrap_or(path).display()));
            }
        }
        tar.into_inner()?.flush()
    }
}

fn describe(path: &Path) -> std::io::Result<Member> {
    let about = path.symlink_metadata()?;
    if about.is_symlink() {
        return Ok(Member::Link { to: std::fs::read_link(path)? });
    }
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let (mut piece, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        bytes += read as u64;
    }
    Ok(Member::File { sha256: hex(&hash.finalize()), bytes, mode: about.permissions().mode() & 0o755 })
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header
}
