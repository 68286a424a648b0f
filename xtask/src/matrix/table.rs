//! What came of the cells, as a table: Markdown for a person, JSON lines and JUnit for machines.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use harness::layout::Layout;
use harness::{Code, Error, Result, kept};
use proof::verdict::{Came, Line};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::file::Cell;
use crate::diagnose;
use crate::report::Tally;

/// What came of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every claim that is due held.
    Held,
    /// What was expected to break broke, for the cause that was named; all else held.
    Broke,
    /// Something came otherwise than was written beforehand.
    Surprise,
    /// It could not be made, or not be judged.
    Unjudged,
}

/// A cell, and what came of it.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub cell: String,
    /// Its set-up and versions.
    pub about: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, where it is not all held.
    pub why: Vec<String>,
    /// How many claims held.
    pub held: usize,
    /// Where all of it is told.
    pub report: PathBuf,
}

impl Row {
    /// What came of a cell that ended so, with these verdicts.
    pub fn of(cell: &Cell, judged: &Result<()>, lines: &[Line], report: &Path) -> Self {
        let (outcome, why) = came(cell, judged, lines);
        let told = outcome == Outcome::Surprise || cell.fails.is_some();
        let causes = if told { diagnose::brief(report) } else { Vec::new() };
        Self {
            cell: cell.name.clone(),
            about: cell.about(),
            outcome,
            why: why.into_iter().chain(causes.into_iter().map(|cause| format!("cause: {cause}"))).collect(),
            held: Tally::of(lines).held,
            report: report.to_owned(),
        }
    }
}

fn came(cell: &Cell, judged: &Result<()>, lines: &[Line]) -> (Outcome, Vec<String>) {
    match (&cell.fails, judged) {
        (Some(fails), Ok(())) => {
            let was = format!("step {} was to fail because of `{}`, and did not", fails.step, fails.because);
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
            let told = e.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
            (if known { Outcome::Surprise } else { Outcome::Unjudged }, vec![told])
        }
    }
}

/// All cells.
pub struct Table {
    /// The file that they are written in.
    of: String,
    /// One for each.
    pub rows: Vec<Row>,
}

impl Table {
    /// None yet.
    pub fn begin(of: String) -> Self {
        Self { of, rows: Vec::new() }
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut out = "| cell | what it is | what came | why |\n| --- | --- | --- | --- |\n".to_owned();
        for row in &self.rows {
            let why = row.why.join("<br>").replace('|', "\\|");
            let came = match row.outcome {
                Outcome::Held => format!("held as expected, {} claims", row.held),
                Outcome::Broke => format!("broken as expected, {} claims held", row.held),
                Outcome::Surprise => "**surprise**".to_owned(),
                Outcome::Unjudged => "**not judged**".to_owned(),
            };
            let _ = writeln!(out, "| `{}` | {} | {came} | {why} |", row.cell, row.about);
        }
        out
    }

    /// Writes all three forms into a folder of their own.
    ///
    /// # Errors
    /// [`Code::Internal`].
    pub fn write(&self, layout: &Layout) -> Result<PathBuf> {
        let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let dir = layout.repo.join("target/matrix").join(stamp);
        let lines = self.rows.iter().map(|row| serde_json::to_string(row).map(|line| line + "\n"));
        let lines: String = lines
            .collect::<Result<_, _>>()
            .map_err(|e| Error::internal("a row cannot be written").because(e))?;
        for (name, text) in
            [("matrix.md", self.markdown()), ("matrix.jsonl", lines), ("junit.xml", self.junit()?)]
        {
            let path = dir.join(name);
            kept::write(&path, &text)
                .map_err(|e| Error::internal(format!("cannot write {}", path.display())).because(e))?;
        }
        Ok(dir)
    }

    fn junit(&self) -> Result<String> {
        let mut suite = TestSuite::new(format!("matrix {}", self.of));
        suite.add_test_cases(self.rows.iter().map(|row| {
            let mut status = match row.outcome {
                Outcome::Held | Outcome::Broke => TestCaseStatus::success(),
                Outcome::Surprise => TestCaseStatus::non_success(NonSuccessKind::Failure),
                Outcome::Unjudged => TestCaseStatus::non_success(NonSuccessKind::Error),
            };
            if matches!(row.outcome, Outcome::Surprise | Outcome::Unjudged) {
                status.set_message(row.about.clone()).set_description(row.why.join("\n"));
            }
            TestCase::new(row.cell.clone(), status)
        }));
        let mut report = Report::new("vouchsafe");
        report.add_test_suite(suite);
        report.to_string().map_err(|e| Error::internal("cannot write JUnit").because(e))
    }

    /// Whether all came as expected.
    ///
    /// # Errors
    /// [`Code::ClaimBroken`] naming the surprises, [`Code::Evidence`] what could not be judged.
    pub fn verdict(&self) -> Result<()> {
        let of = |outcome| {
            let rows = self.rows.iter().filter(|row| row.outcome == outcome);
            rows.map(|row| row.cell.as_str()).collect::<Vec<_>>()
        };
        let (surprises, unjudged, all) = (of(Outcome::Surprise), of(Outcome::Unjudged), self.rows.len());
        let (code, what, cells) = match (surprises.len(), unjudged.len()) {
            (0, 0) => return Ok(()),
            (0, some) => (Code::Evidence, format!("{some} of {all} cells could not be judged"), unjudged),
            (some, _) => {
                (Code::ClaimBroken, format!("{some} of {all} cells came otherwise than expected"), surprises)
            }
        };
        Err(Error::new(code, what).seen(cells.join(", ")).next("read why above, and the report of each"))
    }
}

#[cfg(test)]
mod tests {
    use proof::claim::Expectation;
    use proof::verdict::Outcome as Seen;

    use super::*;
    use crate::due::tests::{all_held, main_set_up};
    use crate::matrix::file::{Failure, tests::cells};

    fn row(cell: &Cell, judged: &Result<()>, lines: &[Line]) -> Row {
        Row::of(cell, judged, lines, Path::new("report"))
    }

    fn cell() -> Cell {
        cells("cells: [{ name: a }]").unwrap().remove(0)
    }

    fn failing(step: &str, because: &str) -> Cell {
        Cell { fails: Some(Failure { step: step.into(), because: because.into() }), ..cell() }
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
        let mut table = Table::begin("m.yaml".into());
        table.rows.push(row(&cell(), &Ok(()), &lines));
        table.verdict().unwrap();
        table.rows.push(row(&cell(), &Err(Error::new(Code::Evidence, "x | y")), &lines));
        assert_eq!(table.verdict().unwrap_err().code(), Code::Evidence);
        table.rows.push(row(&failing("answers", "."), &Ok(()), &lines));
        let e = table.verdict().unwrap_err();
        assert_eq!((e.code(), e.what()), (Code::ClaimBroken, "1 of 3 cells came otherwise than expected"));
        let text = table.markdown();
        assert_eq!(text.lines().count(), 5);
        let held = format!("| held as expected, {} claims |", lines.len());
        assert!(text.contains(&held) && text.contains("x \\| y |"), "{text}");
        let junit = Report::deserialize_from_str(&table.junit().unwrap()).unwrap();
        assert_eq!((junit.tests, junit.failures, junit.errors), (3, 1, 1));
    }
}
