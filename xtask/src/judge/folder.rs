//! A whole report, judged again: every document of it, and what comes of that held against what the run wrote down.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use harness::error::Context as _;
use harness::{Code, Error, Result};
use proof::manifest::Manifest;
use proof::verdict::{Line, Outcome, Verdict};

use super::{outcome, told};
use crate::report::Tally;
use crate::show::word;
use crate::stored::Stored;

/// What the run wrote its verdicts into.
const VERDICTS: &str = "verdicts.jsonl";
/// How many differences an error names; all of them are told before.
const TOLD: usize = 5;

/// A verdict, and the bytes that it is written as.
struct Told {
    line: Line,
    text: String,
}

/// Judges a report, tells each verdict, and ends as the run did.
///
/// # Errors
/// [`Code::Evidence`] when it is not what its run left, or its verdicts are not those of its evidence; else what the run
/// ended by.
pub fn judge(report: &Stored, json: bool, out: &mut impl Write) -> Result<()> {
    let manifest = report.whole()?;
    let written = written(report)?;
    let again = again(report, &written)?;
    let differences = differences(&written, &again);
    // In the order of the run; what it never wrote comes last.
    let order: BTreeMap<_, _> = written.iter().enumerate().map(|(i, told)| (told.key(), i)).collect();
    let never_judged = written.iter().filter(|told| told.is_absence());
    let mut all: Vec<_> = again.iter().chain(never_judged).collect();
    all.sort_by_key(|told| order.get(&told.key()).copied().unwrap_or(usize::MAX));
    for Told { line, text } in &all {
        // A reader that has gone away is no fault of ours.
        let _ = writeln!(out, "{}", if json { text.clone() } else { told(line) });
    }
    let lines: Vec<_> = all.iter().map(|told| &told.line).collect();
    eprintln!("{}, in {}", Tally::of(lines.iter().copied()), report.name);
    for difference in &differences {
        eprintln!("  differs  {difference}");
    }
    ended(&lines, &differences, &manifest)
}

impl Told {
    fn read(text: &str, what: impl FnOnce() -> String) -> Result<Self> {
        let line = serde_json::from_str(text).or_fail(Code::Evidence, what)?;
        Ok(Self { line, text: text.to_owned() })
    }

    /// Whose verdict, and on what.
    fn key(&self) -> (&str, &str, String) {
        (&self.line.world, &self.line.trial, self.line.verdict.id.to_string())
    }

    /// Whether it says that a claim was due and no trial judged it: that comes from no document.
    fn is_absence(&self) -> bool {
        self.line.verdict.evidence.is_empty() && self.line.verdict.verdict == Outcome::Unjudged
    }
}

/// The verdicts that the run wrote down.
fn written(report: &Stored) -> Result<Vec<Told>> {
    let text = report.text(VERDICTS)?.unwrap_or_default();
    let what = |i: usize| format!("line {} of {}/{VERDICTS} is no verdict", i + 1, report.name);
    text.lines().enumerate().map(|(i, line)| Told::read(line, || what(i))).collect()
}

/// The verdicts on each document, of whichever trial it is.
fn again(report: &Stored, written: &[Told]) -> Result<Vec<Told>> {
    let documents = report.covered().map(|(name, _)| name);
    let documents = documents.filter(|name| name.starts_with("evidence/") && name.ends_with(".json"));
    let mut all = Vec::new();
    for name in documents {
        let place = || format!("{}/{name}", report.name);
        let (world, trial) = whose(name, report, written).ok_or_else(|| {
            Error::new(Code::Evidence, format!("{} is of no world that the run had", place()))
        })?;
        let lines = Line::all_of(&world, &trial, report.text(name)?.unwrap_or_default());
        for line in lines.map_err(|e| Error::new(e.code(), place()).because(e))? {
            all.push(Told::read(&line.text()?, place)?);
        }
    }
    Ok(all)
}

