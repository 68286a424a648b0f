//! What a run says in GitHub Actions: a summary of the job, and an annotation for each root cause.
//!
//! GitHub drops a summary longer than 1 MiB whole, and shows ten annotations of a kind for each step. Its runner reads
//! commands from both outputs; data has stdout.

use std::fmt::Write as _;
use std::path::Path;

use harness::error::Context as _;
use harness::{Code, Result, kept};
use proof::diagnosis::Cause;
use proof::verdict::Line;

use super::Tally;
use crate::diagnose;
use crate::files::files;
use crate::show;

/// What GitHub takes of one step.
const LONGEST: usize = 1 << 20;
const ANNOTATIONS: usize = 10;

/// Tells both, where the run is one of GitHub Actions'.
///
/// # Errors
/// [`Code::Internal`] when the summary cannot be written.
pub fn tell(dir: &Path, lines: &[Line], ended: &Result<()>) -> Result<()> {
    let causes = diagnose::causes_of(dir);
    if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        annotations(&causes, ended).iter().for_each(|line| eprintln!("{line}"));
    }
    let file = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty());
    let Some(file) = file else { return Ok(()) };
    let before = std::fs::metadata(&file).map_or(0, |file| file.len());
    let room = LONGEST.saturating_sub(usize::try_from(before).unwrap_or(LONGEST));
    let pictures: Vec<_> =
        files(dir, "mmd").iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let text = within(room, &summary(lines, &causes, ended, &pictures));
    let fail = || format!("cannot write GITHUB_STEP_SUMMARY ({})", Path::new(&file).display());
    kept::append(Path::new(&file), &text).or_fail(Code::Internal, fail)
}

/// One for each root cause; for what has none that is known, the error itself.
fn annotations(causes: &[Cause], ended: &Result<()>) -> Vec<String> {
    let line = |title: &str, text: &str| format!("::error title={}::{}", property(title), data(text));
    let of = |cause: &Cause| {
        let seen = cause.evidence.iter().map(|at| format!("{}: {}: {}", at.cluster, at.object, at.seen));
        let seen = seen.collect::<Vec<_>>().join("\n");
        line(
            &format!("Vouchsafe: {}", cause.name),
            &format!("{}\n{seen}\nnext: {}", cause.sentence, cause.next),
        )
    };
    match ended {
        Ok(()) => Vec::new(),
        Err(e) if causes.is_empty() => vec![line(&format!("Vouchsafe: {}", e.code().name()), &e.to_string())],
        Err(_) => causes.iter().take(ANNOTATIONS).map(of).collect(),
    }
}

/// As GitHub documents it for what follows the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// And for a property, which ends at a comma or a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn summary(lines: &[Line], causes: &[Cause], ended: &Result<()>, pictures: &[String]) -> String {
    let mut out = format!("## Vouchsafe: {}\n\n", Tally::of(lines));
    if let Err(e) = ended {
        let told = fenced(&e.to_string());
        let _ = writeln!(out, "Ended by `{}`:\n\n```text\n{told}\n```\n", e.code().name());
    }
    for cause in causes {
        let _ = writeln!(out, "### Cause: {}\n\n{}\n", cause.name, cell(cause.sentence));
        for at in &cause.evidence {
            let _ = writeln!(out, "- {}: {}: {}", cell(&at.cluster), cell(&at.object), cell(&at.seen));
        }
        let _ = writeln!(out, "- next: {}\n", cell(&cause.next));
    }
    let wrong: Vec<_> = lines.iter().filter(|line| !line.is_as_it_must()).collect();
    if !wrong.is_empty() {
        out.push_str("| claim | verdict | expected | observed |\n| --- | --- | --- | --- |\n");
    }
    for line in wrong {
        let (verdict, came) = (&line.verdict, show::came(line));
        let (expected, observed) = (cell(&verdict.expected), cell(&verdict.observed));
        let _ = writeln!(out, "| {} | {came} | {expected} | {observed} |", cell(&verdict.id.to_string()));
    }
    for picture in pictures {
        let _ = writeln!(out, "\n```mermaid\n{}\n```", fenced(picture.trim_end()));
    }
    out
}

