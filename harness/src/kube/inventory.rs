//! Everything that a cluster holds, so that two moments can be compared: what a set-up brought must be gone when its
//! stage is struck, and what it changed must be as it was.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{DynamicObject, ListParams};
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::kinds::{Kind, listable};
use super::{AT_ONCE, fault};
use crate::Result;
use crate::artifact::cache::hex;

/// Kinds that come and go by themselves: what happened, who leads, who is behind a Service, what was measured.
const FLEETING: [&str; 5] = ["Event", "Lease", "EndpointSlice", "Endpoints", "PodMetrics"];
/// What the API server or a controller writes into an object, and no one asked for.
const NOT_ASKED_FOR: [&str; 5] =
    ["resourceVersion", "managedFields", "generation", "creationTimestamp", "uid"];
/// Notes of rollouts and of those who lead.
const NOTES: [&str; 3] = [
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    "control-plane.alpha.kubernetes.io/leader",
];

/// Each object by `Kind namespace/name`, with what was asked for of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory(BTreeMap<String, Value>);

impl Inventory {
    /// Lists every kind that the cluster serves. Objects that another object owns are its owner's matter.
    ///
    /// # Errors
    /// What the API server refuses.
    pub async fn of(client: &Client) -> Result<Self> {
        let failed = |fault: kube::Error| fault::failed("cannot take an inventory", &fault);
        let kinds = listable(client).await?;
        let lasting = kinds.into_iter().filter(|kind| !FLEETING.contains(&kind.resource.kind.as_str()));
        let listed: Vec<_> = stream::iter(lasting)
            .map(|Kind { resource, api }| async move {
                let kind = resource.kind;
                let all = api.list(&ListParams::default()).await?.items;
                let free = all.into_iter().filter(|object| object.owner_references().is_empty());
                Ok::<_, kube::Error>(
                    free.map(|object| (shown(&kind, &object), asked_for(&kind, object))).collect::<Vec<_>>(),
                )
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
            .map_err(failed)?;
        Ok(Self(listed.into_iter().flatten().collect()))
    }

    /// Leaves an object out: `Kind namespace/name`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// What is different later: one line for each object, empty when nothing is.
    pub fn until(&self, later: &Self) -> String {
        let added =
            later.0.keys().filter(|name| !self.0.contains_key(*name)).map(|name| format!("added {name}"));
        let rest = self.0.iter().filter_map(|(name, before)| match later.0.get(name) {
            None => Some(format!("missing {name}")),
            Some(now) if now != before => Some(format!("changed {name}: {}", difference(before, now))),
            Some(_) => None,
        });
        added.chain(rest).collect::<Vec<_>>().join("\n")
    }
}

fn shown(kind: &str, object: &DynamicObject) -> String {
    let namespace = object.namespace().map(|ns| format!("{ns}/")).unwrap_or_default();
    format!("{kind} {namespace}{}", object.name_any())
}

fn asked_for(kind: &str, object: DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    // What is different is told and kept in reports, where no key or token may be.
    if let Some(data) = value["data"].as_object_mut().filter(|_| kind == "Secret") {
        for secret in data.values_mut() {
            *secret = Value::from(format!("sha256 {}", hex(&Sha256::digest(secret.to_string()))));
        }
    }
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    // What a peer published when it was written: another one whenever the peer's authority rotates.
    if let Some(spec) = value["spec"].as_object_mut().filter(|_| kind == "ClusterFederatedTrustDomain") {
        spec.remove("trustDomainBundle");
    }
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.retain(|key, _| !NOT_ASKED_FOR.contains(&key.as_str()));
        if let Some(notes) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            notes.retain(|key, _| !NOTES.contains(&key.as_str()));
        }
        metadata.retain(|_, value| value.as_object().is_none_or(|fields| !fields.is_empty()));
    }
    value
}

/// The first place at which they differ, as a JSON pointer with both values.
fn difference(before: &Value, now: &Value) -> String {
    fn walk(path: String, before: &Value, now: &Value) -> Option<String> {
        match (before, now) {
            (Value::Object(b), Value::Object(n)) => {
                let keys = b.keys().chain(n.keys());
                let null = &Value::Null;
                keys.filter_map(|key| {
                    walk(format!("{path}/{key}"), b.get(key).unwrap_or(null), n.get(key).unwrap_or(null))
                })
                .next()
            }
            _ if before == now => None,
            _ => Some(format!("{path} was {before} and is {now}")),
        }
    }
    walk(String::new(), before, now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn inventory(objects: &[Value]) -> Inventory {
        let read = |object: &Value| {
            let kind = object["kind"].as_str().unwrap_or("ConfigMap");
            let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
            (shown(kind, &object), asked_for(kind, object))
        };
        Inventory(objects.iter().map(read).collect())
    }

    #[test]
    fn what_was_added_lost_or_changed_is_named() {
        let map = |name: &str, version: &str, value: &str| json!({ "metadata": { "name": name, "namespace": "spire", "resourceVersion": version }, "data": { "key": value } });
        let before = inventory(&[map("a", "1", "x"), map("b", "2", "x")]);
        assert_eq!(before.until(&inventory(&[map("a", "7", "x"), map("b", "9", "x")])), "");
        assert_eq!(
            before.until(&inventory(&[map("a", "1", "y"), map("c", "3", "x")])),
            "added ConfigMap spire/c\nchanged ConfigMap spire/a: /data/key was \"x\" and is \"y\"\nmissing ConfigMap spire/b"
        );
    }
    #[test]
    fn a_secret_that_changed_is_named_and_not_told() {
        let secret = |value: &str| {
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "token", "namespace": "green" },
                "data": { "token": value } })
        };
        let changed = inventory(&[secret("b25l")]).until(&inventory(&[secret("dHdv")]));
        assert!(changed.starts_with("changed Secret green/token: /data/token was \"sha256 "), "{changed}");
        assert!(!changed.contains("b25l") && !changed.contains("dHdv"), "{changed}");
    }
}
