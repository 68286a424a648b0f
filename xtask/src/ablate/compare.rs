//! What came of a setting, held against what was predicted. Better than predicted is a surprise, too.

use std::path::Path;

use harness::{Code, Result};
use proof::verdict::{Came, Line, Outcome as Judged};
use regex::Regex;

use super::file::{Cell, Predicted};
use crate::cells::{Outcome, Row};

/// What was seen while a setting was away.
pub struct Seen {
    /// A verdict for each claim that is due.
    pub lines: Vec<Line>,
    /// How their judging ended.
    pub ended: Result<()>,
    /// In each cluster, why the new pods did not become ready; nothing where they did.
    pub unready: Vec<Option<String>>,
    /// The causes that a diagnosis named.
    pub causes: Vec<String>,
}

impl Seen {
    /// Nothing yet.
    pub fn nothing() -> Self {
        Self { lines: Vec::new(), ended: Ok(()), unready: Vec::new(), causes: Vec::new() }
    }
}

/// What came of a setting.
pub fn row(cell: &Cell, seen: &Result<Seen>, report: &Path) -> Row {
    let (outcome, why) = match seen {
        Ok(seen) => came(cell, seen),
        Err(e) => (Outcome::Unjudged, vec![e.one_line()]),
    };
    let held = |seen: &Seen| seen.lines.iter().filter(|line| line.verdict.held()).count();
    Row {
        cell: cell.name.clone(),
        about: cell.setting.clone(),
        outcome,
        why,
        held: seen.as_ref().map_or(0, held),
        report: report.to_owned(),
    }
}

fn came(cell: &Cell, seen: &Seen) -> (Outcome, Vec<String>) {
    let (mut surprises, unjudged) = match &cell.predicted {
        Predicted::Unready { because, .. } => (ready(because, &seen.unready), Vec::new()),
        predicted => {
            // Neither verdict nor its absence: whoever judges died.
            if let Err(e) = &seen.ended
                && !matches!(e.code(), Code::ClaimBroken | Code::Evidence)
            {
                return (Outcome::Unjudged, vec![e.one_line()]);
            }
            claims(predicted, &seen.lines)
        }
    };
    let named = seen.causes.join(", ");
    match cell.predicted.cause() {
        Some(cause) if seen.causes != [cause] => {
            let named = if named.is_empty() { "nothing" } else { &named };
            surprises.push(format!("`{cause}` was to be diagnosed, and named was {named}"));
        }
        None if !named.is_empty() => {
            surprises.push(format!("no cause was to be diagnosed, and named was {named}"))
        }
        _ => {}
    }
    match (surprises.is_empty(), unjudged.is_empty(), &cell.predicted) {
        (false, ..) => (Outcome::Surprise, surprises.into_iter().chain(unjudged).collect()),
        (true, false, _) => (Outcome::Unjudged, unjudged),
        (true, true, Predicted::Inert) => (Outcome::Held, Vec::new()),
        (true, true, _) => (Outcome::Broke, Vec::new()),
    }
}

/// What did not come as predicted, and what could not be judged although it was to be.
fn claims(predicted: &Predicted, lines: &[Line]) -> (Vec<String>, Vec<String>) {
    let (mut surprises, mut unjudged) = (Vec::new(), Vec::new());
    if lines.is_empty() {
        unjudged.push("no claim was judged".to_owned());
    }
    for line in lines {
        let verdict = &line.verdict;
        let (expected, silent) = predicted.of(&verdict.id);
        match (verdict.verdict, expected) {
            (Judged::Unjudged, _) if silent => {}
            (Judged::Unjudged, _) => unjudged.push(format!("{}: {}", verdict.id, verdict.observed)),
            (judged, Some(expected)) => {
                if let Some(Came::Surprise(words)) = expected.compare(judged, &verdict.observed) {
                    surprises.push(format!("{} {words}", verdict.id));
                }
            }
            (Judged::Broken, None) => {
                surprises.push(format!("{} was to hold, and broke: {}", verdict.id, verdict.observed));
            }
            (Judged::Held, None) if silent => {
                surprises.push(format!("nothing was to be said of {}, and it held", verdict.id));
            }
            (Judged::Held, None) => {}
        }
    }
    (surprises, unjudged)
}

