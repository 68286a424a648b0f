//! What came of the cells, and their page.

use std::collections::BTreeSet;
use std::path::Path;

use harness::{Code, Result};
use proof::verdict::{Came, Line};

use super::file::Cell;
use crate::cells::{Outcome, Row};
use crate::diagnose;
use crate::report::Tally;

/// What came of a cell that ended so, with these verdicts.
pub fn row(cell: &Cell, judged: &Result<()>, lines: &[Line], report: &Path) -> Row {
    let (outcome, why) = came(cell, judged, lines);
    let told = outcome == Outcome::Surprise || cell.fails.is_some();
    let causes = if told { diagnose::brief(report) } else { Vec::new() };
    Row {
        cell: cell.name.clone(),
        about: cell.about(),
        outcome,
        why: why.into_iter().chain(causes.into_iter().map(|cause| format!("cause: {cause}"))).collect(),
        held: Tally::of(lines).held,
        report: report.to_owned(),
    }
}

/// What stands above the lines of the page.
pub const HEAD: &str = "# Which versions and settings go together\n\n\
    Each line is a world that was made and judged by itself. What had to come of it was written down before, in the file \
    beside this page. `cargo xtask matrix FILE --write` makes the page; with `--only NAME` it repeats one line of it.\n\n\
    | cell | what it is | what came | why |\n| --- | --- | --- | --- |\n";

/// A cell's line of the page.
pub fn line(row: &Row) -> String {
    let why = row.why.join("<br>").replace('|', "\\|");
    format!("| `{}` | {} | {} | {why} |\n", row.cell, row.about, row.outcome)
}

fn came(cell: &Cell, judged: &Result<()>, lines: &[Line]) -> (Outcome, Vec<String>) {
    match (&cell.fails, judged) {
        (Some(fails), Ok(())) => {
            let was = format!("{} was to fail because of `{}`, and did not", fails.what(), fails.because);
            (Outcome::Surprise, vec![was])
        }
        (Some(fails), Err(e)) if fails.is(e) => {
            (Outcome::Broke, vec![format!("{}: {}", e.what(), fails.because)])
        }
        (None, Ok(())) => {
            let expected = |line: &&Line| line.came() == Some(Came::AsExpected);
            let broke = lines.iter().filter(expected).filter_map(|line| line.expectation.as_ref());
            let why: BTreeSet<_> = broke.map(|one| format!("{}: {}", one.claim, one.because)).collect();
            (if why.is_empty() { Outcome::Held } else { Outcome::Broke }, why.into_iter().collect())
        }
        (_, Err(e)) => {
            let known = matches!(e.code(), Code::ClaimBroken | Code::SetupFailed | Code::TimedOut);
            (if known { Outcome::Surprise } else { Outcome::Unjudged }, vec![e.one_line()])
        }
    }
}

#[cfg(test)]
mod tests {
    use proof::claim::Expectation;
    use proof::verdict::Outcome as Seen;

    use harness::Error;
    use harness::layout::Layout;

    use super::super::file::{self, Failure, tests::cells};
    use super::*;
    use crate::cells::Table;
    use crate::due::tests::{all_held, main_set_up};

    fn row(cell: &Cell, judged: &Result<()>, lines: &[Line]) -> Row {
        super::row(cell, judged, lines, Path::new("report"))
    }

    fn cell() -> Cell {
        cells("cells: [{ name: a }]").unwrap().remove(0)
    }

    fn failing(step: &str, because: &str) -> Cell {
        Cell { fails: Some(Failure { step: Some(step.into()), because: because.into() }), ..cell() }
    }

    fn failed(step: &str) -> Result<()> {
        let why = Error::internal("503 connection termination");
        Err(Error::new(Code::SetupFailed, format!("step {step} failed")).because(why))
    }

