//! How what came of a claim compares with what was expected to break: a claim that holds all the same, or breaks for another
//! cause, is a surprise.

use regex::Regex;

use super::Outcome;
use crate::claim::Expectation;

/// How what came of a claim compares with what was expected to break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// It broke, for that cause.
    AsExpected,
    /// It did not break, or for another cause: in words.
    Surprise(String),
}

impl Expectation {
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
}
