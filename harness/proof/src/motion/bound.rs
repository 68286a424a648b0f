//! A bound: how long something may take, as the sum of what it waits for.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long something may take at most, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// What is waited for, one after the other.
    pub terms: Vec<Term>,
}

/// One part of a bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// How long, in milliseconds.
    pub ms: u64,
    /// What takes it.
    pub what: String,
}

/// How long something took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Took {
    /// In milliseconds; nothing when it had not happened when nobody waited any more.
    pub ms: Option<u64>,
    /// From which event on, and what was seen last.
    pub seen: String,
}

impl Bound {
    /// Of one term.
    pub fn of(length: Duration, what: impl Into<String>) -> Self {
        Self { terms: vec![Term { ms: whole_ms(length), what: what.into() }] }
    }

    /// All of it.
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.terms.iter().map(|term| term.ms).sum())
    }
}

impl Add for Bound {
    type Output = Self;

    fn add(mut self, after: Self) -> Self {
        self.terms.extend(after.terms);
        self
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = |term: &Term| format!("{} {}", seconds(term.ms), term.what);
        let terms: Vec<_> = self.terms.iter().map(term).collect();
        write!(f, "{} = {}", seconds(whole_ms(self.length())), terms.join(" + "))
    }
}

impl Took {
    /// So long.
    pub fn in_time(length: Duration, seen: impl Into<String>) -> Self {
        Self { ms: Some(whole_ms(length)), seen: seen.into() }
    }

    /// Not as long as anybody waited.
    pub fn never(seen: impl Into<String>) -> Self {
        Self { ms: None, seen: seen.into() }
    }
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ms {
            Some(ms) => write!(f, "{} {}", seconds(ms), self.seen),
            None => write!(f, "not while anybody waited: {}", self.seen),
        }
    }
}

/// As people read it.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn whole_ms(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_says_its_terms() {
        let bound = Bound::of(Duration::from_secs(15), "until cluster1 polls")
            + Bound::of(Duration::from_millis(1_250), "until its agent asks");
        assert_eq!(bound.length(), Duration::from_millis(16_250));
        assert_eq!(bound.to_string(), "16.2 s = 15.0 s until cluster1 polls + 1.2 s until its agent asks");
    }

    #[test]
    fn what_took_how_long_is_told() {
        let soon = Took::in_time(Duration::from_millis(2_340), "after the key was prepared");
        assert_eq!(soon.to_string(), "2.3 s after the key was prepared");
        assert_eq!(Took::never("2 of 3").to_string(), "not while anybody waited: 2 of 3");
    }
}
