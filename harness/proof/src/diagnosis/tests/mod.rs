//! A healthy mesh has no cause; each fault has exactly its own.

mod fixture;
mod healthy;
mod table;

use serde_json::Value;

use super::{Look, Observations};

/// Changes every object of a kind in the first cluster.
fn each(all: &mut Observations, kind: &str, change: impl Fn(&mut Value)) {
    let Some(Look::Seen(objects)) = all.clusters[0].objects.get_mut(kind) else { panic!("no {kind}") };
    objects.iter_mut().for_each(change);
}

/// The objects of a kind in the first cluster.
fn objects<'a>(all: &'a mut Observations, kind: &str) -> &'a mut Vec<Value> {
    let Some(Look::Seen(objects)) = all.clusters[0].objects.get_mut(kind) else { panic!("no {kind}") };
    objects
}

/// What was seen, to be changed.
fn seen<T>(look: &mut Look<T>) -> &mut T {
    let Look::Seen(seen) = look else { panic!("not readable") };
    seen
}
