//! `cargo xtask audit` and `probe` on clusters that are not laid out as ours: SPIRE in other namespaces, under other names, with
//! its socket elsewhere, Istio with a revision and with other names for clusters and networks. First on ours, then on those;
//! then red: a reader who may not exec, a workload on istiod's CA, the peer's bundle deleted. Nothing in a cluster is otherwise
//! after an audit than before, nor after a probe that came to its end, nor after one that was killed and then taken away by
//! `down` (with a cache of its own: that of the test has the clusters) or `probe --clean`. Slow, so run on demand, while no
//! world is up.
//!
//! `cargo test -p xtask --test audit -- --ignored --nocapture`
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

#[path = "../common/mod.rs"]
mod common;
mod many;
mod theirs;

use std::path::Path;
use std::time::Duration;

use harness::cmd::{Cmd, Output};
use harness::kube::inventory::Inventory;
use harness::layout::Layout;
use harness::patience;
use harness::wait::pause_for;
use harness::world::World;
use kube::Client;
use proof::verdict::{Line, Outcome};

use common::xtask;
use theirs::Theirs;

const TOPOLOGY: &str = "clusters:\n\
    - { name: west, trust_domain: west.example, network: west-net, pods: 10.40.0.0/16, services: 10.41.0.0/16, version: one }\n\
    - { name: east, trust_domain: east.example, network: east-net, pods: 10.50.0.0/16, services: 10.51.0.0/16, version: two }\n";

/// Probes that are killed, within so long of their beginning.
const KILLS: u32 = 10;
const PROBE: Duration = Duration::from_secs(30);

/// What an audit came to.
struct Audited {
    status: i32,
    lines: Vec<Line>,
    told: String,
}

impl Audited {
    fn of(out: Output) -> Self {
        let lines = out.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Self { status: out.status, lines, told: format!("{}{}", out.stdout, out.stderr) }
    }

    /// The claims with that outcome.
    fn all(&self, outcome: Outcome) -> Vec<String> {
        let all = self.lines.iter().filter(|line| line.verdict.verdict == outcome);
        all.map(|line| line.verdict.id.to_string()).collect()
    }

    fn observed(&self, claim: &str) -> &str {
        let line = self.lines.iter().find(|line| line.verdict.id.to_string() == claim);
        line.map_or("", |line| line.verdict.observed.as_str())
    }

    #[track_caller]
    fn ended(&self, status: i32) {
        let told = &self.told;
        assert_eq!(self.status, status, "{told}");
        let count = |outcome| self.all(outcome).len();
        println!(
            "exit {status}: {} held, {} broken, {} unjudged",
            count(Outcome::Held),
            count(Outcome::Broken),
            count(Outcome::Unjudged)
        );
    }
}

/// Both clusters, as an audit is told them.
struct Clusters {
    kubeconfig: String,
    clients: Vec<Client>,
}

impl Clusters {
    async fn audit(&self, more: &[&str]) -> Audited {
        self.audit_as(&self.kubeconfig, more).await
    }

    async fn audit_as(&self, kubeconfig: &str, more: &[&str]) -> Audited {
        let named =
            ["audit", "--json", "--kubeconfig", kubeconfig, "--context", "w=west", "--context", "e=east"];
        let before = self.inventory().await;
        let audited = Audited::of(xtask(&[&named, more].concat()).await);
        for (before, now) in before.iter().zip(self.inventory().await) {
            assert_eq!(before.until(&now), "", "an audit changes nothing");
        }
        audited
    }

    async fn inventory(&self) -> Vec<Inventory> {
        let mut all = vec![];
        for client in &self.clients {
            all.push(Inventory::of(client).await.unwrap());
        }
        all
    }
}

#[tokio::test]
#[ignore = "takes some minutes; no world may be up"]
async fn clusters_of_others_are_audited() {
    let dir = tempfile::tempdir().unwrap();
    let topology = dir.path().join("clusters.yaml");
    std::fs::write(&topology, TOPOLOGY).unwrap();
    let up = xtask(&["up", "--topology", topology.to_str().unwrap()]).await;
    assert_eq!(up.status, 0, "{}", up.stderr);
    let outcome = tokio::spawn(trial(dir.path().to_owned())).await;
    let down = xtask(&["down"]).await;
    outcome.unwrap();
    assert_eq!(down.status, 0, "{}", down.stderr);
}

