//! Every claim: what is broken first, then what was due and not judged, then what held, by whom it is about.

use maud::{Markup, html};
use proof::claim::Subject;
use proof::evidence::Repeat;
use proof::verdict::{Came, Line, Outcome, Verdict};

use super::run::Shown;
use super::words::shortened;
use super::{Page, heading};

/// An observation longer than this is read where it is kept.
const LONGEST: usize = 4000;

/// Of a claim about a whole cluster; its document has the others.
const MOST_COMMANDS: usize = 3;

/// The anchor of a world's verdict.
pub fn anchor(shown: &Shown, line: usize) -> String {
    format!("claim-{}-{line}", shown.name)
}

/// The claims of a world, as sections.
pub fn of(page: &Page<'_>, shown: &Shown) -> Markup {
    let with = |outcome: Outcome| {
        shown
            .lines
            .iter()
            .enumerate()
            .filter(move |(_, line)| line.verdict.verdict == outcome)
            .collect::<Vec<_>>()
    };
    let (broken, unjudged, held) = (with(Outcome::Broken), with(Outcome::Unjudged), with(Outcome::Held));
    html! {
        section {
            (heading(page.level, &format!("Broken: {}", broken.len())))
            @if broken.is_empty() { p { "No claim is broken." } }
            (all(shown, &broken))
        }
        section {
            (heading(page.level, &format!("Due and not judged: {}", unjudged.len())))
            @if unjudged.is_empty() { p { "Every claim that was due was judged." } }
            @else { p { "Each of these may be true or false: what it is judged from was not seen." } }
            (all(shown, &unjudged))
        }
        section {
            (heading(page.level, &format!("Held: {}", held.len())))
            @for (about, lines) in grouped(&held) {
                details {
                    summary { (about) " " span.count { "(" (lines.len()) ")" } }
                    (all(shown, &lines))
                }
            }
        }
    }
}

fn all(shown: &Shown, lines: &[(usize, &Line)]) -> Markup {
    html! {
        @if !lines.is_empty() {
            ul.claims { @for (i, line) in lines { li id=(anchor(shown, *i)) .(class(&line.verdict)) { (one(shown, line)) } } }
        }
    }
}

/// The commands that observe again what the verdict was made from.
fn again<'a>(shown: &'a Shown, verdict: &Verdict) -> Vec<&'a Repeat> {
    let Some((file, pointer)) = verdict.evidence.split_once('#') else { return Vec::new() };
    let document = shown.documents.iter().find(|document| document.file == file);
    let all = document.map(|document| document.evidence.repeats(pointer)).unwrap_or_default();
    all.into_iter().take(MOST_COMMANDS).collect()
}

fn one(shown: &Shown, line: &Line) -> Markup {
    let Line { verdict, trial, .. } = line;
    let surprise = line.came().map(|came| match came {
        Came::AsExpected => "it broke, as the set-up expects".to_owned(),
        Came::Surprise(words) => format!("it {words}"),
    });
    let Verdict { id, claim, expected, observed, issuer_key, evidence, .. } = verdict;
    html! {
        p.sentence { span.word { (word(verdict.verdict)) } " " (claim) }
        dl {
            dt { "claim" } dd { code { (id) } }
            dt { "expected" } dd { (shortened(expected, LONGEST)) }
            dt { (if verdict.verdict == Outcome::Unjudged { "missing" } else { "observed" }) }
            dd { (shortened(observed, LONGEST)) }
            @if let Some(words) = &surprise { dt { "foreseen" } dd { (shortened(words, LONGEST)) } }
            dt { "if broken" } dd { (id.kind.if_broken()) }
            @if let Some(key) = issuer_key { dt { "signed by" } dd { "key " code { (key) } } }
            @for repeat in again(shown, verdict) { dt { "again" } dd { code { (repeat.command) } } }
            dt { "seen by" } dd { "trial " code { (trial) } @if !evidence.is_empty() { ", " code { (evidence) } } }
        }
    }
}

/// Those that are about the same, in the order in which they first came.
fn grouped<'a>(lines: &[(usize, &'a Line)]) -> Vec<(String, Vec<(usize, &'a Line)>)> {
    let mut groups: Vec<(String, Vec<(usize, &Line)>)> = Vec::new();
    for (i, line) in lines {
        let about = about(&line.verdict.id.subject);
        match groups.iter_mut().find(|(known, _)| *known == about) {
            Some((_, group)) => group.push((*i, line)),
            None => groups.push((about, vec![(*i, line)])),
        }
    }
    groups
}

fn about(subject: &Subject) -> String {
    match subject {
        Subject::Way(way) => way.to_string(),
        Subject::Pair(..) => "pairs of clusters".to_owned(),
        Subject::Cluster(cluster) | Subject::Proxy { cluster, .. } => cluster.to_string(),
        Subject::After { scenario, .. } | Subject::Fact { scenario, .. } | Subject::Scenario(scenario) => {
            format!("scenario {scenario}")
        }
    }
}

fn class(verdict: &Verdict) -> &'static str {
    match verdict.verdict {
        Outcome::Held => "held",
        Outcome::Broken => "broken",
        Outcome::Unjudged => "unjudged",
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Held => "✓ held",
        Outcome::Broken => "✗ broken",
        Outcome::Unjudged => "? not judged",
    }
}
