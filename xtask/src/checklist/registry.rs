//! What each set-up will say: its claims by the names that the list calls them by, from the registry of trials. Nothing
//! is looked for in sources, and nothing has to be run for it.

use harness::Result;
use harness::layout::Layout;
use harness::setup::{self, Setup};
use proof::claim::{Claim, Subject};
use proof::topology::Topology;
use scenarios::{Owed, trials};

use super::sentence::tagged;

/// Every set-up, by name.
#[derive(Debug)]
pub struct Registry(pub Vec<OfSetup>);

/// A set-up, and what it owes.
#[derive(Debug)]
pub struct OfSetup {
    /// Its name.
    pub name: String,
    /// The document that it is of, as its file says; nothing where none is behind it.
    pub document: Option<String>,
    /// Its claims.
    pub said: Vec<Said>,
}

/// All claims of a kind, or one fact of a scenario for whatever it is owed for.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// As the list calls it: `server-svid`, `far-gateway/no-way-without-it`.
    pub name: String,
    /// The statements that it settles by its own word; none when it is owed whatever the list says.
    pub tags: Vec<String>,
    /// What is true when it holds, with `…` for every cluster's name.
    pub sentence: String,
}

impl Registry {
    /// Asks every set-up of the checkout.
    ///
    /// # Errors
    /// A malformed set-up, or one that would prove less than it says.
    pub fn read(layout: &Layout) -> Result<Self> {
        let manifests = layout.manifests();
        let owed_by = |(name, about): (String, setup::About)| {
            let mut said: Vec<Said> = Vec::new();
            for Setup { scenarios, topology, .. } in Setup::read(&manifests, &[&name], None, false)? {
                let owed = trials::of(&scenarios, &topology)?.into_iter().flat_map(|trial| trial.owes);
                for one in owed.map(|owed| Said::of(&owed, &topology)) {
                    if !said.iter().any(|other| other.name == one.name) {
                        said.push(one);
                    }
                }
            }
            Ok(OfSetup { name, document: about.document, said })
        };
        setup::list(&manifests)?.into_iter().map(owed_by).collect::<Result<_>>().map(Self)
    }

    /// The set-up of that name.
    pub fn setup(&self, name: &str) -> Option<&OfSetup> {
        self.0.iter().find(|setup| setup.name == name)
    }
}

impl OfSetup {
    /// The claim of that name, if the set-up owes it.
    pub fn said(&self, name: &str) -> Option<&Said> {
        self.said.iter().find(|said| said.name == name)
    }
}

impl Said {
    fn of(Owed { claim, sentence }: &Owed, topology: &Topology) -> Self {
        let name = name_of(claim);
        if !matches!(claim.subject, Subject::Fact { .. }) {
            return Self { name, tags: Vec::new(), sentence: claim.kind.in_general() };
        }
        let (tags, sentence) = tagged(sentence);
        let clusters = topology.clusters.iter().map(|cluster| cluster.name.0.as_str());
        Self {
            name,
            tags: tags.into_iter().map(str::to_owned).collect(),
            sentence: clusters.fold(sentence.to_owned(), |sentence, name| sentence.replace(name, "…")),
        }
    }

    pub fn may_settle(&self, id: &str) -> bool {
        self.tags.is_empty() || self.is_about(id)
    }

    /// Whether it says by itself that it settles that statement.
    pub fn is_about(&self, id: &str) -> bool {
        self.tags.iter().any(|tag| tag == id)
    }
}

/// What the list calls a claim.
pub fn name_of(claim: &Claim) -> String {
    match &claim.subject {
        // The way or the cluster that it is owed for follows.
        Subject::Fact { scenario, name } => format!("{scenario}/{}", name.split('/').next().unwrap_or(name)),
        _ => claim.kind.name().to_owned(),
    }
}
