//! The report of a run: a folder below `target/vouchsafe/` to attach to a ticket.
//!
//! `verdicts.jsonl` and `evidence/` are written by the scenarios themselves; the rest here. Private keys and
//! tokens never enter it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::layout::Layout;
use harness::progress::Note;
use harness::world::World;
use harness::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::show;

mod collect;

/// One run's report.
pub struct Report {
    /// Its folder.
    pub dir: PathBuf,
    began: Instant,
}

/// A verdict, as scenarios write it.
#[derive(Clone, Debug, Deserialize)]
struct Line {
    claim: String,
    way: Option<String>,
    verdict: String,
    expected: Value,
    observed: Value,
    issuer_key: Option<String>,
}

/// What the scenarios came to.
pub struct Tally {
    /// The report's folder.
    pub dir: PathBuf,
    /// Claims that held.
    pub held: usize,
    /// Claims that did not.
    pub broken: usize,
    /// Claims that could be judged neither way.
    pub errors: Vec<String>,
}

impl Tally {
    /// All that were judged.
    pub fn all(&self) -> usize {
        self.held + self.broken
    }
}

impl Report {
    /// Makes the folder, and points `latest` at it.
    ///
    /// # Errors
    /// [`harness::Code::Internal`] when the checkout's `target/` cannot be written.
    pub fn begin(layout: &Layout) -> Result<Self> {
        let name = format!("{}-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"), std::process::id());
        let dir = layout.reports().join(&name);
        let fail = |e| Error::internal(format!("cannot make the report folder {}", dir.display())).because(e);
        std::fs::create_dir_all(dir.join("evidence")).map_err(fail)?;
        let latest = layout.reports().join("latest");
        let _ = std::fs::remove_file(&latest);
        // Only a convenience.
        let _ = std::os::unix::fs::symlink(&name, &latest);
        Ok(Self { dir, began: Instant::now() })
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
        let mut playing = self.playing();
        loop {
            let ended = tokio::time::timeout(Duration::from_millis(250), &mut running).await;
            let lines = self.lines();
            for line in &lines[told.min(lines.len())..] {
                if json {
                    show::json(line)?;
                }
                if let Some(claim) = line["claim"].as_str() {
                    note.say(format!("{}: {claim}", line["verdict"].as_str().unwrap_or_default()));
                }
            }
            told = lines.len();
            let now = self.playing();
            if now != playing {
                note.say(format!("story {now}"));
                playing = now;
            }
            if let Ok(result) = ended {
                return result;
            }
        }
    }

    /// Counts.
    ///
    /// # Errors
    /// A verdict that cannot be read back.
    pub fn tally(&self) -> Result<Tally> {
        let verdicts = self.verdicts()?;
        let broken = verdicts.iter().filter(|v| v.verdict != "held").count();
        let errors = std::fs::read_to_string(self.dir.join("errors.txt")).unwrap_or_default();
        Ok(Tally {
            dir: self.dir.clone(),
            held: verdicts.len() - broken,
            broken,
            errors: errors.split_terminator('\0').map(str::to_owned).collect(),
        })
    }

    /// Writes `report.md` and tells the end of the story.
    ///
    /// # Errors
    /// [`harness::Code::Internal`].
    pub fn close(&self, judged: &Result<()>, kept: bool, json: bool) -> Result<()> {
        let verdicts = self.verdicts()?;
        let story = self.story(&verdicts, judged);
        self.write("report.md", &story)?;
        if !json {
            eprint!("\n{story}");
        }
        if kept && judged.is_ok() {
            eprintln!("the world is still up. next: cargo xtask status, cargo xtask down");
        }
        Ok(())
    }

    fn story(&self, verdicts: &[Line], judged: &Result<()>) -> String {
        let mut out = String::new();
        let mut ways: Vec<_> = verdicts.iter().map(|v| v.way.clone()).collect();
        ways.sort();
        ways.dedup();
        for way in ways {
            let _ = writeln!(out, "{}", way.as_deref().unwrap_or("everywhere"));
            for v in verdicts.iter().filter(|v| v.way == way) {
                let key =
                    v.issuer_key.as_deref().map(|k| format!("  [key {}]", shorter(k))).unwrap_or_default();
                if v.verdict == "held" {
                    let _ = writeln!(out, "  held    {}{key}", v.claim);
                } else {
                    let _ = writeln!(out, "  BROKEN  {}{key}", v.claim);
                    let _ = writeln!(out, "          expected: {}", plain(&v.expected));
                    let _ = writeln!(out, "          observed: {}", plain(&v.observed));
                }
            }
            out.push('\n');
        }
        for timing in self.timings() {
            let _ = writeln!(out, "{timing}");
        }
        let broken = verdicts.iter().filter(|v| v.verdict != "held").count();
        let seconds = self.began.elapsed().as_secs_f64();
        let _ =
            writeln!(out, "{} claims held, {broken} broken, {seconds:.1} s in all", verdicts.len() - broken);
        if let Err(e) = judged {
            let _ = writeln!(
                out,
                "ended by [{}] {}",
                e.code().name(),
                e.what().lines().next().unwrap_or_default()
            );
        }
        let _ = writeln!(out, "report: {}", self.dir.display());
        out
    }

    /// What each world's making took.
    fn timings(&self) -> Vec<String> {
        let mut worlds = files(&self.dir, "json");
        worlds.sort();
        worlds.iter().filter_map(|path| timing(&World::at(path).ok()?)).collect()
    }

    fn verdicts(&self) -> Result<Vec<Line>> {
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

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        std::fs::write(&path, text)
            .map_err(|e| Error::internal(format!("cannot write {}", path.display())).because(e))
    }
}

/// What a set-up's time went to: its slowest step, and the chain that decided the total.
fn timing(world: &World) -> Option<String> {
    let end: BTreeMap<_, _> = world.timings.iter().map(|t| (t.id.clone(), t.end)).collect();
    let total = end.values().copied().fold(0.0, f64::max);
    let slowest = world.timings.iter().max_by(|a, b| (a.end - a.begin).total_cmp(&(b.end - b.begin)))?;
    let path = world.graph.critical_path(&end).join(" → ");
    let took = slowest.end - slowest.begin;
    let name = &world.setup;
    Some(format!("{name}: set-up {total:.1} s; slowest step {} {took:.1} s; decided by {path}", slowest.id))
}

/// The files of a folder with that ending.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(dir).into_iter().flatten();
    listing
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|x| x == ending))
        .collect()
}

fn shorter(key: &str) -> &str {
    key.get(..16).unwrap_or(key)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
