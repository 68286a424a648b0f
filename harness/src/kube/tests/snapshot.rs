//! The failure bundle: complete as far as it can be, honest about the rest, and without secrets.

use super::super::snapshot::{Wanted, snapshot};
use super::*;

#[tokio::test]
async fn what_cannot_be_had_is_listed_and_stops_nothing_else() {
    let container = json!({"name": "istio-proxy", "ready": false, "restartCount": 1, "image": "i", "imageID": "",
        "state": {"running": {}}});
    let pod = json!({"metadata": {"name": "curl-7d", "managedFields": [{"manager": "kubelet"}]},
        "spec": {"containers": [{"name": "istio-proxy"}]},
        "status": {"conditions": [{"type": "PodScheduled", "status": "True"}], "containerStatuses": [container]}});
    let secret = |namespace: &str| json!({"metadata": {"name": "remote", "namespace": namespace}, "data": {"token": "c2VjcmV0"}});
    let (client, _) = server(move |asked| match asked.line.as_str() {
        l if l.contains("previous=true") => {
            Answer::refusal(400, "BadRequest", "previous container not found")
        }
        l if l.contains("/log?") => {
            assert!(l.contains("tailLines=2000"), "{l}");
            Answer::Lines(vec!["token eyJhbGci.eyJpc3Mi.c2ln".into()])
        }
        l if l.contains("/events") => {
            Answer::list(&[json!({"metadata": {}, "involvedObject": {"kind": "Pod",
            "name": "curl-7d"}, "type": "Warning", "reason": "BackOff", "message": "it fell over", "count": 2,
            "lastTimestamp": "2026-11-21T00:00:00Z"})])
        }
        l if l.contains("/pods") => Answer::list(std::slice::from_ref(&pod)),
        l if l.contains("/secrets") => Answer::list(&[secret("sample"), secret("somebody-else")]),
        _ => Answer::refusal(404, "NotFound", "404 page not found\n"),
    });
    let dir = tempfile::tempdir().unwrap();
    let kinds = [("v1", "Secret"), ("networking.istio.io/v1", "EnvoyFilter")];
    let missing = snapshot(&client, dir.path(), Wanted { namespaces: &["sample"], kinds: &kinds }).await;

    assert_eq!(
        missing,
        [
            "EnvoyFilter (networking.istio.io/v1): cannot list: the API server knows no such kind",
            "sample/curl-7d.istio-proxy.previous.log: cannot read the log of sample/curl-7d (istio-proxy): \
             previous container not found",
        ]
    );
    let read = |path: &str| std::fs::read_to_string(dir.path().join(path)).unwrap();
    assert_eq!(read("sample/logs/curl-7d.istio-proxy.log"), "token [removed]\n");
    assert_eq!(read("sample/pods.txt"), "curl-7d: istio-proxy runs and has not started up\n");
    assert_eq!(
        read("sample/events.txt"),
        "2026-11-21T00:00:00Z Warning BackOff Pod/curl-7d: it fell over (x2)\n"
    );
    assert!(!read("sample/pods.json").contains("managedFields"));
    let secrets: Value = serde_json::from_str(&read("secret.json")).unwrap();
    assert_eq!(secrets.as_array().unwrap().len(), 1, "only of the namespaces asked for");
    assert_eq!(secrets[0]["data"]["token"], "[removed]");
}
