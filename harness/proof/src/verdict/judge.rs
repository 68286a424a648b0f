//! Every claim that a document of evidence speaks of.

use super::{Verdict, bundles, fact, handshake, held, istiod, mesh, path, refusal};
use crate::Error;
use crate::evidence::Evidence;
use crate::topology::{ClusterName, Way};

/// What came of judging a document.
#[derive(Debug)]
pub struct Judgement {
    /// The claims that could be judged.
    pub verdicts: Vec<Verdict>,
    /// Why others could not.
    pub missing: Vec<Error>,
}

/// Judges every claim for which the document has something to say. One that lacks a part of its evidence is
/// an error and does not keep the others from being judged.
pub fn judge(evidence: &Evidence) -> Judgement {
    let mut found = Vec::new();
    bundles::claims(evidence, &mut found);
    held::claims(evidence, &mut found);
    mesh::claims(evidence, &mut found);
    path::claims(evidence, &mut found);
    handshake::claims(evidence, &mut found);
    istiod::claims(evidence, &mut found);
    fact::claims(evidence, &mut found);
    found.extend(evidence.refusals.iter().map(|one| refusal::was_refused(evidence, one)));
    let (mut verdicts, mut missing) = (Vec::new(), Vec::new());
    for one in found {
        match one {
            Ok(verdict) => verdicts.push(verdict),
            Err(error) => missing.push(error),
        }
    }
    Judgement { verdicts, missing }
}

/// Every ordered pair of clusters.
pub(super) fn ways(evidence: &Evidence) -> Vec<Way> {
    let names = || evidence.clusters.iter().map(|seen| &seen.cluster.name);
    let from = |from: &ClusterName| {
        let to = names().filter(|to| *to != from).cloned().collect::<Vec<_>>();
        to.into_iter().map(|to| Way { from: from.clone(), to }).collect::<Vec<_>>()
    };
    names().flat_map(from).collect()
}

/// Those of them in which a request was made.
pub(super) fn ways_met(evidence: &Evidence) -> Vec<Way> {
    let met = |way: &Way| evidence.handshakes.iter().any(|handshake| handshake.way == *way);
    ways(evidence).into_iter().filter(met).collect()
}

/// The cluster's place in the document.
pub(super) fn index(evidence: &Evidence, name: &ClusterName) -> usize {
    evidence.clusters.iter().position(|seen| seen.cluster.name == *name).unwrap_or_default()
}
