//! What a run measured of itself, a line for each world and one for the whole.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use harness::clock::{Clock, Own};
use harness::history::{Cost, Line};
use harness::notice::{self, Noticed};
use harness::world::World;
use jiff::Timestamp;
use proof::envoy::secrets::Content;

/// What a set-up's time went to: its slowest step, and the chain that decided the total.
pub(super) fn of(world: &World, began: Timestamp, history: &[Line]) -> Option<String> {
    if world.made < began {
        let (name, made) = (&world.setup, world.made.strftime("%F %T UTC"));
        return Some(format!("{name}: in the world that is up since {made}, and was not made by this run"));
    }
    let end: BTreeMap<_, _> = world.timings.iter().map(|t| (t.id.clone(), t.end)).collect();
    let total = end.values().copied().fold(0.0, f64::max);
    let slowest = world.timings.iter().max_by(|a, b| (a.end - a.begin).total_cmp(&(b.end - b.begin)))?;
    let path = world.graph.critical_path(&end).join(" → ");
    let took = slowest.end - slowest.begin;
    let (name, slowest) = (&world.setup, &slowest.id);
    // Whatever else ran on the machine counts as work, too.
    let work = world.span.map(|span| {
        let (cpu, floor) = (span.cpu_seconds, span.floor());
        format!(" ({cpu:.0} CPU-seconds of work, so at least {floor:.1} s: efficiency {:.2})", floor / total)
    });
    let work = work.unwrap_or_default();
    let mut told =
        format!("{name}: set-up {total:.1} s{work}; slowest step {slowest} {took:.1} s; decided by {path}");
    if let Some(usable) = federated(world) {
        let _ = write!(told, "; from all SPIRE servers answering to their federation {usable:.1} s");
    }
    if let Some((p95, pods)) = until_svid(history) {
        let _ = write!(told, "; of {pods} pods, 95 % had their SVID within {p95:.1} s of being created");
    }
    if let Some(Noticed { p95, waits }) = world.noticed {
        let _ = write!(told, "; of {waits} waits that looked again, 95 % noticed within {p95:.2} s");
    }
    Some(told)
}

/// From a pod's creation to the first SVID in its proxy: in seconds, what 95 of 100 pods did not exceed, and how many pods
/// there were. Kubernetes says when it created one to the second, rounded down.
pub(super) fn until_svid(history: &[Line]) -> Option<(f64, usize)> {
    let mut first = BTreeMap::new();
    for Line { cluster, seen } in history {
        let secrets = seen.held.iter().flat_map(|held| &held.secrets);
        let svid = secrets.filter(|one| matches!(one.content, Content::Certificate(_)));
        let (Some(got), Some(created)) = (svid.filter_map(|one| one.last_updated).min(), seen.pod_created)
        else {
            continue;
        };
        let pod = (cluster, &seen.workload.namespace, &seen.workload.pod);
        first.entry(pod).or_insert(got.duration_since(created).as_secs_f64());
    }
    let mut all: Vec<_> = first.into_values().collect();
    all.sort_by(f64::total_cmp);
    Some((notice::p95(&all)?, all.len()))
}

/// From when the last server answers to when each has the bundles of the others.
fn federated(world: &World) -> Option<f64> {
    let last = |step: &str| {
        let ends = world.timings.iter().filter(|t| t.id.ends_with(step)).map(|t| t.end);
        ends.reduce(f64::max)
    };
    Some(last("/federation")? - last("/bundle")?)
}

/// What the run as a whole took beside its set-ups: the longest take-down, and the shares of the harness, with the programs
/// that it ran, and of its watching in the machine's work.
pub(super) fn own(clock: Option<&Clock>, down: Option<Duration>, watched: &Cost) -> Option<String> {
    let down = down.map(|took| format!("take-down {:.1} s", took.as_secs_f64()));
    let own = clock.and_then(|clock| Some((clock.read().ok()?, clock.own()?))).map(|(span, own)| {
        let Own { cpu_seconds, peak_mib } = own;
        let all = span.cpu_seconds.max(cpu_seconds);
        let share = |part: f64| 100.0 * part / all;
        let watching = watched.cpu_seconds();
        let watching = watching.map(|took| format!(", of that watching the proxies {took:.1} ({:.1} %)", share(took)));
        format!(
            "the harness and the programs that it ran took {cpu_seconds:.1} of {all:.0} CPU-seconds ({:.0} %){}, itself \
             {peak_mib:.0} MiB at most",
            share(cpu_seconds),
            watching.unwrap_or_default()
        )
    });
    let told: Vec<_> = down.into_iter().chain(own).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_svid_of_each_pod_counts() {
        let line = |pod: &str, got: &str| -> Line {
            let seen = serde_json::json!({
                "at": "2026-11-26T12:00:20Z", "pod_created": "2026-11-26T12:00:00Z",
                "workload": { "namespace": "istio-test", "pod": pod, "service_account": "curl" },
                "held": { "secrets": [{ "name": "default", "last_updated": got,
                    "content": { "certificate": "" } }] },
            });
            serde_json::from_value(serde_json::json!({ "cluster": "cluster1", "seen": seen })).unwrap()
        };
        let history = [
            line("a", "2026-11-26T12:00:02.500Z"),
            line("b", "2026-11-26T12:00:01.500Z"),
            line("a", "2026-11-26T12:00:09Z"),
        ];
        assert_eq!(until_svid(&history), Some((2.5, 2)), "a's second one is a rotation");
        assert_eq!(until_svid(&[]), None);
    }
}
