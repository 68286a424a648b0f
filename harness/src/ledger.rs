//! What this cache's world has made, written down *before* each thing is made, so that `down` finds everything after
//! SIGKILL or power loss; and the id that all of it carries.

use std::path::{Path, PathBuf};

use proof::topology::ClusterName;
use serde::{Deserialize, Serialize};

use crate::lines::{Head, Lines};
use crate::world_id::WorldId;
use crate::{Result, engine};

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
    /// A network with our label, and the nodes on it, in an engine that was there before us.
    Belongings {
        /// The engine.
        engine: engine::Record,
        /// The label's value.
        owner: String,
        /// The clusters whose nodes are ours; every kind cluster's on that network where an older version wrote this.
        #[serde(default)]
        clusters: Option<Vec<ClusterName>>,
    },
    /// An image in an engine that was there before us.
    Image {
        /// The engine.
        engine: engine::Record,
        /// Its name there.
        reference: String,
        /// Its id.
        id: String,
        /// What had that name before.
        before: Option<String>,
    },
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::PrivateEngine { state, .. } => {
                write!(f, "a private engine in {}, with all nodes in it", state.display())
            }
            Self::Belongings { engine, owner, .. } => {
                write!(f, "the network and the nodes of {owner} in the engine at {}", engine.host())
            }
            Self::Image { engine, reference, .. } => {
                write!(f, "the image {reference} in the engine at {}", engine.host())
            }
        }
    }
}

/// The file of one world.
#[derive(Clone, Debug)]
pub struct Ledger {
    lines: Lines,
    head: Head,
}

impl Ledger {
    /// The ledger of a new world in `dir`; nothing is written before something is made.
    pub fn begin(dir: &Path, world: &WorldId) -> Self {
        Self { lines: lines(dir), head: Head::of(world) }
    }

    /// Writes down what is about to be made.
    ///
    /// # Errors
    /// [`crate::Code::CacheUnusable`]: then nothing may be made.
    pub fn will_make(&self, thing: &Thing) -> Result<()> {
        self.lines.add(&self.head, thing)
    }

    /// The world that it is of.
    pub fn world(&self) -> &WorldId {
        &self.head.world
    }
}

/// Everything written down in `dir`, oldest first; none if there is no ledger.
///
/// # Errors
/// [`crate::Code::CacheUnusable`] when it exists and cannot be read.
pub fn things(dir: &Path) -> Result<Vec<Thing>> {
    Ok(lines(dir).read()?.1)
}

/// Everything was taken away: the ledger goes too.
///
/// # Errors
/// [`crate::Code::CacheUnusable`].
pub fn close(dir: &Path) -> Result<()> {
    lines(dir).remove()
}

fn lines(dir: &Path) -> Lines {
    Lines::at(dir.join("ledger.jsonl"), "ledger")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[test]
    fn what_was_written_down_is_there_until_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::begin(dir.path(), &WorldId::random().unwrap());
        assert!(things(dir.path()).unwrap().is_empty());
        let engine = Thing::PrivateEngine { state: "state".into(), programs: "programs".into() };
        ledger.will_make(&engine).unwrap();
        assert_eq!(things(dir.path()).unwrap(), [engine]);
        close(dir.path()).unwrap();
        close(dir.path()).unwrap();
    }

    /// As 289a290 wrote them.
    #[test]
    fn older_ledgers_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let text = concat!(
            r#"{"made":"private-engine","state":"/c/engine","programs":"/c/programs"}"#,
            "\n",
            r#"{"made":"belongings","engine":{"engine":"system","host":"unix:///d.sock"},"owner":"/c/world"}"#,
            "\n"
        );
        std::fs::write(dir.path().join("ledger.jsonl"), text).unwrap();
        let [private, system] = &things(dir.path()).unwrap()[..] else { panic!("two things") };
        assert_eq!(private.to_string(), "a private engine in /c/engine, with all nodes in it");
        assert!(matches!(system, Thing::Belongings { owner, clusters: None, .. } if owner == "/c/world"));
    }

    #[test]
    fn a_thing_that_is_not_known_is_not_dropped() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ledger.jsonl"), "{\"made\":\"moon\"}\n").unwrap();
        let e = things(dir.path()).unwrap_err();
        assert_eq!(e.code(), Code::CacheUnusable);
        assert!(e.to_string().contains("line 1 of the ledger") && e.to_string().contains("moon"), "{e}");
    }
}
