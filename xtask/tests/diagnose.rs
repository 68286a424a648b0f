//! Each cause provoked for real in a world that is up, named, and put back: exactly that one, twice in a row, with the others
//! excluded; and pairs of them, both named. A world before a fault, and after each, has none; nor have worlds that are healthy
//! and configured otherwise. Slow, so run on demand, while no world is up.
//!
//! `cargo test -p xtask --test diagnose -- --ignored --nocapture`; with `ONLY=entry-missing,agent-down+istiod-down` these
//! faults alone.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod common;

use std::cell::{Cell, RefCell};
use std::time::Instant;

use harness::layout::Layout;
use harness::patience;
use harness::progress::Note;
use harness::tamper::causes;
use harness::wait::{self, Look};
use harness::world::World;
use serde_json::Value;

use common::xtask;

/// Faults that do not explain each other: the first chain of trust, registration, proxies, remote clusters, gateways, TLS.
const PAIRS: [[&str; 2]; 6] = [
    ["bundle-endpoint-silent", "trust-domain-not-accepted"],
    ["entry-doubled", "policy-without-mtls"],
    ["socket-misnamed", "gateway-without-endpoint"],
    ["remote-secret-expired", "csi-driver-down"],
    ["entry-without-federation", "listener-without-auto-passthrough"],
    ["peer-bundle-missing", "destination-rule-without-mtls"],
];
/// What is a cause only of a certain symptom: the scenarios that show it.
const SYMPTOMS: [(&str, &str); 2] =
    [("access-log-off", "test(handshake)"), ("locality-keeps-traffic", "test(replies)")];
/// Healthy, and configured otherwise.
const OTHERWISE: [&str; 3] = [
    "federated-upstream-authority",
    "federated-replicas",
    concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/examples/house-rules"),
];

/// One world at a time.
static WORLD: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What came of some faults at once.
struct Row {
    faults: Vec<&'static str>,
    seen: Seen,
    seconds: u64,
    /// What was still named after it was put back.
    left: Vec<String>,
}

/// What a diagnosis said.
#[derive(Clone, Default)]
struct Seen {
    named: Vec<String>,
    consequences: usize,
    open: usize,
}

