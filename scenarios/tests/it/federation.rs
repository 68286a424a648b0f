//! Is the federation set up as it should be?

use scenarios::{Outcome, tell};

/// If this fails, one trust domain can make identities of the other, or trusts keys that the other has withdrawn.
#[tokio::test]
async fn each_server_holds_what_the_other_publishes_and_no_key_is_shared() -> Outcome {
    tell("bundles", async |mesh, seen| mesh.bundles(seen).await).await
}

/// If this fails, a workload never gets the far bundle, or an istiod knows no far endpoint.
#[tokio::test]
async fn entries_federate_and_each_istiod_has_read_the_other_cluster() -> Outcome {
    tell("federation", async |mesh, seen| {
        mesh.proxies(seen).await?;
        // What proxies hold is another scenario's question.
        seen.clusters.iter_mut().flat_map(|one| &mut one.proxies).for_each(|proxy| proxy.held = None);
        mesh.entries(seen).await?;
        mesh.remote_clusters(seen).await
    })
    .await
}
