//! Judging: pure functions from evidence to verdicts.
//!
//! A [`Finding`] says whether something is as it must be, in words fit for a ticket; a [`Verdict`] is a
//! finding about a claim. The small findings (`verified`, `passed`, `refused` …) can be used by themselves;
//! the judgements of the files below put them together over a document of [`crate::evidence`], and
//! [`judge()`] asks for each [`crate::claim`] that is due.
//!
//! A claim whose evidence is missing neither holds nor breaks: it is unjudged, and the verdict says what was missing.
//!
//! | file | claims |
//! | --- | --- |
//! | `bundles` | the servers' bundles share no key; each holds the other's |
//! | `held` | every proxy holds its SVID, and the roots of exactly the trust domains |
//! | `history` | what proxies held before, and whom they believed |
//! | `mesh` | entries federate; each istiod watches the other cluster |
//! | `handshake` | each end showed an SVID of its own trust domain |
//! | `connection` | both records are of one and the same connection |
//! | `path` | both versions answer; traffic crossed the east-west gateway |
//! | `istiod` | no certificate is from istiod's CA |
//! | `refusal` | what must be refused is, for the stated reason |
//! | `fact` | what a source document states, seen or not |
//!
//! What a set-up expects to break is in [`expectation`], which compares verdicts and makes none.

pub mod bundles;
pub mod connection;
pub mod expectation;
pub mod fact;
#[cfg(test)]
pub(crate) mod fixture;
pub mod handshake;
pub mod held;
pub mod history;
pub mod istiod;
pub mod mesh;
pub mod motion;
pub mod path;
pub mod refusal;
#[cfg(test)]
mod tests;

mod judge;
mod line;
mod settings;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use connection::same_connection;
pub use expectation::Came;
pub use handshake::verified;
pub use held::trusts;
pub use istiod::not_from_istiod;
pub use judge::{judge, judge_one};
pub use line::Line;
pub use path::{moved, passed};
pub use refusal::refused;

use crate::claim::Claim;
use crate::identity::Flaw;
use crate::topology::Way;
use crate::{Code, Error, Result};

/// What was observed of a certificate with that flaw.
///
/// # Errors
/// [`Code::Evidence`] for one that nobody here can check: it is neither good nor bad, so it breaks no claim.
fn told(flaw: &Flaw) -> Result<String> {
    if flaw.is_uncheckable() {
        Err(Error::new(Code::Evidence, flaw.to_string()))
    } else {
        Ok(flaw.to_string())
    }
}

/// Whether something is as it must be, and how that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is.
    pub held: bool,
    /// What must be.
    pub expected: String,
    /// What is.
    pub observed: String,
    /// The key of the authority that signed the certificate in question, in hex; nothing where no authority
    /// of the evidence did, or none is in question.
    pub issuer_key: Option<String>,
}

impl Finding {
    /// Compares.
    pub fn new(held: bool, expected: impl Into<String>, observed: impl Into<String>) -> Self {
        Self { held, expected: expected.into(), observed: observed.into(), issuer_key: None }
    }

    /// Names the key that signed.
    #[must_use]
    pub fn signed_by(mut self, key_id: impl Into<Option<String>>) -> Self {
        self.issuer_key = key_id.into();
        self
    }

    /// One finding from several alike: the first broken one, else that all of them held. `what` names them
    /// (`handshakes`). None at all is nothing to judge.
    pub fn all(what: &str, findings: impl IntoIterator<Item = Finding>) -> Option<Self> {
        let findings: Vec<_> = findings.into_iter().collect();
        let count = findings.len();
        let broken = findings.iter().filter(|finding| !finding.held).count();
        let worst =
            findings.into_iter().reduce(|worst, next| if worst.held && !next.held { next } else { worst })?;
        let observed = match (broken, count) {
            (_, 1) => worst.observed,
            (0, _) => format!("in all {count} {what}: {}", worst.observed),
            _ => format!("in {broken} of {count} {what}: {}", worst.observed),
        };
        Some(Self { observed, ..worst })
    }

    /// As [`Finding::all`], of findings with their places in a list: also the place of the one that is told.
    fn all_at(what: &str, found: Vec<(usize, Finding)>) -> Option<(Self, usize)> {
        let told = found.iter().find(|(_, finding)| !finding.held).or(found.first()).map(|(at, _)| *at)?;
        let finding = Self::all(what, found.into_iter().map(|(_, finding)| finding))?;
        Some((finding, told))
    }

    /// Both must hold; the first that does not is told.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.held, other.held) {
            (false, _) => self,
            (true, false) => other,
            (true, true) => Self {
                held: true,
                expected: format!("{}; {}", self.expected, other.expected),
                observed: format!("{}; {}", self.observed, other.observed),
                issuer_key: self.issuer_key.or(other.issuer_key),
            },
        }
    }

    /// The verdict on a claim: its sentence is true when this held. `evidence` points to what it was judged from, as a
    /// JSON pointer into the evidence document.
    pub fn verdict(self, claim: &Claim, sentence: String, evidence: String) -> Verdict {
        Verdict {
            id: claim.clone(),
            claim: sentence,
            way: claim.about().map(Way::to_string),
            verdict: if self.held { Outcome::Held } else { Outcome::Broken },
            expected: self.expected,
            observed: self.observed,
            issuer_key: self.issuer_key,
            evidence,
        }
    }
}

/// A finding, and where in the document it was found, as a JSON pointer.
pub type Located = (Finding, String);

/// A judged claim; one line of `cargo xtask e2e --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Which claim.
    pub id: Claim,
    /// Its sentence.
    pub claim: String,
    /// `cluster1→cluster2`, where it is about one.
    pub way: Option<String>,
    /// Whether the sentence is true.
    pub verdict: Outcome,
    /// What makes it true; of one that is unjudged, what must have been observed.
    pub expected: String,
    /// What was seen; of one that is unjudged, what was missing.
    pub observed: String,
    /// The key of the authority that signed the certificate in question, in hex.
    pub issuer_key: Option<String>,
    /// What it was judged from: `FILE#POINTER`, or the pointer alone.
    pub evidence: String,
}

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is true.
    Held,
    /// It is not.
    Broken,
    /// It was due, and what it is judged from was not observed. It may be either.
    Unjudged,
}

impl Verdict {
    /// Whether the claim held.
    pub fn held(&self) -> bool {
        self.verdict == Outcome::Held
    }

    /// On a claim whose evidence is missing: why, for a person.
    pub fn unjudged(claim: &Claim, sentence: String, missing: String) -> Self {
        Self {
            id: claim.clone(),
            claim: sentence,
            way: claim.about().map(Way::to_string),
            verdict: Outcome::Unjudged,
            expected: format!("evidence: {}", claim.kind.needs()),
            observed: missing,
            issuer_key: None,
            evidence: String::new(),
        }
    }

    /// Says in which file the evidence is kept.
    #[must_use]
    pub fn kept_in(mut self, file: &str) -> Self {
        self.evidence = format!("{file}#{}", self.evidence);
        self
    }
}
