//! `diagnose`: from the symptom to one cause, with its evidence and the next command; in the world that is up, or from what
//! a failed run kept.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use harness::error::Context as _;
use harness::layout::Layout;
use harness::world::World;
use harness::{Code, Error, Result, diagnose};
use proof::diagnosis::{Cause, Diagnosis, Observations, causes, diagnose as judge};
use proof::verdict::Line;

use crate::files::files;
use crate::show::say;
use crate::{interrupt, show};

/// Flags of `diagnose`.
#[derive(clap::Args)]
pub struct Args {
    /// A report's folder, whose kept observations are judged again; the world that is up without it.
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args) -> Result<()> {
    let documents = match &args.folder {
        Some(folder) => stored(folder)?,
        None => vec![interrupt::or_stop(looked_at()).await?],
    };
    for observed in documents {
        let diagnosis = judge(&observed);
        if args.json {
            show::json(&diagnosis)?;
        } else {
            say!("{}", told(&diagnosis).trim_end());
        }
    }
    Ok(())
}

/// The causes of what a report's folder has, a line each, as a failed run ends with them.
pub fn brief(report: &Path) -> Vec<String> {
    causes_of(report).iter().map(Cause::brief).collect()
}

/// The causes of what a report's folder has, each once: those first that are about what the error names, for of a set-up that
/// was not made to its end much is missing.
pub fn causes_of(report: &Path) -> Vec<Cause> {
    let mut all: Vec<Cause> = Vec::new();
    for cause in stored(report).unwrap_or_default().iter().flat_map(|one| judge(one).causes) {
        if !all.iter().any(|one| one.brief() == cause.brief()) {
            all.push(cause);
        }
    }
    let error = std::fs::read_to_string(report.join("failure.txt")).unwrap_or_default();
    all.sort_by_key(|cause| !is_named(cause, &error));
    all
}

/// Whether an error speaks of the object of a cause.
pub fn is_named(cause: &Cause, error: &str) -> bool {
    let named = |object: &str| object.split_once(' ').is_some_and(|(_, name)| error.contains(name));
    cause.evidence.iter().any(|seen| named(&seen.object) && error.contains(&seen.cluster))
}

/// The clusters that are there now: also those of a set-up that did not come to its end.
async fn looked_at() -> Result<Observations> {
    let layout = Layout::find()?;
    let world = World::read(&layout);
    let kubeconfigs = files(&layout.world(), "kubeconfig");
    if kubeconfigs.is_empty() {
        return Err(world.err().unwrap_or_else(|| Error::internal("a world without clusters")));
    }
    let name = world.ok().map(|world| world.name);
    let symptoms = symptoms(&layout.reports().join("latest"), name.as_deref());
    let (observed, missing) = diagnose::observe(&kubeconfigs, symptoms).await;
    missing.iter().for_each(|line| eprintln!("not looked at: {line}"));
    match observed.clusters.is_empty() {
        true => Err(Error::new(Code::Evidence, "no cluster could be looked at").seen(missing.join("; "))),
        false => Ok(observed),
    }
}

