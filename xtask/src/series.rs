//! A run again and again: what came of each, a line of JSON, and at the end how often it failed, where, and how often it may
//! fail that was never seen to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use harness::world::World;
use harness::{Code, Error, Result};
use jiff::Timestamp;
use proof::verdict::{Line, Outcome};
use serde::Serialize;

use crate::figures::{flake_rate, median, range};
use crate::report::Tally;

/// More, and a mistyped number takes a month.
const AT_MOST: u32 = 1000;
/// How many names a table shows; the lines have all.
const TOLD: usize = 8;

/// How often, and until when.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Repeats {
    /// Runs so many times, one after the other.
    #[arg(long, env = "VOUCHSAFE_REPEAT", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(AT_MOST)))]
    repeat: Option<u32>,
    /// Runs again as long as no more than this has passed: `2h`.
    #[arg(long = "for", env = "VOUCHSAFE_FOR", value_name = "DURATION", value_parser = duration)]
    length: Option<Duration>,
    /// Ends with the first run that is not green; goes with one of the other two.
    #[arg(long, env = "VOUCHSAFE_UNTIL_BROKEN")]
    until_broken: bool,
}

/// What came of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Ran {
    /// Its place in the series, from 1.
    pub number: u32,
    /// When it began.
    pub began: Timestamp,
    /// How long all of it took.
    pub seconds: f64,
    /// `green`, or the code of the error that ended it.
    pub outcome: String,
    /// What the error said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many claims held, and so on.
    pub claims: BTreeMap<&'static str, usize>,
    /// The claims that did not come as they must.
    pub wrong: Vec<String>,
    /// Each step of the set-up, by world and step, in seconds.
    pub steps: BTreeMap<String, f64>,
    /// Its report; nothing where that was not begun, or is gone because it was green and another one followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// All of them so far.
pub struct Series {
    asked: Repeats,
    began: Instant,
    ran: Vec<Ran>,
}

impl Repeats {
    /// The series that was asked for, if one was.
    ///
    /// # Errors
    /// [`Code::Usage`] for one that has no end.
    pub fn series(&self) -> Result<Option<Series>> {
        match (self.repeat, self.length) {
            (None, None) if self.until_broken => {
                Err(Error::new(Code::Usage, "a series that only breaks may never end")
                    .next("--until-broken with --repeat N or --for DURATION; nothing was touched"))
            }
            (None, None) => Ok(None),
            _ => Ok(Some(Series { asked: self.clone(), began: Instant::now(), ran: Vec::new() })),
        }
    }
}

impl Ran {
    /// Of a run that ended so, with these verdicts, in these worlds.
    pub fn of(
        (number, began, took): (u32, Timestamp, Duration),
        outcome: &Result<()>,
        lines: &[Line],
        worlds: &[World],
        report: Option<String>,
    ) -> Self {
        let Tally { held, broken, unjudged, expected, surprises } = Tally::of(lines);
        let names = ["held", "broken", "unjudged", "expected", "surprises"];
        let wrong = lines.iter().filter(|line| !line.is_as_it_must());
        let kind = |line: &Line| match line.verdict.verdict {
            Outcome::Unjudged => "unjudged",
            Outcome::Broken => "broken",
            Outcome::Held => "held against expectation",
        };
        let timings = worlds.iter().flat_map(|world| world.timings.iter().map(move |step| (world, step)));
        let error = outcome.as_ref().err();
        Self {
            number,
            began,
            seconds: took.as_secs_f64(),
            outcome: error.map_or("green", |e| e.code().name()).to_owned(),
            error: error.map(|e| e.what().to_owned()),
            claims: names.into_iter().zip([held, broken, unjudged, expected, surprises]).collect(),
            wrong: wrong.map(|line| format!("{} {}", kind(line), line.verdict.id)).collect(),
            steps: timings
                .filter(|(world, _)| world.made >= began)
                .map(|(world, step)| (format!("{} {}", world.name, step.id), step.end - step.begin))
                .collect(),
            report,
        }
    }

    fn is_green(&self) -> bool {
        self.outcome == "green"
    }
}

impl Series {
    /// The number of the next run.
    pub fn next(&self) -> u32 {
        u32::try_from(self.ran.len()).unwrap_or(u32::MAX) + 1
    }

    /// Adds a run; whether there is to be another one. None follows one that nobody could begin, or that left something
    /// behind.
    pub fn goes_on(&mut self, ran: Ran, outcome: &Result<()>) -> bool {
        let ends = outcome.as_ref().is_err_and(|e| {
            self.asked.until_broken
                || matches!(e.code().exit(), 1..=3)
                || matches!(e.code(), Code::LeftBehind | Code::Interrupted)
        });
        self.ran.push(ran);
        let enough = self.asked.repeat.is_some_and(|times| self.next() > times);
        let late = self.asked.length.is_some_and(|length| self.began.elapsed() >= length);
        !(ends || enough || late)
    }

