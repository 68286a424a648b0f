//! The facade that a scenario reads with: it visits a world that `xtask` made, fills in what its question needs,
//! and is judged.
//!
//! A scenario is a process of its own (nextest's model), so nothing is shared but the world itself. It observes;
//! [`proof::verdict`] judges. A claim is never tried again: what settles by itself is waited for before.

mod look;
mod metrics;
mod moment;
mod objects;
mod onlooker;
mod pods;
mod requests;
mod stage;
mod story;
mod strike;
mod trust;

pub use look::Mesh;
pub use objects::{AGENT, MESH, Map, SERVER, deployment, peer_authentication, secret, service};
pub use onlooker::read_out;
pub use pods::{CURL, GATEWAY, HELLOWORLD, OUTSIDER, PROXIES, Pods};
pub use stage::{Stage, play, play_again};
pub use story::{Outcome, tell};
pub use trust::Withdrawn;

/// One test for each way between two clusters, named after it.
#[macro_export]
macro_rules! each_way {
    ($story:ident) => {
        mod $story {
            #[tokio::test]
            async fn cluster1_to_cluster2() -> $crate::Outcome {
                super::$story(0, 1).await
            }

            #[tokio::test]
            async fn cluster2_to_cluster1() -> $crate::Outcome {
                super::$story(1, 0).await
            }
        }
    };
}
