//! Objects as controllers leave them half-way, and the one line that a person should read.

use k8s_openapi::api::core::v1::Node;
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;

use super::super::conditions::*;
use super::super::definition::Definition;
use super::*;

fn object<K: DeserializeOwned>(generation: i64, replicas: i32, status: Value) -> K {
    let meta = json!({"name": "x", "generation": generation});
    let spec = json!({
        "replicas": replicas, "selector": {}, "serviceName": "x", "template": {"spec": {"containers": []}}
    });
    serde_json::from_value(json!({"metadata": meta, "spec": spec, "status": status})).unwrap()
}

fn not(standing: Standing) -> String {
    match standing {
        Standing::Not(why) => why,
        Standing::Ready => panic!("ready"),
    }
}

#[test]
fn numbers_of_an_older_generation_do_not_count() {
    let full = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
    assert_eq!(deployment(&object(1, 1, full.clone())), Standing::Ready);
    assert_eq!(stateful_set(&object(1, 1, full.clone())), Standing::Ready);
    let why = "its controller has not seen generation 2 yet (saw 1)";
    assert_eq!(not(deployment(&object(2, 1, full.clone()))), why);
    assert_eq!(not(stateful_set(&object(2, 1, full))), why);
    let set = json!({"observedGeneration": 1, "currentNumberScheduled": 1, "desiredNumberScheduled": 1,
        "numberAvailable": 1, "numberMisscheduled": 0, "numberReady": 1, "updatedNumberScheduled": 1});
    assert_eq!(daemon_set(&object(1, 1, set.clone())), Standing::Ready);
    assert_eq!(not(daemon_set(&object(2, 1, set))), why);
}

#[test]
fn a_roll_out_in_the_middle_says_what_is_missing() {
    // The new pod is up, the old one not gone: curl may still land on it.
    let both = json!({"observedGeneration": 4, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2});
    assert_eq!(not(deployment(&object(4, 1, both))), "2 of 1 available, 1 more than wanted");
    let old = json!({"observedGeneration": 4, "replicas": 1, "availableReplicas": 1});
    assert_eq!(not(deployment(&object(4, 1, old))), "0 of 1 updated");
    assert_eq!(
        not(deployment(&object(1, 2, json!({"observedGeneration": 1})))),
        "0 of 2 updated, 0 of 2 available"
    );
    assert_eq!(deployment(&object(1, 0, json!({"observedGeneration": 1}))), Standing::Ready);
}

#[test]
fn pods_that_cannot_be_made_are_explained() {
    let status = json!({"observedGeneration": 1, "conditions": [
        {"type": "Available", "status": "False", "message": "Deployment does not have minimum availability."},
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
         "message": "Internal error occurred: failed calling webhook \"namespace.sidecar-injector.istio.io\""}]});
    assert_eq!(
        not(deployment(&object(1, 1, status))),
        "no pod can be made: Internal error occurred: failed calling webhook \
         \"namespace.sidecar-injector.istio.io\""
    );
}

#[test]
fn a_daemon_set_without_nodes_is_not_ready() {
    let status = json!({"observedGeneration": 1, "currentNumberScheduled": 0, "desiredNumberScheduled": 0,
        "numberMisscheduled": 0, "numberReady": 0});
    assert_eq!(not(daemon_set(&object(1, 1, status))), "no node should have a pod of it yet");
}

#[test]
fn a_gateway_is_judged_in_its_present_generation() {
    let gateway = |generation: i64| -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "cross-network", "generation": generation},
            "status": {"conditions": [
                {"type": "Accepted", "status": "True", "observedGeneration": 1, "message": ""},
                {"type": "Programmed", "status": "True", "observedGeneration": 1, "message": ""}]}
        }))
        .unwrap()
    };
    assert_eq!(gateway_programmed(&gateway(1)), Standing::Ready);
    assert_eq!(not(gateway_programmed(&gateway(2))), "no word about Programmed yet");
}

#[test]
fn conditions_bring_their_message() {
    let crd_of = |conditions: Value| -> Definition {
        serde_json::from_value(
            json!({"metadata": {}, "spec": {"group": "g", "names": {"kind": "K", "plural": "ks"},
            "scope": "Cluster", "versions": []}, "status": {"conditions": conditions}}),
        )
        .unwrap()
    };
    let taken = json!([{"type": "NamesAccepted", "status": "False", "message": "\"ks\" is already in use"}]);
    assert_eq!(not(crd(&crd_of(taken))), "its names are not accepted: \"ks\" is already in use");
    assert_eq!(crd(&crd_of(json!([{"type": "Established", "status": "True"}]))), Standing::Ready);

    let status = json!({"conditions": [{"type": "Ready", "status": "False",
        "message": "container runtime network not ready: cni plugin not initialized"}]});
    let sick: Node = serde_json::from_value(json!({"metadata": {}, "status": status})).unwrap();
    let why = "Ready is False: container runtime network not ready: cni plugin not initialized";
    assert_eq!(not(node(&sick)), why);

    let service = |status: Value| serde_json::from_value(json!({"metadata": {}, "status": status})).unwrap();
    assert_ne!(service_has_address(&service(json!({"loadBalancer": {}}))), Standing::Ready);
    let given = json!({"loadBalancer": {"ingress": [{"ip": "10.1.0.2"}]}});
    assert_eq!(service_has_address(&service(given)), Standing::Ready);
}
