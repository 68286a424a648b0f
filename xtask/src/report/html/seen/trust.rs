//! Whose trust bundle a SPIRE server holds, and whether it is the one that is published.

use proof::identity::Bundle;
use proof::topology::Way;

use super::place::Place;
use super::{Edge, Group, Look, State, cluster};
use crate::report::shorter;

impl Look<'_> {
    /// What the server at the way's start holds for the one at its end.
    pub(super) fn bundle(&self, clusters: &[Group], way: &Way) -> Option<Edge> {
        let mark = self.mark(&Place::Bundle(way.clone()));
        let seen = self.see(&mark, |document| {
            let (holder, owner) =
                (cluster(&document.evidence, &way.from)?, cluster(&document.evidence, &way.to)?);
            let held = holder.peer_bundles.as_ref()?;
            let held = held.iter().find(|one| one.trust_domain.as_str() == owner.cluster.trust_domain);
            Some((held, owner.bundle.as_ref(), holder.fetches.as_deref()))
        });
        if way.from == way.to || (seen.is_none() && mark.state == State::NotDue) {
            return None;
        }
        let mut facts = Vec::new();
        match seen {
            None => facts.push("what it holds was not seen".to_owned()),
            Some((held, published, fetches)) => {
                facts.push(compared(held, published));
                let owner = clusters.iter().find(|group| group.cluster.name == way.to)?;
                let domain = &owner.cluster.trust_domain;
                let fetch = fetches.into_iter().flatten().find(|one| one.trust_domain.as_str() == domain);
                facts.extend(fetch.map(|fetch| match fetch.status {
                    0 => "it fetched it itself".to_owned(),
                    status => format!("its own fetch failed with status {status}"),
                }));
            }
        }
        Some(Edge {
            is_bundle: true,
            from: self.end(clusters, &way.to, |place| matches!(place, Place::Server(_)))?,
            to: self.end(clusters, &way.from, |place| matches!(place, Place::Server(_)))?,
            via: None,
            title: format!("{} holds the trust bundle of {}", way.from, way.to),
            facts,
            mark,
        })
    }
}

fn compared(held: Option<&Bundle>, published: Option<&Bundle>) -> String {
    let keys = |bundle: &Bundle| {
        let keys = bundle.authorities.iter().map(|one| shorter(&one.key_id()).to_owned());
        format!("key {}", keys.collect::<Vec<_>>().join(", "))
    };
    match (held, published) {
        (None, _) => "holds none".to_owned(),
        (Some(held), None) => format!("{}; what is published was not seen", keys(held)),
        (Some(held), Some(published)) if published.same_keys(&held.authorities) => {
            format!("{}, as published", keys(held))
        }
        (Some(held), Some(published)) => format!("{}, but {} is published", keys(held), keys(published)),
    }
}
