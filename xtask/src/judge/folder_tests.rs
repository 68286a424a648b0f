//! A report as a run leaves it, judged again: as it is, packed, and after each way of tampering with it.

use std::path::{Path, PathBuf};

use harness::kept;
use harness::layout::Layout;
use proof::manifest::{self, Covered};
use tempfile::TempDir;

use super::*;
use crate::due::tests::main_set_up;
use crate::report::Report;

/// A document that an early release wrote: a newer one judges it all the same.
const SAMPLE: &str = include_str!("../../../harness/proof/src/evidence/testdata/version-1.json");
const DOCUMENT: &str = "evidence/federated-sample.json";

/// The report of a run whose one trial left that document.
struct Run {
    _checkout: TempDir,
    report: Report,
}

impl Run {
    fn new() -> Self {
        let checkout = tempfile::tempdir().unwrap();
        let layout = Layout { cache: checkout.path().join("cache"), repo: checkout.path().join("clone") };
        let report = Report::begin(&layout).unwrap();
        let run = Self { _checkout: checkout, report };
        kept::write(&run.file("log.txt"), "begun\n").unwrap();
        kept::write(&run.file(DOCUMENT), SAMPLE).unwrap();
        for line in Line::all_of("federated", "sample", SAMPLE).unwrap() {
            kept::append(&run.file(VERDICTS), &format!("{}\n", line.text().unwrap())).unwrap();
        }
        run
    }

    /// It ends.
    fn ended(self, outcome: &Result<()>) -> Self {
        self.report.close(outcome, None, false, true).unwrap();
        self
    }

