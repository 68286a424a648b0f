//! What a run judged, from its report's folder, and which statements that settles.

use std::path::Path;

use harness::{Code, Error, Result};
use proof::verdict::{Line, Outcome, Verdict};
use serde::Deserialize;

use super::data::{Checklist, Claims};
use super::registry::name_of;

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// Its worlds.
    pub worlds: Vec<Shown>,
    verdicts: Vec<Line>,
}

/// Why a run does not settle a statement. Only the first of these says anything about the statement.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A claim did not hold, in words.
    Broken(String),
    /// A claim could be judged neither way, in words.
    Unjudged(String),
    /// No verdict is about it, in words.
    Absent(String),
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken(words) => write!(f, "broken: {words}"),
            Self::Unjudged(words) => write!(f, "unjudged: {words}"),
            Self::Absent(words) => f.write_str(words),
        }
    }
}

/// A world of the run; its file says more than is needed here.
#[derive(Debug, Deserialize)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// The set-ups that were shown in it, with commas between.
    pub setup: String,
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

    /// How many statements this run has to settle, and which of them it does not.
    pub fn unsettled(&self, list: &Checklist) -> (usize, Vec<(String, Wrong)>) {
        let mut all = 0;
        let mut unsettled = Vec::new();
        for item in &list.items {
            let Some(claims) = item.state.claims() else { continue };
            let Some(world) = self.world(claims) else { continue };
            all += 1;
            let wrong = claims.names.iter().find_map(|name| self.wrong(world, name));
            unsettled.extend(wrong.map(|wrong| (item.id.to_string(), wrong)));
        }
        (all, unsettled)
    }

    fn world(&self, claims: &Claims) -> Option<&Shown> {
        self.worlds.iter().find(|world| world.setups().any(|setup| setup == claims.setup))
    }

    /// What is wrong with the claims that the list calls so, if anything is.
    pub fn wrong(&self, world: &Shown, name: &str) -> Option<Wrong> {
        let said = || self.of(world).filter(|verdict| name_of(&verdict.id) == name);
        let found = |outcome| said().find(|verdict| verdict.verdict == outcome);
        let told = |v: &Verdict| format!("{}, observed {}", v.claim, v.observed);
        match (found(Outcome::Broken), found(Outcome::Unjudged)) {
            (Some(broken), _) => Some(Wrong::Broken(told(broken))),
            (None, Some(unjudged)) => Some(Wrong::Unjudged(told(unjudged))),
            (None, None) if said().next().is_none() => {
                Some(Wrong::Absent(format!("no verdict in the world {} is of `{name}`", world.name)))
            }
            (None, None) => None,
        }
    }

    /// The verdicts of a world.
    fn of(&self, world: &Shown) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|line| line.world == world.name).map(|line| &line.verdict)
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
