//! What a set-up expects to break, and why: told beforehand, so that a run in which it comes so is a good one.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Claim;

/// Claims that must break, and the cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Where it is written: `setup.yaml:7:5`.
    pub at: String,
    /// The claim's id; `*` in it stands for any characters.
    pub claim: String,
    /// A regular expression that is found in what is observed.
    pub because: String,
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
        for silent in ["server-svid/a.b→c", "client-svid/*", "server-svid/"] {
            assert!(!expects(silent, "x").speaks_of(&way), "{silent}");
        }
        let other: Claim = "server-svid/aXb→c@again".parse().unwrap();
        assert!(!expects("server-svid/a.b→c@again", "x").speaks_of(&other), "a dot is a dot");
    }

    #[test]
    fn a_cause_that_says_nothing_is_refused() {
        assert!(expects("*", "(").check().unwrap_err().contains("is no regular expression"));
        assert!(expects("*", " ").check().is_err());
        expects("*", "a cause").check().unwrap();
    }
}