/// A document's name has both, and both may have dashes: the world is one that the run had.
fn whose(document: &str, report: &Stored, written: &[Told]) -> Option<(String, String)> {
    let stem = document.strip_prefix("evidence/")?.strip_suffix(".json")?;
    let made = report.covered().filter_map(|(name, _)| name.strip_prefix("world-")?.strip_suffix(".json"));
    let worlds = made.chain(written.iter().map(|told| told.line.world.as_str()));
    let named = worlds.filter_map(|world| Some((world, stem.strip_prefix(world)?.strip_prefix('-')?)));
    let (world, trial) = named.max_by_key(|(world, _)| world.len())?;
    Some((world.to_owned(), trial.to_owned()))
}

/// What the run wrote down and its evidence does not say again to the byte, with the claim.
fn differences(written: &[Told], again: &[Told]) -> Vec<String> {
    let now: BTreeMap<_, _> = again.iter().map(|told| (told.key(), told)).collect();
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for was in written {
        let Verdict { id, verdict, .. } = &was.line.verdict;
        let first = seen.insert(was.key());
        match now.get(&was.key()) {
            _ if !first => all.push(format!("{id}: it has two verdicts")),
            Some(is) if is.text == was.text => {}
            Some(is) => all.push(format!("{id}: {}", change(&was.line.verdict, &is.line.verdict))),
            None if was.is_absence() => {}
            None => all.push(format!("{id}: the run wrote {}, and no document says so", word(*verdict))),
        }
    }
    let unwritten = again.iter().filter(|is| !seen.contains(&is.key()));
    all.extend(unwritten.map(|is| {
        let Verdict { id, verdict, evidence, .. } = &is.line.verdict;
        format!("{id}: it is {} by {evidence}, and the run wrote nothing of it", word(*verdict))
    }));
    all
}

/// What changed of a verdict: its outcome, or the first of its parts that did.
fn change(was: &Verdict, is: &Verdict) -> String {
    if was.verdict != is.verdict {
        return format!("it is {}, and the run wrote {}", word(is.verdict), word(was.verdict));
    }
    let none = "none".to_owned();
    let parts = [
        ("observed", &is.observed, &was.observed),
        ("expected", &is.expected, &was.expected),
        ("issuer_key", is.issuer_key.as_ref().unwrap_or(&none), was.issuer_key.as_ref().unwrap_or(&none)),
        ("evidence", &is.evidence, &was.evidence),
        ("claim", &is.claim, &was.claim),
    ];
    match parts.into_iter().find(|(_, is, was)| is != was) {
        Some((part, is, was)) => format!("{part} is `{is}`, and the run wrote `{was}`"),
        None => "the run wrote the same with other bytes".to_owned(),
    }
}

/// What the evidence says weighs more than what the run said; where they agree, the run's end is the end.
fn ended(lines: &[&Line], differences: &[String], manifest: &Manifest) -> Result<()> {
    let own = || outcome(lines);
    if differences.is_empty() {
        let run = manifest.outcome();
        return match (run, lines.is_empty()) {
            (Ok(()), _) => own(),
            (Err(run), true) => Err(run),
            (Err(run), false) => Err(match own() {
                Err(own) if own.code() == run.code() => own,
                _ => run.seen(Tally::of(lines.iter().copied()).to_string()),
            }),
        };
    }
    let mut named: Vec<_> = differences.iter().take(TOLD).cloned().collect();
    if differences.len() > TOLD {
        named.push(format!("and {} more", differences.len() - TOLD));
    }
    let named = named.join("\n    ");
    let (count, all) = (differences.len(), lines.len());
    let what = format!("{count} of {all} verdicts are not those that the run wrote down");
    match own() {
        Err(e) if e.code() == Code::ClaimBroken => Err(e.seen(format!("{what}\n    {named}"))),
        _ => Err(Error::new(Code::Evidence, what).seen(named)),
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
