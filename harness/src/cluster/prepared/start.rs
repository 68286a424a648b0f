//! A node of a world, out of its kept state.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use bollard::models::{EndpointIpamConfig, EndpointSettings, NetworkingConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions,
    UploadToContainerOptionsBuilder,
};
use proof::topology::Cluster;

use super::{Node, Prepared, SHARED, WRITTEN};
use crate::cluster::kind::Made;
use crate::cluster::{kind, nodes};
use crate::cmd::Cmd;
use crate::engine::Engine;
use crate::engine::objects::Network;
use crate::error::Context as _;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Code, Error, Result, kube, patience};

/// The API server's port in the node.
const API: &str = "6443/tcp";

/// Starts the cluster's node and writes its kubeconfig; returns when the API server answers.
///
/// # Errors
/// [`Code::ClusterFailed`] with what the engine or the node says, [`Code::TimedOut`].
pub async fn start(
    engine: &Engine,
    prepared: &Prepared,
    cluster: &Cluster,
    kubeconfig: &Path,
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
    kind::write_network(kubeconfig, cluster)?;

    note.say("starting it");
    let docker = engine.docker();
    let mut body = kept.container.clone();
    let host = body.host_config.get_or_insert_default();
    host.binds.get_or_insert_default().push(format!("{}:/var", var.display()));
    // The node's entrypoint asks for this name, and where no name server is reached it waits 5 s for an answer (measured).
    host.extra_hosts = network.gateway().map(|gateway| vec![format!("host.docker.internal:{gateway}")]);
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
    let (old, new) =
        (format!("https://{}", kept.server), format!("https://{}", published(engine, &name).await?));
    std::fs::write(kubeconfig, text.replace(&old, &new)).or_fail(Code::CacheUnusable, fail)?;
    let client = kube::connect(kubeconfig).await?;
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

/// The address that its certificates name.
fn endpoint(network: &str, kept: &Node) -> NetworkingConfig {
    let address = Some(kept.address.to_string());
    let settings = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig { ipv4_address: address, ..Default::default() }),
        ..Default::default()
    };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.to_owned(), settings)])) }
}

/// Where the API server's port is reached from here: the engine chose one.
async fn published(engine: &Engine, node: &str) -> Result<SocketAddr> {
    let fail = || format!("the node {node} publishes no API server");
    let seen = engine.docker().inspect_container(node, None::<InspectContainerOptions>).await;
    let ports = seen.or_fail(Code::ClusterFailed, fail)?.network_settings.and_then(|settings| settings.ports);
    let bindings = ports.unwrap_or_default().remove(API).flatten().unwrap_or_default();
    let port = bindings.first().and_then(|binding| binding.host_port.as_ref()?.parse().ok());
    let port = port.ok_or_else(|| Error::new(Code::ClusterFailed, fail()))?;
    Ok(SocketAddr::new(engine.address(), port))
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
