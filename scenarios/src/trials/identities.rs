//! Who is everybody, and whom do they believe: now, and was it so all the time?

use proof::claim::due;
use proof::topology::Topology;

use crate::trial::Trial;

pub(super) fn trials(topology: &Topology) -> Vec<Trial> {
    let now = Trial::looks("identities::proxies", due::identities(topology), async |mesh, seen| {
        mesh.published(seen).await?;
        mesh.istiod_roots(seen).await?;
        mesh.proxies(seen).await
    });
    let always = Trial::looks("identities::history", due::history(topology), async |mesh, seen| {
        mesh.published(seen).await?;
        mesh.istiod_roots(seen).await?;
        mesh.proxies(seen).await?;
        mesh.history(seen).await
    });
    vec![now, always]
}
