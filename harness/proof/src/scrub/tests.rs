//! Each kind of secret goes, in whatever text it stands; what is evidence stays.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::samples::{UUID, pem, planted};
use super::*;

#[test]
fn every_kind_goes_from_every_text() {
    let mut found = Vec::new();
    for (text, secret) in planted() {
        let once = super::text(&text);
        if super::text(&once) != once {
            found.push(format!("scrubbed twice it is another: {once}"));
        }
        let value = json!({"data": {"a": text.clone(), "b": [text.clone()]}, "kind": "ConfigMap"});
        let (whole, pretty) = (value.to_string(), serde_json::to_string_pretty(&value).unwrap());
        let nested = json!({ "log": whole }).to_string();
        for (kind, document) in [("JSON", &whole), ("pretty JSON", &pretty), ("JSON in JSON", &nested)] {
            let scrubbed = super::text(document);
            if let Err(e) = serde_json::from_str::<Value>(&scrubbed) {
                found.push(format!("no {kind}: {e}: {scrubbed}"));
            }
            if scrubbed.contains(&secret) {
                found.push(format!("in {kind}: {scrubbed}"));
            }
        }
        let mut object = value;
        super::object(&mut object);
        for (kind, scrubbed) in [("text", once), ("an object", object.to_string())] {
            if scrubbed.contains(&secret) {
                found.push(format!("in {kind}: {scrubbed}"));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn what_is_evidence_stays() {
    let certificate = include_str!("../identity/testdata/spire/upstream.pem");
    for text in [
        certificate,
        include_str!("../evidence/testdata/version-1.json"),
        include_str!("../envoy/testdata/config_dump.json"),
        include_str!("../identity/testdata/spire/ec.json"),
        &BASE64_STANDARD.encode(certificate),
        "kindest/node:v1@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a",
        "request_id=0f8fad5b-d9cb-469f-a165-70867728950e",
        "spiffe://cluster1.local/ns/x/sa/y",
        "server.crt: MIIBtjCCAVugAwIBAgIUX",
        "join token does not exist or has already been used",
        "wrong password: authentication failed",
        "cannot read the token: permission denied, path /var/run/secrets/tokens/istio-token",
        "test bluegreen::token::a_token_attests_one_agent_once ... ok",
        "--token-path /var/run/secrets/token, --service-account-key-file=/etc/x/sa.key",
        r#"{"automountServiceAccountToken": false, "serviceAccountToken": {"path": "token"}}"#,
        r#"{"fact/x/no-remote-secret": "[S4-39] there is no remote secret"}"#,
        "Secret/istio-system/istio-ca-secret: 100.48797ms since last change",
        "ssh://root@build.example, https://proxy.example:3128/a@b",
        "eyJust-a-word. eyJ.a.b",
        "chown --user 1000:1000 and curl -u",
        "Use a bearer token; basic authentication; digest sha256",
        "worker.abcdefghijklmnop 172800.1234567890123456",
    ] {
        assert_eq!(super::text(text), text);
    }
}

/// The ID of an agent says which one, also when nobody may know its token: evidence compares them.
#[test]
fn agents_are_still_told_apart() {
    let id = |token: &str| super::text(&format!("spiffe://a.local/spire/agent/join_token/{token}"));
    let (one, other) = (id(UUID), id("7c9e6679-7425-40de-944b-e07fc1f90ae7"));
    assert_ne!(one, other);
    assert_eq!(one, id(UUID));
    one.parse::<crate::identity::SpiffeId>().unwrap();
}

#[test]
fn a_secret_keeps_its_keys_and_loses_its_values() {
    let mut list = json!([{"kind": "Secret", "metadata": {"name": "istio-remote-secret",
        "managedFields": [{}], "annotations": {"a": "b",
        "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"cluster2\":\"c2VjcmV0\"}}"}},
        "data": {"cluster2": "c2VjcmV0"}, "stringData": {"x": "y"}}]);
    object(&mut list);
    assert_eq!(
        list,
        json!([{"kind": "Secret", "metadata": {"name": "istio-remote-secret", "annotations": {"a": "b"}},
            "data": {"cluster2": "[removed]"}, "stringData": {"x": "[removed]"}}])
    );
}

#[test]
fn keys_go_and_certificates_stay() {
    let certificate = include_str!("../identity/testdata/spire/ec.pem");
    let log = format!("a\n{certificate}{}{certificate}b", pem("EC PRIVATE KEY"));
    assert_eq!(super::text(&log), format!("a\n{certificate}[removed]\n{certificate}b"));
}
