//! Is a call without mutual TLS refused? It takes nothing from anybody, so it is asked beside the others.

use proof::claim::due;
use proof::topology::Topology;

use crate::trial::Trial;

pub(super) fn trials(topology: &Topology) -> Vec<Trial> {
    let of_cluster = topology.clusters.iter().map(|cluster| {
        let name = cluster.name.clone();
        Trial::looks(format!("plain_text::{name}"), due::plain_text(&name), async move |mesh, seen| {
            seen.refusals.push(mesh.plain_text(&name).await?);
            Ok(())
        })
    });
    of_cluster.collect()
}
