//! The top of the page: what came of the run.

use maud::{Markup, html};
use proof::verdict::Outcome;

use super::run::Run;
use crate::report::Tally;

/// All of it in one sentence.
pub fn verdict(run: &Run) -> String {
    let tally = run.tally();
    let Tally { held, broken, unjudged, expected, surprises } = tally;
    if tally.all() == 0 {
        return match run.told.as_ref().and_then(|told| told.ended.as_ref()) {
            Some((code, sentence)) => format!("No claim was judged: {sentence} [{code}]."),
            None => "No claim was judged.".to_owned(),
        };
    }
    let claims = if held == 1 { "claim" } else { "claims" };
    let were = if unjudged == 1 { "was" } else { "were" };
    let otherwise = match (expected, surprises) {
        (0, 0) => String::new(),
        _ => format!("{expected} broken as the set-up expects; {surprises} surprises; "),
    };
    format!("{held} {claims} held; {broken} broken; {otherwise}{unjudged} {were} due and not judged.")
}

/// The verdict, what the run was and how it ended, and where there are several worlds, what came of each.
pub fn of(run: &Run, verdict: &str) -> Markup {
    let setups: Vec<_> = run
        .worlds
        .iter()
        .map(|shown| shown.world.as_ref().map_or(&shown.name, |world| &world.setup).as_str())
        .collect();
    let class = match run.outcome() {
        Outcome::Held => "held",
        Outcome::Broken => "broken",
        Outcome::Unjudged => "unjudged",
    };
    html! {
        h1.(class) { (verdict) }
        dl.facts {
            @if !setups.is_empty() { dt { "set-up" } dd { (setups.join(", ")) } }
            @if let Some(at) = run.at { dt { "began" } dd { (at.strftime("%F %T UTC")) } }
            @if let Some(took) = run.told.as_ref().and_then(|told| told.took.as_ref()) { dt { "took" } dd { (took) } }
            @if let Some(asked) = &run.asked { dt { "command" } dd { code { (asked) } } }
            @match &run.told {
                None => { dt { "ended" } dd { "It never came to its end: it was killed, or is still at work. What it owed and had not judged counts as not judged." } }
                Some(told) => {
                    dt { "ended" }
                    dd {
                        @match &told.ended {
                            None => "Every claim that was due was judged, and held.",
                            Some((code, sentence)) => { code { "[" (code) "]" } " " (sentence) },
                        }
                    }
                }
            }
        }
        @if let Some(failure) = &run.failure {
            details open[run.worlds.is_empty()] {
                summary { "The error as it was told" }
                pre tabindex="0" { (failure) }
            }
        }
        @if !run.unreadable.is_empty() {
            p { "Not in this page, for it could not be read:" }
            ul { @for one in &run.unreadable { li { (one) } } }
        }
        (worlds(run))
    }
}

fn worlds(run: &Run) -> Markup {
    if run.worlds.len() < 2 {
        return Markup::default();
    }
    html! {
        nav aria-label="Worlds" {
            ul {
                @for shown in &run.worlds {
                    li { a href={ "#world-" (shown.name) } { (shown.name) } ": " (Tally::of(&shown.lines)) }
                }
            }
        }
    }
}
