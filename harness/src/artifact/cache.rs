//! The content-addressed store: `artifacts/<name>-<hash of its inputs>/`, whole or absent.
//!
//! An artifact is made in a hidden sibling folder and renamed when it is whole, so half of one is never seen.
//! The hash covers everything that goes in, also the hashes of the artifacts it is made of: what did not
//! change is not built again, and what depends on a change is.
//!
//! An artifact is used only as it was made. Its stamp has a hash over the content of every file, and a [print](Print)
//! of what the file system says of them: size, time of the last change and inode. Gigabytes are not hashed each time:
//! the print is compared whenever an artifact is looked for, which costs nothing beside listing its files, and only
//! when it differs is the content hashed again. A write to a file changes its print, whoever made it; a disk that
//! returns other bytes does not, and is what [`Cache::damage`] looks for with `images verify`.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::print::{self, Print, STAMP};
pub use super::print::{Size, files_below, hex};
use crate::error::Context as _;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Code, Error, Result, patience};

/// The store below one folder.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// What an artifact is made of: labels and the hashes of what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs(BTreeMap<String, String>);

/// An artifact that lies in the store.
#[derive(Clone, Debug)]
pub struct Cached {
    /// Its folder.
    pub dir: PathBuf,
    /// What is known about it.
    pub stamp: Stamp,
}

/// What is written beside an artifact.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// Its name.
    pub name: String,
    /// What it was made of.
    pub inputs: Inputs,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How much it is.
    #[serde(rename = "extent")]
    pub size: Size,
    /// What is in it. None was written by an older program: whatever is there when it is first looked for counts.
    #[serde(default)]
    pub print: Option<Print>,
    /// What its builder wanted remembered: versions, digests.
    pub about: Value,
}

impl Inputs {
    /// Adds a value.
    #[must_use]
    pub fn with(mut self, label: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.0.insert(label.into(), hex(&Sha256::digest(value)));
        self
    }

    /// Adds every file below `dir`, except what `skip` names by its path relative to `dir`.
    ///
    /// # Errors
    /// [`Code::Internal`] when the checkout cannot be read.
    pub fn with_folder(mut self, dir: &Path, skip: impl Fn(&Path) -> bool) -> Result<Self> {
        for file in files_below(dir).or_fail(Code::Internal, || format!("cannot read {}", dir.display()))? {
            if !skip(&file) {
                let path = dir.join(&file);
                let bytes = std::fs::read(&path)
                    .or_fail(Code::Internal, || format!("cannot read {}", path.display()))?;
                self = self.with(file.display().to_string(), bytes);
            }
        }
        Ok(self)
    }

    /// Adds all of `other`, each label below `folder`.
    #[must_use]
    pub fn with_all(mut self, folder: &str, other: Self) -> Self {
        self.0.extend(other.0.into_iter().map(|(label, value)| (format!("{folder}/{label}"), value)));
        self
    }

    /// Without what those labels stand for.
    #[must_use]
    pub fn without(mut self, labels: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|label, _| !labels(label));
        self
    }

    /// The labels of what is not the same in `now`.
    pub fn different(&self, now: &Self) -> Vec<&str> {
        let changed = self.0.iter().filter(|(label, value)| now.0.get(*label) != Some(*value));
        changed.map(|(label, _)| label.as_str()).collect()
    }

    /// The first 16 hex digits of the hash over all of it.
    pub fn key(&self) -> String {
        let mut all = Sha256::new();
        for (label, value) in &self.0 {
            all.update(format!("{label}\0{value}\n"));
        }
        hex(&all.finalize())[..16].to_owned()
    }
}

impl Cache {
    /// A store below `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The artifact, if it is there and whole.
    pub fn find(&self, name: &str, inputs: &Inputs) -> Option<Cached> {
        let dir = self.place(name, inputs);
        let stamp = Stamp::read(&dir).filter(|stamp| stamp.name == name && stamp.inputs == *inputs)?;
        let mut entry = Cached { dir, stamp };
        entry.is_as_made().then_some(entry)
    }

    /// Whether what lies in that folder of the store is what was made.
    pub fn is_as_made(&self, folder: &Path) -> bool {
        let dir = self.root.join(folder);
        Stamp::read(&dir).is_some_and(|stamp| Cached { dir, stamp }.is_as_made())
    }

    /// Whether an artifact that was not [found](Cache::find) is there all the same, and not as it was made.
    pub fn is_damaged(&self, name: &str, inputs: &Inputs) -> bool {
        self.place(name, inputs).join(STAMP).exists()
    }

    /// Reads everything that is there, and names what is not as it was made.
    pub fn damage(&self) -> Vec<Cached> {
        let as_made = |entry: &Cached| {
            let content = entry.stamp.print.as_ref().map(|print| &print.content);
            let (size, _) = print::look(&entry.dir).ok()?;
            let same = size == entry.stamp.size
                && content.is_none_or(|made| print::content(&entry.dir).is_ok_and(|is| is == *made));
            same.then_some(())
        };
        let mut damaged = self.entries();
        damaged.retain(|entry| as_made(entry).is_none());
        damaged
    }

    /// Everything that has a stamp, of whatever inputs it was made.
    pub fn entries(&self) -> Vec<Cached> {
        let folders = std::fs::read_dir(&self.root).into_iter().flatten().flatten();
        let shown = folders.filter(|folder| !folder.file_name().to_string_lossy().starts_with('.'));
        shown
            .filter_map(|folder| Some(Cached { stamp: Stamp::read(&folder.path())?, dir: folder.path() }))
            .collect()
    }