    #[test]
    fn what_came_is_held_against_what_was_expected() {
        let lines = all_held(&main_set_up());
        let held = row(&cell(), &Ok(()), &lines);
        assert_eq!((held.outcome, held.held, held.why.len()), (Outcome::Held, lines.len(), 0));
        let broken = Err(Error::new(Code::ClaimBroken, "1 of 87 claims did not hold"));
        assert_eq!(row(&cell(), &broken, &lines).outcome, Outcome::Surprise);
        let unjudged = Err(Error::new(Code::Evidence, "1 claim could not be judged"));
        assert_eq!(row(&cell(), &unjudged, &lines).outcome, Outcome::Unjudged);
        let unfit = Err(Error::new(Code::EngineFailed, "no engine"));
        assert_eq!(row(&cell(), &unfit, &[]).outcome, Outcome::Unjudged);

        let mut lines = lines;
        let claim = lines[0].verdict.id.to_string();
        lines[0].verdict.verdict = Seen::Broken;
        lines[0].expectation =
            Some(Expectation { at: "m.yaml:1:1".into(), claim: claim.clone(), because: ".".into() });
        let broke = row(&cell(), &Ok(()), &lines);
        assert_eq!((broke.outcome, broke.why), (Outcome::Broke, vec![format!("{claim}: .")]));
    }

    #[test]
    fn a_set_up_that_must_fail_fails_there_and_so_or_it_is_a_surprise() {
        let good = row(&failing("answers", "termination"), &failed("cluster1/answers"), &[]);
        assert_eq!(good.outcome, Outcome::Broke);
        for (cell, judged) in [
            (failing("answers", "termination"), Ok(())),
            (failing("answers", "no route"), failed("cluster1/answers")),
            (failing("answers", "termination"), failed("cluster1/workloads")),
            (cell(), failed("cluster1/answers")),
        ] {
            assert_eq!(row(&cell, &judged, &[]).outcome, Outcome::Surprise, "{judged:?}");
        }
        let why = row(&failing("answers", "termination"), &Ok(()), &[]).why;
        assert_eq!(why, ["step answers was to fail because of `termination`, and did not"]);
    }

    #[test]
    fn a_surprise_weighs_more_and_is_named() {
        let lines = all_held(&main_set_up());
        let mut table = Table::begin("matrix", Path::new("m.yaml"));
        table.rows.push(row(&cell(), &Ok(()), &lines));
        table.verdict().unwrap();
        table.rows.push(row(&cell(), &Err(Error::new(Code::Evidence, "x | y")), &lines));
        assert_eq!(table.verdict().unwrap_err().code(), Code::Evidence);
        table.rows.push(row(&failing("answers", "."), &Ok(()), &lines));
        let e = table.verdict().unwrap_err();
        assert_eq!((e.code(), e.what()), (Code::ClaimBroken, "1 of 3 cells came otherwise than expected"));
        let text: String = table.rows.iter().map(line).collect();
        let lines: Vec<_> = text.lines().rev().take(3).collect();
        assert!(
            lines[2].ends_with("| held as expected |  |")
                && lines[1].ends_with("| **not judged** | x \\| y |"),
            "{text}"
        );
        let junit = quick_junit::Report::deserialize_from_str(&table.junit().unwrap()).unwrap();
        assert_eq!((junit.tests, junit.failures, junit.errors), (3, 1, 1));
    }

    /// Each line of the table in the repository is of a cell as it is now, in the order of the file, and none is a surprise.
    #[test]
    fn no_line_of_the_published_table_is_stale() {
        let path = Path::new("../scenarios/matrix.yaml");
        let layout = Layout { cache: "/nowhere".into(), repo: "..".into() };
        let cells = file::read(&layout, path, &[]).unwrap();
        let now: Vec<_> =
            cells.iter().map(|cell| format!("| `{}` | {} |", cell.name, cell.about())).collect();
        let page = std::fs::read_to_string(path.with_extension("md")).unwrap();
        let places: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| now.iter().position(|one| line.starts_with(one.as_str())).ok_or(line))
            .collect();
        let stale: Vec<_> = places.iter().filter_map(|place| place.as_ref().err()).collect();
        assert!(
            stale.is_empty(),
            "made of other versions: cargo xtask matrix scenarios/matrix.yaml --write\n{stale:?}"
        );
        assert!(!places.is_empty() && places.is_sorted(), "{places:?}");
        assert!(!page.contains("**surprise**") && !page.contains("**not judged**"), "{page}");
    }
}
