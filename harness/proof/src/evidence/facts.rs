//! Plain observations: one thing seen, beside what a sentence says of it. For what a source document states and no
//! larger part of the evidence is about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::claim::{Claim, Kind, Subject};
use crate::identity::SpiffeId;
use crate::motion::{Answers, Bound};
use crate::topology::ClusterName;

/// One observation, and the sentence that it decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The claim that it decides.
    #[serde(default = "undeclared")]
    pub id: Claim,
    /// The sentence. `[S0-10]` before it names the items of the source documents that it settles.
    pub claim: String,
    /// What must have been seen for it to be true.
    pub must: Must,
    /// What was seen, in the words of whoever showed it; certificates as PEM, times and flows as JSON.
    pub seen: String,
}

/// What must have been seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Must {
    /// Exactly this.
    Be(String),
    /// Each of these is in it.
    Have(Vec<String>),
    /// None of these is in it, and something is.
    Lack(Vec<String>),
    /// An SVID of that identity, issued by that cluster's SPIRE server as it publishes its bundle now.
    #[serde(alias = "be_vouched_for")]
    BeSvid {
        /// Whose SPIRE server.
        by: ClusterName,
        /// The identity.
        id: SpiffeId,
    },
    /// A certificate that the CA of that cluster's istiod made.
    BeIstiods {
        /// Whose istiod.
        of: ClusterName,
    },
    /// It took no longer; seen is a [`crate::motion::Took`].
    Within(Bound),
    /// Requests were answered; seen is a [`crate::motion::Flow`].
    Answer(Answers),
}

impl Must {
    /// Exactly this.
    pub fn be(text: impl Into<String>) -> Self {
        Self::Be(text.into())
    }

    /// Each of these is in it.
    pub fn have<S: Into<String>>(parts: impl IntoIterator<Item = S>) -> Self {
        Self::Have(parts.into_iter().map(Into::into).collect())
    }

    /// None of these is in it, and something is.
    pub fn lack<S: Into<String>>(parts: impl IntoIterator<Item = S>) -> Self {
        Self::Lack(parts.into_iter().map(Into::into).collect())
    }
}

/// Facts had no names in the first documents: there they are called by their place.
pub(super) fn name_all(facts: &mut [Fact]) {
    let nameless = undeclared();
    for (i, fact) in facts.iter_mut().enumerate().filter(|(_, fact)| fact.id == nameless) {
        fact.id = Claim::of(Kind::Fact, Subject::Fact { scenario: String::new(), name: i.to_string() });
    }
}

fn undeclared() -> Claim {
    Claim::of(Kind::Fact, Subject::Fact { scenario: String::new(), name: String::new() })
}
