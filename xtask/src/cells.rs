//! What came of the cells of a matrix, or of the settings of `ablate`: JSON lines and JUnit for machines, a page for people,
//! and how it all ended.

use std::path::{Path, PathBuf};

use harness::layout::Layout;
use harness::{Code, Error, Result, kept};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use crate::show::{self, say};

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

impl Outcome {
    /// Whether it came as it was written beforehand.
    pub fn is_expected(self) -> bool {
        matches!(self, Self::Held | Self::Broke)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Held => "held as expected",
            Self::Broke => "broken as expected",
            Self::Surprise => "**surprise**",
            Self::Unjudged => "**not judged**",
        })
    }
}

/// All cells.
pub struct Table {
    /// The command.
    command: &'static str,
    /// The file that they are written in.
    of: PathBuf,
    /// One for each.
    pub rows: Vec<Row>,
}

impl Table {
    /// None yet.
    pub fn begin(command: &'static str, of: &Path) -> Self {
        Self { command, of: of.to_owned(), rows: Vec::new() }
    }

    /// Tells what came: the page, a `line` for each row below `head`, or the rows as JSON lines; and keeps all forms. Those
    /// that came as expected are written into the repository, too, where their file's `order` is given.
    ///
    /// # Errors
    /// [`Code::Internal`]; [`Code::Usage`] where the page of the repository cannot be written.
    pub fn tell(
        &self,
        (head, line): (&str, impl Fn(&Row) -> String),
        layout: &Layout,
        json: bool,
        order: Option<&[String]>,
    ) -> Result<()> {
        let page: String = std::iter::once(head.to_owned()).chain(self.rows.iter().map(&line)).collect();
        let dir = self.write(&page, layout)?;
        match json {
            true => self.rows.iter().try_for_each(show::json)?,
            false => say!("{page}"),
        }
        eprintln!("table: {}", dir.display());
        order.map_or(Ok(()), |order| self.publish(head, order, line))
    }

    /// Writes all three forms into a folder of their own.
    ///
    /// # Errors
    /// [`Code::Internal`].
    fn write(&self, page: &str, layout: &Layout) -> Result<PathBuf> {
        let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let dir = layout.repo.join("target").join(self.command).join(stamp);
        let lines = self.rows.iter().map(|row| serde_json::to_string(row).map(|line| line + "\n"));
        let lines: String = lines
            .collect::<Result<_, _>>()
            .map_err(|e| Error::internal("a row cannot be written").because(e))?;
        for (name, text) in [("table.md", page), ("table.jsonl", &lines), ("junit.xml", &self.junit()?)] {
            let path = dir.join(name);
            kept::write(&path, text)
                .map_err(|e| Error::internal(format!("cannot write {}", path.display())).because(e))?;
        }
        Ok(dir)
    }

    /// Writes the page beside the file, for the repository: a new line of each that came as expected, none of what did not,
    /// and of those that were not asked the line that is there. `order` is that of the file.
    ///
    /// # Errors
    /// [`Code::Usage`] where it cannot be written.
    fn publish(&self, head: &str, order: &[String], line: impl Fn(&Row) -> String) -> Result<()> {
        let path = self.of.with_extension("md");
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let page = renewed(head, order, &before, &self.rows, line);
        kept::write(&path, &page)
            .map_err(|e| Error::new(Code::Usage, format!("cannot write {}", path.display())).because(e))?;
        eprintln!("written: {}", path.display());
        Ok(())
    }

    /// As JUnit.
    ///
    /// # Errors
    /// [`Code::Internal`].
    pub fn junit(&self) -> Result<String> {
        let mut suite = TestSuite::new(format!("{} {}", self.command, self.of.display()));
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

/// The page with these rows in the place of their lines.
fn renewed(
    head: &str,
    order: &[String],
    before: &str,
    rows: &[Row],
    line: impl Fn(&Row) -> String,
) -> String {
    let there = |name: &String| before.lines().find(|line| line.starts_with(&format!("| `{name}`")));
    let of_each = order.iter().filter_map(|name| match rows.iter().find(|row| row.cell == *name) {
        Some(row) if row.outcome.is_expected() => Some(line(row)),
        Some(_) => None,
        None => there(name).map(|line| format!("{line}\n")),
    });
    std::iter::once(head.to_owned()).chain(of_each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_renewed_line_by_line() {
        let row = |cell: &str, outcome| Row {
            cell: cell.into(),
            about: "x".into(),
            outcome,
            why: Vec::new(),
            held: 0,
            report: PathBuf::new(),
        };
        let rows = [row("b", Outcome::Held), row("c", Outcome::Surprise)];
        let order = ["a", "b", "c", "d"].map(str::to_owned);
        let before = "old head\n| `a` | 1 |\n| `b` | 1 |\n| `c` | 1 |\n| `gone` | 1 |\n";
        let page = renewed("head\n", &order, before, &rows, |row| format!("| `{}` | 2 |\n", row.cell));
        assert_eq!(page, "head\n| `a` | 1 |\n| `b` | 2 |\n");
    }
}
