//! The list as data: `scenarios/checklist.yaml`, read strictly.

use std::collections::BTreeSet;

use harness::layout::Layout;
use harness::{Code, Error, Result, render};
use serde::Deserialize;

use super::registry::Registry;

/// Where it is, from the root of the checkout.
pub const FILE: &str = "scenarios/checklist.yaml";

/// Every statement of every document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checklist {
    /// The documents, in the order of their statements.
    pub documents: Vec<Document>,
    /// The statements.
    pub items: Vec<Item>,
}

/// A source document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What its statements' names begin with: `S4`.
    pub key: String,
    /// Its own title.
    pub title: String,
    /// Its file's name, which begins with the number that set-ups call it by.
    pub file: String,
    /// How many statements it has.
    pub statements: usize,
}

/// A statement, and what became of it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Item {
    /// `S4-31`.
    pub id: String,
    /// What the document says.
    pub says: String,
    /// What settles it.
    pub state: State,
}

/// What settles a statement.
#[derive(Debug)]
pub enum State {
    /// These claims say so.
    Proven(Claims),
    /// These claims say otherwise; what is true instead.
    Refuted(Claims, String),
    /// A test that needs no cluster says so: `file.rs::name`.
    Tested(String),
    /// Why it does not exist on KIND.
    NotApplicable(String),
    /// Why it is not shown yet.
    Open(String),
}

/// Claims of a set-up's scenarios.
#[derive(Debug)]
pub struct Claims {
    /// The set-up whose run judges them.
    pub setup: String,
    /// Kinds of claims, and facts; see [`super::registry`].
    pub names: Vec<String>,
}

impl State {
    /// The states' names, as the page has them.
    pub const NAMES: [&'static str; 5] = ["proven", "refuted", "tested", "not applicable", "open"];

    /// Its name.
    pub fn name(&self) -> &'static str {
        let [proven, refuted, tested, not_applicable, open] = Self::NAMES;
        match self {
            Self::Proven(_) => proven,
            Self::Refuted(..) => refuted,
            Self::Tested(_) => tested,
            Self::NotApplicable(_) => not_applicable,
            Self::Open(_) => open,
        }
    }

    /// The claims that a run has to judge.
    pub fn claims(&self) -> Option<&Claims> {
        match self {
            Self::Proven(claims) | Self::Refuted(claims, _) => Some(claims),
            _ => None,
        }
    }
}

impl Checklist {
    /// Reads and checks it.
    ///
    /// # Errors
    /// [`Code::Usage`] with everything that is wrong with it.
    pub fn read(layout: &Layout, registry: &Registry) -> Result<Self> {
        let list: Self = render::read(&layout.repo.join(FILE), Code::Usage)?;
        list.validate(registry)?;
        Ok(list)
    }

    /// The statements of a document.
    pub fn of<'a>(&'a self, document: &'a Document) -> impl Iterator<Item = &'a Item> {
        self.items.iter().filter(|item| item.id.split_once('-').is_some_and(|(key, _)| key == document.key))
    }

