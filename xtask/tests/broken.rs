//! Set-ups broken in five ways: each ends within a minute and a half of its fault, not at a step's limit; `SUMMARY.md` of its
//! report names the first cause; and a run that a person stops leaves a short one. Slow, so run on demand, while no world is up.
//!
//! `cargo test -p xtask --test broken -- --ignored --nocapture`; with `ONLY=image,node` these alone.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod common;

use std::path::{Path, PathBuf};

use harness::cmd::Cmd;
use harness::layout::Layout;
use harness::lifecycle;
use harness::patience;
use harness::progress::Note;
use harness::wait::{self, Look};
use jiff::Timestamp;

use common::xtask;

/// As long as a person waits for what cannot come.
const SECONDS: f64 = 90.0;

/// A set-up that cannot come to its end.
struct Broken {
    name: &'static str,
    /// What is otherwise than in `federated`.
    setup: &'static str,
    /// The step whose beginning makes the fault.
    step: &'static str,
    /// What the error says.
    error: [&'static str; 2],
    /// What the diagnosis names.
    cause: Option<&'static str>,
}

const BROKEN: [Broken; 4] = [
    Broken {
        name: "image",
        setup: "patches:\n  - manifest: workloads/mesh.yaml\n    kind: Deployment\n    name: curl\n    clusters: [cluster1]\n    \
                json: [{ op: replace, path: /spec/template/spec/containers/0/image, value: 'localhost:1/nobody/curl:1' }]\n",
        step: "cluster1/workloads",
        error: [
            "container curl will not get better by waiting",
            "curl has no image, localhost:1/nobody/curl:1",
        ],
        cause: Some("image-missing"),
    },
    Broken {
        name: "server",
        setup: "patches:\n  - manifest: spire/server.yaml\n    kind: ConfigMap\n    name: spire-server\n    clusters: [cluster1]\n    \
                merge: { data: { server.conf: 'server { log_level = \"NOISE\" }' } }\n",
        step: "cluster1/spire-server",
        error: ["container spire-server will not get better by waiting", "last words of spire-server"],
        cause: Some("container-crashes"),
    },
    Broken {
        name: "webhook",
        setup: "objects: [{ file: refuses.yaml, before: cluster1/workloads }]\n",
        step: "cluster1/workloads",
        error: ["Deployment istio-test/", "no pod can be made"],
        cause: Some("pod-refused"),
    },
    Broken {
        name: "gateway",
        setup: "patches:\n  - manifest: gateway/east-west.yaml\n    clusters: [cluster1]\n    merge: { spec: { gatewayClassName: nobodys } }\n",
        step: "cluster1/gateway",
        error: ["Gateway istio-system/east-west will not get better by waiting", "class nobodys"],
        cause: Some("gateway-without-address"),
    },
];

const WEBHOOK: &str = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: { name: nobody }
webhooks:
  - name: pods.nobody.example
    sideEffects: None
    admissionReviewVersions: [v1]
    failurePolicy: Fail
    timeoutSeconds: 1
    namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: istio-test } }
    clientConfig: { service: { namespace: nobody, name: nobody } }
    rules: [{ apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods] }]
";