    fn file(&self, name: &str) -> PathBuf {
        self.report.dir.join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// Alters a file, and the manifest so that it does not show.
    fn forged(&self, name: &str, change: impl FnOnce(String) -> String) {
        let (was, forged) = (self.read(name), change(self.read(name)));
        assert_ne!(was, forged);
        std::fs::write(self.file(name), &forged).unwrap();
        let mut manifest = Manifest::read(self.read(manifest::FILE).as_bytes()).unwrap();
        manifest.files.insert(name.to_owned(), Covered::of(forged.as_bytes()));
        let text = serde_json::to_string_pretty(&manifest).unwrap();
        std::fs::write(self.file(manifest::FILE), text).unwrap();
    }

    /// What is told, and how it ends.
    fn judged(&self) -> (String, Result<()>) {
        judged(&self.report.dir)
    }

    /// Why it is not judged at all.
    fn refused(&self) -> Error {
        let (told, ended) = self.judged();
        let e = ended.unwrap_err();
        assert_eq!((e.code(), e.code().exit(), told.as_str()), (Code::Evidence, 4, ""), "{e}");
        e
    }
}

fn judged(path: &Path) -> (String, Result<()>) {
    let mut out = Vec::new();
    let ended = Stored::open(path).and_then(|report| judge(&report.unwrap(), true, &mut out));
    (String::from_utf8(out).unwrap(), ended)
}

#[test]
fn its_verdicts_are_the_same_to_the_byte() {
    let run = Run::new().ended(&Ok(()));
    let (told, ended) = run.judged();
    ended.unwrap();
    assert_eq!(told.lines().count(), 44);
    assert_eq!(told, run.read(VERDICTS));
    // The command's last words go into the log after the manifest.
    kept::append(&run.file("log.txt"), "ended\n").unwrap();
    run.judged().1.unwrap();
}

#[test]
fn what_was_due_and_never_judged_is_so_again() {
    let run = Run::new();
    let lines = run.report.settle(&main_set_up(), false).unwrap();
    let unjudged = Tally::of(&lines).unjudged;
    assert!(unjudged > 30 && lines.len() == 44 + unjudged, "{unjudged}");
    let run = run.ended(&Err(Error::new(Code::Evidence, "some claims were due and could not be judged")));
    let (told, ended) = run.judged();
    assert_eq!(told, run.read(VERDICTS));
    let e = ended.unwrap_err();
    assert_eq!(e.code(), Code::Evidence);
    assert!(
        e.what().starts_with(&format!("{unjudged} of {} claims could not be judged: ", lines.len())),
        "{e}"
    );
}

#[test]
fn a_run_that_judged_nothing_ends_as_it_did() {
    let checkout = tempfile::tempdir().unwrap();
    let layout = Layout { cache: checkout.path().join("cache"), repo: checkout.path().join("clone") };
    for code in [Code::SetupFailed, Code::Interrupted] {
        let report = Report::begin(&layout).unwrap();
        report.close(&Err(Error::new(code, "it ended so")), None, false, true).unwrap();
        let (told, ended) = judged(&report.dir);
        let e = ended.unwrap_err();
        assert_eq!((told.as_str(), e.code()), ("", code));
        assert_eq!(e.what(), format!("the run ended by [{}] it ended so", code.name()));
    }
}

/// Tampering: the server showed the client's own certificate.
#[test]
fn a_swapped_certificate_breaks_the_claim_about_it() {
    let run = Run::new().ended(&Ok(()));
    run.forged(DOCUMENT, |json| {
        let mut evidence: serde_json::Value = serde_json::from_str(&json).unwrap();
        let clients = evidence["handshakes"][0]["by_server"]["downstream_peer_cert"].clone();
        evidence["handshakes"][0]["by_client"]["upstream_peer_cert"] = clients;
        serde_json::to_string_pretty(&evidence).unwrap()
    });
    let (told, ended) = run.judged();
    let lines: Vec<Line> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let broken = lines.iter().filter(|line| line.verdict.verdict == Outcome::Broken);
    let broken: Vec<_> = broken.map(|line| line.verdict.id.to_string()).collect();
    assert_eq!(broken, ["server-svid/cluster1→cluster2"]);
    let e = ended.unwrap_err();
    assert_eq!((e.code(), e.what()), (Code::ClaimBroken, "1 of 44 claims did not hold"));
    let differs = "server-svid/cluster1→cluster2: it is BROKEN, and the run wrote held";
    assert!(e.to_string().contains(differs), "{e}");
}

/// Tampering: verdicts that no evidence stands behind.
#[test]
fn verdicts_that_the_evidence_does_not_say_are_named() {
    let id = "gateway-counted/cluster1→cluster2";
    let of_it = |line: &&str| line.contains(id);
    type Change = fn(&str) -> String;
    let changes: [(Change, &str); 4] = [
        (|line| line.replace("\"held\"", "\"broken\""), ": it is held, and the run wrote BROKEN"),
        (|line| line.replace("\"observed\":\"", "\"observed\":\"perhaps "), ": observed is `"),
        (|_| String::new(), ": it is held by evidence/federated-sample.json#/"),
        (|line| format!("{line}\n{line}"), ": it has two verdicts"),
    ];
    for (change, words) in changes {
        let run = Run::new().ended(&Ok(()));
        run.forged(VERDICTS, |text| {
            assert_eq!(text.lines().filter(of_it).count(), 1);
            let lines = text.lines().map(|line| if of_it(&line) { change(line) } else { line.to_owned() });
            lines.filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
        });
        let e = run.judged().1.unwrap_err();
        assert_eq!(
            (e.code(), e.what()),
            (Code::Evidence, "1 of 44 verdicts are not those that the run wrote down")
        );
        assert!(e.to_string().contains(&format!("{id}{words}")), "{e}");
    }
    // A document that was taken away, with its name: every verdict on it stands alone.
    let run = Run::new().ended(&Ok(()));
    std::fs::remove_file(run.file(DOCUMENT)).unwrap();
    let mut manifest = Manifest::read(run.read(manifest::FILE).as_bytes()).unwrap();
    manifest.files.remove(DOCUMENT);
    std::fs::write(run.file(manifest::FILE), serde_json::to_string(&manifest).unwrap()).unwrap();
    let e = run.judged().1.unwrap_err();
    assert!(e.to_string().contains(": the run wrote held, and no document says so"), "{e}");
}

#[test]
fn one_byte_that_is_another_one_is_refused_with_its_file() {
    let run = Run::new().ended(&Ok(()));
    let page = ["report.html", "picture-federated.svg", "picture-federated.mmd"];
    let names =
        [&["log.txt", "report.md", "junit.xml", "trace.json", VERDICTS, DOCUMENT], &page[..]].concat();
    let listed: Vec<_> =
        Manifest::read(run.read(manifest::FILE).as_bytes()).unwrap().files.into_keys().collect();
    assert_eq!(
        names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(),
        listed.into_iter().collect()
    );
    for name in names {
        let was = std::fs::read(run.file(name)).unwrap();
        let mut flipped = was.clone();
        flipped[was.len() / 2] ^= 1;
        std::fs::write(run.file(name), flipped).unwrap();
        let said = run.refused().to_string();
        assert!(
            said.contains(&format!("is not what its run left: {name} is not what the run wrote")),
            "{said}"
        );
        assert!(said.contains("next: judge single documents of it, unpacked: cargo xtask judge "), "{said}");
        std::fs::remove_file(run.file(name)).unwrap();
        assert!(run.refused().to_string().contains(&format!(": {name} is missing")));
        std::fs::write(run.file(name), was).unwrap();
    }
    run.judged().1.unwrap();
}

#[test]
fn what_did_not_come_to_its_end_says_so() {
    let run = Run::new();
    let e = run.refused();
    assert!(e.what().ends_with(" has no manifest.json"), "{e}");
    assert!(e.to_string().contains("this one was interrupted or is still at work"), "{e}");
    assert!(e.advice().unwrap().ends_with("/evidence/*.json"), "{e}");
}

#[test]
fn a_later_form_is_refused_by_a_sentence() {
    let run = Run::new().ended(&Ok(()));
    run.forged(DOCUMENT, |json| json.replace("\"version\": 1", "\"version\": 99"));
    let said = run.refused().to_string();
    assert!(
        said.contains(&format!("{DOCUMENT}: the evidence has version 99, and this release reads 1 to ")),
        "{said}"
    );
}

#[test]
fn packed_it_is_judged_the_same() {
    let run = Run::new().ended(&Ok(()));
    let report = Stored::folder(&run.report.dir).unwrap();
    let file = run.file("../packed.tar.gz");
    std::fs::write(&file, report.pack("a-run").unwrap()).unwrap();
    assert_eq!(judged(&file).0, run.judged().0);
    judged(&file).1.unwrap();
    run.forged(DOCUMENT, |json| json.replace("172.18.0.3:15443", "10.20.0.7:5000"));
    std::fs::write(&file, Stored::folder(&run.report.dir).unwrap().pack("a-run").unwrap()).unwrap();
    let (packed, folder) = (judged(&file), run.judged());
    assert_eq!((packed.0, packed.1.unwrap_err().code()), (folder.0, folder.1.unwrap_err().code()));
}