    /// How long any earlier version of it took.
    pub fn last_seconds(&self, name: &str) -> Option<f64> {
        let own = self.entries().into_iter().filter(|entry| entry.stamp.name == name);
        let written = |entry: &Cached| std::fs::metadata(&entry.dir).and_then(|found| found.modified());
        own.max_by_key(|entry| written(entry).unwrap_or(SystemTime::UNIX_EPOCH))
            .map(|entry| entry.stamp.seconds)
    }

    /// Takes an artifact out.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`] when the store cannot be written.
    pub fn remove(&self, entry: &Cached) -> Result<()> {
        // Without its stamp nobody finds it, however far this gets.
        std::fs::remove_file(entry.dir.join(STAMP))
            .and_then(|()| remove(&entry.dir))
            .or_fail(Code::CacheUnusable, || format!("cannot remove {}", entry.dir.display()))
    }

    /// Waits until no other process makes this artifact, telling who does, and keeps others from it until dropped.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`] when the store cannot be written; [`Code::TimedOut`], naming the other process.
    pub async fn claim(&self, name: &str, note: &Note) -> Result<File> {
        let path = self.root.join(format!(".{name}.lock"));
        let unusable = || format!("cannot write to the cache {}", self.root.display());
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = std::fs::create_dir_all(&self.root)
            .and_then(|()| open())
            .or_fail(Code::CacheUnusable, unusable)?;
        wait::eventually(&format!("the lock of {name}"), patience::BUILD * 2, note, async || {
            match file.try_lock() {
                Ok(()) => Look::Ready(()),
                Err(TryLockError::WouldBlock) => {
                    let holder = std::fs::read_to_string(&path).unwrap_or_default();
                    let holder = if holder.is_empty() { "another process" } else { holder.trim() };
                    Look::NotYet(format!("{holder} has it, in {}", path.display()))
                }
                Err(TryLockError::Error(e)) => {
                    Look::Never(Error::new(Code::CacheUnusable, unusable()).because(e))
                }
            }
        })
        .await?;
        file.set_len(0)
            .and_then(|()| write!(file, "process {}", std::process::id()))
            .or_fail(Code::CacheUnusable, unusable)?;
        Ok(file)
    }

    /// Starts an artifact, claimed before: an empty folder, of which nobody knows until [`Draft::finish`].
    ///
    /// # Errors
    /// As [`Cache::claim`].
    pub fn begin(&self, name: &str, inputs: Inputs) -> Result<Draft> {
        let dir = self.root.join(format!(".{name}.making"));
        // What an interrupted build left: the claim says that nobody works on it.
        remove(&dir)
            .and_then(|()| std::fs::create_dir_all(&dir))
            .or_fail(Code::CacheUnusable, || format!("cannot write to the cache {}", dir.display()))?;
        Ok(Draft { place: self.place(name, &inputs), name: name.to_owned(), inputs, dir })
    }

    /// Where the last build of `name` wrote its log.
    pub fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    fn place(&self, name: &str, inputs: &Inputs) -> PathBuf {
        self.root.join(format!("{name}-{}", inputs.key()))
    }
}

impl Cached {
    /// Whether what lies there is what was made.
    fn is_as_made(&mut self) -> bool {
        let Ok((size, seen)) = print::look(&self.dir) else { return false };
        if size != self.stamp.size {
            return false;
        }
        if self.stamp.print.as_ref().is_some_and(|print| print.seen == seen) {
            return true;
        }
        let Ok(content) = print::content(&self.dir) else { return false };
        if self.stamp.print.as_ref().is_some_and(|print| print.content != content) {
            return false;
        }
        // Copied, or restored: the same bytes in other files. Next time the look will do.
        self.stamp.print = Some(Print { content, seen });
        // A store that cannot be written is read once more the next time.
        let _ = self.stamp.write(&self.dir);
        true
    }
}

impl Stamp {
    fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(dir.join(STAMP)).ok()?).ok()
    }

    /// Whole or not at all: others may read it.
    fn write(&self, dir: &Path) -> std::io::Result<()> {
        let readable = std::fs::Permissions::from_mode(0o644);
        let mut file =
            tempfile::Builder::new().permissions(readable).tempfile_in(dir.parent().unwrap_or(dir))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.persist(dir.join(STAMP)).map(drop).map_err(|e| e.error)
    }
}

/// An artifact in the making. Dropped unfinished, it is what the next build of that name clears away.
#[derive(Debug)]
pub struct Draft {
    name: String,
    inputs: Inputs,
    place: PathBuf,
    /// The folder to fill.
    pub dir: PathBuf,
}

impl Draft {
    /// Declares it whole.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`] when the store cannot be written.
    pub fn finish(self, took: Duration, about: Value) -> Result<Cached> {
        self.publish(took, about)
            .or_fail(Code::CacheUnusable, || format!("cannot keep {} in the cache", self.name))
    }

    fn publish(&self, took: Duration, about: Value) -> std::io::Result<Cached> {
        let content = print::content(&self.dir)?;
        let (size, seen) = print::look(&self.dir)?;
        let stamp = Stamp {
            name: self.name.clone(),
            inputs: self.inputs.clone(),
            seconds: took.as_secs_f64(),
            size,
            print: Some(Print { content, seen }),
            about,
        };
        stamp.write(&self.dir)?;
        remove(&self.place)?;
        std::fs::rename(&self.dir, &self.place)?;
        Ok(Cached { dir: self.place.clone(), stamp })
    }
}

/// Removes a folder; that it is gone already is what was wanted.
///
/// # Errors
/// Anything else that keeps it there.
pub fn remove(dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
