//! What was observed, without judgement: the document that every verdict is made from.
//!
//! A scenario fills in what its question needs and stores the document beside its verdicts; `cargo xtask
//! judge` reads it back, years later and with no cluster, and comes to the same verdicts. So it carries the
//! moment of collection, by which validity is judged, and everything that a verdict compares with.
//!
//! Private keys and tokens cannot get in: certificates are [`crate::identity::Pem`], which holds nothing else, and
//! what is stored goes through [`scrub`], which leaves certificates alone.
//!
//! Absent evidence is `null` or an empty list. It never makes a claim hold or break: see [`crate::verdict`].

mod calls;
mod cluster;
mod facts;
mod history;
pub mod repeat;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use calls::{Control, Crossing, Handshake, Refusal, Replies, Reply, Service, Workload};
pub use cluster::{ClusterSeen, Fetch, IstiodCa, Part, Proxy, RemoteCluster, TlsSetting};
pub use facts::{Fact, Must};
pub use history::HeldAt;
pub use repeat::Repeat;

use crate::claim::{Claim, Expectation};
use crate::envoy::Held;
use crate::error::Context;
use crate::identity::{Certificate, Declared};
use crate::topology::{Cluster, ClusterName};

use crate::{Code, Error, Result, scrub};

/// The version of the document's form; grows with every change that an old reader would misread. Since version 2 a
/// document says what it owed, and handshakes come with what both proxies held around them; since version 3 it has the
/// sentences of the facts that it owed; since version 4 the commands that observe it again.
pub const VERSION: u32 = 4;

/// Everything that was observed for one question, or for a whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// [`VERSION`] when it was written.
    pub version: u32,
    /// When it was collected: the moment at which validity is judged.
    pub collected_at: Timestamp,
    /// What the question owed before anything was observed: each of these gets a verdict, whatever else is here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub due: Vec<Claim>,
    /// What is true when a fact that is due holds: nothing else says it of one that was never shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sentences: BTreeMap<Claim, String>,
    /// Which SPIFFE IDs workloads must have, where the set-up declares others than Istio's.
    #[serde(default, skip_serializing_if = "Declared::is_empty")]
    pub identities: Declared,
    /// Whether a workload must be who its registration entry says, and believe whom that names beside the clusters here:
    /// so where nobody said it beforehand, as in clusters that others made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_registered: bool,
    /// What the set-up expects to break.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// Why observing ended before its end, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<String>,
    /// Each cluster, in the order of the topology.
    pub clusters: Vec<ClusterSeen>,
    /// Answers to one client from wherever the mesh sent it.
    pub replies: Vec<Replies>,
    /// Requests across the mesh, with what both sidecars recorded of each.
    pub handshakes: Vec<Handshake>,
    /// What passed through the gateways meanwhile.
    pub crossings: Vec<Crossing>,
    /// Calls that were to be refused.
    pub refusals: Vec<Refusal>,
    /// Whatever else was seen, each beside the sentence that it decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// The scenarios that came to their end.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "told")]
    pub completed: Vec<String>,
    /// How each part of it is observed again, by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeat: Vec<Repeat>,
}

impl Evidence {
    /// Nothing observed yet, of these clusters.
    pub fn of(clusters: &[Cluster], collected_at: Timestamp) -> Self {
        Self {
            version: VERSION,
            collected_at,
            due: Vec::new(),
            sentences: BTreeMap::new(),
            identities: Declared::default(),
            as_registered: false,
            expect: Vec::new(),
            ended_early: None,
            clusters: clusters.iter().cloned().map(ClusterSeen::of).collect(),
            replies: Vec::new(),
            handshakes: Vec::new(),
            crossings: Vec::new(),
            refusals: Vec::new(),
            facts: Vec::new(),
            completed: Vec::new(),
            repeat: Vec::new(),
        }
    }

    /// Adds the handshakes that another document has, with what was seen around them: those of different ways are
    /// observed side by side.
    pub fn met(&mut self, other: Self) {
        self.handshakes.extend(other.handshakes);
        self.crossings.extend(other.crossings);
        for (seen, more) in self.clusters.iter_mut().zip(other.clusters) {
            seen.proxies.extend(more.proxies);
        }
    }

    /// Reads a stored document.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it is another kind of document, or of another version.
    pub fn read(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let what = || "this is not an evidence document of Vouchsafe".to_owned();
        let Versioned { version } = serde_json::from_str(json).or_fail(Code::Evidence, what)?;
        if !(1..=VERSION).contains(&version) {
            let what = format!("the evidence has version {version}, and this release reads 1 to {VERSION}");
            return Err(Error::new(Code::Evidence, what).next("judge it with the release that collected it"));
        }
        let mut evidence: Self = serde_json::from_str(json).or_fail(Code::Evidence, what)?;
        facts::name_all(&mut evidence.facts);
        Ok(evidence)
    }

    /// The document as stored, without secrets.
    ///
    /// # Errors
    /// [`Code::Internal`]: every part of it can be written.
    pub fn to_json(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self);
        let text = text.or_fail(Code::Internal, || "the evidence cannot be written".into())?;
        Ok(scrub::document(&text))
    }

    /// The cluster of that name.
    ///
    /// # Errors
    /// [`Code::Evidence`] when the document does not speak of it.
    pub fn cluster(&self, name: &ClusterName) -> Result<&ClusterSeen> {
        let found = self.clusters.iter().find(|seen| seen.cluster.name == *name);
        found.ok_or_else(|| missing(format!("cluster {name}")))
    }

    /// The same, to be filled in.
    ///
    /// # Errors
    /// As [`Evidence::cluster`].
    pub fn cluster_mut(&mut self, name: &ClusterName) -> Result<&mut ClusterSeen> {
        let found = self.clusters.iter_mut().find(|seen| seen.cluster.name == *name);
        found.ok_or_else(|| missing(format!("cluster {name}")))
    }

    /// The cluster's place in the document, for pointers into it.
    pub(crate) fn index(&self, name: &ClusterName) -> usize {
        self.clusters.iter().position(|seen| seen.cluster.name == *name).unwrap_or_default()
    }

    /// Every intermediate that any proxy holds: an access log shows the leaf of a peer alone. Chains that cannot be
    /// read are another claim's finding.
    pub fn intermediates(&self) -> Vec<Certificate> {
        let proxies = self.clusters.iter().flat_map(|seen| &seen.proxies);
        let chains = proxies.filter_map(|proxy| proxy.held.as_ref()).flat_map(Held::chains);
        let mut all = Vec::new();
        for one in chains.filter_map(|pem| pem.chain().ok()).flat_map(|chain| chain.intermediates) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }

    /// What the set-up expects of that claim, where that is that it breaks.
    pub fn expected_of(&self, claim: &Claim) -> Option<&Expectation> {
        self.expect.iter().find(|one| one.speaks_of(claim))
    }

    /// All clusters but that one.
    pub fn peers(&self, name: &ClusterName) -> impl Iterator<Item = &ClusterSeen> {
        self.clusters.iter().filter(move |seen| seen.cluster.name != *name)
    }
}

/// The error of a claim whose evidence is not there.
pub fn missing(what: impl std::fmt::Display) -> Error {
    Error::new(
        Code::Evidence,
        format!("there is no evidence of {what}, so a claim can be judged neither way"),
    )
}
