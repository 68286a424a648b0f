//! Who is everybody, and whom do they believe?

use scenarios::{Outcome, tell};

/// If this fails, a proxy would meet others as somebody else, or believes somebody whom it should not, or fell back
/// to a certificate of istiod's, which answers just as well.
#[tokio::test]
async fn every_proxy_holds_its_own_svid_and_believes_exactly_the_mesh() -> Outcome {
    tell("identities", async |mesh, seen| {
        mesh.published(seen).await?;
        mesh.istiod_roots(seen).await?;
        mesh.proxies(seen).await
    })
    .await
}
