//! What a scenario that failed was looking at, kept before it is undone: afterwards nothing would explain the failure.

use std::path::Path;

use futures::future::join_all;
use harness::{Result, kept, kube, patience, wait};
use proof::evidence::Evidence;
use proof::verdict::{Outcome, judge};

use crate::Mesh;

/// Where snapshots lie in a report: a folder for each moment, and in it one for each cluster.
pub const SNAPSHOTS: &str = "snapshots";
/// In a mesh where everything is broken, each one more says the same, and costs seconds.
const AT_MOST: usize = 4;

/// Keeps everything that there is now, if the scenario failed so far: by an error, or by what it saw.
pub(crate) async fn if_failed(scenario: &str, ran: &Result<()>, mesh: &Mesh, seen: &Evidence) {
    let Some(report) = std::env::var_os("VOUCHSAFE_REPORT") else { return };
    if ran.is_ok() && !is_broken(mesh, seen).await {
        return;
    }
    let all = Path::new(&report).join(SNAPSHOTS);
    let dir = all.join(scenario);
    // The first one counts: by then nothing was put back.
    if dir.exists() {
        return;
    }
    let taken = std::fs::read_dir(&all).map_or(0, Iterator::count);
    let missing = if taken < AT_MOST {
        take(mesh, &dir).await
    } else {
        vec![format!(
            "nothing: this run has {taken} snapshots already; judge this scenario alone, with --filter"
        )]
    };
    // Not worth more than the failure itself.
    let _ = kept::write(&dir.join("not-collected.txt"), &missing.join("\n"));
}

async fn take(mesh: &Mesh, dir: &Path) -> Vec<String> {
    let clusters = mesh.clusters().iter().map(async |cluster| match mesh.api(&cluster.name) {
        Ok(client) => {
            let missing = kube::snapshot::snapshot(client, &dir.join(&cluster.name.0)).await;
            missing.into_iter().map(|line| format!("{}: {line}", cluster.name)).collect()
        }
        Err(e) => vec![e.to_string()],
    });
    let all = async { Ok(join_all(clusters).await.concat()) };
    wait::within("collecting", patience::COLLECT, all).await.unwrap_or_else(|e| vec![e.to_string()])
}

/// Whether a claim is broken by what was seen. A fact about an issuer is judged by bundles, which a scenario reads only at
/// its end.
async fn is_broken(mesh: &Mesh, seen: &Evidence) -> bool {
    let any = |seen: &Evidence, outcome| {
        judge(seen)
            .iter()
            .any(|verdict| verdict.verdict == outcome && seen.facts.iter().any(|fact| fact.id == verdict.id))
    };
    let mut now = seen.clone();
    // An SVID that was issued since the scenario began is not from the future.
    now.collected_at = jiff::Timestamp::now();
    if any(&now, Outcome::Broken) {
        return true;
    }
    if !any(&now, Outcome::Unjudged) {
        return false;
    }
    let read = async {
        mesh.published(&mut now).await?;
        mesh.istiod_roots(&mut now).await
    }
    .await;
    read.is_err() || any(&now, Outcome::Broken)
}