/// Without what would end its block.
fn fenced(text: &str) -> String {
    text.replace("```", "` ` `")
}

/// Text that is no markup, on one line.
fn cell(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('\n', "<br>");
    text.replace('|', "\\|").replace('`', "\\`")
}

/// As much as there is room for, in whole lines.
fn within(room: usize, text: &str) -> String {
    const CUT: &str = "\n\nThe rest is in the report.\n";
    if text.len() <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        if kept.len() + line.len() + CUT.len() > room {
            break;
        }
        kept.push_str(line);
    }
    if kept.is_empty() { kept } else { kept + CUT }
}

#[cfg(test)]
mod tests {
    use harness::Error;
    use proof::diagnosis::Seen;
    use proof::verdict::{Outcome, Verdict};

    use super::*;

    fn cause(name: &'static str, seen: &str) -> Cause {
        let at = Seen { cluster: "c1".into(), peer: None, object: "Pod a/b".into(), seen: seen.into() };
        Cause { name, sentence: "it is so", evidence: vec![at], next: "look".into(), source: "s" }
    }

    #[test]
    fn there_is_one_annotation_for_each_root_cause_and_no_text_ends_it() {
        let failed = Err(Error::new(Code::ClaimBroken, "a, b: 100 % wrong").seen("x"));
        let hostile = cause("agent-down", "50 %\r\n::error::forged, it");
        let told = annotations(&[hostile, cause("pod-refused", "x")], &failed);
        assert_eq!(
            told[0],
            "::error title=Vouchsafe%3A agent-down::it is so%0Ac1: Pod a/b: 50 %25%0D%0A::error::forged, it%0Anext: look"
        );
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|line| !line.contains(['\r', '\n'])));
        let many: Vec<_> = (0..12).map(|_| cause("agent-down", "x")).collect();
        assert_eq!(annotations(&many, &failed).len(), ANNOTATIONS);
        assert_eq!(
            annotations(&[], &failed),
            ["::error title=Vouchsafe%3A claim-broken::a, b: 100 %25 wrong%0A  last seen: x"]
        );
        assert_eq!(annotations(&many, &Ok(())), Vec::<String>::new());
    }

    #[test]
    fn the_summary_has_what_did_not_come_as_it_must_and_fits() {
        let line = |claim: &str, outcome, observed: &str| {
            let mut verdict = Verdict::unjudged(&claim.parse().unwrap(), "it is so".into(), "that".into());
            (verdict.verdict, verdict.expected, verdict.observed) = (outcome, "this".into(), observed.into());
            Line { world: "w".into(), trial: "t".into(), verdict, expectation: None }
        };
        let lines = [
            line("server-svid/a→b", Outcome::Broken, "a | b\n<script>`"),
            line("client-svid/a→b", Outcome::Held, "x"),
        ];
        let failed = Err(Error::new(Code::ClaimBroken, "one did not hold ```"));
        let text = summary(&lines, &[cause("agent-down", "x")], &failed, &["graph\n".to_owned()]);
        assert!(text.starts_with("## Vouchsafe: 1 claims held, 1 broken, 0 unjudged\n"), "{text}");
        assert!(text.contains("| server-svid/a→b | BROKEN | this | a \\| b<br>&lt;script>\\` |\n"), "{text}");
        assert!(!text.contains("client-svid") && text.ends_with("\n```mermaid\ngraph\n```\n"), "{text}");
        assert!(text.contains("### Cause: agent-down\n") && text.contains("did not hold ` ` `\n"), "{text}");
        let long = summary(&vec![lines[0].clone(); 20_000], &[], &failed, &[]);
        let cut = within(LONGEST, &long);
        assert!(long.len() > LONGEST && cut.len() <= LONGEST, "{}", cut.len());
        assert!(cut.ends_with("|\n\n\nThe rest is in the report.\n"));
        assert_eq!((within(LONGEST, &text), within(10, &text)), (text.clone(), String::new()));
    }
}
