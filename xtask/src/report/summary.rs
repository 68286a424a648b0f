//! `SUMMARY.md`: what to read first of a run that failed. Everything in it lies elsewhere in the folder, in hundreds of files;
//! here is what was not as it should be, in the order in which one asks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use harness::{Code, Error};
use jiff::Timestamp;
use proof::diagnosis::Cause;

use super::html::{Begun, moment};
use crate::diagnose::is_named;

/// Its name in a report's folder.
pub const FILE: &str = "SUMMARY.md";
/// More of a kind help nobody who reads a summary.
const WARNINGS: usize = 8;
const LINES: usize = 30;
const WIDTH: usize = 300;

/// What was found in one cluster.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cluster {
    name: String,
    /// Namespace, pod, and why it is not ready.
    not_ready: Vec<(String, String, String)>,
    /// The last warnings, the latest first.
    warnings: Vec<String>,
    /// A pod's name and its first line that tells of an error; those that are not ready come first.
    errors: Vec<(String, String)>,
}

/// What is known of a run that failed.
pub struct Failed<'a> {
    /// What ended it.
    pub error: &'a Error,
    /// What a diagnosis named; nothing where none was made.
    pub causes: Option<&'a [Cause]>,
    /// The steps that began.
    pub begun: &'a [Begun],
    /// When the run began: what happened before is not its own.
    pub since: Option<Timestamp>,
    /// Where everything was collected.
    pub snapshot: &'a Path,
    /// What was not.
    pub missing: &'a [String],
}

/// Its summary.
pub fn of(failed: &Failed<'_>) -> String {
    let Failed { error, causes, begun, since, snapshot, missing } = failed;
    let clusters = folders(snapshot).into_iter().filter(|dir| is_cluster(dir));
    let clusters: Vec<_> = clusters.map(|dir| read(&dir, *since)).collect();
    let mut out = format!("# What failed\n\n```text\n{error}\n```\n");
    let waiting: Vec<_> = begun.iter().filter(|step| step.took.is_none()).collect();
    if !waiting.is_empty() {
        out.push_str("\nSteps that had begun and did not end:\n\n");
        for step in &waiting {
            let _ =
                writeln!(out, "- `{}`: {} (began {:.0} s after the start)", step.id, step.what, step.begin);
        }
    }
    out.push_str("\n## Cause\n\n");
    match causes {
        None => out.push_str("Nobody looked for one.\n"),
        Some([]) => {
            out.push_str(
                "None that `cargo xtask explain causes` tells was seen, as far as could be looked.\n",
            );
        }
        Some(_) => {}
    }
    // What judged its claims had all of its world.
    let midway = !matches!(error.code(), Code::ClaimBroken | Code::Evidence);
    let mut of_it = midway;
    for cause in causes.iter().copied().flatten() {
        if of_it && !is_named(cause, &error.to_string()) {
            out.push_str("Seen too, and perhaps only because the set-up did not come to its end:\n\n");
            of_it = false;
        }
        let _ = writeln!(out, "- **{}**: {}", cause.name, cause.sentence);
        for seen in &cause.evidence {
            let _ = writeln!(out, "  - in {}: {}: {}", seen.cluster, seen.object, cut(&seen.seen));
        }
        let _ = writeln!(out, "  - next: {}", cause.next);
    }
    for cluster in &clusters {
        let _ = writeln!(out, "\n## {}\n", cluster.name);
        if cluster.not_ready.is_empty() {
            out.push_str("Every pod that there was, was ready.\n");
        }
        for (namespace, pod, why) in &cluster.not_ready {
            let _ = writeln!(out, "- not ready: {namespace}/{pod}: {}", cut(why));
        }
        list(&mut out, "Last warnings, the latest first", &cluster.warnings);
        let errors: Vec<_> =
            cluster.errors.iter().map(|(pod, line)| format!("{pod}: {}", cut(line))).collect();
        list(&mut out, "First line of each pod's log that tells of an error", &errors);
    }
    list(&mut out, "Not collected", missing);
    out
}

