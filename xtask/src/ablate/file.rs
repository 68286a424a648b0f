//! Settings and what is predicted of each, as they are written: read at once and whole, and refused with line and column
//! where one could not mean what it says.

use std::path::Path;

use harness::render::{self, Spanned};
use harness::setup::Setup;
use harness::tamper::written::Written;
use harness::{Code, Error, Result};
use proof::claim::{Claim, Expectation};
use proof::diagnosis::causes;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::due::Due;

/// A setting, and what is predicted of a mesh without it.
#[derive(Debug)]
pub struct Cell {
    /// Its name.
    pub name: String,
    /// The setting, as people copy it.
    pub setting: String,
    /// Where it is said to be needed.
    pub document: String,
    /// Whether the world is without it, so that it is given.
    pub given: bool,
    /// How.
    pub changes: Vec<Written>,
    /// What comes of it.
    pub predicted: Predicted,
    /// Where else it does something, if it does nothing here.
    pub only: Option<String>,
    /// Why it comes so.
    pub why: String,
}

/// What is predicted.
#[derive(Debug)]
pub enum Predicted {
    /// Every claim that is due holds.
    Inert,
    /// These claims break.
    Broken {
        /// Which, and for which cause.
        claims: Vec<Expectation>,
        /// Claims that nothing can be said of any more: of a handshake that is refused there is no certificate.
        unjudged: Vec<Expectation>,
        /// What a diagnosis names.
        cause: Option<String>,
    },
    /// New pods do not become ready.
    Unready {
        /// Whose.
        workload: String,
        /// A regular expression over what is last seen of them.
        because: String,
        /// What a diagnosis names.
        cause: Option<String>,
    },
}

/// Settings to be taken away for Vouchsafe.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Settings to be taken away for Vouchsafe")]
struct Form {
    /// The settings, in the order in which they are taken away.
    #[schemars(with = "Vec<CellForm>")]
    settings: Vec<Spanned<CellForm>>,
}

/// A setting: how it is taken away (or given, where the world does without), and what is predicted. Where no claim is
/// predicted to break and no pod to stay away, every claim must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CellForm {
    /// Letters, digits and dashes.
    name: String,
    /// The setting, in the words that people copy.
    setting: String,
    /// Which document says that it is needed, and where.
    document: String,
    /// How it is taken away from every cluster.
    #[serde(default)]
    take: Vec<Written>,
    /// How it is given to every cluster.
    #[serde(default)]
    give: Vec<Written>,
    /// Claims that must break.
    #[serde(default)]
    broken: Vec<BrokenForm>,
    /// Claims that nothing can be said of any more.
    #[serde(default)]
    unjudged: Vec<String>,
    /// New pods that must not become ready.
    #[serde(default)]
    unready: Option<UnreadyForm>,
    /// The cause that a diagnosis must name, and no other.
    #[serde(default)]
    cause: Option<String>,
    /// Where the setting does something, if it does nothing here.
    #[serde(default)]
    only: Option<String>,
    /// Why it comes so.
    why: String,
}

/// Claims that must break.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BrokenForm {
    /// The id of a claim that is due; `*` stands for any characters.
    claim: String,
    /// A regular expression that is found in what is observed.
    because: String,
}

/// New pods that must not become ready.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UnreadyForm {
    /// The workload, which is restarted.
    workload: String,
    /// A regular expression over what is last seen of them.
    because: String,
}

/// The form of the file, as a JSON Schema.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Form).to_value()
}

/// Reads the settings.
///
/// # Errors
/// [`Code::Usage`] with line and column.
pub fn read(path: &Path, setup: &Setup) -> Result<Vec<Cell>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::new(Code::Usage, format!("cannot read {name}")).because(e))?;
    let form: Form = render::parse_spanned(&text, Code::Usage, &name)?;
    let due = Due::of_setup(setup)?;
    let mut cells: Vec<Cell> = Vec::new();
    for one in form.settings {
        let at = format!("{name}:{}:{}", one.referenced.line(), one.referenced.column());
        let cell = cell(one.value, &at, &due).map_err(|why| refused(format!("{at}: {why}")))?;
        if cells.iter().any(|other| other.name == cell.name) {
            return Err(refused(format!("{at}: two settings are called {}", cell.name)));
        }
        cells.push(cell);
    }
    if cells.is_empty() { Err(refused(format!("{name} has no setting"))) } else { Ok(cells) }
}

