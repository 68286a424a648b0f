//! What every proxy held over time, as the run that made or judges this world has written it down.

use std::path::Path;

use harness::history::{self, Line};
use harness::progress::Note;
use harness::{Result, patience, wait};
use proof::evidence::{Evidence, Workload};

use crate::Mesh;

impl Mesh {
    /// Fills in the history of each cluster, of whose proxies was seen before what they hold now. Who began to watch a moment
    /// ago has not seen all of them yet.
    pub async fn history(&self, seen: &mut Evidence) -> Result<()> {
        let Some(report) = std::env::var_os("VOUCHSAFE_REPORT") else { return Ok(()) };
        let file = history::file(Path::new(&report), &self.world().name);
        let proxies: Vec<_> =
            seen.clusters.iter().flat_map(|one| &one.proxies).map(|p| &p.workload).collect();
        let look = || async { history::read(&file) };
        let lines = wait::last_look(
            "a look at every proxy by whoever watches",
            patience::SETTLE,
            &Note::silent(),
            look,
            |lines| not_seen(&proxies, lines),
        )
        .await?;
        for one in &mut seen.clusters {
            let of_it = lines.iter().filter(|line| line.cluster == one.cluster.name);
            one.history = Some(of_it.map(|line| line.seen.clone()).collect());
        }
        Ok(())
    }
}

fn not_seen(proxies: &[&Workload], lines: &[Line]) -> Option<String> {
    let seen = |one: &Workload| lines.iter().any(|line| line.seen.workload.uid == one.uid);
    let missing: Vec<_> = proxies.iter().filter(|one| !seen(one)).map(|one| one.pod.as_str()).collect();
    (!missing.is_empty()).then(|| format!("nothing of {}", missing.join(", ")))
}