    /// The table at the end.
    pub fn told(&self) -> String {
        let failed: Vec<_> = self.ran.iter().filter(|ran| !ran.is_green()).collect();
        let (n, k) = (self.ran.len(), failed.len());
        let mut out = format!("{n} runs, {k} not green\n");
        let _ = writeln!(out, "{}", flake_rate(n, k));
        for (name, times) in counted(failed.iter().map(|ran| ran.outcome.clone())) {
            let _ = writeln!(out, "  {times:4} × ended by {name}");
        }
        for (name, times) in counted(failed.iter().flat_map(|ran| ran.wrong.clone())).into_iter().take(TOLD) {
            let _ = writeln!(out, "  {times:4} × {name}");
        }
        let seconds: Vec<_> = self.ran.iter().filter(|ran| ran.is_green()).map(|ran| ran.seconds).collect();
        let _ = writeln!(out, "green runs: {}", spread(&seconds));
        let mut steps: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (name, took) in self.ran.iter().flat_map(|ran| &ran.steps) {
            steps.entry(name).or_default().push(*took);
        }
        let mut steps: Vec<_> = steps.into_iter().collect();
        let widest = |all: &[f64]| range(all).map_or(0.0, |(least, most)| most - least);
        steps.sort_by(|(_, a), (_, b)| widest(b).total_cmp(&widest(a)));
        for (name, all) in steps.into_iter().take(TOLD) {
            let _ = writeln!(out, "  {name}: {}", spread(&all));
        }
        if let Some(first) = failed.first() {
            let report = first.report.as_deref().unwrap_or("no report");
            let _ = writeln!(out, "the first that was not green: run {}, {report}", first.number);
        }
        out
    }

    /// The whole series' own outcome: its first failure.
    ///
    /// # Errors
    /// That of the first run that was not green, with how many there were.
    pub fn outcome(&self, first: Option<Error>) -> Result<()> {
        let Some(first) = first else { return Ok(()) };
        let failed = self.ran.iter().filter(|ran| !ran.is_green()).count();
        let what = format!("{failed} of {} runs were not green", self.ran.len());
        Err(Error::new(first.code(), what).because(first))
    }
}

fn spread(seconds: &[f64]) -> String {
    match range(seconds) {
        Some((least, most)) => format!("median {:.1} s ({least:.1} to {most:.1})", median(seconds)),
        None => "none".to_owned(),
    }
}

/// Each with how often it is there, the most frequent first.
fn counted(names: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    let mut all: Vec<_> = counts.into_iter().collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.1));
    all
}

fn duration(word: &str) -> std::result::Result<Duration, String> {
    let read: std::result::Result<jiff::SignedDuration, _> = word.parse();
    let read = read.ok().and_then(|read| Duration::try_from(read).ok()).filter(|read| !read.is_zero());
    read.ok_or_else(|| format!("`{word}` is no duration such as 2h or 90m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(number: u32, seconds: f64, outcome: &str, wrong: &[&str]) -> Ran {
        Ran {
            number,
            began: Timestamp::UNIX_EPOCH,
            seconds,
            outcome: outcome.into(),
            error: None,
            claims: BTreeMap::new(),
            wrong: wrong.iter().map(|&one| one.to_owned()).collect(),
            steps: BTreeMap::from([("federated cluster1/istiod".to_owned(), seconds / 10.0)]),
            report: (outcome != "green").then(|| format!("report-{number}")),
        }
    }

    fn series(asked: Repeats) -> Series {
        asked.series().unwrap().unwrap()
    }

    fn of(repeat: Option<u32>, until_broken: bool) -> Repeats {
        Repeats { repeat, length: None, until_broken }
    }

    #[test]
    fn a_series_has_an_end() {
        assert!(of(None, false).series().unwrap().is_none());
        assert_eq!(of(None, true).series().err().unwrap().code(), Code::Usage);
        let broken = || Err(Error::new(Code::ClaimBroken, "1 of 87 claims did not hold"));
        let mut three = series(of(Some(3), false));
        assert!(three.goes_on(ran(1, 50.0, "green", &[]), &Ok(())));
        assert!(three.goes_on(ran(2, 50.0, "claim-broken", &[]), &broken()));
        assert!(!three.goes_on(ran(3, 50.0, "green", &[]), &Ok(())));
        assert!(!series(of(Some(3), true)).goes_on(ran(1, 50.0, "claim-broken", &[]), &broken()));
        for code in [Code::Usage, Code::NotFit, Code::LeftBehind, Code::Interrupted] {
            let ended = Err(Error::new(code, "the end"));
            assert!(!series(of(Some(3), false)).goes_on(ran(1, 1.0, code.name(), &[]), &ended), "{code:?}");
        }
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert!(duration("soon").is_err() && duration("0s").is_err());
    }

    #[test]
    fn what_failed_how_often_is_told_with_the_first() {
        let mut series = series(of(Some(9), false));
        let broken = Err(Error::new(Code::ClaimBroken, "1 of 87 claims did not hold"));
        series.goes_on(ran(1, 52.0, "green", &[]), &Ok(()));
        series.goes_on(ran(2, 70.0, "claim-broken", &["broken server-svid/a→b"]), &broken);
        series.goes_on(ran(3, 58.0, "green", &[]), &Ok(()));
        series.goes_on(ran(4, 50.0, "green", &[]), &Ok(()));
        let told = series.told();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines[0], "4 runs, 1 not green");
        assert!(
            lines[1].starts_with("with 95 % confidence, a run is not green at most 75.1 % of the time"),
            "{told}"
        );
        assert_eq!(&lines[2..4], ["     1 × ended by claim-broken", "     1 × broken server-svid/a→b"]);
        assert_eq!(lines[4], "green runs: median 52.0 s (50.0 to 58.0)");
        assert_eq!(lines[5], "  federated cluster1/istiod: median 5.5 s (5.0 to 7.0)");
        assert_eq!(lines[6], "the first that was not green: run 2, report-2");
        let e = series.outcome(broken.err()).unwrap_err();
        assert_eq!((e.code(), e.what()), (Code::ClaimBroken, "1 of 4 runs were not green"));
    }
}
