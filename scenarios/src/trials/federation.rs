//! Is the federation set up as it should be?

use proof::claim::due;
use proof::topology::Topology;

use crate::trial::Trial;

pub(super) fn trials(topology: &Topology) -> Vec<Trial> {
    vec![
        Trial::looks("federation::bundles", due::bundles(topology), async |mesh, seen| {
            mesh.bundles(seen).await
        }),
        Trial::looks("federation::entries", due::federation(topology), async |mesh, seen| {
            mesh.proxies(seen).await?;
            // What proxies hold is another trial's question.
            seen.clusters.iter_mut().flat_map(|one| &mut one.proxies).for_each(|proxy| proxy.held = None);
            mesh.entries(seen).await?;
            mesh.remote_clusters(seen).await
        }),
    ]
}
