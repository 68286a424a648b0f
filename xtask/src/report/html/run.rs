//! What a report's folder says of its run, read back: nothing is judged and nothing is known beyond it, so the page of a
//! folder that somebody sends is the page that its run wrote.

use std::path::Path;

use harness::error::Context as _;
use harness::history;
use harness::world::World;
use harness::{Code, Error, Result};
use jiff::Timestamp;
use proof::evidence::Evidence;
use proof::verdict::{Line, Outcome};
use scenarios::Failure;

use super::begun::{self, Begun};
use crate::due::Due;
use crate::report::{Tally, files};

/// One run.
#[derive(Default)]
pub struct Run {
    /// When it began.
    pub at: Option<Timestamp>,
    /// The command, as it was typed.
    pub asked: Option<String>,
    /// The last lines of `report.md`; nothing where the run never came to write it.
    pub told: Option<Told>,
    /// The error that ended it, whole.
    pub failure: Option<String>,
    /// The steps that began, by the log.
    pub begun: Vec<Begun>,
    /// What was found and could not be read.
    pub unreadable: Vec<String>,
    /// World by world.
    pub worlds: Vec<Shown>,
}

/// How a run ended, by its own words.
#[derive(Default)]
pub struct Told {
    /// What it measured.
    pub measures: Vec<String>,
    /// How long all of it took: `22.5 s`.
    pub took: Option<String>,
    /// The code of the error that ended it, and its sentence.
    pub ended: Option<(String, String)>,
}

/// One world of a run.
pub struct Shown {
    /// Its name.
    pub name: String,
    /// What was written down of it; nothing where it was not made.
    pub world: Option<World>,
    /// What came of its claims, in the order in which the verdicts fell.
    pub lines: Vec<Line>,
    /// What was observed, the earliest first.
    pub documents: Vec<Document>,
    /// What its proxies held over time.
    pub history: Vec<history::Line>,
}

/// One document of evidence.
pub struct Document {
    /// Its path within the folder.
    pub file: String,
    /// What it says.
    pub evidence: Evidence,
}

impl Run {
    /// Reads a folder.
    ///
    /// # Errors
    /// [`Code::Usage`] when it is no report's.
    pub fn read(dir: &Path) -> Result<Self> {
        let told = std::fs::read_to_string(dir.join("report.md")).ok();
        let mut worlds: Vec<_> = files(dir, "json").into_iter().filter_map(|path| world_of(&path)).collect();
        worlds.sort_by_key(|(_, world)| made(world));
        if told.is_none() && worlds.is_empty() && !dir.join("evidence").is_dir() {
            return Err(Error::new(Code::Usage, format!("{} is no report's folder", dir.display()))
                .next("name a folder below target/vouchsafe/; nothing was touched"));
        }
        let lines: Vec<Line> = lines(dir, "verdicts.jsonl")?;
        let log = std::fs::read_to_string(dir.join(harness::log::FILE)).unwrap_or_default();
        let (at, asked) = began(&log);
        let failure = std::fs::read_to_string(dir.join("failure.txt")).ok();
        let mut run = Self {
            at,
            asked,
            told: told.as_deref().map(Told::read),
            begun: begun::all_in(&log),
            // What follows is about files.
            failure: failure
                .map(|text| text.split("\n\nnot collected:").next().unwrap_or_default().to_owned()),
            ..Self::default()
        };
        for (name, world) in worlds {
            if let Err(e) = &world {
                run.unreadable.push(e.to_string());
            }
            run.add(name, world.ok());
        }
        for line in lines {
            run.world(&line.world.clone()).lines.push(line);
        }
        run.documents(dir);
        run.histories(dir);
        if run.told.is_none() {
            run.count_what_never_came(&lines_or_none(dir));
        }
        Ok(run)
    }

    /// What came of all claims.
    pub fn tally(&self) -> Tally {
        Tally::of(self.worlds.iter().flat_map(|shown| &shown.lines))
    }

    /// The worst that came of it; a run that judged nothing shows nothing.
    pub fn outcome(&self) -> Outcome {
        let (tally, ended) = (self.tally(), self.told.as_ref().is_some_and(|told| told.ended.is_none()));
        match () {
            () if tally.broken + tally.surprises > 0 => Outcome::Broken,
            () if tally.unjudged > 0 || tally.all() == 0 || !ended => Outcome::Unjudged,
            () => Outcome::Held,
        }
    }

    /// Whether it ended for another reason than what came of its claims, or made no world at all.
    pub fn broke(&self) -> bool {
        let claims = [Code::ClaimBroken, Code::Evidence].map(Code::name);
        let ended = self.told.as_ref().and_then(|told| told.ended.as_ref());
        ended.is_some_and(|(code, _)| !claims.contains(&code.as_str()))
            // Clusters that others run were not made, and were seen.
            || self.worlds.iter().all(|shown| shown.world.is_none() && shown.documents.is_empty())
    }

