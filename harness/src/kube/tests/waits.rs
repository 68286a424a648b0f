//! Waits: they watch, they survive their server, and they know why they failed.

use k8s_openapi::api::core::v1::Service;
use kube::api::Api;

use super::super::conditions::{self, Standing};
use super::super::rollout::{Workload, rolled_out};
use super::super::watch::until;
use super::*;
use crate::patience::Limit;
use crate::progress::Note;

const LONG: Limit = Limit::seconds(60);

fn service(version: &str, address: Option<&str>) -> Value {
    let ingress = address.map(|ip| json!([{"ip": ip}]));
    json!({"metadata": {"name": "gateway", "resourceVersion": version},
        "status": {"loadBalancer": {"ingress": ingress}}})
}

#[tokio::test(start_paused = true)]
async fn a_watch_survives_a_server_that_goes_away_and_comes_back() {
    let mut asked_before = 0;
    let (client, log) = server(move |asked| {
        asked_before += 1;
        match asked_before {
            1 | 4 => Answer::Broken,
            2 | 6 => Answer::list(&[service("1", None)]),
            // The server has restarted and does not know our of in the watch any more.
            3 => Answer::Lines(vec![]),
            5 => Answer::Watch(vec![json!({"type": "ERROR", "object": {"kind": "Status", "code": 410,
                "status": "Failure", "reason": "Expired", "message": "too old resource version"}})]),
            7 => Answer::Watch(vec![event("MODIFIED", &service("2", Some("10.1.0.2")))]),
            _ => panic!("{}", asked.line),
        }
    });
    let api: Api<Service> = Api::namespaced(client, "istio-ingress");
    let ready = conditions::service_has_address;
    let found = until(&api, "gateway", "the address", LONG, &Note::silent(), ready).await.unwrap();
    assert_eq!(found.metadata.resource_version.as_deref(), Some("2"));
    let asked = lines(&log);
    assert_eq!(asked.len(), 7, "{asked:#?}");
    assert!(asked[0].contains("fieldSelector=metadata.name%3Dgateway"), "{asked:#?}");
}

/// Every way in which a watch ends by itself, one after the other: it is resumed, and what was seen before is not lost.
#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_is_resumed_however_it_ended() {
    let mut watched = 0;
    let (client, log) = server(move |asked| {
        if !asked.line.contains("watch=true") {
            return Answer::list(&[service("1", None)]);
        }
        watched += 1;
        match watched {
            // The server's own limit.
            1 => Answer::Lines(vec![]),
            2 => Answer::Reset(vec![event("MODIFIED", &service("2", None))]),
            // Cut off in the midst of an event.
            3 => Answer::Lines(vec![r#"{"type":"MODIFIED","object":{"metada"#.into()]),
            4 => Answer::Lines(vec!["no JSON".into()]),
            5 => Answer::refusal(500, "InternalError", "etcdserver: leader changed"),
            // A connection that died without a word.
            6 => Answer::Watch(vec![]),
            _ => Answer::Watch(vec![event("MODIFIED", &service("3", Some("10.1.0.2")))]),
        }
    });
    let api: Api<Service> = Api::namespaced(client, "istio-ingress");
    let ready = conditions::service_has_address;
    let found = until(&api, "gateway", "the address", LONG, &Note::silent(), ready).await.unwrap();
    assert_eq!(found.metadata.resource_version.as_deref(), Some("3"));
    assert_eq!(
        lines(&log).iter().filter(|line| line.contains("watch=true")).count(),
        7,
        "{:#?}",
        lines(&log)
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_that_never_comes_is_said_to_be_missing() {
    let (client, _) = server(|asked| match asked.line.contains("watch=true") {
        true => Answer::Watch(vec![]),
        false => Answer::list(&[]),
    });
    let api: Api<Service> = Api::namespaced(client, "istio-ingress");
    let e =
        until(&api, "gateway", "the address", LONG, &Note::silent(), |_| Standing::Ready).await.unwrap_err();
    assert_eq!(e.to_string(), "the address did not happen within 60 s\n  last seen: it does not exist");
}

/// One cluster in which curl is not getting ready.
fn ailing(asked: &Asked) -> Answer {
    let selector = json!({"matchLabels": {"app": "curl"}});
    let deployment = json!({"metadata": {"name": "curl", "generation": 1, "resourceVersion": "1"},
        "spec": {"selector": selector, "template": {"spec": {"containers": []}}},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}});
    let crashed = json!({"name": "istio-proxy", "ready": false, "restartCount": 3, "image": "i", "imageID": "",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 255, "reason": "Error"}}});
    let pod = json!({"metadata": {"name": "curl-7d", "resourceVersion": "1"},
        "spec": {"initContainers": [{"name": "istio-proxy", "restartPolicy": "Always"}],
            "containers": [{"name": "curl"}]},
        "status": {"phase": "Pending", "initContainerStatuses": [crashed],
            "conditions": [{"type": "PodScheduled", "status": "True"}]}});
    let warning = json!({"metadata": {}, "involvedObject": {"name": "curl-7d"}, "reason": "FailedMount", "count": 4,
        "message": "MountVolume.SetUp failed for volume \"workload-socket\": driver name csi.spiffe.io not found",
        "lastTimestamp": "2026-11-21T00:00:00Z"});
    match asked.line.as_str() {
        l if l.contains("watch=true") => Answer::Watch(vec![]),
        l if l.contains("/log?") => Answer::Lines(vec!["Error: no such socket".into()]),
        l if l.contains("/events?") => {
            assert!(l.contains("involvedObject.name%3Dcurl-7d%2Ctype%3DWarning"), "{l}");
            Answer::list(&[warning])
        }
        l if l.contains("/deployments?") => Answer::list(&[deployment]),
        l if l.contains("/pods?") => {
            assert!(l.contains("labelSelector=app%3Dcurl"), "{l}");
            Answer::list(&[pod])
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_roll_out_that_fails_says_why_in_the_words_of_pod_event_and_log() {
    let (client, _) = server(ailing);
    let e =
        rolled_out(&client, Workload::Deployment, "sample", "curl", LONG, &Note::silent()).await.unwrap_err();
    assert_eq!(
        e.to_string(),
        "the roll-out of deployment sample/curl did not happen within 60 s\n  last seen: \
         0 of 1 available; curl-7d: istio-proxy waiting: CrashLoopBackOff; before that it ended with 255 (Error)\n  \
         event FailedMount (4 times): MountVolume.SetUp failed for volume \"workload-socket\": \
         driver name csi.spiffe.io not found\n  last words of istio-proxy:\n  Error: no such socket"
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_that_repeats_the_status_is_not_told_twice() {
    let message = "0/1 nodes are available: 1 Insufficient memory.";
    let (client, _) = server(move |asked| match (ailing(asked), asked.line.as_str()) {
        (_, l) if l.contains("/pods?") && !l.contains("watch=true") => {
            let unplaced = json!({"type": "PodScheduled", "status": "False", "message": message});
            Answer::list(&[json!({"metadata": {"name": "curl-7d", "resourceVersion": "1"},
                "status": {"conditions": [unplaced]}})])
        }
        (_, l) if l.contains("/events?") => {
            Answer::list(&[json!({"metadata": {}, "involvedObject": {}, "message": message})])
        }
        (answer, _) => answer,
    });
    let e =
        rolled_out(&client, Workload::Deployment, "sample", "curl", LONG, &Note::silent()).await.unwrap_err();
    assert!(e.to_string().ends_with(&format!("curl-7d: no node takes it: {message}")), "{e}");
}
