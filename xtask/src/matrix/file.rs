//! A matrix as it is written: cells, each a set-up with versions, and what is expected of it. Read at once and whole; what
//! could not mean what it says is refused with its line and column, before anything is made.

use std::path::{Path, PathBuf};

use harness::layout::Layout;
use harness::lock::With;
use harness::render::{self, Spanned};
use harness::setup::{Setup, versions};
use harness::{Code, Error, Result, component};
use proof::claim::Expectation;
use proof::verdict::{Came, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::args;
use crate::due::Due;

/// One world, and what is expected of it.
pub struct Cell {
    /// Its name, which its world in the report has, too.
    pub name: String,
    /// Its set-up as the file has it, from wherever that is read.
    pub of: String,
    /// The set-up as it is made and judged.
    pub setup: Setup,
    /// What is due in it.
    pub due: Due,
    /// How its set-up must fail, and why.
    pub fails: Option<Failure>,
}

/// How a set-up must fail, and a regular expression over what it says.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The step at which, as `cargo xtask plan` has it: of one cluster (`cluster1/answers`), or of whichever comes first
    /// (`answers`). Left out, wherever it ends: also before a step's limit, when it is known that waiting cures nothing.
    #[serde(default)]
    pub step: Option<String>,
    /// A regular expression that is found in what is said then.
    pub because: String,
}

/// A matrix for Vouchsafe.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A matrix for Vouchsafe")]
struct Form {
    /// The worlds, in the order in which they are made.
    #[schemars(with = "Vec<CellForm>")]
    cells: Vec<Spanned<CellForm>>,
}

/// A set-up with versions, and what is expected of it. Where nothing else is said, every claim that is due must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CellForm {
    /// Letters, digits, dots, dashes and underscores.
    name: String,
    /// One of Vouchsafe's by name, or your own, a file or folder beside this file: `./mine`.
    #[serde(default = "federated")]
    setup: String,
    /// Other versions, as `--with` takes them.
    #[serde(default)]
    with: Vec<String>,
    /// Claims that must break, besides those that the set-up's own file names.
    #[serde(default)]
    expect: Vec<ExpectForm>,
    /// How the set-up itself must fail.
    #[serde(default)]
    fails: Option<Failure>,
}

/// Claims that must break.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExpectForm {
    /// The id of a claim that is due; `*` stands for any characters.
    broken: String,
    /// A regular expression that is found in what is observed.
    because: String,
}

fn federated() -> String {
    "federated".to_owned()
}

/// The form of the file, as a JSON Schema.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Form).to_value()
}

/// Reads the cells; of several names only those.
///
/// # Errors
/// [`Code::Usage`] with line and column.
pub fn read(layout: &Layout, path: &Path, only: &[String]) -> Result<Vec<Cell>> {
    let (name, form) = (path.display().to_string(), form(path)?);
    let mut cells: Vec<Cell> = Vec::new();
    for one in &form.cells {
        let at = format!("{name}:{}:{}", one.referenced.line(), one.referenced.column());
        let cell = cell(layout, path.parent().unwrap_or(Path::new("")), &at, &one.value)
            .map_err(|e| Error::new(e.code(), format!("{at}: this cell cannot be")).because(e))?;
        if cells.iter().any(|other| other.name == cell.name) {
            return Err(refused(format!("{at}: two cells are called {}", cell.name)));
        }
        cells.push(cell);
    }
    if let Some(stranger) = only.iter().find(|name| !cells.iter().any(|cell| cell.name == **name)) {
        let known: Vec<_> = cells.iter().map(|cell| cell.name.as_str()).collect();
        return Err(
            refused(format!("{name} has no cell `{stranger}`")).seen(format!("cells: {}", known.join(", ")))
        );
    }
    cells.retain(|cell| only.is_empty() || only.contains(&cell.name));
    if cells.is_empty() { Err(refused(format!("{name} has no cell"))) } else { Ok(cells) }
}

/// The names of all cells, in the order of the file.
///
/// # Errors
/// As [`read`].
pub fn names(path: &Path) -> Result<Vec<String>> {
    Ok(form(path)?.cells.into_iter().map(|cell| cell.value.name).collect())
}

fn form(path: &Path) -> Result<Form> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::new(Code::Usage, format!("cannot read {name}")).because(e))?;
    render::parse_spanned(&text, Code::Usage, &name)
}

fn cell(layout: &Layout, dir: &Path, at: &str, form: &CellForm) -> Result<Cell> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if form.name.is_empty() || !form.name.chars().all(plain) {
        return Err(refused(format!(
            "`{}` has other characters than letters, digits, -, _ and .",
            form.name
        )));
    }
    // Without the dot in its midst, for people.
    let beside = || dir.join(&form.setup).components().collect();
    let setup: PathBuf = if form.setup.contains('/') { beside() } else { PathBuf::from(&form.setup) };
    let with: Vec<With> =
        form.with.iter().map(|text| text.parse().map_err(refused)).collect::<Result<_>>()?;
    let mut setups =
        args::read(layout, &[setup.display().to_string()], None, false, &args::Versions { with })?;
    let (Some(mut setup), true) = (setups.pop(), setups.is_empty()) else {
        return Err(refused(format!("{} needs several worlds, and a cell has one", form.setup)));
    };
    setup.world.clone_from(&form.name);
    for one in &form.expect {
        let expected =
            Expectation { at: at.to_owned(), claim: one.broken.clone(), because: one.because.clone() };
        expected.check().map_err(refused)?;
        setup.expect.push(expected);
    }
    if let Some(fails) = &form.fails {
        check(fails, &setup)?;
    }
    let due = Due::of_setup(&setup)?;
    let of = form.setup.trim_start_matches("./").to_owned();
    Ok(Cell { name: form.name.clone(), of, setup, due, fails: form.fails.clone() })
}

