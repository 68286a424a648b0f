//! `judge`: comes to the verdicts of stored evidence again; needs no cluster, no engine and no network.
//!
//! A document is judged as it is. A report, as its folder or packed, must be what its run left, and its verdicts those
//! that the run wrote down.
//!
//! With `--from` it is a folder of what people gathered without Vouchsafe, such as the files of a ticket.
//!
//! Time is that of the collection: certificates that were valid then are judged valid, also years later.

mod folder;
mod ticket;

use std::io::Write;
use std::path::{Path, PathBuf};

use harness::{Code, Error, Result};
use jiff::Timestamp;
use proof::evidence::Evidence;
use proof::verdict::{Came, Line, Outcome, Verdict, judge};

use crate::show;
use crate::stored::Stored;

/// Flags of `judge`.
#[derive(clap::Args)]
pub struct Args {
    /// A report's folder, or what `pack` made of it; or documents below its `evidence/`.
    #[arg(required_unless_present_any = ["from", "gather"], value_name = "REPORT|EVIDENCE")]
    files: Vec<PathBuf>,
    /// Judge what people gathered by hand, in a folder or a file: what each file is, which claims it decides, what is missing.
    #[arg(long, value_name = "FOLDER", conflicts_with = "files")]
    from: Option<PathBuf>,
    /// The moment at which certificates of `--from` are judged, as in 2024-05-01T12:00Z; else the newest that its files name.
    #[arg(long, value_name = "TIME", requires = "from", value_parser = moment)]
    at: Option<Timestamp>,
    /// What to gather for `--from`, as a page in Markdown.
    #[arg(long, conflicts_with_all = ["files", "from", "json"])]
    gather: bool,
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    run_to(args, &mut std::io::stdout())
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "it is no moment with a time zone, as in 2024-05-01T12:00Z".to_owned())
}

fn run_to(args: &Args, out: &mut impl Write) -> Result<()> {
    if args.gather {
        let _ = write!(out, "{}", proof::ticket::gather::page());
        return Ok(());
    }
    if let Some(folder) = &args.from {
        return ticket::judge(folder, args.at, args.json, out);
    }
    for file in &args.files {
        let Some(report) = Stored::open(file)? else { continue };
        if args.files.len() > 1 {
            let what = format!("{} is a report, which is judged by itself", report.name);
            return Err(Error::new(Code::Usage, what).next("name it alone"));
        }
        return folder::judge(&report, args.json, out);
    }
    // All are read before the first is judged: a mistyped name tells nothing about a claim.
    let documents: Vec<_> = args.files.iter().map(|file| Ok((file, read(file)?))).collect::<Result<_>>()?;
    let lines: Vec<_> =
        documents.iter().flat_map(|(file, evidence)| lines(&file.display().to_string(), evidence)).collect();
    for line in &lines {
        // A reader that has gone away is no fault of ours.
        let _ = writeln!(out, "{}", if args.json { json(&line.verdict)? } else { told(line) });
    }
    outcome(&lines.iter().collect::<Vec<_>>())
}

fn read(file: &Path) -> Result<Evidence> {
    let fail =
        |e: std::io::Error| Error::new(Code::Usage, format!("cannot read {}", file.display())).because(e);
    let json = std::fs::read_to_string(file)
        .map_err(|e| fail(e).next("name a document below evidence/ of a report"))?;
    Evidence::read(&json).map_err(|e| Error::new(e.code(), file.display().to_string()).because(e))
}

/// Of a document by itself, which names neither world nor trial.
fn lines(file: &str, evidence: &Evidence) -> Vec<Line> {
    let line = |verdict: Verdict| Line {
        world: String::new(),
        trial: String::new(),
        expectation: evidence.expected_of(&verdict.id).cloned(),
        verdict: verdict.kept_in(file),
    };
    judge(evidence).into_iter().map(line).collect()
}

fn json(verdict: &Verdict) -> Result<String> {
    serde_json::to_string(verdict).map_err(|e| Error::internal("a verdict cannot be written").because(e))
}

fn told(line: &Line) -> String {
    let Verdict { id, claim, way, expected, observed, evidence, .. } = &line.verdict;
    let way = way.as_ref().map(|way| format!("{way}: ")).unwrap_or_default();
    let first = format!("{:8}  {way}{claim}", show::came(line));
    if line.verdict.held() && line.is_as_it_must() {
        return first;
    }
    let surprise = match line.came() {
        Some(Came::Surprise(words)) => format!("\n          it {words}"),
        _ => String::new(),
    };
    format!(
        "{first}{surprise}\n          claim:    {id}\n          expected: {expected}\n          observed: {observed}\n          \
         evidence: {evidence}"
    )
}

