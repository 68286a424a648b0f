//! Images into a node's containerd, each once, while kubeadm is still at work.

use std::collections::BTreeSet;
use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::nodes::{self, State};
use crate::artifact::Artifacts;
use crate::engine::Engine;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Code, Error, Result, patience};
use proof::topology::Cluster;

/// Every archive of the artifacts but the node's, and where it is mounted in a node.
pub fn archives(artifacts: &Artifacts) -> impl Iterator<Item = (&Path, String)> {
    let distinct: BTreeSet<&Path> = artifacts.images.values().map(|image| image.archive.as_path()).collect();
    distinct.into_iter().enumerate().map(|(i, archive)| (archive, format!("/vouchsafe/{i}.tar")))
}

/// When layers are unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpack {
    /// At once: nothing else waits for the node.
    Now,
    /// When a pod needs them, which spares the time before the first one.
    Later,
}

/// Imports all archives into the cluster's node as soon as its containerd answers.
///
/// # Errors
/// [`crate::Code::ClusterFailed`] with `ctr`'s words, [`crate::Code::TimedOut`].
pub async fn import(
    engine: &Engine,
    artifacts: &Artifacts,
    cluster: &Cluster,
    unpack: Unpack,
    note: &Note,
) -> Result<()> {
    let node = &nodes::name(&cluster.name);
    wait::eventually("the node's containerd", patience::CLUSTER, note, || look(engine, node)).await?;
    note.say("importing");
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let archives: Vec<_> = archives(artifacts).map(|(_, inside)| inside).collect();
    stream::iter(archives)
        .map(|inside| async move {
            let mut command = vec!["ctr", "-n", "k8s.io", "images", "import"];
            if unpack == Unpack::Later {
                command.push("--no-unpack");
            }
            command.push(&inside);
            nodes::exec(engine, node, &command).await
        })
        .buffer_unordered(cores)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
}

/// That every image of the artifacts is in the cluster's node, which was prepared with them.
///
/// # Errors
/// [`Code::ClusterFailed`] naming those that are not.
pub async fn present(engine: &Engine, artifacts: &Artifacts, cluster: &Cluster, note: &Note) -> Result<()> {
    let node = &nodes::name(&cluster.name);
    wait::eventually("the node's containerd", patience::CLUSTER, note, || look(engine, node)).await?;
    let listed = nodes::exec(engine, node, &["ctr", "-n", "k8s.io", "images", "list", "--quiet"]).await?;
    let listed: BTreeSet<_> = listed.lines().collect();
    let references = artifacts.images.values().map(|image| image.reference.as_str());
    let absent: Vec<_> = references.filter(|reference| !listed.contains(reference)).collect();
    if absent.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::ClusterFailed, format!("the prepared node {node} lacks {}", absent.join(", ")))
        .next("once with --fresh-nodes; if that helps, please say so in an issue"))
}

async fn look(engine: &Engine, node: &str) -> Look<()> {
    match nodes::state(engine, node).await {
        Err(e) => Look::not_yet(e),
        Ok(State::Absent) => Look::NotYet(format!("no container {node} runs")),
        Ok(State::Ended) => {
            let said = nodes::log(engine, node, 15).await.unwrap_or_else(|e| e.to_string());
            Look::Never(Error::new(Code::ClusterFailed, format!("the node {node} has ended")).seen(said))
        }
        Ok(State::Running) => match nodes::exec(engine, node, &["ctr", "version"]).await {
            Ok(_) => Look::Ready(()),
            Err(_) => Look::NotYet("containerd does not answer yet".to_owned()),
        },
    }
}
