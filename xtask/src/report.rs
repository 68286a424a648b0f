//! The report of a run: a folder below `target/vouchsafe/` to attach to a ticket.
//!
//! `verdicts.jsonl` and `evidence/` are written by the scenarios themselves; the rest here. Secrets never enter it:
//! whoever writes into it does so by [`kept`].

use std::fmt::Write as _;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::clock::Clock;
use harness::history::{self, Cost, Watching};
use harness::layout::Layout;
use harness::progress::Note;
use harness::setup::versions;
use harness::world::World;
use harness::{Error, Result, kept, log, wait};
use jiff::Timestamp;
use proof::topology::Topology;
use proof::verdict::{Came, Line, Outcome};
use serde_json::Value;

use crate::diagnose;
use crate::due::Due;
use crate::files::files;
use crate::show;

pub mod anew;
mod collect;
mod github;
mod html;
mod junit;
mod measures;
mod sealed;
mod summary;
mod trace;

/// One run's report.
pub struct Report {
    /// Its folder.
    pub dir: PathBuf,
    layout: Layout,
    at: Timestamp,
    began: Instant,
    /// None where the kernel keeps no account.
    clock: Option<Clock>,
    watched: Cost,
}

/// What came of the claims of a run, or of one world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Claims that held.
    pub held: usize,
    /// Claims that did not.
    pub broken: usize,
    /// Claims that were due and could be judged neither way.
    pub unjudged: usize,
    /// Claims that broke as the set-up expects.
    pub expected: usize,
    /// Claims that were expected to break, and held, or broke for another cause.
    pub surprises: usize,
}

impl Tally {
    /// Counts.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let mut tally = Self::default();
        for line in lines {
            match (line.came(), line.verdict.verdict) {
                (Some(Came::AsExpected), _) => tally.expected += 1,
                (Some(Came::Surprise(_)), _) => tally.surprises += 1,
                (None, Outcome::Held) => tally.held += 1,
                (None, Outcome::Broken) => tally.broken += 1,
                (None, Outcome::Unjudged) => tally.unjudged += 1,
            }
        }
        tally
    }

    /// All that were due.
    pub fn all(self) -> usize {
        self.held + self.broken + self.unjudged + self.expected + self.surprises
    }
}

impl Report {
    /// Makes the folder, and points `latest` at it.
    ///
    /// # Errors
    /// [`harness::Code::Internal`] when the checkout's `target/` cannot be written.
    pub fn begin(layout: &Layout) -> Result<Self> {
        Self::of_a_run_since(layout, Instant::now())
    }

    /// The same for a command that has been at work since then.
    ///
    /// # Errors
    /// As [`Report::begin`].
    pub fn of_a_run_since(layout: &Layout, began: Instant) -> Result<Self> {
        let at = Timestamp::now().checked_sub(began.elapsed()).unwrap_or_else(|_| Timestamp::now());
        let name = format!("{}-{}", at.strftime("%Y%m%dT%H%M%SZ"), std::process::id());
        let dir = layout.reports().join(&name);
        let fail = |e| Error::internal(format!("cannot make the report folder {}", dir.display())).because(e);
        std::fs::create_dir_all(dir.join("evidence")).map_err(fail)?;
        let latest = layout.reports().join("latest");
        let _ = std::fs::remove_file(&latest);
        // Only a convenience.
        let _ = std::os::unix::fs::symlink(&name, &latest);
        log::keep_in(&dir)?;
        Ok(Self {
            dir,
            layout: layout.clone(),
            at,
            began,
            clock: Clock::start().ok(),
            watched: Cost::default(),
        })
    }

    /// Notes what was made and how long each step took.
    ///
    /// # Errors
    /// [`harness::Code::Internal`].
    pub fn world(&self, world: &World) -> Result<()> {
        let text =
            serde_json::to_string_pretty(world).map_err(|e| Error::internal("world.json").because(e))?;
        self.write(&format!("world-{}.json", world.name), &text)
    }

    /// Watches what every proxy of a world holds, also before it is made, until what this returns is dropped.
    ///
    /// # Errors
    /// As [`history::watch`].
    pub fn watch(&self, layout: &Layout, world: &str, topology: &Topology) -> Result<Watching> {
        history::watch(layout, topology, history::file(&self.dir, world), self.watched.clone())
    }