#[tokio::test]
#[ignore = "takes some minutes; no world may be up"]
async fn every_cause_is_named() {
    let _alone = WORLD.lock().await;
    let rows = wanted();
    assert_eq!(xtask(&["up"]).await.status, 0);
    let world = World::read(&Layout::find().unwrap()).unwrap();
    let healthy = until(&[]).await;
    let mut seen = Vec::new();
    for faults in rows {
        let row = Box::pin(provoked(&world, faults)).await;
        println!("{}", row.told());
        seen.push(row);
    }
    assert_eq!(xtask(&["down"]).await.status, 0);
    let due: usize = seen.iter().map(|row| row.faults.len()).sum();
    let told: usize = seen.iter().map(|row| row.seen.named.len()).sum();
    let right = seen.iter().flat_map(|row| row.faults.iter().filter(|fault| row.names(fault))).count();
    println!("named {right} of {due} faults (recall); {right} of {told} causes named were so (precision)");
    assert_eq!(healthy.named, Vec::<String>::new());
    let wrong: Vec<_> = seen.iter().filter(|row| !row.is_right()).map(Row::told).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
#[ignore = "takes some minutes; no world may be up"]
async fn a_healthy_mesh_that_is_configured_otherwise_has_no_cause() {
    let _alone = WORLD.lock().await;
    for setup in OTHERWISE {
        assert_eq!(xtask(&["up", "--setup", setup]).await.status, 0, "{setup}");
        let seen = until(&[]).await;
        println!("{setup}: named {:?}, {} open", seen.named, seen.open);
        assert_eq!(xtask(&["down"]).await.status, 0);
        assert_eq!(seen.named, Vec::<String>::new(), "{setup}");
    }
}

#[test]
fn what_is_provoked_exists() {
    let names: Vec<_> = causes::names().collect();
    let named = PAIRS.iter().flatten().chain(SYMPTOMS.iter().map(|(name, _)| name));
    let unknown: Vec<_> = named.filter(|name| !names.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Every fault and every pair, or those of `ONLY`.
fn wanted() -> Vec<Vec<&'static str>> {
    let each = causes::names().map(|name| vec![name]);
    let all: Vec<_> = each.chain(PAIRS.map(Vec::from)).collect();
    let Ok(only) = std::env::var("ONLY") else { return all };
    let chosen: Vec<_> =
        all.into_iter().filter(|row| only.split(',').any(|one| one == row.join("+"))).collect();
    assert_eq!(chosen.len(), only.split(',').count(), "ONLY={only} names what is no fault and no pair");
    chosen
}

async fn provoked(world: &World, faults: Vec<&'static str>) -> Row {
    let (began, note) = (Instant::now(), Note::silent());
    let mut made = Vec::new();
    for fault in &faults {
        made.push(Box::pin(causes::provoke(world, fault, &note)).await.unwrap());
    }
    for (_, scenarios) in SYMPTOMS.iter().filter(|(fault, _)| faults.contains(fault)) {
        assert_ne!(xtask(&["verify", "--filter", scenarios]).await.status, 0, "no claim went red");
    }
    let seen = until(&faults).await;
    let seconds = began.elapsed().as_secs();
    for one in made.into_iter().rev() {
        Box::pin(one.put_back(&note)).await.unwrap();
    }
    let left = until(&[]).await.named;
    Row { faults, seen, seconds, left }
}

impl Row {
    fn names(&self, fault: &str) -> bool {
        self.seen.named.iter().any(|name| name == fault)
    }

    fn is_right(&self) -> bool {
        is(&self.seen, &self.faults) && self.left.is_empty()
    }

    fn told(&self) -> String {
        let Self { faults, seen: Seen { named, consequences, open }, seconds, left } = self;
        let faults = faults.join("+");
        format!(
            "{faults:33} named {named:?} after {seconds:3} s, {consequences} consequences, {open} open, left {left:?}"
        )
    }
}

/// Looks until exactly these causes are named twice in a row; the last diagnosis when that does not come.
async fn until(wanted: &[&str]) -> Seen {
    let (last, times) = (RefCell::new(Seen::default()), Cell::new(0));
    let (last_of, times_of) = (&last, &times);
    let note = Note::silent();
    let waited = wait::eventually("a diagnosis", patience::CAUGHT_UP, &note, || async move {
        let now = look().await;
        times_of.set(if is(&now, wanted) { times_of.get() + 1 } else { 0 });
        let told = format!("{:?}", now.named);
        last_of.replace(now);
        if times_of.get() == 2 { Look::Ready(()) } else { Look::NotYet(told) }
    });
    if let Err(e) = waited.await {
        println!("{e}\n{}", xtask(&["diagnose"]).await.stdout);
    }
    last.into_inner()
}

/// What a person would be told now.
async fn look() -> Seen {
    let told = xtask(&["diagnose", "--json"]).await;
    let said: Value =
        serde_json::from_str(told.stdout.lines().next().unwrap_or("null")).unwrap_or(Value::Null);
    let count = |field: &str| said[field].as_array().map_or(0, Vec::len);
    let named = said["causes"].as_array().into_iter().flatten();
    let named: Vec<_> = named.filter_map(|cause| Some(cause["name"].as_str()?.to_owned())).collect();
    let named = if said.is_null() { vec![format!("no diagnosis: {}", told.stderr)] } else { named };
    Seen { named, consequences: count("consequences"), open: count("open") }
}

fn is(seen: &Seen, wanted: &[&str]) -> bool {
    let mut named = seen.named.clone();
    let mut wanted = wanted.to_vec();
    named.sort_unstable();
    wanted.sort_unstable();
    named == wanted
}