    fn validate(&self, registry: &Registry) -> Result<()> {
        let wrong = self.flaws(registry);
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::Usage, format!("{FILE} cannot be used as it is"))
            .seen(wrong.join("; "))
            .next("correct it; nothing was written"))
    }

    /// What is wrong, given what all set-ups owe.
    pub(super) fn flaws(&self, registry: &Registry) -> Vec<String> {
        let mut wrong = Vec::new();
        let wanted: Vec<String> = self
            .documents
            .iter()
            .flat_map(|one| (1..=one.statements).map(move |i| format!("{}-{i}", one.key)))
            .collect();
        let have: BTreeSet<&str> = self.items.iter().map(|item| item.id.as_str()).collect();
        wrong.extend(
            wanted.iter().filter(|id| !have.contains(id.as_str())).map(|id| format!("{id} is missing")),
        );
        let mut seen = BTreeSet::new();
        for item in &self.items {
            if !wanted.contains(&item.id) {
                wrong.push(format!("{} is in no document", item.id));
            } else if !seen.insert(&item.id) {
                wrong.push(format!("{} is there twice", item.id));
            }
        }
        for (setup, document) in registry.0.iter().filter_map(|one| Some((&one.name, one.document.as_ref()?)))
        {
            if !self.documents.iter().any(|one| one.has(document)) {
                wrong.push(format!("the set-up {setup} is of `{document}`, which is no document here"));
            }
        }
        wrong.extend(self.unowed(registry));
        wrong
    }

    /// The claims that the list names and that nobody will judge, and the tags that name what the list does not have.
    fn unowed(&self, registry: &Registry) -> Vec<String> {
        let mut wrong = Vec::new();
        for item in &self.items {
            let id = &item.id;
            let Some(claims) = item.state.claims() else { continue };
            let Some(setup) = registry.setup(&claims.setup) else {
                wrong.push(format!("{id} names the set-up `{}`, which does not exist", claims.setup));
                continue;
            };
            for name in &claims.names {
                match setup.said(name) {
                    None => wrong.push(format!("{id} names `{name}`, which {} does not owe", setup.name)),
                    Some(said) if !said.may_settle(id) => {
                        wrong.push(format!("{id} names `{name}`, which is about {}", said.tags.join(", ")));
                    }
                    Some(_) => {}
                }
            }
        }
        for (setup, said) in
            registry.0.iter().flat_map(|setup| setup.said.iter().map(move |said| (setup, said)))
        {
            for tag in &said.tags {
                let item = self.items.iter().find(|item| item.id == *tag);
                let why = match item.map(|item| &item.state) {
                    None => "is not in the list",
                    Some(State::NotApplicable(_)) => "is not applicable by the list",
                    Some(_) => continue,
                };
                wrong.push(format!("`{}` of {} is about {tag}, which {why}", said.name, setup.name));
            }
        }
        wrong
    }
}

impl Document {
    /// Whether a set-up that names its source so means this document: both begin with its number.
    pub fn has(&self, source: &str) -> bool {
        let number = |text: &str| text.split([',', '_', ' ']).next().unwrap_or_default().to_owned();
        number(source) == number(&self.file)
    }
}

/// A statement as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    says: String,
    proven: Option<Proven>,
    refuted: Option<Refuted>,
    tested: Option<String>,
    not_applicable: Option<String>,
    open: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proven {
    setup: String,
    claim: OneOrMore,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refuted {
    setup: String,
    claim: OneOrMore,
    because: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Claims {
    fn of(setup: String, claim: OneOrMore) -> Self {
        let names = match claim {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(more) => more,
        };
        Self { setup, names }
    }
}

impl TryFrom<Written> for Item {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { id, says, proven, refuted, tested, not_applicable, open } = written;
        let states = [
            proven.map(|it| State::Proven(Claims::of(it.setup, it.claim))),
            refuted.map(|it| State::Refuted(Claims::of(it.setup, it.claim), it.because)),
            tested.map(State::Tested),
            not_applicable.map(State::NotApplicable),
            open.map(State::Open),
        ];
        let mut states = states.into_iter().flatten();
        let (Some(state), None) = (states.next(), states.next()) else {
            return Err(format!("{id} needs exactly one of {}", State::NAMES.join(", ")));
        };
        let words: Vec<&String> = match &state {
            State::Proven(claims) => claims.names.iter().collect(),
            State::Refuted(claims, because) => claims.names.iter().chain([because]).collect(),
            State::Tested(text) | State::NotApplicable(text) | State::Open(text) => vec![text],
        };
        let without_claim = state.claims().is_some_and(|claims| claims.names.is_empty());
        if says.is_empty() || without_claim || words.iter().any(|text| text.trim().is_empty()) {
            return Err(format!("{id} leaves something empty"));
        }
        Ok(Self { id, says, state })
    }
}
