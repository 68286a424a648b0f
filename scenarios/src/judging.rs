//! From a look to verdicts: visit, observe, keep the evidence, judge what is due, record what came of it.

use std::path::{Path, PathBuf};

use harness::error::Context as _;
use harness::world::World;
use harness::{Code, Error, Result, kept};
use proof::claim::Kind;
use proof::evidence::Evidence;
use proof::verdict::{Came, Expectation, Outcome as Judged, Verdict, judge};
use serde::{Deserialize, Serialize};

use crate::Mesh;
use crate::owed::Owed;

/// What a trial returns: an error fails it, with its sentence.
pub type Outcome = Result<()>;

/// A verdict as it is recorded: a line of `verdicts.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// How what came of the claim compares with what was expected to break; nothing where it was to hold, or could not be
    /// judged.
    pub fn came(&self) -> Option<Came> {
        self.expectation.as_ref()?.compare(self.verdict.verdict, &self.verdict.observed)
    }

    /// Whether it came as it must: it held, or broke as expected.
    pub fn is_as_it_must(&self) -> bool {
        self.came().map_or(self.verdict.held(), |came| came == Came::AsExpected)
    }
}

/// A trial that ended before it could say what came of its claims: a line of `failures.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The world that it was to look at; empty when that could not be read.
    pub world: String,
    /// The trial, as a report calls it.
    pub trial: String,
    /// Why, for a person.
    pub error: String,
}

/// Writes down why a trial ended, as far as that can be written down.
pub(crate) fn failed(trial: &str, error: &Error) {
    let world = std::env::var_os(crate::WORLD).and_then(|file| World::at(Path::new(&file)).ok());
    let world = world.map(|world| world.name).unwrap_or_default();
    let failure = Failure { world, trial: trial.to_owned(), error: error.to_string() };
    if let (Ok(report), Ok(line)) = (report(), serde_json::to_string(&failure)) {
        // The error itself goes to nextest, too.
        let _ = append(&report.join("failures.jsonl"), &format!("{line}\n"));
    }
}

/// Visits the world, lets `observe` fill in the evidence, and judges what is due and whatever else was seen. What was
/// observed before an error is judged all the same; what was not is unjudged, and says so.
///
/// # Errors
/// [`Code::ClaimBroken`] with each broken claim; [`Code::Evidence`] when one could be judged neither way.
pub async fn observe_and_judge(
    trial: &str,
    owes: &[Owed],
    observe: impl AsyncFnOnce(&Mesh, &mut Evidence) -> Result<()>,
) -> Outcome {
    let report = report()?;
    append(&report.join("begun.txt"), &format!("{trial}\n"))?;
    let mesh = Mesh::visit().await?;
    let mut evidence = Evidence::of(mesh.clusters(), jiff::Timestamp::now());
    evidence.identities = mesh.world().identities.clone();
    evidence.due = owes.iter().map(|owed| owed.claim.clone()).collect();
    let facts = owes.iter().filter(|owed| owed.claim.kind == Kind::Fact);
    evidence.sentences = facts.map(|owed| (owed.claim.clone(), owed.sentence.clone())).collect();
    let observed = observe(&mesh, &mut evidence).await;
    // Bundles and certificates were made before this moment, which is the one that they are judged at.
    evidence.collected_at = jiff::Timestamp::now();
    match &observed {
        Ok(()) => evidence.completed.push(trial.to_owned()),
        Err(e) => evidence.ended_early = Some(e.to_string()),
    }
    let world = &mesh.world().name;
    let file = format!("evidence/{world}-{trial}.json");
    write(&report.join(&file), &evidence.to_json()?)?;
    let line = |verdict: Verdict| {
        let expectation = mesh.world().expect.iter().find(|one| one.speaks_of(&verdict.id)).cloned();
        Line { world: world.clone(), trial: trial.to_owned(), verdict: verdict.kept_in(&file), expectation }
    };
    let lines: Vec<_> = judge(&evidence).into_iter().map(line).collect();
    for line in &lines {
        let line =
            serde_json::to_string(line).or_fail(Code::Internal, || "a verdict cannot be written".into())?;
        append(&report.join("verdicts.jsonl"), &format!("{line}\n"))?;
    }
    observed.and(outcome(&lines))
}