/// Of several names only those; all, if there is none.
///
/// # Errors
/// [`Code::Usage`] for a name that none of them has.
pub fn chosen<'a>(cells: &'a [Cell], only: &[String]) -> Result<Vec<&'a Cell>> {
    if let Some(stranger) = only.iter().find(|name| !cells.iter().any(|cell| cell.name == **name)) {
        let known: Vec<_> = cells.iter().map(|cell| cell.name.as_str()).collect();
        return Err(refused(format!("there is no setting `{stranger}`"))
            .seen(format!("settings: {}", known.join(", "))));
    }
    Ok(cells.iter().filter(|cell| only.is_empty() || only.contains(&cell.name)).collect())
}

fn cell(form: CellForm, at: &str, due: &Due) -> Result<Cell, String> {
    if form.name.is_empty() || !form.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(format!("`{}` has other characters than letters, digits and dashes", form.name));
    }
    let given = !form.give.is_empty();
    if given != form.take.is_empty() {
        return Err("a setting is either taken away (take) or given (give)".to_owned());
    }
    let changes = if given { form.give } else { form.take };
    changes.iter().try_for_each(Written::check)?;
    if let Some(stranger) = form.cause.as_ref().filter(|cause| !causes().any(|rule| rule.name == **cause)) {
        return Err(format!("no cause is called `{stranger}`; cargo xtask explain causes tells them"));
    }
    let expectation = |claim: String, because: &str| {
        let expected = Expectation { at: at.to_owned(), claim, because: because.to_owned() };
        expected.check()?;
        match due.claims().iter().any(|claim| expected.speaks_of(claim)) {
            true => Ok(expected),
            false => Err(format!("no claim `{}` is due; cargo xtask plan tells them", expected.claim)),
        }
    };
    let claims: Vec<_> =
        form.broken.into_iter().map(|one| expectation(one.claim, &one.because)).collect::<Result<_, _>>()?;
    let unjudged: Vec<_> =
        form.unjudged.into_iter().map(|claim| expectation(claim, ".")).collect::<Result<_, _>>()?;
    let predicted = match form.unready {
        Some(_) if !claims.is_empty() || !unjudged.is_empty() => {
            return Err(
                "where new pods do not become ready, no claim is judged (unready, or broken)".to_owned()
            );
        }
        Some(UnreadyForm { workload, because }) => {
            Written::Restart(workload.clone()).check()?;
            Regex::new(&because).map_err(|e| format!("`{because}` is no regular expression: {e}"))?;
            Predicted::Unready { workload, because, cause: form.cause }
        }
        None if claims.is_empty() && unjudged.is_empty() => match form.cause {
            Some(_) => return Err("where nothing breaks there is no cause".to_owned()),
            None => Predicted::Inert,
        },
        None if claims.is_empty() => return Err("where nothing breaks all can be judged".to_owned()),
        None => Predicted::Broken { claims, unjudged, cause: form.cause },
    };
    if form.only.is_some() && !matches!(predicted, Predicted::Inert) {
        return Err("`only` is where it does something, and it is predicted to do something here".to_owned());
    }
    Ok(Cell {
        name: form.name,
        setting: form.setting,
        document: form.document,
        given,
        changes,
        predicted,
        only: form.only,
        why: form.why,
    })
}

impl Predicted {
    /// The claim that is expected to break, and the one of which nothing can be said.
    pub fn of(&self, claim: &Claim) -> (Option<&Expectation>, bool) {
        match self {
            Self::Broken { claims, unjudged, .. } => (
                claims.iter().find(|one| one.speaks_of(claim)),
                unjudged.iter().any(|one| one.speaks_of(claim)),
            ),
            Self::Inert | Self::Unready { .. } => (None, false),
        }
    }

