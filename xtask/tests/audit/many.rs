//! An audit of clusters with many pods: forty with a proxy among five hundred that no node takes. It is bounded, in time and in
//! memory, and it says who had none.
//!
//! `cargo test -p xtask --test audit -- --ignored --nocapture many`

use std::time::Instant;

use harness::kube::apply::apply;
use harness::kube::object::{dynamic, merge_patch};
use harness::kube::rollout::{Workload, rolled_out};
use harness::layout::Layout;
use harness::patience;
use harness::progress::Note;
use harness::wait::{self, Look};
use harness::world::World;
use kube::Client;
use kube::api::ListParams;
use proof::verdict::Outcome;
use serde_json::{Value, json};

use super::{Audited, common::xtask, theirs};

/// Of curl, in each cluster.
const MESHED: u64 = 20;
/// In the first.
const NOISE: usize = 500;
const SECONDS: u64 = 60;
const MIB: f64 = 300.0;

#[tokio::test]
#[ignore = "takes some minutes; no world may be up"]
async fn many_pods_are_audited_within_bounds() {
    let up = xtask(&["up"]).await;
    assert_eq!(up.status, 0, "{}", up.stderr);
    let outcome = tokio::spawn(trial()).await;
    let down = xtask(&["down"]).await;
    outcome.unwrap();
    assert_eq!(down.status, 0, "{}", down.stderr);
}

async fn trial() {
    let layout = Layout::find().unwrap();
    let world = World::read(&layout).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = theirs::merged(&world, dir.path(), None);
    let note = Note::silent();
    let mut clients = vec![];
    for site in world.sites.values() {
        let client = harness::kube::connect(&site.kubeconfig).await.unwrap();
        let curl = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "curl", "namespace": "istio-test" } });
        merge_patch(&client, &curl, &json!({ "spec": { "replicas": MESHED } }), &note).await.unwrap();
        clients.push(client);
    }
    for client in &clients {
        rolled_out(client, Workload::Deployment, "istio-test", "curl", patience::STEP, &note).await.unwrap();
    }
    apply(&clients[0], &noise(), &note).await.unwrap();
    let all = wait::eventually("the pods without a node", patience::STEP, &note, || async {
        match pods(&clients[0]).await {
            NOISE => Look::Ready(()),
            some => Look::NotYet(format!("{some} are there")),
        }
    });
    all.await.unwrap();

    let names: Vec<_> = world.topology.clusters.iter().map(|one| format!("{0}={0}", one.name)).collect();
    let mut words = vec!["audit", "--json", "--kubeconfig", &kubeconfig];
    words.extend(names.iter().flat_map(|name| ["--context", name]));
    let began = Instant::now();
    let audited = Audited::of(xtask(&words).await);
    let took = began.elapsed();
    audited.ended(0);
    let claim = format!("proxy-svid/{}/istio-test/curl", world.topology.clusters[0].name);
    let observed = audited.observed(&claim);
    assert!(observed.contains(&MESHED.to_string()), "{claim}: {observed}");
    assert_eq!(audited.all(Outcome::Unjudged), [""; 0]);
    let report = std::fs::read_to_string(layout.reports().join("latest/report.md")).unwrap();
    let told = report.split_once(" MiB at most").and_then(|(told, _)| told.split_whitespace().last());
    let peak: f64 = told.unwrap().parse().unwrap();
    println!("{NOISE} pods without a node, {} with a proxy: {took:.1?}, {peak} MiB; {observed}", 2 * MESHED);
    assert!(took.as_secs() < SECONDS && peak < MIB, "{took:?}, {peak} MiB");
}

/// Pods that no node has the label for.
fn noise() -> [Value; 2] {
    let pod = json!({
        "metadata": { "labels": { "app": "noise" } },
        "spec": { "nodeSelector": { "noise": "nowhere" }, "containers": [{ "name": "none", "image": "none.invalid/none" }] },
    });
    let spec =
        json!({ "replicas": NOISE, "selector": { "matchLabels": { "app": "noise" } }, "template": pod });
    [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "noise" } }),
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "noise", "namespace": "noise" }, "spec": spec }),
    ]
}

async fn pods(client: &Client) -> usize {
    dynamic(client, "v1", "Pod", Some("noise"))
        .unwrap()
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .len()
}
