//! A node of a world, out of its kept state.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use bollard::models::{EndpointIpamConfig, EndpointSettings, NetworkingConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, StartContainerOptions, UploadToContainerOptionsBuilder,
};
use proof::topology::Cluster;

use super::{Node, Prepared, SHARED, WRITTEN};
use crate::cluster::kind::Made;
use crate::cluster::{kind, kubeconfig, nodes};
use crate::cmd::Cmd;
use crate::engine::Engine;
use crate::engine::objects::Network;
use crate::error::Context as _;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Code, Error, Result, kube, patience};

/// Starts the cluster's node and writes its kubeconfig; returns when the API server answers.
///
/// # Errors
/// [`Code::ClusterFailed`] with what the engine or the node says, [`Code::TimedOut`].
pub async fn start(
    engine: &Engine,
    prepared: &Prepared,
    cluster: &Cluster,
    file: &Path,
    network: &Network,
    note: &Note,
) -> Result<Made> {
    let (kept, dir) = prepared.node(cluster)?;
    let name = nodes::name(&cluster.name);
    let fail = || format!("cannot start the prepared node {name}");
    let scratch = engine.scratch().ok_or_else(|| Error::internal(fail()).seen("no private engine"))?;
    note.say("copying its state");
    let var = scratch.join(&name);
    copy(&dir, &var).await?;
    kind::write_network(file, cluster)?;

    note.say("starting it");
    let docker = engine.docker();
    let mut body = kept.container.clone();
    let host = body.host_config.get_or_insert_default();
    host.binds.get_or_insert_default().push(format!("{}:/var", var.display()));
    // The node's entrypoint asks for this name, and where no name server is reached it waits 5 s for an answer (measured).
    host.extra_hosts = network.gateway().map(|gateway| vec![format!("host.docker.internal:{gateway}")]);
    let port = api_port(kept.address);
    host.port_bindings = Some(HashMap::from([(nodes::API.to_owned(), Some(vec![binding(engine, port)]))]));
    body.networking_config = Some(endpoint(&network.name, kept));
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    docker.create_container(Some(options), body).await.or_fail(Code::ClusterFailed, fail)?;
    for (file, _, into) in WRITTEN {
        let path = dir.join(format!("{file}.tar"));
        let tar = std::fs::read(&path).or_fail(Code::CacheUnusable, fail)?;
        let options = UploadToContainerOptionsBuilder::default().path(into).build();
        let uploaded = docker.upload_to_container(&name, Some(options), bollard::body_full(tar.into())).await;
        uploaded.or_fail(Code::ClusterFailed, fail)?;
    }
    let started = docker.start_container(&name, None::<StartContainerOptions>).await;
    started.or_fail(Code::ClusterFailed, fail)?;

    let text = std::fs::read_to_string(dir.join("kubeconfig")).or_fail(Code::CacheUnusable, fail)?;
    kubeconfig::write(file, &text, SocketAddr::new(engine.address(), port))?;
    let client = kube::connect(file).await?;
    wait::eventually("the API server", patience::CLUSTER, note, || ready(engine, &name, &client)).await?;
    Ok(Made { address: kept.address })
}

/// A copy of a node's `/var`. What never changes is shared with it: a name more for the same file.
async fn copy(dir: &Path, var: &Path) -> Result<()> {
    let fail = || format!("cannot copy {} to {}", dir.display(), var.display());
    std::fs::create_dir_all(var.parent().unwrap_or(var)).or_fail(Code::CacheUnusable, fail)?;
    Cmd::new("cp").args(["-a", "--sparse=always"]).arg(dir.join("var")).arg(var).run().await?;
    for (part, below) in SHARED {
        Cmd::new("cp").args(["-a", "--link"]).arg(dir.join(part)).arg(var.join(below)).run().await?;
    }
    Ok(())
}

/// Where the API server's port is published: the same after a restart of the node, and nothing else is in the engine's
/// network namespace. Nodes differ in the last byte of their addresses.
fn api_port(node: IpAddr) -> u16 {
    let last = match node {
        IpAddr::V4(node) => node.octets()[3],
        IpAddr::V6(node) => node.octets()[15],
    };
    6400 + u16::from(last)
}

fn binding(engine: &Engine, port: u16) -> PortBinding {
    PortBinding { host_ip: Some(engine.address().to_string()), host_port: Some(port.to_string()) }
}

/// The address that its certificates name.
fn endpoint(network: &str, kept: &Node) -> NetworkingConfig {
    let address = Some(kept.address.to_string());
    let settings = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig { ipv4_address: address, ..Default::default() }),
        ..Default::default()
    };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.to_owned(), settings)])) }
}

async fn ready(engine: &Engine, node: &str, client: &::kube::Client) -> Look<()> {
    match nodes::state(engine, node).await {
        Ok(nodes::State::Running) => {}
        Ok(state) => {
            let said = nodes::log(engine, node, 15).await.unwrap_or_else(|e| e.to_string());
            let what = format!("the prepared node {node} is {state:?} after its start");
            return Look::Never(Error::new(Code::ClusterFailed, what).seen(said));
        }
        Err(e) => return Look::not_yet(e),
    }
    match kube::answers(client).await {
        Ok(()) => Look::Ready(()),
        Err(e) => Look::not_yet(e),
    }
}