/// A step that there is, and a cause that says something.
fn check(fails: &Failure, setup: &Setup) -> Result<()> {
    fails.expectation().check().map_err(refused)?;
    if !setup.expect.is_empty() {
        return Err(refused("a set-up that fails judges no claim, so none can be expected to break".into()));
    }
    let Some(wanted) = &fails.step else { return Ok(()) };
    let steps = component::plan(setup)?.graph()?.steps;
    match steps.iter().any(|step| is_of(wanted, &step.id)) {
        true => Ok(()),
        false => Err(refused(format!("there is no step `{wanted}`; cargo xtask plan tells them"))),
    }
}

impl Failure {
    /// What must fail.
    pub fn what(&self) -> String {
        self.step.as_ref().map_or_else(|| "the set-up".to_owned(), |step| format!("step {step}"))
    }

    fn expectation(&self) -> Expectation {
        Expectation { at: String::new(), claim: self.what(), because: self.because.clone() }
    }

    /// Whether the failure of a set-up is this one.
    pub fn is(&self, e: &Error) -> bool {
        let step = e.what().strip_prefix("step ").and_then(|rest| rest.strip_suffix(" failed"));
        let came = self.expectation().compare(Outcome::Broken, &e.to_string());
        let there = match &self.step {
            Some(wanted) => step.is_some_and(|step| is_of(wanted, step)),
            None => matches!(e.code(), Code::SetupFailed | Code::TimedOut),
        };
        there && came == Some(Came::AsExpected)
    }
}

/// Whether that step is meant.
fn is_of(wanted: &str, step: &str) -> bool {
    step == wanted || step.split_once('/').is_some_and(|(_, of_each)| of_each == wanted)
}

impl Cell {
    /// What it is, for a person.
    pub fn about(&self) -> String {
        format!("{}: {}", self.of, versions::lines(&self.setup.versions).join("; "))
    }
}

fn refused(what: String) -> Error {
    Error::new(Code::Usage, what).next("correct it; nothing was touched")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn cells(text: &str) -> Result<Vec<Cell>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("matrix.yaml");
        std::fs::write(&file, text).unwrap();
        let layout = Layout { cache: dir.path().join("cache"), repo: "..".into() };
        read(&layout, &file, &[])
    }

    #[test]
    fn what_could_not_be_is_refused_with_its_place() {
        for (text, place, words) in [
            ("cells: []", "matrix.yaml", "has no cell"),
            ("cells:\n- name: a\n  wiht: []\n", "3:3 is malformed", "unknown field `wiht`"),
            ("cells:\n- name: a b\n", "2:3: ", "`a b` has other characters"),
            ("cells:\n- name: a\n- name: a\n", "3:3: ", "two cells are called a"),
            ("cells:\n- { name: a, setup: fedrated }\n", "2:3: ", "there is no set-up `fedrated`"),
            ("cells:\n- { name: a, setup: all }\n", "2:3: ", "needs several worlds"),
            ("cells:\n- { name: a, with: [spire=9] }\n", "2:3: ", "there is no version 9 of spire"),
            (
                "cells:\n- { name: a, expect: [{ broken: x/*, because: y }] }\n",
                "2:3: ",
                "no claim `x/*` is due",
            ),
            (
                "cells:\n- { name: a, fails: { step: answer, because: y } }\n",
                "2:3: ",
                "there is no step `answer`",
            ),
            (
                "cells:\n- { name: a, fails: { step: answers, because: ( } }\n",
                "2:3: ",
                "no regular expression",
            ),
        ] {
            let Err(e) = cells(text) else { panic!("taken: {text}") };
            let told = e.to_string();
            assert!(
                e.code() == Code::Usage && told.contains(place) && told.contains(words),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn a_failure_is_of_its_step_and_its_cause() {
        let fails = Failure { step: Some("answers".into()), because: "503".into() };
        let failed = |step: &str, why: &str| {
            Error::new(Code::SetupFailed, format!("step {step} failed")).because(Error::internal(why))
        };
        assert!(fails.is(&failed("cluster2/answers", "503 upstream")));
        assert!(!fails.is(&failed("cluster2/answers", "curl: (6)")));
        assert!(!fails.is(&failed("cluster2/workloads", "503")));
        assert!(!fails.is(&Error::new(Code::ClaimBroken, "503")));
        let one = Failure { step: Some("cluster1/answers".into()), ..fails.clone() };
        assert!(one.is(&failed("cluster1/answers", "503")) && !one.is(&failed("cluster2/answers", "503")));
        let any = Failure { step: None, ..fails };
        let stuck =
            |why: &str| Error::new(Code::SetupFailed, "Gateway n/g will not get better by waiting").seen(why);
        assert!(
            any.is(&failed("cluster2/workloads", "503")) && any.is(&stuck("503")) && !any.is(&stuck("404"))
        );
        assert!(!any.is(&Error::new(Code::ClaimBroken, "503")));
    }

    #[test]
    fn a_cell_is_a_world_of_its_own_name() {
        let all = cells("cells:\n- { name: a, with: [spire=1.13] }\n- name: b\n").unwrap();
        assert_eq!([&*all[0].setup.world, &*all[1].setup.world], ["a", "b"]);
        assert!(all[0].about().contains("spire 1.13.3") && all[1].about().contains("spire 1.15.3"));
        assert_eq!(all[0].due.world, "a");
    }
}
