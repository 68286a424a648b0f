//! The inside of a node: its address, its programs, its log.

use std::net::IpAddr;
use std::path::Path;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::engine::Engine;
use crate::error::Context as _;
use crate::wait::{self, Reached};
use crate::{Code, Error, Result, patience};
use proof::topology::ClusterName;

/// The container of a cluster's one node, as kind names it.
pub fn name(cluster: &ClusterName) -> String {
    format!("{cluster}-control-plane")
}

/// The node's address on `network`.
///
/// # Errors
/// [`Code::ClusterFailed`] when it has none, as a stopped one.
pub async fn address(engine: &Engine, node: &str, network: &str) -> Result<IpAddr> {
    let fail = || format!("the node {node} has no address on the network `{network}`");
    let seen = engine.docker().inspect_container(node, None::<InspectContainerOptions>).await;
    let seen = seen.or_fail(Code::ClusterFailed, fail)?;
    address_in(&seen, network).ok_or_else(|| Error::new(Code::ClusterFailed, fail()))
}

/// The address on `network` of a node that was looked at; none while it has stopped.
pub fn address_in(seen: &ContainerInspectResponse, network: &str) -> Option<IpAddr> {
    let networks = seen.network_settings.as_ref()?.networks.as_ref()?;
    networks.get(network)?.ip_address.as_ref()?.parse().ok()
}

/// The API server's port in a node, as an engine names it.
pub const API: &str = "6443/tcp";

/// Where the engine publishes the API server's port; nowhere while the node has stopped.
pub fn api_port(seen: &ContainerInspectResponse) -> Option<u16> {
    let bindings = seen.network_settings.as_ref()?.ports.as_ref()?.get(API)?.as_ref()?;
    bindings.first()?.host_port.as_ref()?.parse().ok()
}

/// What the node's container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not made or not started yet.
    Absent,
    /// Running.
    Running,
    /// It ran, and has ended.
    Ended,
}

/// What the node's container is doing now.
///
/// # Errors
/// [`Code::EngineFailed`].
pub async fn state(engine: &Engine, node: &str) -> Result<State> {
    use bollard::models::ContainerStateStatusEnum::{DEAD, EXITED, RUNNING};
    match engine.docker().inspect_container(node, None::<InspectContainerOptions>).await {
        Ok(seen) => Ok(match seen.state.and_then(|state| state.status) {
            Some(RUNNING) => State::Running,
            Some(EXITED | DEAD) => State::Ended,
            _ => State::Absent,
        }),
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(State::Absent),
        Err(e) => Err(e).or_fail(Code::EngineFailed, || format!("cannot look at the node {node}")),
    }
}

/// Runs a program in the node and returns what it said on both outputs.
///
/// # Errors
/// [`Code::ClusterFailed`] with its words when it ends with anything but 0; [`Code::TimedOut`] after
/// [`patience::CLUSTER`], with what it had said.
pub async fn exec(engine: &Engine, node: &str, command: &[&str]) -> Result<String> {
    let what = format!("`{}` in the node {node}", command.join(" "));
    let reached = Reached::new("the engine has not started it");
    wait::within_telling(&what, patience::CLUSTER, &reached, run(engine, node, command, &reached)).await
}

async fn run(engine: &Engine, node: &str, command: &[&str], reached: &Reached) -> Result<String> {
    let fail = || format!("`{}` in the node {node}", command.join(" "));
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.to_vec()),
        ..Default::default()
    };
    let exec = engine.docker().create_exec(node, options).await.or_fail(Code::ClusterFailed, fail)?;
    let started = engine.docker().start_exec(&exec.id, None).await.or_fail(Code::ClusterFailed, fail)?;
    reached.now("it was started, and has neither said anything nor ended");
    let StartExecResults::Attached { mut output, .. } = started else {
        return Err(Error::internal(fail()).seen("it was started detached"));
    };
    let mut said = Vec::new();
    while let Some(piece) = output.next().await {
        said.extend(LogOutput::into_bytes(piece.or_fail(Code::ClusterFailed, fail)?));
        let end = String::from_utf8_lossy(&said[said.len().saturating_sub(1000)..]);
        reached.now(format!("it has not ended, and said last\n{}", crate::cmd::tail(&end)));
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    let ended = engine.docker().inspect_exec(&exec.id).await.or_fail(Code::ClusterFailed, fail)?;
    match ended.exit_code {
        Some(0) => Ok(said),
        status => {
            Err(Error::new(Code::ClusterFailed, format!("{} exited with {}", fail(), status.unwrap_or(-1)))
                .seen(crate::cmd::tail(&said)))
        }
    }
}

/// Copies a file from one node to another, into the folder of that name.
///
/// # Errors
/// [`Code::ClusterFailed`] with the engine's words.
pub async fn copy(engine: &Engine, from: &str, to: &str, file: &Path) -> Result<()> {
    let fail = || format!("cannot copy {} from {from} to {to}", file.display());
    let folder = file.parent().unwrap_or(file).display().to_string();
    let options = DownloadFromContainerOptionsBuilder::default().path(&file.display().to_string()).build();
    let archive = engine.docker().download_from_container(from, Some(options));
    let body = bollard::body_try_stream(archive.map_err(std::io::Error::other));
    let options = UploadToContainerOptionsBuilder::default().path(&folder).build();
    let copied = engine.docker().upload_to_container(to, Some(options), body);
    wait::within(&fail(), patience::CLUSTER, async { copied.await.or_fail(Code::ClusterFailed, fail) }).await
}

/// The last lines that the node's own init wrote.
///
/// # Errors
/// [`Code::EngineFailed`].
pub async fn log(engine: &Engine, node: &str, lines: u32) -> Result<String> {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&lines.to_string()).build();
    let mut output = Box::pin(engine.docker().logs(node, Some(options)));
    let what = format!("the log of the node {node}");
    wait::within(&what, patience::COMMAND, async {
        let mut said = Vec::new();
        while let Some(piece) = output.next().await {
            let piece = piece.or_fail(Code::EngineFailed, || format!("cannot read {what}"))?;
            said.extend(LogOutput::into_bytes(piece));
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    })
    .await
}