    /// Tells every verdict as it is written, until `running` ends.
    ///
    /// # Errors
    /// `running`'s own.
    pub async fn told_while<T>(
        &self,
        running: impl Future<Output = Result<T>>,
        json: bool,
        note: &Note,
    ) -> Result<T> {
        let mut running = std::pin::pin!(running);
        let mut told = self.lines().len();
        let mut others = log::Others::of(&self.dir);
        let mut playing = self.playing();
        loop {
            let ended = wait::glance(Duration::from_millis(250), &mut running).await;
            if let Some(others) = &mut others {
                others.print_new();
            }
            let lines = self.lines();
            for line in &lines[told.min(lines.len())..] {
                if json {
                    show::json(line)?;
                }
                if let Some(claim) = line["claim"].as_str() {
                    let verdict = line["verdict"].as_str().unwrap_or_default();
                    note.say(format!("{} so far; {verdict}: {claim}", lines.len()));
                }
            }
            told = lines.len();
            let now = self.playing();
            if now != playing {
                note.say(format!("scenario {now}"));
                playing = now;
            }
            if let Some(result) = ended {
                return result;
            }
        }
    }

    /// Holds what was due in a world against what was judged there: writes a line for each claim that got no verdict, and
    /// hands back all lines of the world.
    ///
    /// # Errors
    /// A verdict that cannot be read back, or not be written.
    pub fn settle(&self, due: &Due, json: bool) -> Result<Vec<Line>> {
        let mut lines = self.verdicts()?;
        let failures = std::fs::read_to_string(self.dir.join("failures.jsonl")).unwrap_or_default();
        let failures: Vec<_> = failures.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let missed = due.never_judged(&lines, &failures);
        self.add(&missed, json)?;
        lines.extend(missed);
        lines.retain(|line| line.world == due.world);
        Ok(lines)
    }

    /// Writes `report.md`, `junit.xml`, `trace.json` and the page of all, says at the terminal what came of the run, and writes the manifest
    /// of it all. `down` is how long the longest take-down took, if there was one.
    ///
    /// # Errors
    /// [`harness::Code::Internal`].
    pub fn close(&self, judged: &Result<()>, down: Option<Duration>, kept: bool, json: bool) -> Result<()> {
        let verdicts = self.verdicts()?;
        let report = self.text(&verdicts, judged, down);
        self.write("report.md", &report)?;
        self.write("junit.xml", &junit::of(&verdicts, &self.worlds(), self.at, judged)?)?;
        let trace = serde_json::to_string(&trace::of(&self.dir, &verdicts));
        self.write(trace::FILE, &trace.map_err(|e| Error::internal(trace::FILE).because(e))?)?;
        html::write(&self.dir)?;
        if !json {
            eprint!("\n{report}");
        }
        if kept && judged.is_ok() {
            eprintln!("the world is still up. next: cargo xtask status, cargo xtask down");
        }
        github::tell(&self.dir, &verdicts, judged)?;
        self.seal(judged)
    }

    fn text(&self, lines: &[Line], judged: &Result<()>, down: Option<Duration>) -> String {
        let mut out = String::new();
        let mut worlds: Vec<_> = lines.iter().map(|line| &line.world).collect();
        worlds.dedup();
        for world in &worlds {
            let of_world: Vec<_> = lines.iter().filter(|line| line.world == **world).collect();
            if worlds.len() > 1 {
                let _ = writeln!(out, "world {world}: {}\n", Tally::of(of_world.iter().copied()));
            }
            told(&of_world, &mut out);
        }
        for world in self.worlds() {
            for line in versions::lines(&world.versions) {
                let _ = writeln!(out, "{}: {line}\n", world.name);
            }
        }
        for cause in diagnose::brief(&self.dir) {
            let _ = writeln!(out, "cause: {cause}");
        }
        for timing in
            self.timings().into_iter().chain(measures::own(self.clock.as_ref(), down, &self.watched))
        {
            let _ = writeln!(out, "{timing}");
        }
        let _ = writeln!(out, "{}, {:.1} s in all", Tally::of(lines), self.began.elapsed().as_secs_f64());
        if let Err(e) = judged {
            let _ = writeln!(
                out,
                "ended by [{}] {}",
                e.code().name(),
                e.what().lines().next().unwrap_or_default()
            );
        }
        let _ = writeln!(out, "report: {}", self.dir.display());
        if self.dir.join(summary::FILE).exists() {
            let _ = writeln!(out, "report: read first {}", self.dir.join(summary::FILE).display());
        }
        out
    }

