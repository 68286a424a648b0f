//! Evidence from tickets: what people gather without Vouchsafe and paste into an issue.
//!
//! | question | module |
//! | --- | --- |
//! | is this file a text | [`text`] |
//! | which documents are in it | `pieces` |
//! | what is each | `read`, by `json`, `objects`, `dump` and `plain` |
//! | of which cluster is it, and of which workload | `sides`, `names` |
//! | what does it say of the claims | `fill`, `handshakes`, `judged` |
//! | what is missing | [`gather`] |
//!
//! A ticket goes the way of a run's evidence: it becomes the same document, and the same functions judge it. What nobody
//! understood is named, and what a ticket alone cannot show is neither held nor broken.

mod dump;
mod fill;
mod found;
pub mod gather;
mod handshakes;
mod json;
mod judged;
mod names;
mod objects;
mod pieces;
mod plain;
mod read;
mod sides;
#[cfg(test)]
mod tests;
pub mod text;
mod words;

use jiff::Timestamp;

pub use found::{Found, Place};
pub use read::read;
pub use sides::{Declaration, Item, Side};

use crate::Result;
use crate::claim::Kind;
use crate::evidence::missing;
use crate::topology::ClusterName;
use crate::verdict::{Outcome, Verdict};
use gather::Next;

/// A ticket, judged.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The moment at which validity is judged, and who says so.
    pub at: (Timestamp, String),
    /// Each thing found, and what it was taken for.
    pub taken: Vec<(Place, String)>,
    /// The clusters.
    pub sides: Vec<Side>,
    /// What was concluded about them, and how.
    pub remarks: Vec<String>,
    /// A verdict on each claim that is due.
    pub verdicts: Vec<Verdict>,
    /// What to gather next.
    pub next: Vec<Next>,
}

impl Ticket {
    /// Judges what was found in a folder, at that moment, or at the newest that the files name.
    ///
    /// # Errors
    /// [`crate::Code::Evidence`] when nothing in it is of any cluster, or names no moment.
    pub fn of(items: &[Item], declaration: &Declaration, at: Option<Timestamp>) -> Result<Self> {
        let sides = sides::sides(items, declaration);
        if sides.all.is_empty() {
            let mut error = missing("any cluster");
            if let Some(item) = items.first() {
                error = error.seen(format!("{}: {}", item.place, item.found.said()));
            }
            return Err(error.next("see what to gather: cargo xtask judge --gather"));
        }
        let newest = fill::newest(items);
        let when = at.map(|at| (at, "--at".to_owned())).or(newest).ok_or_else(|| {
            missing("the moment of the ticket").next("give it with --at, as in --at 2024-05-01T12:00Z")
        })?;
        let filled = fill::fill(items, &sides, &declaration.identities, when.0);
        let verdicts = judged::verdicts(&filled, &sides.all, items, at.is_some());
        let undecided: Vec<(Kind, Vec<ClusterName>, String)> = verdicts
            .iter()
            .filter(|verdict| verdict.verdict == Outcome::Unjudged)
            .map(|verdict| (verdict.id.kind, concerned(verdict, &sides.all), verdict.id.to_string()))
            .collect();
        let next = gather::next(&filled.evidence, &sides.all, &spire(items), &undecided);
        let taken = items.iter().zip(&sides.of).enumerate().map(|(i, (item, side))| {
            let mut said = item.found.said();
            if let (Some(side), true) = (side, item.found.is_evidence()) {
                said.push_str(&format!("; of {}", sides.all[*side].name));
            }
            if let Some(more) = filled.said.get(&i) {
                said.push_str(&format!("; {more}"));
            }
            (item.place.clone(), said)
        });
        Ok(Self {
            at: when,
            taken: taken.collect(),
            verdicts,
            next,
            remarks: sides.remarks,
            sides: sides.all,
        })
    }
}

/// The clusters whose files a verdict waits for: what a proxy believes hangs on every peer.
fn concerned(verdict: &Verdict, sides: &[Side]) -> Vec<ClusterName> {
    let mut all = judged::about(&verdict.id);
    if matches!(verdict.id.kind, Kind::ProxyValidationContext | Kind::ProxyNothingOfIstiod)
        && let Some(side) = all.first().and_then(|name| sides.iter().find(|side| side.name == name.0))
    {
        let peers = sides.iter().filter(|other| side.peers.contains(&other.trust_domain));
        all.extend(peers.map(|other| ClusterName(other.name.clone())));
    }
    all
}

/// The namespace of SPIRE, if a command of the ticket says it.
fn spire(items: &[Item]) -> String {
    let told = items.iter().find_map(|item| {
        let command = item.place.command.as_deref().filter(|command| command.contains("spire-server"))?;
        ["-n", "--namespace"].iter().find_map(|flag| words::word_after(command, flag))
    });
    told.unwrap_or("spire").to_owned()
}
