//! One of each kind of secret planted in a world that is up, which is then broken, so that everything is collected:
//! none of them is in the report.
//!
//! `cargo xtask up && cargo test -p xtask --test planted -- --ignored && cargo xtask down`

use std::path::Path;

use harness::artifact::cache::files_below;
use harness::cluster::nodes;
use harness::cmd::{Cmd, Output};
use harness::engine::Engine;
use harness::kube::{apply, connect};
use harness::layout::Layout;
use harness::progress::Note;
use harness::world::World;
use harness::{Result, patience, spire};
use proof::scrub::samples::planted;
use serde_json::{Value, json};

#[tokio::test]
#[ignore = "changes the world that is up: cargo xtask up, and down afterwards"]
async fn a_report_has_none_of_the_secrets_that_were_planted() {
    let layout = Layout::find().unwrap();
    let world = World::read(&layout).unwrap();
    let (cluster, site) = world.sites.iter().next().unwrap();
    let client = connect(&site.kubeconfig).await.unwrap();
    let mut secrets = planted();

    // A join token that nobody has used: the server's entry for its agent has it in its ID.
    let id = format!("spiffe://{}/planted", world.topology.clusters[0].trust_domain);
    let told = spire::command(&client, &["token", "generate", "-spiffeID", &id]).await.unwrap();
    let token = told.trim().trim_start_matches("Token: ").to_owned();
    secrets.push((format!("-joinToken {token}"), token));

    apply::apply(&client, &objects(&secrets, &site.values["IMAGE_CURL"]), &Note::silent()).await.unwrap();
    let engine = Engine::attach(&world.engine).await.unwrap();
    let keys = format!("echo '{}' > /var/log/planted-keys.json", secrets[0].0);
    nodes::exec(&engine, &nodes::name(cluster), &["sh", "-c", &keys]).await.unwrap();

    let tampered = xtask(&["tamper", "missing-trust-domain"]).await.unwrap();
    assert_eq!(tampered.status, 0, "{}", tampered.stderr);
    let verify = xtask(&["verify", "--filter", "test(handshake) or test(identities)"]).await.unwrap();
    assert_eq!(verify.status, 5, "{}", verify.stderr);

    let report = layout.reports().join("latest").canonicalize().unwrap();
    let files = files_below(&report).unwrap();
    let text = |file: &Path| String::from_utf8_lossy(&std::fs::read(report.join(file)).unwrap()).into_owned();
    let collected = files.iter().filter(|file| file.to_string_lossy().contains("planted.c.log"));
    assert!(
        collected.map(|file| text(file)).any(|log| log.contains("[removed]")),
        "the log was not collected"
    );
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "json")) {
        let document = serde_json::from_str::<Value>(&text(file));
        assert!(document.is_ok(), "{} is no document any more", file.display());
    }
    let found: Vec<_> = files
        .iter()
        .flat_map(|file| {
            let text = text(file);
            let left: Vec<_> = secrets.iter().filter(|(_, secret)| text.contains(secret.as_str())).collect();
            left.into_iter().map(|(text, _)| format!("{}: {text}", file.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    println!("{} secrets, none of them in the {} files of {}", secrets.len(), files.len(), report.display());
}

/// A pod outside the mesh that has them everywhere and writes them down, and an event about it.
fn objects(secrets: &[(String, String)], image: &str) -> Vec<Value> {
    let texts: Vec<_> = secrets.iter().map(|(text, _)| text.replace("$(", "$$(")).collect();
    let all = texts.join("\n");
    let variables: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| json!({"name": format!("PLANTED_{i}"), "value": text}))
        .collect();
    let named = json!({"name": "planted", "namespace": "outside", "annotations": {"planted": all}});
    let of = json!({"kind": "Pod", "name": "planted", "namespace": "outside"});
    vec![
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": {"log": all}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": named, "stringData": {"log": all}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "c", "image": image, "imagePullPolicy": "IfNotPresent", "env": variables,
                "command": ["sh", "-c", "cat /planted/log; cat /planted/log >&2; sleep infinity"], "args": texts,
                "volumeMounts": [{"name": "planted", "mountPath": "/planted"}]}],
            "volumes": [{"name": "planted", "configMap": {"name": "planted"}}]}}),
        json!({"apiVersion": "v1", "kind": "Event", "metadata": named, "involvedObject": of, "type": "Warning",
            "reason": "Planted", "message": all.chars().take(1000).collect::<String>()}),
    ]
}

async fn xtask(words: &[&str]) -> Result<Output> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    Cmd::new("cargo").arg("xtask").args(words.iter().copied()).dir(dir).limit(patience::BUILD).output().await
}
