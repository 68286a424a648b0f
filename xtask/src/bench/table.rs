//! The numbers as people read them: medians with their spread, the ratio pair by pair, and the README's block.

use std::fmt;

use harness::error::Context as _;
use harness::layout::Layout;
use harness::{Code, Error, Result};

use super::rival::Stages;
use crate::figures::{median, range};
use harness::clock::Span;

/// Between which marks a table stands in the README.
#[derive(Clone, Copy, Debug)]
pub enum Block {
    /// `<!-- bench -->`
    Bench,
    /// `<!-- growth -->`
    Growth,
}

impl Block {
    fn marks(self) -> (&'static str, &'static str) {
        match self {
            Self::Bench => ("<!-- bench -->", "<!-- /bench -->"),
            Self::Growth => ("<!-- growth -->", "<!-- /growth -->"),
        }
    }
}

/// What holds for all runs.
#[derive(Debug)]
pub struct Conditions {
    /// The machine, in one phrase.
    pub machine: String,
    /// Which share of it others used just before, with nothing of ours running.
    pub busy_without_us: f64,
    /// The commit, in one phrase.
    pub commit: String,
    /// Where images and tools came from.
    pub source: &'static str,
    /// Which engine.
    pub engine: &'static str,
    /// Whether our nodes were prepared ones.
    pub prepared_nodes: bool,
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, busy_without_us, commit, source, engine, .. } = self;
        writeln!(f, "at {commit} on {machine};")?;
        writeln!(f, "{engine} engine, {source} source, everything in the cache.")?;
        let busy = busy_without_us * 100.0;
        writeln!(f, "Other work took {busy:.0} % of the machine just before; whatever it takes counts, too.")
    }
}

/// Everything that was measured.
#[derive(Debug)]
pub struct Table {
    conditions: Conditions,
    /// The script's runs.
    pub rival: Vec<Span>,
    /// The script's stages, of each of its runs.
    pub stages: Vec<Stages>,
    /// Our runs.
    pub ours: Vec<Span>,
}

impl Table {
    /// Nothing measured yet.
    pub fn new(conditions: Conditions) -> Self {
        Self { conditions, rival: Vec::new(), stages: Vec::new(), ours: Vec::new() }
    }

    /// What the latest runs came to, in one line.
    pub fn last_pair(&self) -> String {
        let shown = |who: &str, runs: &[Span]| {
            let last = runs.last()?;
            Some(format!("{who} {:.1} s, {:.0} CPU-seconds", last.seconds, last.cpu_seconds))
        };
        let mut parts: Vec<_> =
            [shown("serial script", &self.rival), shown("ours", &self.ours)].into_iter().flatten().collect();
        if let Some(ratio) = self.ratios(|span| span.seconds).last() {
            parts.push(format!("{ratio:.1} times as fast"));
        }
        parts.join("; ")
    }

    /// By how much we took less, pair by pair; nothing where only one of the two ran.
    fn ratios(&self, of: fn(&Span) -> f64) -> Vec<f64> {
        self.rival.iter().zip(&self.ours).map(|(rival, ours)| of(rival) / of(ours)).collect()
    }

    /// Each stage's median over the runs.
    fn stage_medians(&self) -> Vec<String> {
        let names = self.stages.first().into_iter().flatten().map(|(name, _)| name);
        let of = |name: &String| {
            let all = self.stages.iter().flatten().filter(|(other, _)| other == name);
            median(&all.map(|(_, seconds)| *seconds).collect::<Vec<_>>())
        };
        names.map(|name| format!("{name} {:.0}", of(name))).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.rival.len().max(self.ours.len());
        writeln!(
            f,
            "From nothing to an answer of each other cluster, by `cargo xtask bench`: medians (and spread)"
        )?;
        writeln!(f, "of {runs} runs each, taking turns, {}", self.conditions)?;
        writeln!(f, "| | seconds | CPU-seconds of the machine |\n| --- | --- | --- |")?;
        let mut row = |what: &str, runs: &[Span]| match runs {
            [] => Ok(()),
            runs => {
                let (wall, cpu) = (figures(runs, |s| s.seconds, 1), figures(runs, |s| s.cpu_seconds, 0));
                writeln!(f, "| {what} | {wall} | {cpu} |")
            }
        };
        row("a careful serial script (`xtask/rival/serial.sh`)", &self.rival)?;
        row("`cargo xtask up`", &self.ours)?;
        let (wall, cpu) = (self.ratios(|s| s.seconds), self.ratios(|s| s.cpu_seconds));
        if !wall.is_empty() {
            writeln!(f, "| ratio (pair by pair) | {} | {} |", ratio(&wall), ratio(&cpu))?;
        }
        if !self.stages.is_empty() {
            writeln!(f, "\nThe script's seconds: {}.", self.stage_medians().join(", "))?;
        }
        if self.conditions.prepared_nodes && !self.ours.is_empty() {
            let once = "Ours starts nodes that kind prepared once, before and outside of these times";
            writeln!(f, "{once}; `--fresh-nodes` makes them in the run.")?;
        }
        Ok(())
    }
}

