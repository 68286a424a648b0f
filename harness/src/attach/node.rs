//! The containers of a kept world's nodes: as they are, compared with how they were made, and put back.

use std::net::{IpAddr, SocketAddr};

use bollard::models::{
    ContainerStateStatusEnum as Status, EndpointIpamConfig, EndpointSettings, NetworkConnectRequest,
    NetworkDisconnectRequest,
};
use bollard::query_parameters::{
    InspectContainerOptions, StartContainerOptions, StopContainerOptionsBuilder,
};
use futures::future::try_join_all;
use jiff::Timestamp;
use proof::topology::ClusterName;

use super::Changed;
use crate::cluster::network::NAME as NETWORK;
use crate::cluster::{kubeconfig, nodes};
use crate::engine::Engine;
use crate::error::Context as _;
use crate::progress::Note;
use crate::world::{Access, World};
use crate::{Code, Error, Result};

/// A node, as it is and as it was.
pub(super) struct Node<'a> {
    pub(super) cluster: &'a ClusterName,
    was: &'a Access,
    /// Where its kubeconfig says that the API server is.
    told: SocketAddr,
    status: Status,
    /// None while it has stopped.
    address: Option<IpAddr>,
    server: Option<SocketAddr>,
    /// When it was started.
    pub(super) since: Timestamp,
}

impl Node<'_> {
    /// What is not as it was.
    pub(super) fn changed(&self) -> Vec<Changed> {
        let cluster = || self.cluster.clone();
        match self.status {
            Status::RUNNING => {}
            Status::PAUSED => return vec![Changed::Paused(cluster())],
            _ => return vec![Changed::Stopped(cluster())],
        }
        let mut changed = Vec::new();
        if let Some(is) = self.address.filter(|is| *is != self.was.address) {
            changed.push(Changed::Address { cluster: cluster(), was: self.was.address, is });
        }
        if let Some(is) = self.server.filter(|is| *is != self.told) {
            changed.push(Changed::Server { cluster: cluster(), was: self.told, is });
        }
        changed
    }
}

/// Every node of the world, as it is now.
///
/// # Errors
/// [`Code::ClusterFailed`] when one is gone, [`Code::ForeignCluster`] when the network is not this world's.
pub(super) async fn all<'a>(engine: &Engine, world: &'a World) -> Result<Vec<Node<'a>>> {
    let network = engine.network(NETWORK).await?;
    if network.as_ref().and_then(|network| network.owner.as_deref()) != Some(world.id.as_str()) {
        let what = format!("the engine's network `{NETWORK}` is not that of this world ({})", world.id);
        let seen = match network {
            None => "there is no network of that name".to_owned(),
            Some(other) => format!("it is of {}", other.owner.as_deref().unwrap_or("nobody that is named")),
        };
        return Err(Error::new(Code::ForeignCluster, what)
            .seen(seen)
            .next("cargo xtask down, then up again"));
    }
    try_join_all(world.sites.iter().map(|(cluster, access)| one(engine, cluster, access))).await
}

async fn one<'a>(engine: &Engine, cluster: &'a ClusterName, was: &'a Access) -> Result<Node<'a>> {
    let name = nodes::name(cluster);
    let gone = || format!("the node {name} of this world cannot be looked at");
    let seen = engine.docker().inspect_container(&name, None::<InspectContainerOptions>).await;
    let seen = seen
        .or_fail(Code::ClusterFailed, gone)
        .map_err(|e| e.next("if somebody removed it: cargo xtask down, then up again"))?;
    let state = seen.state.clone().unwrap_or_default();
    let since = state.started_at.as_deref().and_then(|at| at.parse().ok());
    Ok(Node {
        cluster,
        was,
        told: kubeconfig::server(&was.kubeconfig)?,
        status: state.status.unwrap_or(Status::EMPTY),
        address: nodes::address_in(&seen, NETWORK),
        server: nodes::api_port(&seen).map(|port| SocketAddr::new(engine.address(), port)),
        since: since.unwrap_or(Timestamp::MIN),
    })
}

