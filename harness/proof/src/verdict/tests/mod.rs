//! Each test spoils one thing in a good world, says what tampering that is, and names every claim that must
//! turn red: those and no others.

mod held;
mod intermediates;
mod met;
mod real;
mod whole;

use super::world::World;
use super::{Judgement, judge};
use crate::Code;
use crate::evidence::Evidence;

/// The claims that are red, with what was observed, after `tamper`; all evidence must still be there.
fn red(tamper: impl FnOnce(&World, &mut Evidence)) -> Vec<(String, String)> {
    let Judgement { verdicts, missing } = tampered(tamper);
    assert!(missing.is_empty(), "{missing:?}");
    let red = verdicts.into_iter().filter(|verdict| !verdict.held());
    red.map(|v| (format!("{} {}", v.way.unwrap_or_default(), v.claim).trim().to_owned(), v.observed))
        .collect()
}

/// Asserts that exactly these claims are red, and returns what was observed for the first.
#[track_caller]
fn only(red: Vec<(String, String)>, expected: &[&str]) -> String {
    let claims: Vec<_> = red.iter().map(|(claim, _)| claim.as_str()).collect();
    assert_eq!(claims, expected, "{red:#?}");
    red.into_iter().next().unwrap().1
}

/// The words of the claims that could not be judged after `tamper`; nothing may turn red by absence alone.
fn unjudged(tamper: impl FnOnce(&World, &mut Evidence)) -> Vec<String> {
    let Judgement { verdicts, missing } = tampered(tamper);
    let red: Vec<_> = verdicts.iter().filter(|verdict| !verdict.held()).collect();
    assert!(red.is_empty(), "absent evidence broke a claim: {red:#?}");
    assert!(missing.iter().all(|error| error.code() == Code::Evidence), "{missing:?}");
    missing.iter().map(ToString::to_string).collect()
}

fn tampered(tamper: impl FnOnce(&World, &mut Evidence)) -> Judgement {
    let world = World::good();
    let mut evidence = world.evidence.clone();
    tamper(&world, &mut evidence);
    judge(&evidence)
}
