//! `kind create cluster`, told everything by a file of ours and nothing by the user's kubeconfig.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::{images, nodes};
use crate::artifact::{Artifacts, Origin};
use crate::cmd::{Cmd, tail};
use crate::engine::Engine;
use crate::engine::objects::{KIND, Object};
use crate::error::Context as _;
use crate::progress::Note;
use crate::{Code, Error, Result, patience};
use proof::topology::{Cluster, ClusterName};

/// A cluster whose API server answers.
#[derive(Clone, Debug)]
pub struct Made {
    /// The node's address on our network, which this machine reaches.
    pub address: IpAddr,
}

/// Refuses clusters of these names that are in the engine already; touches nothing.
///
/// # Errors
/// [`Code::ForeignCluster`].
pub async fn refuse_foreign(engine: &Engine, names: impl IntoIterator<Item = &ClusterName>) -> Result<()> {
    for name in names {
        let found = nodes_of(engine, name).await?;
        if let Some(node) = found.first() {
            let what = format!(
                "the engine has a kind cluster `{name}` (container {node}) that this run did not make"
            );
            return Err(Error::new(Code::ForeignCluster, what).next(format!(
                "cargo xtask down if it is Vouchsafe's, else rename it or `kind delete cluster --name {name}`"
            )));
        }
    }
    Ok(())
}

/// Creates the cluster on `network` and writes its kubeconfig; returns when kubeadm has, before the node is ready.
/// [`refuse_foreign`] was asked before.
///
/// # Errors
/// [`Code::ClusterFailed`] with kind's words.
pub async fn create(
    engine: &Engine,
    artifacts: &Artifacts,
    cluster: &Cluster,
    kubeconfig: &Path,
    network: &str,
    note: &Note,
) -> Result<Made> {
    let settings = kubeconfig.with_extension("kind.json");
    write_network(kubeconfig, cluster)?;
    write(&settings, &config(engine.address(), artifacts, cluster, kubeconfig))?;
    note.say("kind create cluster");
    let kind = Cmd::new(artifacts.tool("kind")?)
        .args(["create", "cluster", "--retain", "--name", &cluster.name.0])
        .arg("--config")
        .arg(&settings)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .env("KUBECONFIG", kubeconfig)
        .limit(patience::CLUSTER);
    let log = kubeconfig.with_extension("kind.log");
    let done = surroundings(kind, engine, network).log_to(&log).output().await?;
    if done.status != 0 {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        return Err(Error::new(Code::ClusterFailed, format!("kind could not create {}", cluster.name))
            .seen(cause(&said))
            .next("read kind.log, and what the node says, below snapshots/ in the report"));
    }
    let address = nodes::address(engine, &nodes::name(&cluster.name), network).await?;
    Ok(Made { address })
}

/// What kind finds around it, whoever calls it: this engine, our network, and nothing of the machine's proxies.
pub fn surroundings(cmd: Cmd, engine: &Engine, network: &str) -> Cmd {
    let mut cmd =
        cmd.env("KIND_EXPERIMENTAL_DOCKER_NETWORK", network).env("KIND_EXPERIMENTAL_PROVIDER", "docker");
    // kind would hand them to the node, and nothing in a node goes out.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] {
        cmd = cmd.env_remove(name).env_remove(name.to_lowercase());
    }
    // With the user's own, the docker program that kind calls would speak TLS to our socket, or look for an image of
    // another platform.
    for name in [
        "DOCKER_API_VERSION",
        "DOCKER_CONTENT_TRUST",
        "DOCKER_CONTEXT",
        "DOCKER_DEFAULT_PLATFORM",
        "DOCKER_TLS",
        "DOCKER_TLS_VERIFY",
    ] {
        cmd = cmd.env_remove(name);
    }
    engine.env().into_iter().fold(cmd, |cmd, (key, value)| cmd.env(key, value))
}

/// What kind and kubeadm say about a failure, of the hundreds of lines that they write at kind's verbosity: neither how far
/// they had come, nor what kubeadm logs on its way (klog's lines), nor the stacks below each of its errors.
fn cause(said: &str) -> String {
    let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let words = lines.iter().enumerate().filter(|(at, line)| {
        // Of a check before the start: `\t[ERROR NumCPU]: …`.
        let is_place = |line: &str| line.starts_with('\t') && !line.starts_with("\t[ERROR");
        // A frame is a function, and below it, indented, its place.
        let is_frame = is_place(line) || lines.get(at + 1).is_some_and(|next| is_place(next));
        let is_progress = line.starts_with([' ', '[']);
        !is_frame && !is_progress && !is_klog(line)
    });
    tail(&words.map(|(_, line)| *line).collect::<Vec<_>>().join("\n"))
}

/// `I1126 10:12:26.948113     129 initconfiguration.go:260] …`, also as the first line of a command's output.
fn is_klog(line: &str) -> bool {
    let mut start = line.trim_start_matches("Command Output: ").chars();
    start.next().is_some_and(|level| "IWEF".contains(level)) && start.take(4).all(|c| c.is_ascii_digit())
}

