//! When a node may start pods: once a Service's address leads somewhere.
//!
//! The node image from packages has no network plugin of its own; it gets a configuration file, and a node with that
//! file is ready at once. Then pods start before kube-proxy has written its first rules, and whoever dials the API
//! server's Service in that moment waits 30 s for an answer that cannot come (seen: SPIRE's server and CoreDNS). So
//! the file is put in place when the address answers. Upstream's kindnetd takes long enough by itself.
//!
//! A prepared node has its network from the start, for kubelet looks for one every five seconds only: there nothing is
//! applied before the address answers, and CoreDNS is brought back then.

use super::nodes;
use crate::artifact::{Artifacts, Origin};
use crate::engine::Engine;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Error, Result, patience};
use proof::topology::Cluster;

/// Where the configuration lies in the node, out of the runtime's sight.
pub const GIVEN: &str = "/vouchsafe/10-kind.conflist";

/// Lets a node that kind has just made start pods.
///
/// # Errors
/// [`crate::Code::TimedOut`] when kube-proxy never gets to work; [`crate::Code::ClusterFailed`].
pub async fn open(engine: &Engine, artifacts: &Artifacts, cluster: &Cluster, note: &Note) -> Result<()> {
    if artifacts.origin == Origin::Upstream {
        return Ok(());
    }
    services_answer(engine, cluster, note).await?;
    let node = &nodes::name(&cluster.name);
    nodes::exec(engine, node, &["cp", GIVEN, "/etc/cni/net.d/10-kind.conflist"]).await.map(drop)
}

/// Waits until the API server answers at its Service's address.
///
/// # Errors
/// As [`open`].
pub async fn services_answer(engine: &Engine, cluster: &Cluster, note: &Note) -> Result<()> {
    let node = &nodes::name(&cluster.name);
    let first =
        cluster.services.hosts().next().ok_or_else(|| Error::internal("a subnet without addresses"))?;
    let url = format!("https://{first}/livez");
    wait::eventually("the API server at its Service's address", patience::STEP, note, || async {
        match nodes::exec(engine, node, &["curl", "-sk", "--max-time", "1", &url]).await {
            Ok(said) if said == "ok" => Look::Ready(()),
            Ok(said) => Look::NotYet(said),
            Err(_) => Look::NotYet("kube-proxy has not written its rules yet".to_owned()),
        }
    })
    .await
}
