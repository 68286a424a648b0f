//! A report as it is stored: a folder, or the one file that `pack` makes of it. Both are read into memory, so what an
//! archive says of paths and links reaches no file system.

mod pack;

use std::collections::BTreeMap;
use std::path::Path;

use harness::artifact::cache::files_below;
use harness::{Code, Error, Result};
use proof::manifest::{self, Manifest};

/// The most that all files of a report may have together: some hundred times what a run leaves, and no danger to the
/// machine that reads it.
const LIMIT: u64 = 1 << 30;

/// The files of a report.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    /// What it is called on the command line.
    pub name: String,
    /// By their path below the folder, with `/`.
    files: BTreeMap<String, Vec<u8>>,
}

impl Stored {
    /// Reads a report's folder, or a packed one; nothing when the path is that of any other file.
    ///
    /// # Errors
    /// [`Code::Usage`] when it cannot be read; [`Code::Evidence`] when something in it has no place in a report.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        if path.is_dir() { Self::folder(path).map(Some) } else { Self::packed(path) }
    }

    /// Reads a folder. Links are not followed: a run writes none.
    ///
    /// # Errors
    /// As [`Stored::open`].
    pub fn folder(dir: &Path) -> Result<Self> {
        let name = dir.display().to_string();
        let fail = |path: &Path, e: std::io::Error| {
            Error::new(Code::Usage, format!("cannot read {}", path.display())).because(e)
        };
        // It may be a link itself: `latest` is.
        let dir = dir.canonicalize().map_err(|e| fail(dir, e))?;
        let (mut files, mut all) = (BTreeMap::new(), 0);
        for file in files_below(&dir).map_err(|e| fail(&dir, e))? {
            let path = dir.join(&file);
            let about = path.symlink_metadata().map_err(|e| fail(&path, e))?;
            all += about.len();
            if !about.is_file() {
                return Err(strange(&name, &file.display().to_string(), "it is no plain file"));
            }
            if all > LIMIT {
                return Err(too_large(&name, LIMIT));
            }
            let content = std::fs::read(&path).map_err(|e| fail(&path, e))?;
            files.insert(file.display().to_string(), content);
        }
        Ok(Self { name, files })
    }

    /// Its manifest, if the run came to write one.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it cannot be read.
    pub fn manifest(&self) -> Result<Option<Manifest>> {
        let read = self.files.get(manifest::FILE).map(|json| Manifest::read(json)).transpose();
        read.map_err(|e| Error::new(e.code(), self.name.clone()).because(e))
    }

    /// Whether it is what its run left.
    ///
    /// # Errors
    /// [`Code::Evidence`] naming what is missing or altered, or that nothing says what there must be.
    pub fn whole(&self) -> Result<Manifest> {
        let Some(manifest) = self.manifest()? else {
            let what = format!("{} has no {}", self.name, manifest::FILE);
            let why = "a run writes it last: this one was interrupted or is still at work, or an older version made it";
            return Err(Error::new(Code::Evidence, what).seen(why).next(self.one_by_one()));
        };
        let altered = |e: Error| {
            Error::new(e.code(), format!("{} is not what its run left", self.name))
                .because(e)
                .next(self.one_by_one())
        };
        manifest.check(self.covered()).map_err(altered)?;
        Ok(manifest)
    }

    /// What a manifest covers.
    pub fn covered(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let all = self.files.iter().map(|(name, content)| (name.as_str(), content.as_slice()));
        all.filter(|(name, _)| *name != manifest::FILE)
    }

    /// A file as text; nothing when there is none of that name.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it is no text.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        let what = || Error::new(Code::Evidence, format!("{}/{name} is no text", self.name));
        let read = |content| std::str::from_utf8(content).map_err(|e| what().because(e));
        self.files.get(name).map(|content| read(content.as_slice())).transpose()
    }

    /// A folder that is not whole is not judged as one; whoever wants to know all the same asks each document.
    fn one_by_one(&self) -> String {
        format!("judge single documents of it, unpacked: cargo xtask judge {}/evidence/*.json", self.name)
    }
}

fn strange(report: &str, file: &str, why: &str) -> Error {
    Error::new(Code::Evidence, format!("{report} has {file}, which no run writes")).seen(why)
}

fn too_large(report: &str, limit: u64) -> Error {
    let what = format!("{report} has more than {} MiB, which no run writes", limit >> 20);
    Error::new(Code::Evidence, what)
}

#[cfg(test)]
mod tests;
