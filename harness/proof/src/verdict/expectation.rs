//! What a set-up expects to break, and why: told beforehand, so that a run in which it comes so is a good one, and a run in
//! which it holds, or breaks for another cause, is a surprise.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::claim::Claim;

/// Claims that must break, and the cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Where it is written: `setup.yaml:7:5`.
    pub at: String,
    /// The claim's id; `*` in it stands for any characters.
    pub claim: String,
    /// A regular expression that is found in what is observed.
    pub because: String,
}

/// How what came of a claim compares with what was expected to break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// It broke, for that cause.
    AsExpected,
    /// It did not break, or for another cause: in words.
    Surprise(String),
}

impl Expectation {
    /// Why it cannot be used, where it cannot.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        match Regex::new(&self.because) {
            Err(e) => Err(format!("`{}` is no regular expression: {e}", self.because)),
            // It would be found in anything.
            Ok(_) if self.because.trim().is_empty() => Err("the cause is empty".to_owned()),
            Ok(_) => Ok(()),
        }
    }

    /// Whether it is about that claim.
    pub fn speaks_of(&self, claim: &Claim) -> bool {
        let wanted: Vec<_> = self.claim.split('*').map(regex::escape).collect();
        Regex::new(&format!("^{}$", wanted.join(".*")))
            .is_ok_and(|wanted| wanted.is_match(&claim.to_string()))
    }

    /// How the verdict on a claim that it is about compares; nothing where that could not be judged, which is its own
    /// outcome.
    pub fn compare(&self, outcome: Outcome, observed: &str) -> Option<Came> {
        let Self { at, because, .. } = self;
        let found = Regex::new(because).is_ok_and(|cause| cause.is_match(observed));
        match outcome {
            Outcome::Unjudged => None,
            Outcome::Broken if found => Some(Came::AsExpected),
            Outcome::Broken => Some(Came::Surprise(format!(
                "was to break because of `{because}` ({at}), and broke for another cause: {observed}"
            ))),
            Outcome::Held => Some(Came::Surprise(format!(
                "was to break because of `{because}` ({at}), and held: {observed}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expects(claim: &str, because: &str) -> Expectation {
        Expectation { at: "setup.yaml:7:5".into(), claim: claim.into(), because: because.into() }
    }

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        let way: Claim = "server-svid/a.b→c@again".parse().unwrap();
        for speaks in ["server-svid/a.b→c@again", "server-svid/*", "*@again", "*"] {
            assert!(expects(speaks, "x").speaks_of(&way), "{speaks}");
        }
        for silent in ["server-svid/a.b→c", "server-svid/aXb→c@again", "client-svid/*", "server-svid/"] {
            assert!(!expects(silent, "x").speaks_of(&way), "{silent}");
        }
    }

    #[test]
    fn what_breaks_for_its_cause_is_as_expected_and_all_else_a_surprise() {
        let expected = expects("*", "unexpected (SPIFFE )?ID");
        let came = |outcome, observed| expected.compare(outcome, observed);
        assert_eq!(came(Outcome::Broken, "status 1: unexpected ID x"), Some(Came::AsExpected));
        assert_eq!(came(Outcome::Unjudged, "unexpected ID"), None);
        let Some(Came::Surprise(told)) = came(Outcome::Broken, "refused") else { panic!("another cause") };
        assert!(told.ends_with("(setup.yaml:7:5), and broke for another cause: refused"), "{told}");
        let Some(Came::Surprise(told)) = came(Outcome::Held, "status 0") else { panic!("it held") };
        assert!(told.ends_with("(setup.yaml:7:5), and held: status 0"), "{told}");
    }

    #[test]
    fn a_cause_that_says_nothing_is_refused() {
        assert!(expects("*", "(").check().unwrap_err().contains("is no regular expression"));
        assert!(expects("*", " ").check().is_err());
        expects("*", "a cause").check().unwrap();
    }
}
