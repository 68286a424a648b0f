//! Applying and deleting: the order, the retries, and what is never tried twice.

use tokio::sync::mpsc::unbounded_channel;

use super::super::apply::{apply, would_apply};
use super::super::delete::delete;
use super::*;
use crate::progress::{Event, Note};

fn thing(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

fn crd() -> Value {
    let names = json!({"kind": "ClusterSPIFFEID", "plural": "clusterspiffeids"});
    let version = json!({"name": "v1alpha1", "served": true, "storage": true});
    let mut crd = thing(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        None,
        "clusterspiffeids.spire.spiffe.io",
    );
    crd["spec"] =
        json!({"group": "spire.spiffe.io", "names": names, "scope": "Cluster", "versions": [version]});
    crd
}

#[tokio::test(start_paused = true)]
async fn definitions_are_served_before_their_objects_and_custom_resources_come_last() {
    let mut crd_seen = crd();
    crd_seen["metadata"]["resourceVersion"] = json!("1");
    let mut established = crd_seen.clone();
    established["metadata"]["resourceVersion"] = json!("2");
    established["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
    let mut probes = 0;
    let (client, log) = server(move |asked| match asked.line.as_str() {
        l if l.starts_with("PATCH") && l.contains("customresourcedefinitions") => Answer::ok(crd()),
        l if l.starts_with("PATCH") => Answer::ok(thing("v1", "Any", None, "x")),
        l if l.contains("watch=true") => Answer::Watch(vec![event("MODIFIED", &established)]),
        l if l.contains("/customresourcedefinitions?") => Answer::list(std::slice::from_ref(&crd_seen)),
        // Established is said a moment before the path is served.
        l if l.contains("/clusterspiffeids?limit=1") => {
            probes += 1;
            if probes == 1 { Answer::refusal(404, "NotFound", "no such path") } else { Answer::list(&[]) }
        }
        other => panic!("{other}"),
    });
    let objects = [
        thing("spire.spiffe.io/v1alpha1", "ClusterSPIFFEID", None, "curl"),
        thing("apps/v1", "Deployment", Some("spire"), "server"),
        thing("v1", "ConfigMap", Some("spire"), "server"),
        crd(),
    ];
    apply(&client, &objects, &Note::silent()).await.unwrap();

    let asked = lines(&log);
    let patches: Vec<_> = asked.iter().filter_map(|l| l.strip_prefix("PATCH ")).collect();
    assert_eq!(
        patches,
        [
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clusterspiffeids.spire.spiffe.io\
             ?&force=true&fieldManager=vouchsafe",
            "/api/v1/namespaces/spire/configmaps/server?&force=true&fieldManager=vouchsafe",
            "/apis/apps/v1/namespaces/spire/deployments/server?&force=true&fieldManager=vouchsafe",
            "/apis/spire.spiffe.io/v1alpha1/clusterspiffeids/curl?&force=true&fieldManager=vouchsafe",
        ]
    );
    assert_eq!(log.lock().unwrap()[0].content, "application/apply-patch+yaml");
    let probed = asked.iter().rposition(|l| l.contains("limit=1")).unwrap();
    assert!(probed < asked.iter().position(|l| l.contains("configmaps")).unwrap(), "{asked:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_asked_again_and_told() {
    let webhook = "failed calling webhook \"vclusterspiffeid.kb.io\": connect: connection refused";
    let mut answers = vec![
        Answer::ok(json!({"metadata": {"name": "curl"}})),
        Answer::refusal(409, "Conflict", "the object has been modified"),
        Answer::refusal(500, "InternalError", webhook),
        Answer::Broken,
    ];
    let (client, log) = server(move |_| answers.pop().unwrap());
    let (to, mut events) = unbounded_channel();
    let object = thing("spire.spiffe.io/v1alpha1", "ClusterSPIFFEID", None, "curl");
    apply(&client, &[object], &Note::new("registration", to)).await.unwrap();

    assert_eq!(lines(&log).len(), 4);
    let mut told = Vec::new();
    while let Ok(Event::Note { text, .. }) = events.try_recv() {
        told.push(text);
    }
    assert_eq!(
        told,
        [
            "applying ClusterSPIFFEID curl: the API server does not answer: connection refused".to_owned(),
            format!("applying ClusterSPIFFEID curl: {webhook}"),
            "applying ClusterSPIFFEID curl: the object has been modified".to_owned(),
        ]
    );
}

/// The server waits for its webhook longer than another request would take.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_webhook_is_asked_anew() {
    let mut answers = vec![Answer::ok(json!({"metadata": {"name": "asks"}})), Answer::Watch(Vec::new())];
    let (client, log) = server(move |_| answers.pop().unwrap());
    let (to, mut events) = unbounded_channel();
    let began = tokio::time::Instant::now();
    let pod = thing("v1", "Pod", Some("istio-system"), "asks");
    would_apply(&client, &pod, &Note::new("istiod", to)).await.unwrap();

    assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
    assert!(lines(&log).iter().all(|line| line.contains("dryRun=All")) && lines(&log).len() == 2, "{log:?}");
    let Some(Event::Note { text, .. }) = events.recv().await else { panic!("nothing was told") };
    assert_eq!(text, "asking for Pod istio-system/asks: no answer within 1 s");
}

#[tokio::test(start_paused = true)]
async fn what_the_server_has_read_and_refused_is_not_asked_again() {
    let message =
        "Deployment.apps \"curl\" is invalid: spec.template.spec.containers[0].image: Required value";
    let (client, log) = server(move |_| Answer::refusal(422, "Invalid", message));
    let object = thing("apps/v1", "Deployment", Some("sample"), "curl");
    let e = apply(&client, &[object], &Note::silent()).await.unwrap_err();
    assert_eq!(e.code(), Code::KubeFailed);
    assert_eq!(e.to_string(), format!("applying Deployment sample/curl was refused: {message}"));
    assert_eq!(lines(&log).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_misspelt_field_is_a_refusal_although_the_server_calls_it_its_own_error() {
    // As Kubernetes 1.34 answered it.
    let message = "failed to create typed patch object (sample/curl; apps/v1, Kind=Deployment): \
                   .spec.replicass: field not declared in schema";
    let (client, log) = server(move |_| Answer::refusal(500, "", message));
    let object = thing("apps/v1", "Deployment", Some("sample"), "curl");
    let e = apply(&client, &[object], &Note::silent()).await.unwrap_err();
    assert_eq!(e.to_string(), format!("applying Deployment sample/curl was refused: {message}"));
    assert_eq!(lines(&log).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn deleted_means_gone_and_absent_is_gone_already() {
    let mut held = thing("v1", "Namespace", None, "sample");
    held["metadata"]["uid"] = json!("1-2-3");
    held["metadata"]["resourceVersion"] = json!("1");
    let answer = held.clone();
    let (client, log) = server(move |asked| match asked.line.as_str() {
        l if l.starts_with("DELETE") && l.contains("/sample") => Answer::ok(answer.clone()),
        l if l.starts_with("DELETE") => Answer::refusal(404, "NotFound", "the server could not find it"),
        l if l.contains("watch=true") => Answer::Watch(vec![event("DELETED", &held)]),
        _ => Answer::list(std::slice::from_ref(&held)),
    });
    let objects = [
        thing("v1", "Namespace", None, "sample"),
        thing("gateway.networking.k8s.io/v1", "Gateway", Some("istio-ingress"), "east"),
    ];
    delete(&client, &objects, &Note::silent()).await.unwrap();
    let asked = lines(&log);
    assert!(asked[0].contains("/gateways/east"), "custom resources go first: {asked:?}");
    assert_eq!(asked.len(), 4, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn what_holds_a_deleted_object_is_named() {
    let mut held = thing("v1", "Namespace", None, "sample");
    held["metadata"] = json!({"name": "sample", "uid": "1", "resourceVersion": "1", "finalizers": ["a.b/c"]});
    let (client, _) = server(move |asked| match asked.line.as_str() {
        l if l.starts_with("DELETE") => Answer::ok(held.clone()),
        l if l.contains("watch=true") => Answer::Watch(vec![]),
        _ => Answer::list(std::slice::from_ref(&held)),
    });
    let e = delete(&client, &[thing("v1", "Namespace", None, "sample")], &Note::silent()).await.unwrap_err();
    assert_eq!(e.code(), Code::TimedOut);
    assert!(e.to_string().ends_with("last seen: it is still there, held by a.b/c"), "{e}");
}