async fn trial(dir: std::path::PathBuf) {
    let world = World::read(&Layout::find().unwrap()).unwrap();
    let mut clients = vec![];
    for site in world.sites.values() {
        clients.push(harness::kube::connect(&site.kubeconfig).await.unwrap());
    }
    // By name: east comes first.
    clients.reverse();
    let kubeconfig = theirs::merged(&world, &dir, None);
    let clusters = Clusters { kubeconfig, clients };

    println!("ours");
    let ours = clusters.audit(&[]).await;
    ours.ended(0);
    refusals(&clusters).await;

    println!("theirs");
    let theirs = Theirs::laid_out(&world, &clusters.clients).await;
    let audited = clusters.audit(&[]).await;
    audited.ended(0);
    assert!(audited.all(Outcome::Held).len() >= 25, "{}", audited.told);
    for found in [
        "SPIRE server trust-server/trust-server-0",
        "revision canary",
        "calls it mesh-one",
        "trust domain east.example",
    ] {
        assert!(audited.told.contains(found), "{found}: {}", audited.told);
    }
    let report = Layout::find().unwrap().reports().join("latest");
    let again = xtask(&["judge", "--json", report.to_str().unwrap()]).await;
    assert_eq!((again.status, again.stdout.lines().count()), (0, audited.lines.len()), "{}", again.stderr);
    let sampled = clusters.audit(&["--sample", "1", "--namespace", "shop"]).await;
    sampled.ended(0);
    assert!(
        sampled.observed("proxy-svid/w/shop/web").ends_with("; 1 more were left out"),
        "{}",
        sampled.told
    );

    probes(&clusters, &dir).await;

    println!("a reader who may not exec");
    let reader = theirs.reader(&world, &dir, &clusters.clients).await;
    let audited = clusters.audit_as(&reader, &[]).await;
    audited.ended(4);
    assert_eq!(audited.all(Outcome::Broken), [""; 0]);
    assert_eq!(audited.all(Outcome::Held), ["istiod-reads-peer/w→e", "istiod-reads-peer/e→w"]);
    let why = "you may not get pods/exec in namespace trust-server";
    assert!(audited.observed("bundles-share-no-key/w↔e").contains(why), "{}", audited.told);

    println!("a workload on istiod's CA");
    theirs.without_socket(&clusters.clients[0]).await;
    let audited = clusters.audit(&[]).await;
    audited.ended(5);
    let broken = ["proxy-svid", "proxy-validation-context", "proxy-nothing-of-istiod"];
    assert_eq!(audited.all(Outcome::Broken), broken.map(|kind| format!("{kind}/w/billing/ledger")));
    assert_eq!(audited.all(Outcome::Unjudged), [""; 0]);
    theirs.with_socket(&clusters.clients[0]).await;
    clusters.audit(&[]).await.ended(0);

    println!("the peer's bundle deleted");
    theirs.without_bundle(&clusters.clients[0]).await;
    let audited = clusters.audit(&[]).await;
    audited.ended(5);
    let broken = audited.all(Outcome::Broken);
    for id in ["peer-bundle-held/w→e", "entries-federate/w", "proxy-validation-context/w/shop/web"] {
        assert!(broken.contains(&id.to_owned()), "{id}: {broken:?}");
    }
    assert!(broken.iter().all(|id| id.contains("/w")), "nothing is wrong in the other cluster: {broken:?}");
    assert_eq!(audited.all(Outcome::Unjudged), ["peer-bundle-fetched/w→e"]);
}

/// Handshakes both ways, and everything as before: after a probe, and after one that was killed and cleaned up after.
async fn probes(clusters: &Clusters, dir: &Path) {
    println!("a probe");
    let named = |more: &str| {
        let which = [
            "probe",
            "--kubeconfig",
            &clusters.kubeconfig,
            "--context",
            "w=west",
            "--context",
            "e=east",
            more,
        ];
        which.map(str::to_owned)
    };
    let before = clusters.inventory().await;
    let as_before = async |when: &str| {
        for (before, now) in before.iter().zip(clusters.inventory().await) {
            assert_eq!(before.until(&now), "", "{when}");
        }
    };
    let probed = Audited::of(xtask(&named("--json").each_ref().map(String::as_str)).await);
    probed.ended(0);
    as_before("after a probe").await;
    for way in ["w→e", "e→w"] {
        for kind in ["remote-answers", "server-svid", "client-svid", "one-connection", "gateway-counted"] {
            let id = format!("{kind}/{way}");
            assert!(probed.all(Outcome::Held).contains(&id), "{id}: {}", probed.told);
        }
    }
    // A cache that made no world: its `down` has only probes to take away.
    let cache = dir.join("cache");
    let from_there = |words: &[String]| {
        let run = Cmd::new(env!("CARGO_BIN_EXE_xtask")).args(words).limit(patience::SCENARIOS);
        run.env("VOUCHSAFE_CACHE", &cache)
    };
    for round in 1..=KILLS + 1 {
        let log = dir.join(format!("killed-{round}"));
        let child = from_there(&named("--json")).log_to(&log).start().unwrap();
        let moment = PROBE.mul_f64((f64::from(round) * 0.618_034).fract());
        pause_for(moment).await;
        let pid = child.pid().unwrap().to_string();
        Cmd::new("kill").args(["-s", "KILL", &pid]).output().await.unwrap();
        let words = if round <= KILLS { vec!["down".to_owned()] } else { named("--clean").to_vec() };
        let gone = from_there(&words).output().await.unwrap();
        assert_eq!(gone.status, 0, "{}", gone.stderr);
        as_before("after a kill and a clean-up").await;
        let left = std::fs::read_dir(cache.join("probes")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "nothing is written down of a probe that is gone");
        println!("killed after {moment:.1?}, then {}: as before", words.last().unwrap());
    }
}

/// What only real clusters show: two names of one.
async fn refusals(clusters: &Clusters) {
    let twice = ["--context", "w=west", "--context", "v=west"];
    let out = xtask(&[&["audit", "--kubeconfig", &clusters.kubeconfig], &twice[..]].concat()).await;
    assert_eq!(out.status, 2, "{}", out.stderr);
    assert!(out.stderr.contains("error[usage]: w and v are one cluster"), "{}", out.stderr);
}