fn list(out: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{heading}:\n");
    for line in lines.iter().take(LINES) {
        let _ = writeln!(out, "- {}", cut(line));
    }
    if lines.len() > LINES {
        let _ = writeln!(out, "- and {} more", lines.len() - LINES);
    }
}

/// One line of bounded length.
fn cut(text: &str) -> String {
    let line = text.replace('\n', " ");
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

/// What nodes said lies beside what clusters did.
fn is_cluster(dir: &Path) -> bool {
    dir.file_name().is_some_and(|name| name != "nodes")
}

fn read(dir: &Path, since: Option<Timestamp>) -> Cluster {
    let mut cluster = Cluster { name: name_of(dir), ..Cluster::default() };
    let (mut warnings, mut ready) = (Vec::new(), Vec::new());
    for folder in folders(dir) {
        let namespace = name_of(&folder);
        let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        for line in text("pods.txt").lines() {
            let Some((pod, why)) = line.split_once(": ") else { continue };
            let first =
                first_error(&folder.join("logs"), pod).map(|line| (format!("{namespace}/{pod}"), line));
            if why == "ready" {
                // Kubernetes' own start with errors that mean nothing.
                ready.extend(first.filter(|_| namespace != "kube-system"));
            } else {
                cluster.not_ready.push((namespace.clone(), pod.to_owned(), why.to_owned()));
                cluster.errors.extend(first);
            }
        }
        let warned = text("events.txt");
        let own = |line: &&str| since.is_none_or(|since| moment(line).is_none_or(|at| at >= since));
        let warned = warned.lines().filter(|line| line.split(' ').nth(1) == Some("Warning")).filter(own);
        warnings.extend(warned.map(|line| format!("{line} ({namespace})")));
    }
    cluster.errors.extend(ready);
    // They begin with their time.
    warnings.sort();
    cluster.warnings = warnings.into_iter().rev().take(WARNINGS).collect();
    cluster
}

/// The first line of a pod's logs that tells of an error: of a container's life before, if it has had one.
fn first_error(logs: &Path, pod: &str) -> Option<String> {
    let mut files: Vec<_> = super::files(logs, "log")
        .into_iter()
        .filter(|file| name_of(file).starts_with(&format!("{pod}.")))
        .collect();
    files.sort_by_key(|file| !name_of(file).contains(".previous."));
    files.iter().find_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        text.lines().find(|line| is_error(line)).map(str::to_owned)
    })
}

