//! A file of what must be known after SIGKILL or power loss: one JSON object a line, each written and synced *before* what
//! it names is done.
//!
//! A last line that was cut off in the middle names nothing that was done, and is passed over. Any other line that cannot
//! be read is refused: to drop it would lose what it names.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Context as _;
use crate::world_id::WorldId;
use crate::{Code, Error, Result};

/// Grows when a line means something that an older program would misread.
const FORM: u32 = 2;

/// The first line: who wrote it, and of which world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    form: u32,
    version: String,
    /// The world that the lines are of.
    pub world: WorldId,
}

impl Head {
    /// That of this program.
    pub fn of(world: &WorldId) -> Self {
        Self { form: FORM, version: env!("CARGO_PKG_VERSION").to_owned(), world: world.clone() }
    }
}

/// What was read: the head, which the oldest form has not, and the entries, oldest first.
pub type Read<T> = (Option<Head>, Vec<T>);

/// The file.
#[derive(Clone, Debug)]
pub struct Lines {
    path: PathBuf,
    /// What an error calls it.
    what: &'static str,
}

impl Lines {
    /// The file at `path`; nothing is touched.
    pub fn at(path: PathBuf, what: &'static str) -> Self {
        Self { path, what }
    }

    /// Writes an entry down, below a head if it is the first.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`]: then what it names must not be done.
    pub fn add(&self, head: &Head, entry: &impl Serialize) -> Result<()> {
        let fail = || format!("cannot write the {} {}", self.what, self.path.display());
        let internal = |e| Error::internal(fail()).because(e);
        let (head, entry) = (serde_json::to_string(head), serde_json::to_string(entry));
        let (head, entry) = (head.map_err(internal)?, entry.map_err(internal)?);
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(dir)?;
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            // What was cut off would swallow the next line.
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::Start(whole as u64))?;
            let head = if whole == 0 { head + "\n" } else { String::new() };
            file.write_all(format!("{head}{entry}\n").as_bytes())?;
            file.sync_all()?;
            File::open(dir)?.sync_all()
        };
        write().or_fail(Code::CacheUnusable, fail)
    }

    /// Everything written down; nothing if there is no file.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`] naming the line that cannot be read, and the version that wrote it if that is newer.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Read<T>> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((None, Vec::new())),
            Err(e) => {
                let what = format!("cannot read the {} {}", self.what, self.path.display());
                return Err(Error::new(Code::CacheUnusable, what).because(e));
            }
        };
        let mut lines: Vec<_> = text.split_inclusive('\n').enumerate().collect();
        // Only a last line can be without its end.
        if lines.last().is_some_and(|(_, line)| !line.ends_with('\n')) {
            lines.pop();
        }
        let head = lines.first().and_then(|(_, line)| serde_json::from_str::<Head>(line).ok());
        if let Some(newer) = head.as_ref().filter(|head| head.form > FORM) {
            let what = format!(
                "the {} {} was written by Vouchsafe {}, in a form ({}) that this version does not know",
                self.what,
                self.path.display(),
                newer.version,
                newer.form
            );
            return Err(Error::new(Code::CacheUnusable, what)
                .next(format!("cargo xtask down of version {}; nothing was touched", newer.version)));
        }
        let entries = lines.into_iter().skip(usize::from(head.is_some()));
        let entries = entries.map(|(at, line)| {
            serde_json::from_str(line).map_err(|e| self.unreadable(at + 1, head.as_ref(), e))
        });
        let entries = entries.collect::<Result<_>>()?;
        Ok((head, entries))
    }

    /// Everything that it names is done with.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`].
    pub fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).or_fail(Code::CacheUnusable, || {
                format!("cannot remove the {} {}", self.what, self.path.display())
            }),
            _ => Ok(()),
        }
    }

    fn unreadable(&self, line: usize, head: Option<&Head>, why: serde_json::Error) -> Error {
        let version =
            head.map_or("an older version".to_owned(), |head| format!("Vouchsafe {}", head.version));
        let what = format!(
            "line {line} of the {} {} cannot be read (written by {version}, read by {})",
            self.what,
            self.path.display(),
            env!("CARGO_PKG_VERSION")
        );
        Error::new(Code::CacheUnusable, what)
            .because(why)
            .next("look at that line: take away by hand what it names, then the line; nothing was touched")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct File {
        dir: tempfile::TempDir,
        lines: Lines,
        head: Head,
    }

    fn file() -> File {
        let dir = tempfile::tempdir().unwrap();
        let lines = Lines::at(dir.path().join("lines"), "ledger");
        File { dir, lines, head: Head::of(&WorldId::parse("0123456789ab").unwrap()) }
    }

    impl File {
        fn text(&self) -> String {
            std::fs::read_to_string(self.dir.path().join("lines")).unwrap()
        }

        fn put(&self, text: &str) {
            std::fs::write(self.dir.path().join("lines"), text).unwrap();
        }

        fn read(&self) -> Result<Read<u8>> {
            self.lines.read()
        }
    }

    #[test]
    fn a_last_line_cut_off_loses_nothing_else_not_even_the_next() {
        let file = file();
        assert_eq!(file.read().unwrap(), (None, vec![]));
        file.lines.add(&file.head, &10).unwrap();
        file.lines.add(&file.head, &20).unwrap();
        let whole = file.text();
        file.put(&whole[..whole.len() - 2]);
        assert_eq!(file.read().unwrap(), (Some(file.head.clone()), vec![10]));
        file.lines.add(&file.head, &30).unwrap();
        assert_eq!(file.read().unwrap(), (Some(file.head.clone()), vec![10, 30]));
    }

    #[test]
    fn a_head_cut_off_is_written_again() {
        let file = file();
        file.put("{\"form\":2,\"ver");
        assert_eq!(file.read().unwrap(), (None, vec![]));
        file.lines.add(&file.head, &10).unwrap();
        assert_eq!(file.read().unwrap(), (Some(file.head.clone()), vec![10]));
    }

    #[test]
    fn a_line_in_the_midst_that_cannot_be_read_is_named() {
        let file = file();
        file.lines.add(&file.head, &10).unwrap();
        file.put(&format!("{}rubbish\n20\n", file.text()));
        let e = file.read().unwrap_err();
        assert_eq!(e.code(), Code::CacheUnusable);
        assert!(e.what().starts_with("line 3 of the ledger "), "{e}");
        assert!(e.what().contains(concat!("written by Vouchsafe ", env!("CARGO_PKG_VERSION"))), "{e}");
    }

    #[test]
    fn the_oldest_form_has_no_head() {
        let file = file();
        file.put("10\n20\n");
        assert_eq!(file.read().unwrap(), (None, vec![10, 20]));
    }

    #[test]
    fn a_form_of_the_future_is_left_to_the_version_that_wrote_it() {
        let file = file();
        file.put("{\"form\":3,\"version\":\"9.9.9\",\"world\":\"0123456789ab\",\"more\":1}\n\"?\"\n");
        let e = file.read().unwrap_err();
        assert_eq!(e.code(), Code::CacheUnusable);
        assert!(e.what().contains("written by Vouchsafe 9.9.9, in a form (3)"), "{e}");
        assert_eq!(e.advice(), Some("cargo xtask down of version 9.9.9; nothing was touched"));
    }
}
