//! Who is everybody, and whom do they believe?

use proof::claim::due;
use proof::topology::Topology;

use crate::trial::Trial;

pub(super) fn trials(topology: &Topology) -> Vec<Trial> {
    vec![Trial::looks("identities::proxies", due::identities(topology), async |mesh, seen| {
        mesh.published(seen).await?;
        mesh.istiod_roots(seen).await?;
        mesh.proxies(seen).await
    })]
}
