//! Pods as a kubelet describes them, and the one line that a person should read.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::super::conditions::Standing;
use super::super::pod::{pod, trouble};

/// An injected workload: istio-init, then istio-proxy as a native sidecar, then the application.
fn injected(init: Value, main: Value) -> Pod {
    let spec = json!({
        "initContainers": [{"name": "istio-init"}, {"name": "istio-proxy", "restartPolicy": "Always"}],
        "containers": [{"name": "curl"}]
    });
    let conditions = json!([
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "False", "message": "containers with unready status: [curl]"}
    ]);
    let status = json!({"phase": "Pending", "conditions": conditions,
        "initContainerStatuses": init, "containerStatuses": main});
    serde_json::from_value(json!({"metadata": {"name": "curl-7d"}, "spec": spec, "status": status})).unwrap()
}

fn container(name: &str, ready: bool, started: bool, state: Value) -> Value {
    json!({"name": name, "ready": ready, "started": started, "restartCount": 0, "image": "i", "imageID": "",
        "state": state})
}

fn waiting(reason: &str) -> Value {
    json!({"waiting": {"reason": reason}})
}

fn running() -> Value {
    json!({"running": {"startedAt": "2026-11-21T00:00:00Z"}})
}

fn done() -> Value {
    json!({"terminated": {"exitCode": 0, "reason": "Completed"}})
}

fn why(pod_: &Pod) -> String {
    match pod(pod_) {
        Standing::Not(why) => why,
        Standing::Ready => panic!("ready"),
    }
}

#[test]
fn a_ready_pod_is_ready_until_it_is_deleted() {
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let mut object: Pod =
        serde_json::from_value(json!({"metadata": {"name": "x"}, "status": ready})).unwrap();
    assert_eq!(pod(&object), Standing::Ready);
    object.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-21T00:00:00Z")).unwrap();
    assert_eq!(why(&object), "it is being deleted");
}

#[test]
fn a_sidecar_that_is_not_up_explains_the_application_that_waits_for_it() {
    let init = json!([
        container("istio-init", true, false, done()),
        container("istio-proxy", false, false, running()),
    ]);
    let object = injected(init, json!([container("curl", false, false, waiting("PodInitializing"))]));
    assert_eq!(why(&object), "istio-proxy runs and has not started up");
}

#[test]
fn a_sidecar_that_started_and_lost_readiness_is_named() {
    let init = json!([
        container("istio-init", true, false, done()),
        container("istio-proxy", false, true, running()),
    ]);
    let object = injected(init, json!([container("curl", true, true, running())]));
    assert_eq!(why(&object), "istio-proxy runs and is not ready");
}

#[test]
fn init_progress_is_told_in_order() {
    let init = json!([
        container("istio-init", false, false, running()),
        container("istio-proxy", false, false, waiting("PodInitializing")),
    ]);
    let object = injected(init, json!([container("curl", false, false, waiting("PodInitializing"))]));
    assert_eq!(why(&object), "istio-init is still running");

    let init = json!([
        container("istio-init", false, false, waiting("PodInitializing")),
        container("istio-proxy", false, false, waiting("PodInitializing")),
    ]);
    let object = injected(init, json!([container("curl", false, false, waiting("PodInitializing"))]));
    assert_eq!(why(&object), "istio-init waiting: PodInitializing");
}

#[test]
fn a_broken_application_outweighs_a_sidecar_that_merely_is_not_ready() {
    let init = json!([
        container("istio-init", true, false, done()),
        container("istio-proxy", false, true, running()),
    ]);
    let pull = json!({"waiting": {"reason": "ImagePullBackOff",
        "message": "Back-off pulling image \"curlimages/curl:none\""}});
    let object = injected(init, json!([container("curl", false, false, pull)]));
    assert_eq!(
        why(&object),
        "curl waiting: ImagePullBackOff: Back-off pulling image \"curlimages/curl:none\""
    );
}

#[test]
fn a_crash_loop_brings_its_last_words() {
    let mut looping = container(
        "istio-proxy",
        false,
        false,
        json!({"waiting": {
        "reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container=istio-proxy"}}),
    );
    looping["restartCount"] = json!(2);
    looping["lastState"] = json!({"terminated": {"exitCode": 255, "reason": "Error",
        "message": "Error: failed to start workload SDS server: no such socket\n"}});
    let init = json!([container("istio-init", true, false, done()), looping]);
    let object = injected(init, json!([container("curl", false, false, waiting("PodInitializing"))]));
    assert_eq!(
        why(&object),
        "istio-proxy waiting: CrashLoopBackOff: back-off 20s restarting failed container=istio-proxy; \
         before that it ended with 255 (Error): Error: failed to start workload SDS server: no such socket"
    );
    assert_eq!(trouble(&object).unwrap().crashed.as_deref(), Some("istio-proxy"));
}

#[test]
fn a_pod_that_no_node_takes_says_why() {
    let status = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient memory."}]});
    let object = serde_json::from_value(json!({"metadata": {"name": "x"}, "status": status})).unwrap();
    assert_eq!(why(&object), "no node takes it: 0/1 nodes are available: 1 Insufficient memory.");
}

#[test]
fn an_evicted_pod_says_why() {
    let status = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory.",
        "conditions": [{"type": "PodScheduled", "status": "True"}]});
    let object = serde_json::from_value(json!({"metadata": {"name": "x"}, "status": status})).unwrap();
    assert_eq!(why(&object), "it has failed: The node was low on resource: memory.");
}
