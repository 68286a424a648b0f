//! What a run judged, from its report's folder, and which statements that settles.

use std::path::Path;

use harness::{Code, Error, Result};
use proof::claim::Kind;
use proof::topology::Topology;
use proof::verdict::{Outcome, Verdict};
use scenarios::Line;
use serde::Deserialize;

use super::data::{Checklist, Claims};
use super::sentence::{says, tagged};

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// Its worlds.
    pub worlds: Vec<Shown>,
    verdicts: Vec<Line>,
}

/// A world of the run; its file says more than is needed here.
#[derive(Debug, Deserialize)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// The set-ups that were shown in it, with commas between.
    pub setup: String,
    /// Its clusters.
    pub topology: Topology,
}

impl Shown {
    /// The set-ups that were shown in it.
    pub fn setups(&self) -> impl Iterator<Item = &str> {
        self.setup.split(',')
    }
}

impl Run {
    /// Reads a report's folder.
    ///
    /// # Errors
    /// [`Code::Usage`] when it is none.
    pub fn read(report: &Path) -> Result<Self> {
        let listing = std::fs::read_dir(report)
            .map_err(|e| no_report(format!("cannot list {}", report.display())).because(e))?;
        let mut worlds = Vec::new();
        for entry in listing.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("world-") && name.ends_with(".json") {
                worlds.push(json(&read(&entry.path())?, &name)?);
            }
        }
        if worlds.is_empty() {
            return Err(no_report(format!("{} names no world", report.display())));
        }
        let lines = read(&report.join("verdicts.jsonl"))?;
        let verdicts = lines.lines().map(|line| json(line, "verdicts.jsonl")).collect::<Result<_>>()?;
        Ok(Self { worlds, verdicts })
    }

    /// How many statements this run has to settle, and which of them it does not, in words.
    pub fn unsettled(&self, list: &Checklist) -> (usize, Vec<String>) {
        let mut all = 0;
        let mut unsettled = Vec::new();
        for item in &list.items {
            let Some(claims) = item.state.claims() else { continue };
            let Some(world) = self.world(claims) else { continue };
            all += 1;
            let wrong = claims.sentences.iter().find_map(|sentence| self.wrong(world, &item.id, sentence));
            unsettled.extend(wrong.map(|wrong| format!("{}: {wrong}", item.id)));
        }
        (all, unsettled)
    }

    /// The claims that a statement's tag stands before in that world, without the tag; none when one is broken.
    pub fn held_for<'a>(&'a self, world: &Shown, id: &str) -> Vec<&'a str> {
        let judged = || self.of(world).filter(|(tags, _, _)| tags.contains(&id));
        match judged().all(|(_, _, verdict)| verdict.held()) {
            true => judged().map(|(_, sentence, _)| sentence).collect(),
            false => Vec::new(),
        }
    }

    fn world(&self, claims: &Claims) -> Option<&Shown> {
        self.worlds.iter().find(|world| world.setups().any(|setup| setup == claims.setup))
    }

    /// What is wrong with a sentence that settles a statement, if anything is.
    fn wrong(&self, world: &Shown, id: &str, sentence: &str) -> Option<String> {
        let said = || {
            let kind = Kind::named(sentence);
            self.of(world).filter(move |(tags, claim, verdict)| match kind {
                Some(kind) => verdict.id.kind == kind,
                None => (tags.is_empty() || tags.contains(&id)) && says(claim, sentence),
            })
        };
        match said().find(|(_, _, verdict)| !verdict.held()) {
            Some((_, _, v)) => {
                let word = if v.verdict == Outcome::Broken { "broken" } else { "unjudged" };
                Some(format!("{word}: {}, observed {}", v.claim, v.observed))
            }
            None if said().next().is_none() => {
                Some(format!("no verdict in the world {} says `{sentence}`", world.name))
            }
            None => None,
        }
    }

    /// The verdicts of a world: tags, sentence and all.
    fn of<'a>(&'a self, world: &Shown) -> impl Iterator<Item = (Vec<&'a str>, &'a str, &'a Verdict)> {
        self.verdicts.iter().filter(|line| line.world == world.name).map(|line| {
            let (tags, sentence) = tagged(&line.verdict.claim);
            (tags, sentence, &line.verdict)
        })
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| no_report(format!("cannot read {}", path.display())).because(e))
}

fn json<T: for<'de> Deserialize<'de>>(text: &str, name: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| no_report(format!("{name} is malformed")).because(e))
}

fn no_report(what: String) -> Error {
    Error::new(Code::Usage, what).next("name a report's folder, such as target/vouchsafe/latest")
}