    /// The worlds that it was judged in.
    pub fn worlds(&self) -> Vec<World> {
        files(&self.dir, "json").iter().filter_map(|path| World::at(path).ok()).collect()
    }

    /// What each world's making took.
    fn timings(&self) -> Vec<String> {
        let of = |world: &World| {
            let history = history::read(&history::file(&self.dir, &world.name)).unwrap_or_default();
            measures::of(world, self.at, &history)
        };
        self.worlds().iter().filter_map(of).collect()
    }

    /// Every verdict on that world.
    ///
    /// # Errors
    /// A verdict that cannot be read back.
    pub fn of_world(&self, world: &str) -> Result<Vec<Line>> {
        let mut lines = self.verdicts()?;
        lines.retain(|line| line.world == world);
        Ok(lines)
    }

    /// Every verdict of the run, in the order in which they fell.
    ///
    /// # Errors
    /// [`harness::Code::Internal`] for one that cannot be read back.
    pub fn verdicts(&self) -> Result<Vec<Line>> {
        let read = |line| {
            serde_json::from_value(line).map_err(|e| Error::internal("a verdict is malformed").because(e))
        };
        self.lines().into_iter().map(read).collect()
    }

    /// The scenario that began last.
    fn playing(&self) -> String {
        let begun = std::fs::read_to_string(self.dir.join("begun.txt")).unwrap_or_default();
        begun.lines().next_back().unwrap_or_default().to_owned()
    }

    /// Whole lines only: a scenario may be writing.
    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.join("verdicts.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Writes down verdicts that no scenario gave, and tells them.
    ///
    /// # Errors
    /// [`harness::Code::Internal`].
    pub fn add(&self, verdicts: &[Line], json: bool) -> Result<()> {
        let path = self.dir.join("verdicts.jsonl");
        let fail = |e| Error::internal(format!("cannot write {}", path.display())).because(e);
        for line in verdicts {
            kept::append(&path, &format!("{}\n", line.text()?)).map_err(fail)?;
            if json {
                show::json(line)?;
            }
        }
        Ok(())
    }

    /// Writes one of its files.
    ///
    /// # Errors
    /// [`harness::Code::Internal`].
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        kept::write(&path, text)
            .map_err(|e| Error::internal(format!("cannot write {}", path.display())).because(e))
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} claims held, {} broken, {} unjudged", self.held, self.broken, self.unjudged)?;
        match (self.expected, self.surprises) {
            (0, 0) => Ok(()),
            (expected, surprises) => write!(f, ", {expected} broken as expected, {surprises} surprises"),
        }
    }
}

/// Every verdict of a world, way by way.
fn told(lines: &[&Line], out: &mut String) {
    let mut ways: Vec<_> = lines.iter().map(|line| line.verdict.way.clone()).collect();
    ways.sort();
    ways.dedup();
    for way in ways {
        let _ = writeln!(out, "{}", way.as_deref().unwrap_or("everywhere"));
        for line in lines.iter().filter(|line| line.verdict.way == way) {
            let (v, came) = (&line.verdict, line.came());
            let key = v.issuer_key.as_deref().map(|k| format!("  [key {}]", shorter(k))).unwrap_or_default();
            let word = show::came(line);
            let _ = writeln!(out, "  {word:8}  {}{key}", v.claim);
            match &came {
                Some(Came::AsExpected) => out.push_str("            it broke, as the set-up expects\n"),
                Some(Came::Surprise(words)) => {
                    let _ = writeln!(out, "            it {words}");
                }
                None => {}
            }
            if !v.held() {
                let _ = writeln!(out, "            claim:    {} ({})", v.id, v.id.kind.if_broken());
                let _ = writeln!(out, "            expected: {}", v.expected);
                let _ = writeln!(out, "            observed: {}", v.observed);
            }
        }
        out.push('\n');
    }
}

fn shorter(key: &str) -> &str {
    key.get(..16).unwrap_or(key)
}
