//! A set-up that did not come to its end, and was kept: which of its steps are done. Whoever orders the same world goes on
//! with it, and repeats none of these.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::artifact::cache::Inputs;
use crate::engine;
use crate::layout::Layout;
use crate::lines::{Head, Lines};
use crate::world;
use crate::world_id::WorldId;
use crate::{Code, Error, Result};

/// What was made of a world by now.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The world's id.
    pub world: WorldId,
    /// The steps that are done, each with the manifests that it read.
    pub done: BTreeMap<String, BTreeSet<String>>,
    /// The engine, once it answered.
    pub engine: Option<engine::Record>,
}

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Entry {
    /// What the world is made from.
    From(Inputs),
    /// A step that is done.
    Done {
        step: String,
        reads: BTreeSet<String>,
        #[serde(default)]
        engine: Option<engine::Record>,
    },
}

/// Where a set-up writes down what is done.
pub struct Journal {
    lines: Lines,
    head: Head,
}

impl Begun {
    /// A new world.
    ///
    /// # Errors
    /// [`Code::Internal`] when the kernel gives no random bytes.
    pub fn nothing() -> Result<Self> {
        Ok(Self { world: WorldId::random()?, done: BTreeMap::new(), engine: None })
    }

    /// Whether one was kept half-made.
    pub fn is_kept(layout: &Layout) -> bool {
        world::is_kept(layout) && !world::file(layout).exists() && journal(layout).exists()
    }

    /// The one that was kept half-made, if it is of what the world would be made from `now`. Manifests that no step has read
    /// yet may be other ones.
    ///
    /// # Errors
    /// [`Code::Busy`] naming what is different.
    pub fn kept(layout: &Layout, now: &Inputs) -> Result<Option<Self>> {
        if !Self::is_kept(layout) {
            return Ok(None);
        }
        let (Some(head), entries) = lines(layout).read::<Entry>()? else { return Ok(None) };
        let mut begun = Self { world: head.world, done: BTreeMap::new(), engine: None };
        let mut from = Inputs::default();
        for entry in entries {
            match entry {
                Entry::From(inputs) => from = inputs,
                Entry::Done { step, reads, engine } => {
                    begun.engine = begun.engine.or(engine);
                    begun.done.insert(step, reads);
                }
            }
        }
        let read: BTreeSet<_> = begun.done.values().flatten().collect();
        let unread = |label: &str| label.starts_with("manifests/") && !read.contains(&label.to_owned());
        let from = from.without(unread);
        let different = from.different(now);
        if !different.is_empty() {
            let what =
                "a set-up that did not come to its end was kept, and what it made came from something else";
            return Err(Error::new(Code::Busy, what)
                .seen(format!("different now: {}", different.join(", ")))
                .next("cargo xtask down, then this again"));
        }
        // Images lie in the node: they went with one that was not finished.
        let done: BTreeSet<_> = begun.done.keys().cloned().collect();
        begun.done.retain(|step, _| match step.strip_suffix("/images") {
            Some(cluster) => done.contains(&format!("{cluster}/cluster")),
            None => true,
        });
        Ok(Some(begun))
    }
}

impl Journal {
    /// Of that world; a new one is told what it is made from.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`].
    pub fn of(layout: &Layout, begun: &Begun, from: &Inputs) -> Result<Self> {
        let journal = Self { lines: lines(layout), head: Head::of(&begun.world) };
        // What no step had read may have changed since.
        journal.lines.add(&journal.head, &Entry::From(from.clone()))?;
        Ok(journal)
    }

    /// A step is done.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`].
    pub fn done(&self, step: &str, reads: BTreeSet<String>, engine: Option<&engine::Record>) -> Result<()> {
        self.lines.add(&self.head, &Entry::Done { step: step.to_owned(), reads, engine: engine.cloned() })
    }
}

fn lines(layout: &Layout) -> Lines {
    Lines::at(journal(layout), "list of steps that are done")
}

fn journal(layout: &Layout) -> PathBuf {
    layout.world().join("steps.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(server: &str, agent: &str, clusters: &str) -> Inputs {
        let files = [("manifests/spire/server.yaml", server), ("manifests/spire/agent.yaml", agent)];
        let files = files.into_iter().fold(Inputs::default(), |all, (label, text)| all.with(label, text));
        files.with("the clusters", clusters)
    }

    fn begin(layout: &Layout) -> Journal {
        let begun = Begun::nothing().unwrap();
        let journal = Journal::of(layout, &begun, &inputs("1", "1", "two")).unwrap();
        let done = |step: &str, reads: &[&str]| {
            let reads = reads.iter().map(|file| (*file).to_owned()).collect();
            journal.done(step, reads, None).unwrap();
        };
        done("engine", &[]);
        done("a/images", &[]);
        done("a/spire-server", &["manifests/spire/server.yaml"]);
        world::keep(layout).unwrap();
        journal
    }

    fn steps(begun: &Begun) -> Vec<&str> {
        begun.done.keys().map(String::as_str).collect()
    }

    #[test]
    fn what_no_finished_step_has_read_may_be_mended() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().into(), repo: dir.path().into() };
        assert!(Begun::kept(&layout, &inputs("1", "1", "two")).unwrap().is_none(), "nothing was begun");
        let journal = begin(&layout);
        let begun = Begun::kept(&layout, &inputs("1", "2", "two")).unwrap().unwrap();
        assert_eq!(
            steps(&begun),
            ["a/spire-server", "engine"],
            "images are gone with a node that was not finished"
        );
        for (now, named) in [
            (inputs("2", "1", "two"), "different now: manifests/spire/server.yaml"),
            (inputs("1", "1", "three"), "different now: the clusters"),
        ] {
            let e = Begun::kept(&layout, &now).unwrap_err();
            assert_eq!(e.code(), Code::Busy);
            assert!(e.to_string().contains(named), "{e}");
        }
        journal.done("a/cluster", BTreeSet::new(), None).unwrap();
        let begun = Begun::kept(&layout, &inputs("1", "1", "two")).unwrap().unwrap();
        assert_eq!(steps(&begun), ["a/cluster", "a/images", "a/spire-server", "engine"]);
    }

    #[test]
    fn a_whole_world_and_what_was_killed_are_not_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().into(), repo: dir.path().into() };
        begin(&layout);
        std::fs::write(world::file(&layout), "").unwrap();
        assert!(Begun::kept(&layout, &inputs("1", "1", "two")).unwrap().is_none());
        std::fs::remove_file(world::file(&layout)).unwrap();
        std::fs::remove_file(layout.world().join("kept")).unwrap();
        assert!(Begun::kept(&layout, &inputs("1", "1", "two")).unwrap().is_none());
    }
}