    fn world(&mut self, name: &str) -> &mut Shown {
        let at = self.worlds.iter().position(|shown| shown.name == name);
        let at = at.unwrap_or_else(|| self.add(name.to_owned(), None));
        &mut self.worlds[at]
    }

    fn add(&mut self, name: String, world: Option<World>) -> usize {
        self.worlds.push(Shown {
            name,
            world,
            lines: Vec::new(),
            documents: Vec::new(),
            history: Vec::new(),
        });
        self.worlds.len() - 1
    }

    /// A document belongs to the world whose verdicts name it; of one that no verdict names, its own name tells.
    fn documents(&mut self, dir: &Path) {
        for path in files(&dir.join("evidence"), "json") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let file = format!("evidence/{name}");
            let evidence = std::fs::read_to_string(&path)
                .or_fail(Code::Evidence, || format!("cannot read {file}"))
                .and_then(|json| Evidence::read(&json));
            let evidence = match evidence {
                Ok(evidence) => evidence,
                Err(e) => {
                    self.unreadable.push(format!("{file}: {e}"));
                    continue;
                }
            };
            let judged =
                |shown: &Shown| shown.lines.iter().any(|line| file_of(&line.verdict.evidence) == file);
            let named = |shown: &&mut Shown| name.starts_with(&format!("{}-", shown.name));
            let shown = match self.worlds.iter().position(judged) {
                Some(at) => Some(&mut self.worlds[at]),
                None => self.worlds.iter_mut().filter(named).max_by_key(|shown| shown.name.len()),
            };
            match shown {
                Some(shown) => shown.documents.push(Document { file, evidence }),
                None => self.unreadable.push(format!("{file} is of no world that this folder knows")),
            }
        }
        for shown in &mut self.worlds {
            shown.documents.sort_by_key(|document| document.evidence.collected_at);
        }
    }

    fn histories(&mut self, dir: &Path) {
        for shown in &mut self.worlds {
            match history::read(&history::file(dir, &shown.name)) {
                Ok(lines) => shown.history = lines,
                Err(e) => self.unreadable.push(e.to_string()),
            }
        }
    }

    /// A run that was killed never said what it left unjudged, and absence is never green.
    fn count_what_never_came(&mut self, failures: &[Failure]) {
        for shown in &mut self.worlds {
            let Some(world) = &shown.world else { continue };
            if let Ok(due) = Due::of(&world.name, &world.scenarios, &world.topology) {
                let missed = due.never_judged(&shown.lines, failures);
                shown.lines.extend(missed);
            }
        }
    }
}

impl Told {
    /// The last paragraph of `report.md`.
    fn read(report: &str) -> Self {
        let mut told = Self::default();
        for line in report.trim_end().rsplit("\n\n").next().unwrap_or_default().lines() {
            if let Some((code, sentence)) =
                line.strip_prefix("ended by [").and_then(|rest| rest.split_once("] "))
            {
                told.ended = Some((code.to_owned(), sentence.to_owned()));
            } else if let Some(tally) = line.strip_suffix(" in all") {
                told.took = tally.rsplit(", ").next().map(str::to_owned);
            } else if !line.starts_with("report: ") {
                told.measures.push(line.to_owned());
            }
        }
        told
    }
}

/// The file that a verdict was judged from.
pub fn file_of(evidence: &str) -> &str {
    evidence.split('#').next().unwrap_or_default()
}

/// `world-NAME.json`.
fn world_of(path: &Path) -> Option<(String, Result<World>)> {
    let name = path.file_stem()?.to_str()?.strip_prefix("world-")?.to_owned();
    Some((name, World::at(path)))
}

fn made(world: &Result<World>) -> Option<Timestamp> {
    world.as_ref().ok().map(|world| world.made)
}

/// When the command began, and what it was: the log's first line.
fn began(log: &str) -> (Option<Timestamp>, Option<String>) {
    let first = log.lines().next().unwrap_or_default();
    let asked = first.split_once(" xtask: ").map(|(_, rest)| rest.split(" version=").next().unwrap_or(rest));
    (begun::moment(first), asked.filter(|asked| asked.starts_with("cargo xtask ")).map(str::to_owned))
}

fn lines_or_none(dir: &Path) -> Vec<Failure> {
    lines(dir, "failures.jsonl").unwrap_or_default()
}

/// Whole lines; the last one of a run that was killed may be none.
fn lines<T: serde::de::DeserializeOwned>(dir: &Path, name: &str) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n') && !line.trim().is_empty());
    let read =
        |line: &str| serde_json::from_str(line).or_fail(Code::Evidence, || format!("{name} is malformed"));
    whole.map(read).collect()
}
