//! A verdict as a run writes it down: a line of `verdicts.jsonl`.
//!
//! A run and whoever judges its evidence again make the lines here, from what is stored, so that both write the same
//! bytes. Judged before secrets were taken out, a verdict could quote the half of one that nobody recognises any more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Came, Verdict, judge};
use crate::claim::Expectation;
use crate::error::Context;
use crate::evidence::Evidence;
use crate::{Code, Result, scrub};

/// A verdict, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Line {
    /// The world that it was seen in.
    pub world: String,
    /// The trial that owed it, as a report calls it.
    pub trial: String,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What the set-up expects, where that is that the claim breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expectation: Option<Expectation>,
}

impl Line {
    /// Where the evidence of a trial lies in a report.
    pub fn document(world: &str, trial: &str) -> String {
        format!("evidence/{world}-{trial}.json")
    }

    /// The verdicts on the document that is stored of a trial.
    ///
    /// # Errors
    /// As [`Evidence::read`].
    pub fn all_of(world: &str, trial: &str, document: &str) -> Result<Vec<Self>> {
        let (file, evidence) = (Self::document(world, trial), Evidence::read(document)?);
        let line = |verdict: Verdict| Self {
            world: world.to_owned(),
            trial: trial.to_owned(),
            expectation: evidence.expected_of(&verdict.id).cloned(),
            verdict: verdict.kept_in(&file),
        };
        Ok(judge(&evidence).into_iter().map(line).collect())
    }

    /// How what came of the claim compares with what was expected to break; nothing where it was to hold, or could not be
    /// judged.
    pub fn came(&self) -> Option<Came> {
        self.expectation.as_ref()?.compare(self.verdict.verdict, &self.verdict.observed)
    }

    /// Whether it came as it must: it held, or broke as expected.
    pub fn is_as_it_must(&self) -> bool {
        self.came().map_or(self.verdict.held(), |came| came == Came::AsExpected)
    }

    /// As it is kept: JSON on one line, without secrets and without the line's end.
    ///
    /// # Errors
    /// [`Code::Internal`]: every part of it can be written.
    pub fn text(&self) -> Result<String> {
        let text = serde_json::to_string(self);
        Ok(scrub::text(&text.or_fail(Code::Internal, || "a verdict cannot be written".into())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::super::fixture::Fixture;
    use super::*;
    use crate::evidence::{Fact, Must};

    /// Seen in a real report: what a verdict quotes ended within a token, whose rest looks like none.
    #[test]
    fn half_a_secret_is_no_part_of_a_verdict() {
        let mut evidence = Fixture::good().evidence;
        let token = "563431ad-dd05-4e22-9a70-865670728950";
        for before in 100..300 {
            let id = format!("fact/a-scenario/{before}").parse().unwrap();
            let seen = format!("{} join_token/{token} and more", "x".repeat(before));
            evidence.facts.push(Fact { id, claim: "it is so".into(), must: Must::be("other"), seen });
        }
        let lines = Line::all_of("w", "t", &evidence.to_json().unwrap()).unwrap();
        let quoted: String = lines.iter().map(|line| line.text().unwrap()).collect();
        assert!(quoted.contains("join_token/") && !quoted.contains("563431ad"), "{quoted}");
    }

    #[test]
    fn a_line_reads_back() {
        let claim = "server-svid/a→b".parse().unwrap();
        let verdict = Verdict::unjudged(&claim, "it is so".into(), "that".into());
        let line = Line { world: "w".into(), trial: "t".into(), verdict, expectation: None };
        let text = line.text().unwrap();
        assert!(text.starts_with("{\"world\":\"w\",\"trial\":\"t\",\"id\":\"server-svid/a→b\","), "{text}");
        let back: Line = serde_json::from_str(&text).unwrap();
        assert_eq!((&back, back.verdict.verdict), (&line, Outcome::Unjudged));
    }
}
