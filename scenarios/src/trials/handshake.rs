//! Who met whom between the clusters, and who issued their certificates? One trial for each way.

use proof::claim::due;
use proof::topology::Topology;

use crate::trial::Trial;

pub(super) fn trials(topology: &Topology) -> Vec<Trial> {
    // A client that is alone reaches every cluster there is: that would prove nothing.
    let asking = topology.clusters.iter().filter(|_| topology.clusters.len() > 1).map(|cluster| {
        let from = cluster.name.clone();
        Trial::looks(format!("handshake::replies::{from}"), due::replies(&from), async move |mesh, seen| {
            mesh.gateways(seen)?;
            let replies = mesh.replies(seen, &from).await;
            mesh.tls_settings(seen).await.and(replies)
        })
    });
    let meeting = topology.ways().into_iter().map(|way| {
        Trial::looks(format!("handshake::{way}"), due::handshake(&way), async move |mesh, seen| {
            mesh.gateways(seen)?;
            let met = mesh.handshakes(seen, &way).await;
            let roots = mesh.istiod_roots(seen).await;
            // Last, so that they are judged against what is published now.
            let published = mesh.published(seen).await;
            mesh.tls_settings(seen).await.and(published).and(roots).and(met)
        })
    });
    asking.chain(meeting).collect()
}