/// Deletes the cluster's containers with their volumes.
///
/// # Errors
/// [`Code::LeftBehind`].
pub async fn delete(engine: &Engine, name: &ClusterName) -> Result<()> {
    let nodes = nodes_of(engine, name).await?;
    engine.remove_all(nodes.into_iter().map(Object::Container).collect()).await
}

async fn nodes_of(engine: &Engine, name: &ClusterName) -> Result<Vec<String>> {
    engine.containers(HashMap::from([("label".to_owned(), vec![format!("{KIND}={name}")])])).await
}

/// Writes the file that a node image without a network plugin gets its network from, beside the kubeconfig.
///
/// # Errors
/// [`Code::CacheUnusable`].
pub(super) fn write_network(kubeconfig: &Path, cluster: &Cluster) -> Result<()> {
    write(&conflist(kubeconfig), &ptp(cluster))
}

fn conflist(kubeconfig: &Path) -> std::path::PathBuf {
    kubeconfig.with_extension("conflist")
}

/// kind's own configuration: JSON, which is YAML.
pub(super) fn config(
    published_at: IpAddr,
    artifacts: &Artifacts,
    cluster: &Cluster,
    kubeconfig: &Path,
) -> Value {
    let mut mounts: Vec<Value> = images::archives(artifacts)
        .map(|(archive, inside)| json!({"hostPath": archive, "containerPath": inside, "readOnly": true}))
        .collect();
    if artifacts.origin == Origin::Packages {
        mounts.push(json!({"hostPath": conflist(kubeconfig), "containerPath": super::network::GIVEN, "readOnly": true}));
    }
    json!({
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": networking(published_at, artifacts, cluster),
        "nodes": [{"role": "control-plane", "image": artifacts.node.reference, "extraMounts": mounts}],
        "kubeadmConfigPatches": [patch(), kubelet()],
    })
}

/// kind's own words for the cluster's addresses.
pub(crate) fn networking(published_at: IpAddr, artifacts: &Artifacts, cluster: &Cluster) -> Value {
    json!({
        "podSubnet": cluster.pods.to_string(),
        "serviceSubnet": cluster.services.to_string(),
        "disableDefaultCNI": artifacts.origin == Origin::Packages,
        "apiServerAddress": published_at.to_string(),
        // The engine chooses a free port: two clusters at once cannot choose the same, and a private engine publishes at
        // an address where kind cannot try out ports.
        "apiServerPort": -1,
    })
}

/// What a cluster that lives for minutes does not need: flushing each write to the disk, and elections among
/// one candidate (each costs a renewed lease every two seconds).
fn patch() -> String {
    // No apiVersion: kind chooses one by the node's version, and both know these fields.
    json!({
        "kind": "ClusterConfiguration",
        "etcd": {"local": {"extraArgs": {"unsafe-no-fsync": "true"}}},
        "controllerManager": {"extraArgs": {"leader-elect": "false"}},
        "scheduler": {"extraArgs": {"leader-elect": "false"}},
    })
    .to_string()
}

/// Kubelets from 1.35 on refuse to start on cgroup v1 (KEP-5573); those from 1.31 on know this field.
fn kubelet() -> String {
    json!({"kind": "KubeletConfiguration", "failCgroupV1": false}).to_string()
}

/// The network of a node image that has no kindnetd: one node needs no routes to others.
pub(crate) fn ptp(cluster: &Cluster) -> Value {
    json!({"cniVersion": "0.4.0", "name": "kind", "plugins": [
        {"type": "ptp", "ipMasq": true, "mtu": 1500, "ipam": {
            "type": "host-local", "dataDir": "/run/cni-ipam-state",
            "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": cluster.pods.to_string()}]],
        }},
        {"type": "portmap", "capabilities": {"portMappings": true}},
    ]})
}

fn write(path: &Path, value: &Value) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(path, value.to_string()))
        .or_fail(Code::CacheUnusable, || format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_failure_its_words_are_left() {
        let said = " • Starting control-plane 🕹️  ...\n ✗ Starting control-plane 🕹️\n\
            ERROR: failed to create cluster: failed to init node with kubeadm: command \"docker exec …\" failed with error: exit status 1\n\n\
            Command Output: I1126 10:12:26.948113     129 initconfiguration.go:260] loading configuration\n\
            [init] Using Kubernetes version: v1.34.4\n\
            \t[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2\n\
            I1126 10:12:26.949000     129 certs.go:473] validating certificate period\n\
            error execution phase wait-control-plane\n\
            k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow.(*Runner).Run.func1\n\
            \tk8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow/runner.go:262\n\
            main.main\n\tk8s.io/kubernetes@v1.34.4/cmd/kubeadm/kubeadm.go:25\n";
        assert_eq!(
            cause(said),
            "  ERROR: failed to create cluster: failed to init node with kubeadm: command \"docker exec …\" failed with \
             error: exit status 1\n  \t[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2\n  \
             error execution phase wait-control-plane"
        );
    }
}