    /// The cause that a diagnosis must name.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Inert => None,
            Self::Broken { cause, .. } | Self::Unready { cause, .. } => cause.as_deref(),
        }
    }
}

fn refused(what: String) -> Error {
    Error::new(Code::Usage, what).next("correct it; nothing was touched")
}

#[cfg(test)]
pub mod tests {
    use super::super::table;
    use super::*;

    pub fn setup() -> Setup {
        Setup::read(Path::new("../manifests"), &["federated"], None, false).unwrap().remove(0)
    }

    pub fn cells(text: &str) -> Result<Vec<Cell>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.yaml");
        std::fs::write(&file, text).unwrap();
        read(&file, &setup())
    }

    fn one(rest: &str) -> Result<Vec<Cell>> {
        cells(&format!("settings:\n- {{ name: a, setting: s, document: d, why: w, {rest} }}\n"))
    }

    #[test]
    fn what_could_not_be_is_refused_with_its_place() {
        let take = "take: [{ restart: Deployment a/b }]";
        for (rest, words) in [
            ("take: []", "either taken away (take) or given (give)"),
            ("take: [{ restart: Deployment a/b }], give: [{ remove: Secret a/b }]", "either taken away"),
            ("take: [{ restart: Job a/b }]", "the kind is none of"),
            ("take: [{ restarts: Deployment a/b }]", "restarts"),
            ("take: [{ fault: no-fault }]", "no fault is called `no-fault`"),
            ("take: [{ text: { of: ConfigMap a/b, key: k, find: ( } }]", "no regular expression"),
            (&format!("{take}, cause: agent-down"), "where nothing breaks there is no cause"),
            (&format!("{take}, unjudged: ['server-svid/*']"), "where nothing breaks all can be judged"),
            (&format!("{take}, broken: [{{ claim: 'x/*', because: y }}]"), "no claim `x/*` is due"),
            (
                &format!("{take}, broken: [{{ claim: 'server-svid/*', because: y }}], cause: no"),
                "no cause is called `no`",
            ),
            (
                &format!("{take}, broken: [{{ claim: 'server-svid/*', because: y }}], only: there"),
                "do something here",
            ),
            (
                &format!(
                    "{take}, broken: [{{ claim: 'server-svid/*', because: y }}], unready: {{ workload: Deployment a/b, because: z }}"
                ),
                "no claim is judged",
            ),
        ] {
            let e = one(rest).unwrap_err();
            assert!(e.code() == Code::Usage && e.to_string().contains("settings.yaml:2:"), "{rest}: {e}");
            assert!(e.to_string().contains(words), "{rest}: {e}");
        }
    }

    #[test]
    fn what_is_predicted_is_of_its_claims() {
        let text = "take: [{ remove: Secret a/b }], broken: [{ claim: 'remote-answers/*', because: x }], \
                    unjudged: ['server-svid/*'], cause: agent-down";
        let cell = one(text).unwrap().remove(0);
        let of = |claim: &str| {
            let (broken, unjudged) = cell.predicted.of(&claim.parse().unwrap());
            (broken.is_some(), unjudged)
        };
        assert_eq!(of("remote-answers/cluster1→cluster2"), (true, false));
        assert_eq!(of("server-svid/cluster1→cluster2"), (false, true));
        assert_eq!(of("client-svid/cluster1→cluster2"), (false, false));
        assert_eq!((cell.predicted.cause(), cell.given), (Some("agent-down"), false));
    }

    /// Ours can be read, and the table in the repository is of exactly these.
    #[test]
    fn the_published_table_is_that_of_the_file() {
        let file = Path::new("../scenarios/ablations.yaml");
        let cells = read(file, &setup()).unwrap();
        let page = std::fs::read_to_string(file.with_extension("md")).unwrap();
        let lines = cells.iter().map(|cell| table::line(cell, None));
        let wanted: String = std::iter::once(table::HEAD.to_owned()).chain(lines).collect();
        assert!(
            page == wanted,
            "scenarios/ablations.md is not the table of its file: cargo xtask ablate --write"
        );
    }
}
