//! Each test spoils one thing in a good world, says what tampering that is, and names every claim that must
//! turn red: those and no others.

mod existing;
mod held;
mod history;
mod intermediates;
mod met;
mod real;
mod settings;
mod whole;

use super::fixture::Fixture;
use super::{Outcome, Verdict, judge};
use crate::evidence::Evidence;

/// The claims that are red, with what was observed, after `tamper`; all evidence must still be there.
fn red(tamper: impl FnOnce(&Fixture, &mut Evidence)) -> Vec<(String, String)> {
    let verdicts = tampered(tamper);
    let missing: Vec<_> = verdicts.iter().filter(|verdict| verdict.verdict == Outcome::Unjudged).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let red = verdicts.into_iter().filter(|verdict| !verdict.held());
    red.map(|v| (v.id.to_string(), v.observed)).collect()
}

/// Asserts that exactly these claims are red, and returns what was observed for the first.
#[track_caller]
fn only(red: Vec<(String, String)>, expected: &[&str]) -> String {
    let claims: Vec<_> = red.iter().map(|(claim, _)| claim.as_str()).collect();
    assert_eq!(claims, expected, "{red:#?}");
    red.into_iter().next().unwrap().1
}

/// What was missing of each claim that could not be judged after `tamper`; nothing may turn red by absence alone.
fn unjudged(tamper: impl FnOnce(&Fixture, &mut Evidence)) -> Vec<String> {
    let verdicts = tampered(tamper);
    let red: Vec<_> = verdicts.iter().filter(|verdict| verdict.verdict == Outcome::Broken).collect();
    assert!(red.is_empty(), "absent evidence broke a claim: {red:#?}");
    let missing = verdicts.into_iter().filter(|verdict| verdict.verdict == Outcome::Unjudged);
    missing.map(|verdict| verdict.observed).collect()
}

/// What was before is another file's subject.
fn forget_the_past(evidence: &mut Evidence) {
    evidence.clusters.iter_mut().for_each(|seen| seen.history = None);
}

fn tampered(tamper: impl FnOnce(&Fixture, &mut Evidence)) -> Vec<Verdict> {
    let world = Fixture::good();
    let mut evidence = world.evidence.clone();
    tamper(&world, &mut evidence);
    judge(&evidence)
}
