//! From a look to verdicts: visit, observe, keep the evidence, judge what is due, record what came of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use harness::error::Context as _;
use harness::spire::Server;
use harness::world::{Access, World};
use harness::{Code, Error, Result, istiod, kept};
use proof::claim::Kind;
use proof::evidence::Evidence;
use proof::evidence::repeat::{self, Reach};
use proof::topology::ClusterName;
use proof::verdict::{Came, Line, Outcome as Judged};
use serde::{Deserialize, Serialize};

use crate::Mesh;
use crate::owed::Owed;

/// What a trial returns: an error fails it, with its sentence.
pub type Outcome = Result<()>;

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
    evidence.expect.clone_from(&mesh.world().expect);
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
    evidence.repeat = repeat::all(&evidence, &reach(mesh.world()));
    let document = evidence.to_json()?;
    write(&report.join(Line::document(world, trial)), &document)?;
    let lines = Line::all_of(world, trial, &document)?;
    for line in &lines {
        append(&report.join("verdicts.jsonl"), &format!("{}\n", line.text()?))?;
    }
    observed.and(outcome(&lines))
}

/// How a person asks each cluster of that world.
fn reach(world: &World) -> BTreeMap<ClusterName, Reach> {
    let of = |(name, access): (&ClusterName, &Access)| {
        let kubectl = format!("kubectl --kubeconfig {}", access.kubeconfig.display());
        let spire_server = Some(Server::ours().reach());
        (name.clone(), Reach { kubectl, spire_server, istio: istiod::NAMESPACE.to_owned() })
    };
    world.sites.iter().map(of).collect()
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
    use proof::claim::Expectation;
    use proof::verdict::Verdict;

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
}