/// In the forms in which SPIRE, Istio, Envoy, Kubernetes and Go's own runtime write one.
fn is_error(line: &str) -> bool {
    let klog = line
        .strip_prefix(['E', 'F'])
        .is_some_and(|rest| rest.chars().take(4).filter(char::is_ascii_digit).count() == 4);
    let lower = line.to_lowercase();
    let forms = [
        "level=error",
        "level=fatal",
        "\"level\":\"error\"",
        "\terror\t",
        "\tfatal\t",
        "[error]",
        "[critical]",
        "panic:",
        "fatal error",
    ];
    klog || lower.starts_with("error") || forms.iter().any(|form| lower.contains(form))
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    all.sort();
    all
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use harness::kept;

    use super::*;

    #[test]
    fn a_stranger_reads_the_first_cause_and_what_was_not_ready() {
        let dir = tempfile::tempdir().unwrap();
        let keep = |file: &str, text: &str| kept::write(&dir.path().join(file), text).unwrap();
        keep("nodes/c1-control-plane/journal.log", "error: of a node");
        keep("c1/kinds/services.json", "[]");
        keep(
            "c1/spire/pods.txt",
            "spire-agent-x: ready\nspire-server-0: spire-server waiting: CrashLoopBackOff\n",
        );
        keep("c1/spire/logs/spire-server-0.spire-server.log", "level=info msg=starting\n");
        keep(
            "c1/spire/logs/spire-server-0.spire-server.previous.log",
            "level=info\nlevel=error msg=\"unknown key\"\nlevel=error msg=later\n",
        );
        keep("c1/spire/logs/spire-agent-x.spire-agent.log", "E1126 10:00:00.0 it was not there yet\n");
        keep(
            "c1/spire/events.txt",
            "2026-11-26T08:00:00Z Warning Old Pod/b: when the node was prepared (x1)\n2026-11-26T10:00:00Z Normal Pulled Pod/a: fine (x1)\n2026-11-26T10:00:01Z Warning BackOff Pod/spire-server-0: back-off (x4)\n",
        );
        let step = |id: &str, took| Begun { id: id.into(), what: "bundle".into(), begin: 12.4, took };
        let begun = [step("c1/cluster", Some(3.0)), step("c1/bundle", None)];
        let error = Error::new(Code::SetupFailed, "step c1/bundle failed").seen("still empty").next("look");
        let (since, missing) = ("2026-11-26T09:00:00Z".parse().ok(), ["c1: forbidden".to_owned()]);
        let failed = Failed {
            error: &error,
            causes: Some(&[]),
            begun: &begun,
            since,
            snapshot: dir.path(),
            missing: &missing,
        };
        let text = of(&failed);
        assert_eq!(
            text,
            "# What failed\n\n```text\nstep c1/bundle failed\n  last seen: still empty\n  next: look\n```\n\n\
             Steps that had begun and did not end:\n\n- `c1/bundle`: bundle (began 12 s after the start)\n\n\
             ## Cause\n\nNone that `cargo xtask explain causes` tells was seen, as far as could be looked.\n\n\
             ## c1\n\n- not ready: spire/spire-server-0: spire-server waiting: CrashLoopBackOff\n\n\
             Last warnings, the latest first:\n\n- 2026-11-26T10:00:01Z Warning BackOff Pod/spire-server-0: back-off (x4) (spire)\n\n\
             First line of each pod's log that tells of an error:\n\n- spire/spire-server-0: level=error msg=\"unknown key\"\n\
             - spire/spire-agent-x: E1126 10:00:00.0 it was not there yet\n\n\
             Not collected:\n\n- c1: forbidden\n"
        );
    }

    #[test]
    fn a_cause_is_told_with_its_evidence_and_next_command_and_nothing_is_endless() {
        let seen = proof::diagnosis::Seen {
            cluster: "c1".into(),
            peer: None,
            object: "Pod a/b".into(),
            seen: "ä".repeat(2 * WIDTH),
        };
        let cause = Cause {
            name: "agent-down",
            sentence: "it is so",
            evidence: vec![seen],
            next: "kubectl describe".into(),
            source: "s",
        };
        let many: Vec<_> = (0..LINES + 2).map(|n| format!("w{n}")).collect();
        let (error, dir) = (Error::new(Code::SetupFailed, "it failed"), tempfile::tempdir().unwrap());
        let failed = |causes| {
            of(&Failed {
                error: &error,
                causes,
                begun: &[],
                since: None,
                snapshot: dir.path(),
                missing: &many,
            })
        };
        let causes = [cause];
        let text = failed(Some(&causes));
        let all = "ä".repeat(WIDTH);
        assert!(text.contains(&format!(
            "- **agent-down**: it is so\n  - in c1: Pod a/b: {all} …\n  - next: kubectl describe\n"
        )));
        assert!(text.ends_with("- w29\n- and 2 more\n"), "{text}");
        assert!(failed(None).contains("## Cause\n\nNobody looked for one.\n"));
    }

    #[test]
    fn what_merely_mentions_an_error_is_none() {
        for line in ["time=x level=info msg=\"0 errors\"", "Envoy: [info] error budget", "Everything is fine"]
        {
            assert!(!is_error(line), "{line}");
        }
        for line in [
            "2026\terror\tads\tcannot",
            "{\"level\":\"error\"}",
            "[2026][12][critical][main] no",
            "panic: runtime",
        ] {
            assert!(is_error(line), "{line}");
        }
    }
}
