//! A node that explains a failure below Kubernetes: one that kind could not make, or whose API server does not answer.

use std::path::Path;

use bollard::query_parameters::InspectContainerOptions;
use futures::future::join_all;
use proof::scrub;

use super::nodes;
use crate::engine::Engine;
use crate::error::Context as _;
use crate::{Code, Error, Result, kept, patience, wait};

/// How many lines of each log.
const LINES: u32 = 2000;

/// What is asked inside, each with the file that keeps the answer. Logs of containers are read from the disk: the kubelet
/// gives none without an API server.
const ASKED: [(&str, &str); 4] = [
    ("journal.log", "journalctl --no-pager --lines=2000"),
    ("containers.txt", "crictl ps --all || ctr --namespace k8s.io tasks list"),
    ("images.txt", "crictl images || ctr --namespace k8s.io images list"),
    ("static-pods.log", "tail -n 300 /var/log/pods/kube-system_*/*/*.log"),
];

/// Writes what the engine and the node itself say below `dir`; hands back what could not be had, one line each.
pub async fn snapshot(engine: &Engine, node: &str, dir: &Path) -> Vec<String> {
    let asked = ASKED.map(|(file, command)| async move {
        let words: Vec<_> = ["sh", "-c", command].into();
        kept_in(dir, file, nodes::exec(engine, node, &words)).await
    });
    let (asked, console, container) = tokio::join!(
        join_all(asked),
        kept_in(dir, "console.log", nodes::log(engine, node, LINES)),
        kept_in(dir, "container.json", container(engine, node))
    );
    let all = asked.into_iter().chain([console, container]);
    all.filter_map(Result::err).map(|e| format!("{node}: {e}").replace('\n', " ")).collect()
}

async fn kept_in(dir: &Path, file: &str, text: impl Future<Output = Result<String>>) -> Result<()> {
    let text = wait::within(file, patience::ATTEMPT, text).await?;
    let file = dir.join(file);
    kept::write(&file, &text)
        .map_err(|e| Error::new(Code::Evidence, format!("cannot write {}", file.display())).because(e))
}

async fn container(engine: &Engine, node: &str) -> Result<String> {
    let fail = || format!("cannot look at the container {node}");
    let seen = engine.docker().inspect_container(node, None::<InspectContainerOptions>).await;
    let mut seen =
        serde_json::to_value(seen.or_fail(Code::EngineFailed, fail)?).or_fail(Code::Internal, fail)?;
    scrub::object(&mut seen);
    serde_json::to_string_pretty(&seen).or_fail(Code::Internal, fail)
}