/// New pods that became ready all the same, or did not for another reason.
fn ready(because: &str, unready: &[Option<String>]) -> Vec<String> {
    let is_so = |why: &str| Regex::new(because).is_ok_and(|cause| cause.is_match(why));
    let wrong = unready.iter().filter_map(|why| match why {
        None => Some("new pods were not to become ready, and did".to_owned()),
        Some(why) if is_so(why) => None,
        Some(why) => Some(format!("new pods were not to become ready because of `{because}`: {why}")),
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::cells;
    use super::*;
    use crate::due::tests::{all_held, main_set_up};

    fn cell(rest: &str) -> Cell {
        cells(&format!(
            "settings:\n- {{ name: a, setting: s, document: d, why: w, take: [{{ remove: Secret a/b }}], {rest} }}\n"
        ))
        .unwrap()
        .remove(0)
    }

    const BROKEN: &str =
        "broken: [{ claim: 'remote-answers/*', because: '503' }], unjudged: ['server-svid/*']";

    /// Every claim as it is due: those of these kinds broken with these words, or unjudged.
    fn seen(broken: &[(&str, &str)], unjudged: &[&str], causes: &[&str]) -> Seen {
        let mut lines = all_held(&main_set_up());
        for line in &mut lines {
            let kind = line.verdict.id.kind.name();
            if let Some((_, words)) = broken.iter().find(|(one, _)| *one == kind) {
                (line.verdict.verdict, line.verdict.observed) = (Judged::Broken, (*words).to_owned());
            }
            if unjudged.contains(&kind) {
                line.verdict.verdict = Judged::Unjudged;
            }
        }
        let causes = causes.iter().map(|cause| (*cause).to_owned()).collect();
        Seen { lines, causes, ..Seen::nothing() }
    }

    fn outcome(cell: &Cell, seen: Seen) -> (Outcome, String) {
        let row = row(cell, &Ok(seen), Path::new("report"));
        (row.outcome, row.why.join("; "))
    }

    #[test]
    fn what_came_is_held_against_what_was_predicted() {
        let inert = cell("only: nothing");
        assert_eq!(outcome(&inert, seen(&[], &[], &[])), (Outcome::Held, String::new()));
        let (came, why) = outcome(&inert, seen(&[("remote-answers", "503")], &[], &[]));
        assert_eq!(came, Outcome::Surprise);
        assert!(why.contains("remote-answers/cluster1→cluster2 was to hold, and broke: 503"), "{why}");
        assert_eq!(outcome(&inert, seen(&[], &["proxy-svid"], &[])).0, Outcome::Unjudged);
        assert_eq!(outcome(&inert, Seen::nothing()).0, Outcome::Unjudged);

        let broken = cell(&format!("{BROKEN}, cause: agent-down"));
        let both = |words, causes| seen(&[("remote-answers", words)], &["server-svid"], causes);
        assert_eq!(outcome(&broken, both("status 503", &["agent-down"])), (Outcome::Broke, String::new()));
        let (came, why) = outcome(&broken, both("status 404", &["agent-down"]));
        assert!(
            came == Outcome::Surprise && why.contains("and broke for another cause: status 404"),
            "{why}"
        );
        let (came, why) = outcome(&broken, both("503", &["agent-down", "istiod-down"]));
        assert_eq!(came, Outcome::Surprise);
        assert_eq!(why, "`agent-down` was to be diagnosed, and named was agent-down, istiod-down");
        let (came, why) = outcome(&broken, seen(&[("remote-answers", "503")], &[], &["agent-down"]));
        assert!(
            came == Outcome::Surprise
                && why.contains("nothing was to be said of server-svid/cluster1→cluster2, and it held"),
            "{why}"
        );
        assert_eq!(outcome(&broken, seen(&[], &["server-svid"], &["agent-down"])).0, Outcome::Surprise);
    }

    #[test]
    fn what_came_otherwise_is_a_surprise_and_says_how() {
        let unready = cell("unready: { workload: Deployment a/b, because: 'no (socket|certificate)' }");
        let of = |why: &[Option<&str>]| {
            let unready = why.iter().map(|why| why.map(str::to_owned)).collect();
            Seen { unready, ..Seen::nothing() }
        };
        assert_eq!(outcome(&unready, of(&[Some("no socket"), Some("no certificate")])).0, Outcome::Broke);
        let (came, why) = outcome(&unready, of(&[Some("no socket"), None]));
        assert_eq!((came, &*why), (Outcome::Surprise, "new pods were not to become ready, and did"));
        let (came, why) = outcome(&unready, of(&[Some("refused")]));
        assert!(came == Outcome::Surprise && why.ends_with(": refused"), "{why}");
    }
}
