//! What this run has made, written down *before* each thing is made, so that `down` finds everything after
//! SIGKILL or power loss.
//!
//! One JSON object a line, appended and synced. A line that was cut off in the middle names nothing that was
//! made: the thing comes after its line.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Context as _;
use crate::{Code, Result, engine};

/// Something that outlives the process that makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "made", rename_all = "kebab-case")]
pub enum Thing {
    /// A private engine; all that lives in it goes with it.
    PrivateEngine {
        /// Its state folder.
        state: PathBuf,
        /// Where its programs lie.
        programs: PathBuf,
    },
    /// Networks, containers and volumes with our label, in an engine that was there before us.
    Belongings {
        /// The engine.
        engine: engine::Record,
        /// The label's value.
        owner: String,
    },
}

/// The file.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
}

impl Ledger {
    /// The ledger of the world in `dir`.
    pub fn of(dir: &Path) -> Self {
        Self { path: dir.join("ledger.jsonl") }
    }

    /// Writes down what is about to be made.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`]: then nothing may be made.
    pub fn will_make(&self, thing: &Thing) -> Result<()> {
        let fail = || format!("cannot write the ledger {}", self.path.display());
        let mut line = serde_json::to_string(thing).or_fail(Code::Internal, fail)?;
        line.push('\n');
        let dir = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir).or_fail(Code::CacheUnusable, fail)?;
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .or_fail(Code::CacheUnusable, fail)?;
        file.write_all(line.as_bytes()).or_fail(Code::CacheUnusable, fail)?;
        file.sync_all().or_fail(Code::CacheUnusable, fail)?;
        File::open(dir).and_then(|d| d.sync_all()).or_fail(Code::CacheUnusable, fail)
    }

    /// Everything written down, oldest first; none if there is no ledger.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`] when it exists and cannot be read.
    pub fn things(&self) -> Result<Vec<Thing>> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e)
                .or_fail(Code::CacheUnusable, || format!("cannot read the ledger {}", self.path.display())),
        }
    }

    /// Everything was taken away: the ledger goes too.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`].
    pub fn close(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e)
                .or_fail(Code::CacheUnusable, || format!("cannot remove the ledger {}", self.path.display())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_off_in_the_middle_loses_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(dir.path());
        assert!(ledger.things().unwrap().is_empty());
        let thing = |name: &str| Thing::PrivateEngine { state: name.into(), programs: "p".into() };
        ledger.will_make(&thing("first")).unwrap();
        ledger.will_make(&thing("second")).unwrap();
        let path = dir.path().join("ledger.jsonl");
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        assert_eq!(ledger.things().unwrap(), [thing("first")]);
        ledger.close().unwrap();
        ledger.close().unwrap();
    }
}