/// A broken claim weighs more than one that could not be judged; both are told. What broke as its set-up expects is as it
/// must be, and a surprise is as good as broken.
fn outcome(lines: &[&Line]) -> Result<()> {
    let wrong = lines.iter().filter(|line| !line.is_as_it_must());
    let (missing, wrong): (Vec<&&Line>, Vec<_>) =
        wrong.partition(|line| line.verdict.verdict == Outcome::Unjudged);
    let (broken, unjudged) = (wrong.len(), missing.len());
    let neither = || {
        let ids: Vec<_> = missing.iter().map(|line| line.verdict.id.to_string()).collect();
        format!("{unjudged} of {} claims could not be judged: {}", lines.len(), ids.join(", "))
    };
    match (broken, unjudged) {
        (0, 0) if lines.is_empty() => Err(Error::new(Code::Evidence, "the evidence speaks of no claim")),
        (0, 0) => Ok(()),
        (0, _) => Err(Error::new(Code::Evidence, neither())),
        _ => {
            let what = format!("{broken} of {} claims did not hold", lines.len());
            let error = Error::new(Code::ClaimBroken, what).next("read expected and observed above");
            Err(if unjudged == 0 { error } else { error.seen(neither()) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../harness/proof/src/evidence/testdata/version-1.json");

    fn of(files: Vec<PathBuf>) -> Args {
        Args { files, from: None, at: None, gather: false, json: true }
    }

    /// Judges the sample after a change of its text, as a user would who edits a report.
    fn judged(change: impl FnOnce(String) -> String) -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("evidence.json");
        std::fs::write(&file, change(std::fs::read_to_string(SAMPLE).unwrap())).unwrap();
        run_to(&of(vec![file]), &mut Vec::new())
    }

    #[test]
    fn stored_evidence_holds_again() {
        judged(|json| json).unwrap();
        let mut out = Vec::new();
        run_to(&of(vec![SAMPLE.into(), SAMPLE.into()]), &mut out).unwrap();
        let lines: Vec<Verdict> =
            out.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        assert_eq!(lines.len(), 2 * 44, "a verdict a line, of each document");
        assert!(lines[0].evidence.ends_with("version-1.json#/clusters"), "{:?}", lines[0]);
    }

    /// Tampering: the requests did not go to the gateway.
    #[test]
    fn a_broken_claim_has_exit_code_5() {
        let e = judged(|json| {
            json.replace("\"upstream_host\": \"172.18.0.3:15443\"", "\"upstream_host\": \"10.20.0.7:5000\"")
        });
        let e = e.unwrap_err();
        assert_eq!((e.code().exit(), e.what()), (5, "1 of 44 claims did not hold"));
    }

    /// The set-up of the document expects that the requests do not go to the gateway.
    #[test]
    fn what_breaks_as_expected_is_as_it_must_be_and_what_holds_all_the_same_is_not() {
        let expecting = |json: String| {
            let gateway =
                r#"{"at":"s:1:1","claim":"through-remote-gateway/cluster1→cluster2","because":"10.20.0.7"}"#;
            json.replacen('{', &format!("{{\"expect\":[{gateway}],"), 1)
        };
        let around = |json: String| {
            json.replace("\"upstream_host\": \"172.18.0.3:15443\"", "\"upstream_host\": \"10.20.0.7:5000\"")
        };
        judged(|json| expecting(around(json))).unwrap();
        let e = judged(expecting).unwrap_err();
        assert_eq!((e.code().exit(), e.what()), (5, "1 of 44 claims did not hold"));
    }

    /// Tampering: the gateway's address was not collected.
    #[test]
    fn missing_evidence_has_exit_code_4() {
        let e = judged(|json| json.replace("\"gateway\": \"172.18.0.3:15443\"", "\"gateway\": null"))
            .unwrap_err();
        let what = "1 of 44 claims could not be judged: through-remote-gateway/cluster1→cluster2";
        assert_eq!((e.code().exit(), e.what()), (4, what));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let file = PathBuf::from("/no/such/evidence.json");
        let e = run_to(&of(vec![SAMPLE.into(), file]), &mut Vec::new()).unwrap_err();
        assert_eq!(e.code(), Code::Usage);
        assert!(e.what().contains("/no/such/evidence.json"));
        let e = judged(|json| json[..1000].to_owned()).unwrap_err();
        assert_eq!(e.code(), Code::Evidence);
        assert!(e.to_string().contains("evidence.json: this is not an evidence document"), "{e}");
    }

    #[test]
    fn a_person_reads_what_was_expected_and_seen() {
        let verdict: Verdict = serde_json::from_str(
            r#"{"id":"one-connection/a→b","claim":"it holds","way":"a→b","verdict":"broken","expected":"this","observed":"that",
                "issuer_key":null,"evidence":"f#/x"}"#,
        )
        .unwrap();
        let line = Line { world: String::new(), trial: String::new(), verdict, expectation: None };
        assert_eq!(
            told(&line),
            "BROKEN    a→b: it holds\n          claim:    one-connection/a→b\n          expected: this\n          \
             observed: that\n          evidence: f#/x"
        );
    }
}
