//! Plain observations: one thing seen, beside what a sentence says of it. For what a source document states and no
//! larger part of the evidence is about.

use serde::{Deserialize, Serialize};

use crate::identity::SpiffeId;
use crate::topology::ClusterName;

/// One observation, and the sentence that it decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The sentence. `[S0-10]` before it names the items of the source documents that it settles.
    pub claim: String,
    /// What must have been seen for it to be true.
    pub must: Must,
    /// What was seen, in the words of whoever showed it; certificates as PEM.
    pub seen: String,
}

/// What must have been seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Must {
    /// Exactly this.
    Be(String),
    /// Each of these is in it.
    Have(Vec<String>),
    /// None of these is in it, and something is.
    Lack(Vec<String>),
    /// A certificate of that identity, made by that cluster's SPIRE server as it publishes its keys now.
    BeVouchedFor {
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
