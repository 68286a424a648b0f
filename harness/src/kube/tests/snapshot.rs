//! The failure bundle: complete as far as it can be, honest about the rest, and without secrets.

use proof::scrub::samples::planted;

use super::super::snapshot::snapshot;
use super::*;
use crate::artifact::cache::files_below;
use crate::{Error, kept};

/// What an API server answers that serves these namespaces and these kinds, `(group, plural, kind)`; none for any other
/// question.
fn serves(line: &str, namespaces: &[&str], kinds: &[(&str, &str, &str)]) -> Option<Answer> {
    let resources = |group: &str| {
        let of_group = kinds.iter().filter(|(of, ..)| *of == group);
        let resources: Vec<_> = of_group
            .map(|(_, plural, kind)| {
                json!({"name": plural, "singularName": "", "kind": kind, "namespaced": true, "verbs": ["get", "list"]})
            })
            .collect();
        let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        Answer::ok(json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources}))
    };
    let group = |name: &str| {
        let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
        json!({"name": name, "versions": [version], "preferredVersion": version})
    };
    match line.split_whitespace().nth(1)? {
        "/api" => Some(Answer::ok(json!({"versions": ["v1"], "serverAddressByClientCIDRs": []}))),
        "/apis" => {
            let groups: Vec<_> =
                kinds.iter().map(|(of, ..)| *of).filter(|of| !of.is_empty()).map(group).collect();
            Some(Answer::ok(json!({"kind": "APIGroupList", "groups": groups})))
        }
        "/api/v1" => Some(resources("")),
        path if path.starts_with("/api/v1/namespaces?") => {
            let named = namespaces.iter().map(|name| json!({"metadata": {"name": name}}));
            Some(Answer::list(&named.collect::<Vec<_>>()))
        }
        path => path.strip_prefix("/apis/")?.strip_suffix("/v1").map(resources),
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_listed_and_stops_nothing_else() {
    let container = json!({"name": "istio-proxy", "ready": false, "restartCount": 1, "image": "i", "imageID": "",
        "state": {"running": {}}});
    let pod = json!({"metadata": {"name": "curl-7d", "managedFields": [{"manager": "kubelet"}]},
        "spec": {"containers": [{"name": "istio-proxy"}]},
        "status": {"conditions": [{"type": "PodScheduled", "status": "True"}], "containerStatuses": [container]}});
    let secret = |namespace: &str| json!({"metadata": {"name": "remote", "namespace": namespace}, "data": {"token": "c2VjcmV0"}});
    let kinds = [
        ("", "secrets", "Secret"),
        ("", "pods", "Pod"),
        ("networking.istio.io", "envoyfilters", "EnvoyFilter"),
    ];
    let (client, _) = server(move |asked| match asked.line.as_str() {
        l if let Some(answer) = serves(l, &["sample", "kube-public"], &kinds) => answer,
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
        l if l.contains("/secrets") => Answer::list(&[secret("sample"), secret("of-no-pod")]),
        _ => Answer::refusal(404, "NotFound", "404 page not found\n"),
    });
    let dir = tempfile::tempdir().unwrap();
    let missing = snapshot(&client, dir.path()).await;

    let (pages, missing): (Vec<_>, Vec<_>) =
        missing.into_iter().partition(|line| line.contains(": no way to port 15000 of sample/curl-7d: "));
    let asked: Vec<_> = pages.iter().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let of_curl =
        ["clusters.txt", "config_dump.json", "stats.txt"].map(|page| format!("sample/curl-7d.{page}"));
    assert_eq!(asked, of_curl);
    assert_eq!(
        missing,
        [
            "envoyfilters.networking.istio.io: cannot list: the API server knows no such kind",
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
    let secrets: Value = serde_json::from_str(&read("kinds/secrets.json")).unwrap();
    assert_eq!(secrets.as_array().unwrap().len(), 2, "of whatever namespace");
    assert_eq!(secrets[0]["data"]["token"], "[removed]");
}

/// One of each kind of secret in every place that is collected, and in an error: none is in any file.
#[tokio::test]
async fn what_was_planted_is_in_no_file() {
    let texts: Vec<_> = planted().into_iter().map(|(text, _)| text).collect();
    let variables: Vec<_> = texts.iter().map(|text| json!({"name": "X", "value": text})).collect();
    let pod = json!({"metadata": {"name": "planted", "annotations": {"a": texts.join("\n")}},
        "spec": {"containers": [{"name": "c", "args": texts, "env": variables}]},
        "status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": texts.join("\n")}],
            "containerStatuses": [{"name": "c", "ready": false, "restartCount": 1, "image": "i", "imageID": "",
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": texts.join("\n")}}}]}});
    let told = json!({"metadata": {}, "involvedObject": {"kind": "Pod", "name": "planted"}, "type": "Warning",
        "reason": "Failed", "message": texts.join("\n"), "count": 1, "lastTimestamp": "2026-11-21T00:00:00Z"});
    let config = json!({"metadata": {"name": "planted", "namespace": "sample"}, "data": {"all": texts.join("\n"),
        "json": json!(texts).to_string()}});
    let (lines, all) = (texts.clone(), texts.join("\n"));
    let kinds = [("", "configmaps", "ConfigMap"), ("", "secrets", "Secret")];
    let (client, _) = server(move |asked| match asked.line.as_str() {
        l if let Some(answer) = serves(l, &["sample"], &kinds) => answer,
        l if l.contains("/log?") => Answer::Lines(lines.clone()),
        l if l.contains("/events") => Answer::list(std::slice::from_ref(&told)),
        l if l.contains("/pods") => Answer::list(std::slice::from_ref(&pod)),
        l if l.contains("/configmaps") => Answer::list(std::slice::from_ref(&config)),
        _ => Answer::refusal(403, "Forbidden", &all),
    });
    let dir = tempfile::tempdir().unwrap();
    let missing = snapshot(&client, dir.path()).await;
    kept::write(&dir.path().join("failure.txt"), &missing.join("\n")).unwrap();
    for text in &texts {
        let cause = std::io::Error::other(text.clone());
        let e = Error::new(Code::CommandFailed, format!("`sh -c '{text}'` exited with 1")).because(cause);
        kept::append(
            &dir.path().join("failures.jsonl"),
            &(json!({"error": format!("{e}")}).to_string() + "\n"),
        )
        .unwrap();
    }

    let files = files_below(dir.path()).unwrap();
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    assert_eq!(
        names,
        [
            "failure.txt",
            "failures.jsonl",
            "kinds/configmaps.json",
            "sample/events.txt",
            "sample/logs/planted.c.log",
            "sample/logs/planted.c.previous.log",
            "sample/pods.json",
            "sample/pods.txt"
        ]
    );
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(dir.path().join(&file)).unwrap();
        assert!(text.contains("[removed]"), "{} has nothing of it: {text}", file.display());
        if file.extension().is_some_and(|ending| ending == "json") {
            let _: Value = serde_json::from_str(&text).unwrap();
        }
        let left = planted().into_iter().filter(|(_, secret)| text.contains(secret));
        found.extend(left.map(|(text, secret)| format!("{}: {secret} of {text}", file.display())));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