/// Puts back what can be put back, and tells each.
///
/// # Errors
/// As [`all`]; [`Code::ClusterFailed`] with the engine's words.
pub(super) async fn mend(engine: &Engine, world: &World, note: &Note) -> Result<()> {
    let changed: Vec<_> = all(engine, world).await?.iter().flat_map(Node::changed).collect();
    if changed.is_empty() {
        return Ok(());
    }
    for change in changed {
        let (name, docker) = (nodes::name(change.cluster()), engine.docker());
        let fail = || format!("cannot start the node {name} again");
        match change {
            Changed::Stopped(_) => {
                let started = docker.start_container(&name, None::<StartContainerOptions>).await;
                started.or_fail(Code::ClusterFailed, fail)?;
            }
            Changed::Paused(_) => docker.unpause_container(&name).await.or_fail(Code::ClusterFailed, fail)?,
            // Below, when all of them run.
            Changed::Address { .. } | Changed::Server { .. } => continue,
        }
        note.tell(format!("{change}: it runs again"));
    }
    readdress(engine, world, note).await?;
    // A node that was started just now has another port, too.
    for node in all(engine, world).await? {
        if let Some(server) = node.server.filter(|server| *server != node.told) {
            kubeconfig::point_at(&node.was.kubeconfig, server)?;
            let change = Changed::Server { cluster: node.cluster.clone(), was: node.told, is: server };
            note.tell(format!("{change}: its kubeconfig says so now"));
        }
    }
    Ok(())
}

/// Two may have each other's address, so all of them leave the network before one comes back. A node is started anew, for
/// its first program writes its address into what Kubernetes reads.
async fn readdress(engine: &Engine, world: &World, note: &Note) -> Result<()> {
    let nodes = all(engine, world).await?;
    let wrong: Vec<_> =
        nodes.iter().filter(|node| node.address.is_some_and(|address| address != node.was.address)).collect();
    let (docker, fail) = (engine.docker(), || "cannot give the nodes their addresses back".to_owned());
    for node in &wrong {
        let name = nodes::name(node.cluster);
        if let Some(is) = node.address {
            let change = Changed::Address { cluster: node.cluster.clone(), was: node.was.address, is };
            note.tell(format!("{change}: it is given back"));
        }
        let options = StopContainerOptionsBuilder::default().t(10).build();
        docker.stop_container(&name, Some(options)).await.or_fail(Code::ClusterFailed, fail)?;
        let request = NetworkDisconnectRequest { container: name, force: Some(true) };
        docker.disconnect_network(NETWORK, request).await.or_fail(Code::ClusterFailed, fail)?;
    }
    for node in &wrong {
        let name = nodes::name(node.cluster);
        let address = Some(node.was.address.to_string());
        let ipam = EndpointIpamConfig { ipv4_address: address, ..Default::default() };
        let endpoint = EndpointSettings { ipam_config: Some(ipam), ..Default::default() };
        let request = NetworkConnectRequest { container: name.clone(), endpoint_config: Some(endpoint) };
        docker.connect_network(NETWORK, request).await.or_fail(Code::ClusterFailed, fail)?;
        let started = docker.start_container(&name, None::<StartContainerOptions>).await;
        started.or_fail(Code::ClusterFailed, fail)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Values;

    fn changed(status: Status, address: Option<&str>, server: &str) -> Vec<Changed> {
        let kubeconfig = "kubeconfig".into();
        let was = Access {
            kubeconfig,
            address: "198.18.0.2".parse().unwrap(),
            values: Values::default(),
            digests: [].into(),
            istioctl: "istioctl".into(),
        };
        let node = Node {
            cluster: &"c1".into(),
            was: &was,
            told: "198.18.0.1:6402".parse().unwrap(),
            status,
            address: address.map(|address| address.parse().unwrap()),
            server: Some(server.parse().unwrap()),
            since: Timestamp::MIN,
        };
        node.changed()
    }

    #[test]
    fn only_what_is_not_as_it_was_is_named() {
        let as_it_was = Some("198.18.0.2");
        assert_eq!(changed(Status::RUNNING, as_it_was, "198.18.0.1:6402"), []);
        let swapped = changed(Status::RUNNING, Some("198.18.0.3"), "198.18.0.1:32768");
        let said: Vec<_> = swapped.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "the node of c1 has the address 198.18.0.3, and was made with 198.18.0.2",
                "the API server of c1 is reached at 198.18.0.1:32768, and was at 198.18.0.1:6402"
            ]
        );
        // One that does not run has neither: that it does not run is what is told.
        assert_eq!(changed(Status::EXITED, None, "198.18.0.1:0"), [Changed::Stopped("c1".into())]);
        assert_eq!(changed(Status::PAUSED, as_it_was, "198.18.0.1:0"), [Changed::Paused("c1".into())]);
    }
}