/// Broken weighs more than unjudged; both are named. A surprise is as good as broken.
fn outcome(lines: &[Line]) -> Outcome {
    let told = |line: &Line| {
        let v = &line.verdict;
        match line.came() {
            Some(Came::Surprise(words)) => format!("{}: {}: {words}", v.id, v.claim),
            _ => format!("{}: {}: expected {}, observed {}", v.id, v.claim, v.expected, v.observed),
        }
    };
    let wrong = lines.iter().filter(|line| !line.is_as_it_must());
    let (unjudged, broken): (Vec<_>, Vec<_>) =
        wrong.partition(|line| line.verdict.verdict == Judged::Unjudged);
    let (broken, unjudged): (Vec<_>, Vec<_>) =
        (broken.into_iter().map(told).collect(), unjudged.into_iter().map(told).collect());
    match (broken.is_empty(), unjudged.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err(Error::new(Code::Evidence, unjudged.join("\n"))),
        (false, _) => Err(Error::new(Code::ClaimBroken, [broken, unjudged].concat().join("\n"))),
    }
}

fn report() -> Result<PathBuf> {
    let set = std::env::var_os("VOUCHSAFE_REPORT").map(PathBuf::from);
    set.ok_or_else(|| {
        Error::new(Code::Usage, "scenarios need a world").next("run them by cargo xtask verify")
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    kept::write(path, text).or_fail(Code::Evidence, || format!("cannot write {}", path.display()))
}

fn append(path: &Path, text: &str) -> Result<()> {
    kept::append(path, text).or_fail(Code::Evidence, || format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: Judged) -> Line {
        Line { world: "w".into(), trial: "t".into(), verdict: verdict(outcome), expectation: None }
    }

    fn verdict(outcome: Judged) -> Verdict {
        Verdict {
            id: "server-svid/a→b".parse().unwrap(),
            claim: "it is so".into(),
            way: None,
            verdict: outcome,
            expected: "this".into(),
            observed: "that".into(),
            issuer_key: None,
            evidence: String::new(),
        }
    }

    #[test]
    fn absence_fails_a_trial_and_a_broken_claim_weighs_more() {
        outcome(&[line(Judged::Held)]).unwrap();
        let unjudged = outcome(&[line(Judged::Held), line(Judged::Unjudged)]).unwrap_err();
        assert_eq!(unjudged.code(), Code::Evidence);
        let both = outcome(&[line(Judged::Unjudged), line(Judged::Broken)]).unwrap_err();
        assert_eq!((both.code(), both.what().lines().count()), (Code::ClaimBroken, 2));
    }

    #[test]
    fn what_breaks_as_expected_fails_no_trial_and_a_surprise_does() {
        let expecting = |outcome, because: &str| {
            let expectation = Expectation {
                at: "s.yaml:1:1".into(),
                claim: "server-svid/*".into(),
                because: because.into(),
            };
            Line { expectation: Some(expectation), ..line(outcome) }
        };
        outcome(&[expecting(Judged::Broken, "tha."), line(Judged::Held)]).unwrap();
        for surprise in [expecting(Judged::Broken, "another"), expecting(Judged::Held, "that")] {
            let e = outcome(&[line(Judged::Unjudged), surprise]).unwrap_err();
            assert_eq!(e.code(), Code::ClaimBroken);
            assert!(e.what().starts_with("server-svid/a→b: it is so: was to break because of `"), "{e}");
        }
        assert_eq!(outcome(&[expecting(Judged::Unjudged, "that")]).unwrap_err().code(), Code::Evidence);
    }

    #[test]
    fn a_line_reads_back() {
        let line = line(Judged::Unjudged);
        let text = serde_json::to_string(&line).unwrap();
        assert!(text.starts_with("{\"world\":\"w\",\"trial\":\"t\",\"id\":\"server-svid/a→b\","), "{text}");
        let back: Line = serde_json::from_str(&text).unwrap();
        assert_eq!((back.verdict, back.trial), (line.verdict, line.trial));
    }
}