/// What a report says of a world, or of any, that did not hold.
pub fn symptoms(report: &Path, world: Option<&str>) -> Vec<String> {
    let text = std::fs::read_to_string(report.join("verdicts.jsonl")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let of_world = lines.filter(|line| world.is_none_or(|world| line.world == world));
    // What breaks as the set-up expects is no symptom.
    let wrong = of_world.filter(|line| !line.is_as_it_must()).map(|line| line.verdict);
    wrong.map(|verdict| format!("{}: {}", verdict.id, verdict.observed)).collect()
}

/// Every document of a report's folder, in the order in which they were kept.
///
/// # Errors
/// [`Code::Usage`] when there is none; [`Code::Evidence`] when one cannot be read.
pub fn stored(folder: &Path) -> Result<Vec<Observations>> {
    let documents = diagnose::kept_in(folder);
    if documents.is_empty() {
        let what = format!("{} has no observations", folder.display());
        return Err(Error::new(Code::Usage, what)
            .next("name the folder of a run that failed, below target/vouchsafe/"));
    }
    let read = |path: &PathBuf| {
        let shown = || format!("cannot read {}", path.display());
        Observations::read(&std::fs::read_to_string(path).or_fail(Code::Usage, shown)?)
    };
    documents.iter().map(read).collect()
}

fn told(diagnosis: &Diagnosis) -> String {
    let mut out = String::new();
    if diagnosis.causes.is_empty() {
        let _ = writeln!(out, "no cause found, of {} that are known", causes().count());
    }
    for cause in &diagnosis.causes {
        tell(cause, diagnosis, &mut out);
    }
    for (word, list) in [("could not be looked for", &diagnosis.open), ("excluded", &diagnosis.excluded)] {
        if !list.is_empty() {
            let _ = writeln!(out, "{word}:");
        }
        for one in list {
            let _ = writeln!(out, "  {}: {}", one.name, one.why);
        }
    }
    out
}

fn tell(cause: &Cause, diagnosis: &Diagnosis, out: &mut String) {
    let _ = writeln!(out, "cause: {}\n  {}", cause.name, cause.sentence);
    for seen in &cause.evidence {
        let _ = writeln!(out, "  seen in {}: {}: {}", seen.cluster, seen.object, seen.seen);
    }
    let _ = writeln!(out, "  next: {}\n  source: {}", cause.next, cause.source);
    for one in diagnosis.consequences.iter().filter(|one| one.of == cause.name) {
        let _ = writeln!(
            out,
            "  so also, in {}: {}: {}: {}",
            one.seen.cluster, one.name, one.seen.object, one.seen.seen
        );
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use proof::claim::Claim;
    use proof::verdict::{Outcome, Verdict};

    use super::*;

    #[test]
    fn a_folder_without_observations_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let e = stored(dir.path()).unwrap_err();
        assert_eq!(e.code(), Code::Usage);
        assert!(e.what().ends_with("has no observations"), "{e}");
        assert_eq!(brief(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn what_the_error_names_comes_first() {
        let cause = |object: &str, cluster: &str| Cause {
            name: "some-cause",
            sentence: "it is so",
            evidence: vec![proof::diagnosis::Seen {
                cluster: cluster.into(),
                peer: None,
                object: object.into(),
                seen: "odd".into(),
            }],
            next: "look".into(),
            source: "somewhere",
        };
        let error = "in c1, pod spire/spire-server-0, container x will not get better by waiting";
        assert!(is_named(&cause("Pod spire/spire-server-0", "c1"), error));
        assert!(!is_named(&cause("Pod spire/spire-server-0", "c2"), error));
        assert!(!is_named(&cause("Pod istio-test/curl", "c1"), error));
        assert!(!is_named(&cause("meshConfig", "c1"), error));
    }

    /// A surprise is one, and so is what could not be judged; what broke as expected is none.
    #[test]
    fn what_breaks_as_the_set_up_expects_is_no_symptom() {
        let line = |world: &str, claim: &str, outcome, because: Option<&str>| {
            let claim: Claim = claim.parse().unwrap();
            let mut verdict = Verdict::unjudged(&claim, "it is so".into(), "that".into());
            (verdict.verdict, verdict.observed) = (outcome, "connection refused".into());
            let expectation = because.map(|because| {
                serde_json::from_value(serde_json::json!({ "at": "1:1", "claim": "*", "because": because }))
                    .unwrap()
            });
            Line { world: world.into(), trial: "t".into(), verdict, expectation }.text().unwrap()
        };
        let (fetched, held) = ("peer-bundle-fetched/a→b", "peer-bundle-held/a→b");
        let lines = [
            line("w", fetched, Outcome::Broken, Some("connection refused")),
            line("w", fetched, Outcome::Broken, Some("another identity")),
            line("w", held, Outcome::Held, None),
            line("w", held, Outcome::Unjudged, None),
            line("other", held, Outcome::Broken, None),
        ];
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("verdicts.jsonl"), lines.join("\n")).unwrap();
        let told = |claim: &str| format!("{claim}: connection refused");
        assert_eq!(symptoms(dir.path(), Some("w")), [told(fetched), told(held)]);
        assert_eq!(symptoms(dir.path(), None).len(), 3);
    }

    #[test]
    fn observations_are_judged_where_they_were_kept() {
        let dir = tempfile::tempdir().unwrap();
        let nothing = Observations::of(Vec::new(), Vec::new(), jiff::Timestamp::UNIX_EPOCH);
        for _ in 0..2 {
            diagnose::keep(&nothing, dir.path()).unwrap();
        }
        assert_eq!(stored(dir.path()).unwrap(), [nothing.clone(), nothing]);
    }

    #[test]
    fn a_person_reads_cause_evidence_and_next_command() {
        let cause = Cause {
            name: "some-cause",
            sentence: "it is so",
            evidence: vec![proof::diagnosis::Seen {
                cluster: "a".into(),
                peer: None,
                object: "Pod x/y".into(),
                seen: "odd".into(),
            }],
            next: "look".into(),
            source: "somewhere",
        };
        let diagnosis = Diagnosis { causes: vec![cause], ..Diagnosis::default() };
        let text =
            "cause: some-cause\n  it is so\n  seen in a: Pod x/y: odd\n  next: look\n  source: somewhere\n\n";
        assert_eq!(told(&diagnosis), text);
        assert!(told(&Diagnosis::default()).starts_with("no cause found, of "));
    }
}
