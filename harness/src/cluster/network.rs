//! The clusters' network: where nodes may be, and when they may start pods: once a Service's address leads somewhere.
//!
//! The node image from packages has no network plugin of its own; it gets a configuration file, and a node with that
//! file is ready at once. Then pods start before kube-proxy has written its first rules, and whoever dials the API
//! server's Service in that moment waits 30 s for an answer that cannot come (seen: SPIRE's server and CoreDNS). So
//! the file is put in place when the address answers. Upstream's kindnetd takes long enough by itself.
//!
//! A prepared node has its network from the start, for kubelet looks for one every five seconds only: there nothing is
//! applied before the address answers, and CoreDNS is brought back then.

use ipnet::Ipv4Net;

use super::nodes;
use crate::artifact::{Artifacts, Origin};
use crate::engine::Engine;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Code, Error, Result, patience};
use proof::topology::{Cluster, Topology};

/// The name of our network in the engine.
pub const NAME: &str = "vouchsafe";

/// What of the topology the nodes' subnet lies in, for a sentence. Pods there would leave their node with their own
/// address, and have those of nodes: nothing would find its way back.
pub fn within(nodes: Ipv4Net, topology: &Topology) -> Option<String> {
    let nets =
        topology.clusters.iter().flat_map(|c| [("pods", &c.name, c.pods), ("services", &c.name, c.services)]);
    let meets = |net: &Ipv4Net| net.contains(&nodes) || nodes.contains(net);
    let mut found = nets.filter(|(_, _, net)| meets(net));
    found.next().map(|(what, name, net)| format!("the {what} of {name} ({net})"))
}

/// Refuses the subnet that an engine has chosen, where it is one of the clusters' own.
///
/// # Errors
/// [`Code::NotFit`].
pub fn apart(nodes: Ipv4Net, topology: &Topology) -> Result<()> {
    let Some(what) = within(nodes, topology) else { return Ok(()) };
    Err(Error::new(Code::NotFit, format!("the engine put the nodes at {nodes}, which is in {what}")).next(
        "cargo xtask e2e --topology <a file with other subnets>, or another pool for the engine: \
         default-address-pools in /etc/docker/daemon.json",
    ))
}

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

/// As [`services_answer`], of a node that was started and not made: where its kubelet hears of pods before Services, the
/// start of kube-proxy fails, and is tried again after 10 s only (seen in one of 15 runs, by its journal). Another kubelet
/// asks at once.
///
/// # Errors
/// As [`open`].
pub async fn services_answer_soon(engine: &Engine, cluster: &Cluster, note: &Note) -> Result<()> {
    if let Some(answered) = wait::glance(patience::KUBE_PROXY, services_answer(engine, cluster, note)).await {
        return answered;
    }
    note.say("kube-proxy is late: starting kubelet anew");
    nodes::exec(engine, &nodes::name(&cluster.name), &["systemctl", "restart", "kubelet"]).await?;
    services_answer(engine, cluster, note).await
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
        match nodes::exec(
            engine,
            node,
            &["curl", "-sk", "--connect-timeout", "0.25", "--max-time", "1", &url],
        )
        .await
        {
            Ok(said) if said == "ok" => Look::Ready(()),
            Ok(said) => Look::NotYet(said),
            Err(_) => Look::NotYet("kube-proxy has not written its rules yet".to_owned()),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_among_pods_or_services_are_refused_by_name() {
        let cluster = |name: &str, pods: &str, services: &str| Cluster {
            name: name.into(),
            trust_domain: format!("{name}.local"),
            network: name.to_owned(),
            pods: pods.parse().unwrap(),
            services: services.parse().unwrap(),
            version: name.to_owned(),
        };
        let topology = Topology {
            clusters: vec![
                cluster("one", "10.10.0.0/16", "10.11.0.0/16"),
                cluster("two", "10.20.0.0/24", "10.21.0.0/16"),
            ],
        };
        let at = |nodes: &str| apart(nodes.parse().unwrap(), &topology);
        at("172.18.0.0/16").unwrap();
        let e = at("10.10.0.0/24").unwrap_err();
        assert_eq!((e.code(), e.code().exit()), (Code::NotFit, 3));
        assert_eq!(
            e.what(),
            "the engine put the nodes at 10.10.0.0/24, which is in the pods of one (10.10.0.0/16)"
        );
        assert!(at("10.21.7.0/24").unwrap_err().what().contains("the services of two"));
        assert!(at("10.20.0.0/16").unwrap_err().what().contains("the pods of two"), "a subnet around them");
    }
}
