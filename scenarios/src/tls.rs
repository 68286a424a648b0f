//! What a mesh was told about mutual TLS: the rules and policies that take it off, or make it optional.

use harness::Result;
use harness::kube::object::dynamic;
use kube::api::{DynamicObject, ListParams};
use kube::{Client, ResourceExt as _};
use proof::evidence::{Evidence, TlsSetting, missing};
use serde_json::Value;

use crate::look::Mesh;

impl Mesh {
    /// What takes mutual TLS off in each cluster, or makes it optional.
    pub async fn tls_settings(&self, seen: &mut Evidence) -> Result<()> {
        self.each(seen, async |client, one| {
            let (rules, policies) = tokio::try_join!(
                objects(client, "networking.istio.io/v1", "DestinationRule"),
                objects(client, "security.istio.io/v1", "PeerAuthentication")
            )?;
            one.tls_settings =
                Some(rules.iter().flat_map(of_rule).chain(policies.iter().flat_map(of_policy)).collect());
            Ok(())
        })
        .await
    }
}

async fn objects(client: &Client, version: &str, kind: &str) -> Result<Vec<DynamicObject>> {
    let listed = dynamic(client, version, kind, None)?.list(&ListParams::default()).await;
    Ok(listed.map_err(|e| missing(format!("each {kind}")).because(e))?.items)
}

/// What a rule tells clients of its host, at whatever level it says so.
fn of_rule(rule: &DynamicObject) -> Vec<TlsSetting> {
    let host = rule.data["spec"]["host"].as_str().map(str::to_owned);
    modes(&rule.data["spec"], "tls")
        .into_iter()
        .filter(|mode| mode != "ISTIO_MUTUAL")
        .map(|mode| setting("DestinationRule", rule, host.clone(), mode))
        .collect()
}

/// What a policy tells servers, likewise.
fn of_policy(policy: &DynamicObject) -> Vec<TlsSetting> {
    let lax = modes(&policy.data["spec"], "mtls")
        .into_iter()
        .chain(modes(&policy.data["spec"]["portLevelMtls"], ""));
    lax.filter(|mode| mode == "DISABLE" || mode == "PERMISSIVE")
        .map(|mode| setting("PeerAuthentication", policy, None, mode))
        .collect()
}

fn setting(kind: &str, of: &DynamicObject, host: Option<String>, mode: String) -> TlsSetting {
    let object = format!("{kind} {}/{}", of.namespace().unwrap_or_default(), of.name_any());
    TlsSetting { object, host, mode }
}

/// Every `mode` below a field of that name, however deep; with no name, of any field.
fn modes(value: &Value, field: &str) -> Vec<String> {
    let inner = |(name, value): (&String, &Value)| {
        let own = value["mode"].as_str().filter(|_| field.is_empty() || name == field);
        own.map(str::to_owned).into_iter().chain(modes(value, field)).collect::<Vec<_>>()
    };
    match value {
        Value::Object(fields) => fields.iter().flat_map(inner).collect(),
        Value::Array(all) => all.iter().flat_map(|one| modes(one, field)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, spec: Value) -> DynamicObject {
        let object =
            serde_json::json!({ "metadata": { "name": name, "namespace": "istio-test" }, "spec": spec });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_takes_tls_off_is_found_at_every_level() {
        let rule = object(
            "plain",
            serde_json::json!({ "host": "a.b", "trafficPolicy": {
            "tls": { "mode": "ISTIO_MUTUAL" }, "portLevelSettings": [{ "tls": { "mode": "DISABLE" } }] },
            "subsets": [{ "trafficPolicy": { "tls": { "mode": "SIMPLE" } } }] }),
        );
        let told: Vec<_> =
            of_rule(&rule).into_iter().map(|one| (one.object, one.host.unwrap(), one.mode)).collect();
        let one =
            |mode: &str| ("DestinationRule istio-test/plain".to_owned(), "a.b".to_owned(), mode.to_owned());
        assert_eq!(told, [one("SIMPLE"), one("DISABLE")]);
        let policy = object(
            "lax",
            serde_json::json!({ "mtls": { "mode": "STRICT" }, "portLevelMtls": { "5000": { "mode": "DISABLE" } } }),
        );
        let told: Vec<_> = of_policy(&policy).into_iter().map(|one| one.mode).collect();
        assert_eq!(told, ["DISABLE"]);
        assert!(of_policy(&object("strict", serde_json::json!({ "mtls": { "mode": "STRICT" } }))).is_empty());
    }
}
