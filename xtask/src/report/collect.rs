//! What is collected when something failed, before anything is taken down or changed again.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::future::join_all;
use harness::cluster::snapshot as node;
use harness::layout::Layout;
use harness::progress::Note;
use harness::{Code, Error, diagnose, kept, kube, lifecycle, patience, wait};
use scenarios::SNAPSHOTS;

use super::Report;
use crate::files::files;

/// The moment before the take-down.
const AT_THE_END: &str = "at-the-end";

impl Report {
    /// Collects what a stranger needs to understand the failure, before anything is taken down.
    pub async fn failure(&self, layout: &Layout, error: &Error, note: &Note) {
        if matches!(error.code(), Code::Busy | Code::Interrupted) {
            return;
        }
        let missing = self.snapshot(AT_THE_END, layout, note).await;
        let text = format!("{error}\n\nnot collected:\n{}\n", missing.join("\n"));
        let _ = self.write("failure.txt", &text);
    }

    /// Everything that there is now in every cluster and every node, below `snapshots/WHEN/`; what could not be had, a line
    /// each.
    pub async fn snapshot(&self, when: &str, layout: &Layout, note: &Note) -> Vec<String> {
        let (note, began) = (note.of("collect"), Instant::now());
        note.started("", "collect what there is in clusters and nodes", None);
        let dir = self.dir.join(SNAPSHOTS).join(when);
        let kubeconfigs = files(&layout.world(), "kubeconfig");
        let unseen = self.observe(&kubeconfigs).await;
        let clusters = join_all(kubeconfigs.iter().map(|path| cluster(path, &dir)));
        let both = async { Ok(tokio::join!(clusters, nodes(layout, &dir))) };
        let missing = match wait::within("collecting", patience::COLLECT, both).await {
            Ok((clusters, nodes)) => [unseen, clusters.concat(), nodes].concat(),
            Err(e) => [unseen, vec![e.to_string()]].concat(),
        };
        // What kind wrote, where it made the nodes.
        for log in files(&layout.world(), "log") {
            if let (Some(name), Ok(text)) = (log.file_name(), std::fs::read_to_string(&log)) {
                let _ = kept::write(&dir.join(name), &text);
            }
        }
        note.finished(began.elapsed());
        missing
    }
}

impl Report {
    /// What a diagnosis is made from, before anything changes.
    async fn observe(&self, kubeconfigs: &[PathBuf]) -> Vec<String> {
        let symptoms = crate::diagnose::symptoms(&self.dir, None);
        let look = async { Ok(diagnose::observe(kubeconfigs, symptoms).await) };
        match wait::within("a diagnosis", patience::COLLECT, Box::pin(look)).await {
            Ok((observed, missing)) => {
                // A run that ends before its first cluster has no diagnosis.
                let kept = !observed.clusters.is_empty();
                let kept = kept.then(|| diagnose::keep(&observed, &self.dir)).transpose();
                missing.into_iter().chain(kept.err().map(|e| e.to_string())).collect()
            }
            Err(e) => vec![e.to_string()],
        }
    }
}

async fn cluster(kubeconfig: &Path, dir: &Path) -> Vec<String> {
    let name = kubeconfig.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match kube::connect(kubeconfig).await {
        Ok(client) => {
            let missing = kube::snapshot::snapshot(&client, &dir.join(&name)).await;
            missing.into_iter().map(|line| format!("{name}: {line}")).collect()
        }
        Err(e) => vec![format!("{name}: {e}")],
    }
}

/// Also of a cluster that kind could not make, and of one whose API server is silent.
async fn nodes(layout: &Layout, dir: &Path) -> Vec<String> {
    match lifecycle::nodes(layout).await {
        Ok(nodes) => {
            let nodes = nodes.iter().map(async |(engine, name)| {
                node::snapshot(engine, name, &dir.join("nodes").join(name)).await
            });
            join_all(nodes).await.concat()
        }
        Err(e) => vec![format!("nodes: {e}").replace('\n', " ")],
    }
}