#[tokio::test]
#[ignore = "takes some minutes; no world may be up"]
async fn a_set_up_that_cannot_come_to_its_end_says_why_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("refuses.yaml"), WEBHOOK).unwrap();
    let mut wrong = Vec::new();
    for broken in BROKEN.iter().filter(|one| is_wanted(one.name)) {
        let file = dir.path().join(format!("{}.yaml", broken.name));
        std::fs::write(&file, format!("extends: federated\n{}", broken.setup)).unwrap();
        let run = xtask(&["up", "--keep", "never", "--setup", file.to_str().unwrap()]).await;
        let begins = format!("step=\"{}\"", broken.step);
        wrong.extend(judged(broken.name, run.status, &begins, &broken.error, broken.cause));
    }
    if is_wanted("node") {
        let (run, ()) = tokio::join!(xtask(&["e2e", "--keep", "never"]), stop_a_node());
        let error = ["node cluster2-control-plane will not get better by waiting", "its container has ended"];
        wrong.extend(judged("node", run.status, STOPPED, &error, None));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
#[ignore = "takes some minutes; no world may be up"]
async fn a_run_that_is_stopped_leaves_a_short_summary() {
    if !is_wanted("stopped") {
        return;
    }
    let stop = async {
        until_log("step=\"cluster1/spire-agent\"").await;
        let pid = std::fs::read_to_string(latest().join("log.txt")).unwrap();
        let pid = pid.split(" pid=").nth(1).unwrap().lines().next().unwrap().to_owned();
        Cmd::new("kill").args(["-s", "INT", &pid]).run().await.unwrap();
    };
    let (run, ()) = tokio::join!(xtask(&["e2e", "--keep", "never"]), stop);
    let summary = std::fs::read_to_string(latest().join("SUMMARY.md")).unwrap();
    println!("stopped: exit {}\n{summary}", run.status);
    assert_eq!(run.status, 130);
    assert!(summary.starts_with("# What failed\n\n```text\nthe run was stopped by Ctrl-C"), "{summary}");
    assert!(summary.contains("\n## cluster1\n") && summary.contains("the run was stopped"), "{summary}");
}

/// What the log has of the node's end, by whoever stopped it.
const STOPPED: &str = "stopped cluster2-control-plane";

async fn stop_a_node() {
    until_log("begins: SPIRE agent ready step=\"cluster2/spire-agent\"").await;
    for (engine, node) in lifecycle::nodes(&Layout::find().unwrap()).await.unwrap() {
        if node == "cluster2-control-plane" {
            engine.docker().stop_container(&node, None).await.unwrap();
        }
    }
    let line = format!("{} test INFO {STOPPED}\n", Timestamp::now());
    harness::kept::append(&latest().join("log.txt"), &line).unwrap();
}

/// Waits until the newest report's log, which must be of a run that has just begun, has that line.
async fn until_log(words: &str) {
    let before = std::fs::read_link(latest()).ok();
    let look = || async {
        let log = std::fs::read_to_string(latest().join("log.txt")).unwrap_or_default();
        let new = std::fs::read_link(latest()).ok() != before;
        if new && log.contains(words) { Look::Ready(()) } else { Look::NotYet(String::from("not there")) }
    };
    wait::eventually(words, patience::STEP, &Note::silent(), look).await.unwrap();
}

/// What is wrong with what a broken set-up came to.
fn judged(name: &str, status: i32, begins: &str, error: &[&str], cause: Option<&str>) -> Vec<String> {
    let read = |file: &str| std::fs::read_to_string(latest().join(file)).unwrap_or_default();
    let (summary, log) = (read("SUMMARY.md"), read("log.txt"));
    let at = |words: &str| -> Option<Timestamp> {
        log.lines().find(|line| line.contains(words))?.split(' ').next()?.parse().ok()
    };
    // Where the log has not both moments, it never ended by itself.
    let took = at(begins)
        .zip(at("begins: collect "))
        .map_or(f64::INFINITY, |(from, to)| (to - from).total(jiff::Unit::Second).unwrap());
    let what = summary.split("\n## ").next().unwrap_or_default();
    println!("{name}: exit {status}, {took:.1} s after its fault\n{summary}");
    let mut wrong = Vec::new();
    if status != 4 {
        wrong.push(format!("{name}: exit {status}"));
    }
    if took > SECONDS {
        wrong.push(format!("{name}: {took:.1} s after its fault"));
    }
    wrong.extend(
        error
            .iter()
            .filter(|words| !what.contains(**words))
            .map(|words| format!("{name}: no `{words}` in\n{what}")),
    );
    let named = cause.is_none_or(|cause| summary.contains(&format!("\n## Cause\n\n- **{cause}**: ")));
    if !named {
        wrong.push(format!("{name}: {cause:?} is not the first cause"));
    }
    wrong
}

fn latest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/vouchsafe/latest")
}

fn is_wanted(name: &str) -> bool {
    std::env::var("ONLY").map_or(true, |only| only.split(',').any(|one| one == name))
}
