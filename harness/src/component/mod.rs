//! What a world is made of. Each component is one file that says which steps it adds to the plan and what each
//! of them needs; adding a component touches its file and [`plan`].
//!
//! The order that matters, and why:
//! - Images stream into a node while kubeadm still runs.
//! - A SPIRE agent that starts before the server has published its bundle fails and sits in its back-off for
//!   tens of seconds (measured), so agents wait for the bundle, not for the server's readiness.
//! - SPIRE refuses an entry that federates with a trust domain whose bundle it lacks, so bundles are exchanged
//!   as soon as both servers answer, before any identity is asked for.
//! - Pods come last: a sidecar without an entry never gets ready.

pub mod by_hand;
mod cluster;
mod federation;
mod gateway;
mod istio;
pub mod istioctl;
mod making;
mod own;
mod remote_secret;
mod rendered;
mod site;
mod spire;
mod upstream;
mod workload;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use making::{Making, Order};
pub use site::Site;

use crate::Result;
use crate::plan::{Plan, Step};
use crate::progress::Note;
use crate::setup::Setup;
use proof::topology::Cluster;

/// What the steps of a plan work on.
pub type Cx = Arc<Making>;

/// The whole plan of a set-up; nothing is looked at but the set-up itself.
///
/// # Errors
/// [`crate::Code::Usage`] when a user's own set-up names a moment that the plan has not.
pub fn plan(setup: &Setup) -> Result<Plan<Cx>> {
    let mut plan = Plan::default();
    cluster::steps(&mut plan, setup);
    for cluster in &setup.topology.clusters {
        let peers: Vec<&Cluster> = setup.topology.peers(&cluster.name).collect();
        spire::steps(&mut plan, cluster, &peers);
        istio::steps(&mut plan, cluster);
        // A cluster alone needs none of these: no peer's bundle, no remote secret, no gateway for other networks.
        if !peers.is_empty() {
            federation::steps(&mut plan, cluster, &peers);
            remote_secret::steps(&mut plan, cluster, &peers);
            gateway::steps(&mut plan, cluster);
        }
        workload::steps(&mut plan, cluster, &peers);
    }
    own::steps(&mut plan, setup)?;
    Ok(plan)
}

/// Only what stands before the first node: artifacts, engine, node image, network. For who makes the clusters otherwise.
pub fn ground() -> Plan<Cx> {
    let mut plan = Plan::default();
    cluster::ground(&mut plan);
    plan
}

/// A step in one cluster's lane.
fn step<F, Fut>(cluster: &Cluster, id: &str, what: &str, work: F) -> Step<Cx>
where
    F: FnOnce(Cx, Arc<Site>, Note) -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let name = cluster.name.clone();
    Step::new(of(cluster, id), cluster.name.to_string(), what, move |cx: Cx, note| {
        let site = cx.site(&name);
        async move { work(cx, site?, note).await }
    })
}

/// What is left of a cluster's step that was done ([`Step::again`]).
fn found<F, Fut>(cluster: &Cluster, work: F) -> impl FnOnce(Cx, Note) -> Again + use<F, Fut>
where
    F: FnOnce(Cx, Arc<Site>, Note) -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let name = cluster.name.clone();
    move |cx: Cx, note| {
        let site = cx.site(&name);
        Box::pin(async move { work(cx, site?, note).await })
    }
}

type Again = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// The id of a cluster's step.
fn of(cluster: &Cluster, id: &str) -> String {
    format!("{}/{id}", cluster.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::ALL;
    use std::path::Path;

    #[test]
    fn every_set_up_has_a_plan_whose_needs_hold() {
        for setup in Setup::read(Path::new("../manifests"), &[ALL], None, false).unwrap() {
            let graph = plan(&setup).unwrap().graph().unwrap();
            let at = |id: &str| graph.steps.iter().position(|n| n.id == id).unwrap();
            if setup.topology.clusters.len() > 1 {
                // The order that SPIRE enforces: a peer's bundle before an identity that federates with it.
                assert!(at("cluster1/federation") < at("cluster1/identities"));
                assert!(at("cluster2/bundle") < at("cluster1/federation"));
            }
        }
    }
}
