//! What came of the claims about one place: the worst of them, and why.

use proof::verdict::{Line, Outcome, Verdict};

use super::place::{self, Place};
use crate::report::html::run::file_of;

/// What came of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The worst.
    pub state: State,
    /// The document that decided it.
    pub file: Option<String>,
    /// The place of the verdict that decided it among those of its world, where it did not hold.
    pub line: Option<usize>,
}

/// The worst that came of the claims about a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// One did not hold, and why.
    Broken(String),
    /// None is broken, and one was due and not judged: why.
    Unjudged(String),
    /// All that are about it.
    Held,
    /// No claim is about it.
    NotDue,
}

impl Mark {
    pub(super) fn of(lines: &[Line], place: &Place) -> Self {
        let about = |line: &&Line| place::of(&line.verdict.id).contains(place);
        let worst = |outcome: Outcome| {
            lines.iter().enumerate().find(|(_, line)| line.verdict.verdict == outcome && about(line))
        };
        let file = |verdict: &Verdict| Some(file_of(&verdict.evidence).to_owned());
        if let Some((i, Line { verdict, .. })) = worst(Outcome::Broken) {
            return Self { state: State::Broken(why(verdict)), file: file(verdict), line: Some(i) };
        }
        if let Some((i, Line { verdict, .. })) = worst(Outcome::Unjudged) {
            return Self { state: State::Unjudged(why(verdict)), file: file(verdict), line: Some(i) };
        }
        let state = if worst(Outcome::Held).is_some() { State::Held } else { State::NotDue };
        Self { state, file: None, line: None }
    }

    /// Why it is not fine, if it is not.
    pub fn why(&self) -> Option<&str> {
        match &self.state {
            State::Broken(why) | State::Unjudged(why) => Some(why),
            State::Held | State::NotDue => None,
        }
    }

    /// As a class of the style sheet.
    pub fn class(&self) -> &'static str {
        match self.state {
            State::Broken(_) => "broken",
            State::Unjudged(_) => "unjudged",
            State::Held => "held",
            State::NotDue => "not-due",
        }
    }

    /// What tells it where there are no colours.
    pub fn sign(&self) -> &'static str {
        match self.state {
            State::Broken(_) => "✗ ",
            State::Unjudged(_) => "? ",
            State::Held => "✓ ",
            State::NotDue => "",
        }
    }
}

fn why(verdict: &Verdict) -> String {
    format!("{}: {}", verdict.id.kind.name(), verdict.observed)
}