fn figures(runs: &[Span], of: fn(&Span) -> f64, digits: usize) -> String {
    let all: Vec<f64> = runs.iter().map(of).collect();
    let (least, most) = range(&all).unwrap_or_default();
    format!("{:.digits$} ({least:.digits$} to {most:.digits$})", median(&all))
}

fn ratio(all: &[f64]) -> String {
    let each: Vec<_> = all.iter().map(|ratio| format!("{ratio:.1}")).collect();
    format!("**{:.1}** ({})", median(all), each.join(", "))
}

/// Puts the table into the README; without one, only sees that there is a place for it.
///
/// # Errors
/// [`Code::Usage`] when there is none, or the file cannot be read or written.
pub fn write_readme(layout: &Layout, block: Block, table: Option<&str>) -> Result<()> {
    let path = layout.repo.join("README.md");
    let fail = || format!("cannot rewrite {}", path.display());
    let text = std::fs::read_to_string(&path).or_fail(Code::Usage, fail)?;
    let (begin, end) = block.marks();
    let new = replaced(&text, (begin, end), table.unwrap_or_default()).ok_or_else(|| {
        Error::new(Code::Usage, format!("README.md has no block between `{begin}` and `{end}`"))
            .next("put the two lines where the table belongs, or run without --write; nothing was touched")
    })?;
    match table {
        Some(_) => std::fs::write(&path, new).or_fail(Code::Usage, fail),
        None => Ok(()),
    }
}

/// The text with `block` between the two marks.
fn replaced(text: &str, (begin, end): (&str, &str), block: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{}\n{end}{after}", block.trim_end()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn span(seconds: f64, cpu_seconds: f64) -> Span {
        Span { seconds, cpu_seconds }
    }

    pub fn conditions() -> Conditions {
        Conditions {
            machine: "2 cores".into(),
            busy_without_us: 0.031,
            commit: "commit abc".into(),
            source: "packages",
            engine: "private",
            prepared_nodes: true,
        }
    }

    fn table() -> Table {
        Table::new(conditions())
    }

    #[test]
    fn each_pair_has_its_ratio_and_every_median_its_spread() {
        let mut table = table();
        table.rival = vec![span(180.0, 130.0), span(160.0, 120.0), span(170.0, 125.0)];
        table.ours = vec![span(45.0, 65.0), span(40.0, 60.0), span(34.0, 50.0)];
        table.stages = vec![vec![("clusters".into(), 60.0)], vec![("clusters".into(), 70.0)]];
        let text = table.to_string();
        assert!(text.contains("| 170.0 (160.0 to 180.0) | 125 (120 to 130) |"), "{text}");
        assert!(text.contains("| `cargo xtask up` | 40.0 (34.0 to 45.0) | 60 (50 to 65) |"), "{text}");
        assert!(text.contains("| **4.0** (4.0, 4.0, 5.0) | **2.0** (2.0, 2.0, 2.5) |"), "{text}");
        assert!(text.contains("The script's seconds: clusters 65."), "{text}");
        assert!(text.contains("prepared once") && text.contains(" 3 % of the machine"), "{text}");
        assert!(table.last_pair().ends_with("ours 34.0 s, 50 CPU-seconds; 5.0 times as fast"), "{text}");
    }

    #[test]
    fn one_side_alone_claims_no_ratio() {
        let mut table = table();
        table.rival = vec![span(180.0, 130.0)];
        let text = table.to_string();
        assert!(!text.contains("ratio") && !text.contains("cargo xtask up"), "{text}");
        assert_eq!(table.last_pair(), "serial script 180.0 s, 130 CPU-seconds");
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = "before\n<!-- bench -->\nold\n\nolder\n<!-- /bench -->\nafter\n";
        let marks = Block::Bench.marks();
        let new = replaced(text, marks, "new\n\n").unwrap();
        assert_eq!(new, "before\n<!-- bench -->\nnew\n<!-- /bench -->\nafter\n");
        assert_eq!(replaced(&new, marks, "new").unwrap(), new);
        assert_eq!(replaced("nothing\n<!-- /bench -->\n<!-- bench -->\n", marks, "new"), None);
    }
}
