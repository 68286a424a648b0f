//! Telling a story: visit, observe, keep the evidence, judge, record the verdicts.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use harness::error::Context as _;
use harness::{Code, Error, Result};
use proof::evidence::Evidence;
use proof::verdict::refusal::was_refused;
use proof::verdict::{Verdict, judge};

use crate::Mesh;

/// What a scenario returns: an error fails the test, with its sentence.
pub type Outcome = Result<()>;

/// Visits the world, lets `observe` fill in the evidence, and judges whatever it then speaks of.
///
/// # Errors
/// [`Code::ClaimBroken`] with each broken claim; [`Code::Evidence`] when one could be judged neither way.
pub async fn tell(name: &str, observe: impl AsyncFnOnce(&Mesh, &mut Evidence) -> Result<()>) -> Outcome {
    tell_again(name, "", observe).await
}

/// As [`tell`]; claims that other stories make too say `again`, such as what is true once more after a control.
///
/// # Errors
/// As [`tell`].
pub(crate) async fn tell_again(
    name: &str,
    again: &str,
    observe: impl AsyncFnOnce(&Mesh, &mut Evidence) -> Result<()>,
) -> Outcome {
    let report = report()?;
    append(&report.join("begun.txt"), &format!("{name}\n"))?;
    let told = async {
        let mesh = Mesh::visit().await?;
        let mut evidence = Evidence::of(mesh.clusters(), jiff::Timestamp::now());
        let observed = observe(&mesh, &mut evidence).await;
        // Bundles and certificates were made before this moment, which is the one that they are judged at.
        evidence.collected_at = jiff::Timestamp::now();
        let file = format!("evidence/{}-{name}.json", mesh.world().name);
        write(&report.join(&file), &evidence.to_json()?)?;
        observed?;
        verdicts(&report, &file, again, &evidence)
    };
    let outcome = told.await;
    if let Err(e) = &outcome
        && e.code() != Code::ClaimBroken
    {
        append(&report.join("errors.txt"), &format!("{name}: {e}\0"))?;
    }
    outcome
}

fn verdicts(report: &Path, file: &str, again: &str, evidence: &Evidence) -> Outcome {
    let mut judgement = judge(evidence);
    let controls: Vec<_> =
        evidence.refusals.iter().filter_map(|one| was_refused(evidence, one).ok()).collect();
    // A fact has a sentence of its own.
    let is_common =
        |verdict: &Verdict| !verdict.evidence.starts_with("/facts/") && !controls.contains(verdict);
    for verdict in judgement.verdicts.iter_mut().filter(|verdict| !again.is_empty() && is_common(verdict)) {
        verdict.claim = format!("{}, {again}", verdict.claim);
    }
    let mut broken = Vec::new();
    for verdict in judgement.verdicts.into_iter().map(|verdict| verdict.kept_in(file)) {
        let line = serde_json::to_string(&verdict)
            .or_fail(Code::Internal, || "a verdict cannot be written".into())?;
        append(&report.join("verdicts.jsonl"), &format!("{line}\n"))?;
        if !verdict.held() {
            broken.push(format!(
                "{}: expected {}, observed {}",
                verdict.claim, verdict.expected, verdict.observed
            ));
        }
    }
    if let Some(missing) = judgement.missing.into_iter().next() {
        return Err(missing);
    }
    match broken.len() {
        0 => Ok(()),
        _ => Err(Error::new(Code::ClaimBroken, broken.join("\n"))),
    }
}

fn report() -> Result<PathBuf> {
    let set = std::env::var_os("VOUCHSAFE_REPORT").map(PathBuf::from);
    set.ok_or_else(|| {
        Error::new(Code::Usage, "scenarios need a world").next("run them by cargo xtask verify")
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).or_fail(Code::Evidence, || format!("cannot write {}", path.display()))
}

/// One write call, so that lines of several processes do not mix.
fn append(path: &Path, text: &str) -> Result<()> {
    let fail = || format!("cannot write {}", path.display());
    let mut file =
        std::fs::File::options().create(true).append(true).open(path).or_fail(Code::Evidence, fail)?;
    file.write_all(text.as_bytes()).or_fail(Code::Evidence, fail)
}
