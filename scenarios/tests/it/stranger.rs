//! Who met whom, and who vouched for them?

use scenarios::{Outcome, each_way, tell};

each_way!(every_version_answers);
each_way!(the_stranger_shows_papers_from_home);

/// If this fails, the mesh is two meshes, and nobody who looks at status codes would notice.
async fn every_version_answers(from: usize, _to: usize) -> Outcome {
    tell(&format!("replies-{from}"), async |mesh, seen| mesh.replies(seen, from).await).await
}

/// If this fails, a certificate used between the clusters was signed by an authority that is not its own trust
/// domain's, or the traffic did not go through the east-west gateway.
async fn the_stranger_shows_papers_from_home(from: usize, to: usize) -> Outcome {
    tell(&format!("stranger-{from}-{to}"), async |mesh, seen| {
        mesh.gateways(seen)?;
        mesh.handshakes(seen, from, to).await?;
        mesh.istiod_roots(seen).await?;
        // Last, so that they are judged against what is published now.
        mesh.published(seen).await
    })
    .await
}
