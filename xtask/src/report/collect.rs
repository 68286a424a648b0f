//! What is collected when something failed, before anything is taken down or changed again: within half a minute and fifty
//! megabytes, all clusters at once. `SUMMARY.md` says what to read first.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::future::join_all;
use harness::cluster::snapshot as node;
use harness::layout::Layout;
use harness::progress::Note;
use harness::{Code, Error, diagnose, kept, kube, lifecycle, patience, wait};
use scenarios::SNAPSHOTS;

use super::html::steps_begun;
use super::{Report, summary};
use crate::files::files;
use crate::interrupt;

/// The moment before the take-down.
const AT_THE_END: &str = "at-the-end";
/// More than this goes into no ticket.
const MOST: u64 = 50_000_000;

impl Report {
    /// Collects what a stranger needs to understand the failure, before anything is taken down: briefly, when a person has
    /// stopped the run; and a signal meanwhile ends it.
    pub async fn collect(&self, layout: &Layout, error: &Error, note: &Note) {
        let collecting = Box::pin(self.failure(layout, error, note));
        if error.code() == Code::Interrupted {
            // After a signal nothing that can be stopped is begun; this ends by itself within seconds.
            collecting.await;
            return;
        }
        let collecting = async {
            collecting.await;
            Ok(())
        };
        let _ = interrupt::or_stop(collecting).await;
    }

    async fn failure(&self, layout: &Layout, error: &Error, note: &Note) {
        let missing = match error.code() {
            Code::Busy => return,
            Code::Interrupted => self.briefly(layout).await,
            _ => self.snapshot(AT_THE_END, layout, note).await,
        };
        let text = format!("{error}\n\nnot collected:\n{}\n", missing.join("\n"));
        let _ = self.write("failure.txt", &text);
        let (causes, (since, begun)) = (crate::diagnose::causes_of(&self.dir), steps_begun(&self.dir));
        let looked = !diagnose::kept_in(&self.dir).is_empty();
        let snapshot = self.dir.join(SNAPSHOTS).join(AT_THE_END);
        let failed = summary::Failed {
            error,
            causes: looked.then_some(causes.as_slice()),
            begun: &begun,
            since,
            snapshot: &snapshot,
            missing: &missing,
        };
        let _ = self.write(summary::FILE, &summary::of(&failed));
    }

    /// Everything that there is now in every cluster and every node, below `snapshots/WHEN/`; what could not be had, a line
    /// each.
    pub async fn snapshot(&self, when: &str, layout: &Layout, note: &Note) -> Vec<String> {
        let (note, began) = (note.of("collect"), Instant::now());
        note.started("", "collect what there is in clusters and nodes", None);
        let dir = self.dir.join(SNAPSHOTS).join(when);
        let kubeconfigs = files(&layout.world(), "kubeconfig");
        let clusters = join_all(kubeconfigs.iter().map(|path| Box::pin(cluster(path, &dir))));
        let clusters = async { Ok(tokio::join!(clusters, Box::pin(nodes(layout, &dir)))) };
        let clusters = wait::within("collecting", patience::COLLECT, clusters);
        let (unseen, collected) = tokio::join!(Box::pin(self.observe(&kubeconfigs)), clusters);
        let mut missing = match collected {
            Ok((clusters, nodes)) => [unseen, clusters.concat(), nodes].concat(),
            Err(e) => [unseen, vec![e.to_string()]].concat(),
        };
        // What kind wrote, where it made the nodes.
        for log in files(&layout.world(), "log") {
            if let (Some(name), Ok(text)) = (log.file_name(), std::fs::read_to_string(&log)) {
                let _ = kept::write(&dir.join(name), &text);
            }
        }
        missing.extend(trimmed(&self.dir.join(SNAPSHOTS), MOST));
        note.finished(began.elapsed());
        missing
    }

    /// What pods lack, and the last events.
    async fn briefly(&self, layout: &Layout) -> Vec<String> {
        let dir = self.dir.join(SNAPSHOTS).join(AT_THE_END);
        let kubeconfigs = files(&layout.world(), "kubeconfig");
        let clusters = kubeconfigs.iter().map(async |path| {
            let name = name_of(path);
            let missing = match kube::connect(path).await {
                Ok(client) => kube::snapshot::brief(&client, &dir.join(&name)).await,
                Err(e) => vec![e.to_string()],
            };
            missing.into_iter().map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
        });
        let all = async { Ok(join_all(clusters).await.concat()) };
        let missing = wait::within("collecting", patience::COLLECT_BRIEFLY, Box::pin(all)).await;
        let mut missing = missing.unwrap_or_else(|e| vec![e.to_string()]);
        missing.push("more than pods and events: the run was stopped".to_owned());
        missing
    }

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

/// Takes the largest files away until the rest fits; a line for each.
fn trimmed(dir: &Path, most: u64) -> Vec<String> {
    let (mut all, mut lines) = (Vec::new(), Vec::new());
    sizes(dir, &mut all);
    let mut total: u64 = all.iter().map(|(size, _)| size).sum();
    all.sort();
    while total > most
        && let Some((size, path)) = all.pop()
    {
        if std::fs::remove_file(&path).is_ok() {
            total -= size;
            let name = path.strip_prefix(dir).unwrap_or(&path).display();
            lines.push(format!("{name}: too long to be kept ({} kB)", size / 1000));
        }
    }
    lines
}

fn sizes(dir: &Path, all: &mut Vec<(u64, PathBuf)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => sizes(&entry.path(), all),
            Ok(meta) => all.push((meta.len(), entry.path())),
            Err(_) => {}
        }
    }
}

fn name_of(kubeconfig: &Path) -> String {
    kubeconfig.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

async fn cluster(kubeconfig: &Path, dir: &Path) -> Vec<String> {
    let name = name_of(kubeconfig);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_much_the_longest_files_go_and_are_named() {
        let dir = tempfile::tempdir().unwrap();
        for (file, size) in
            [("end/c1/long.json", 3000), ("end/c1/short.txt", 20), ("end/c2/longer.json", 4000)]
        {
            kept::write(&dir.path().join(file), &"x".repeat(size)).unwrap();
        }
        assert_eq!(trimmed(dir.path(), 7020), Vec::<String>::new());
        assert_eq!(trimmed(dir.path(), 3100), ["end/c2/longer.json: too long to be kept (4 kB)"]);
        assert!(dir.path().join("end/c1/long.json").exists());
    }
}
