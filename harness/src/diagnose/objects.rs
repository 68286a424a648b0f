//! Objects of the kinds that causes speak of, by discovery: whatever version of them a cluster serves.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use proof::diagnosis::Look;
use proof::scrub;
use serde_json::Value;

use super::look;
use crate::error::Context as _;
use crate::kube::kinds::{Kind, listable};
use crate::{Code, Result};

/// As many requests at a time as a small API server takes.
const AT_ONCE: usize = 8;
/// As `kubectl` calls them.
const KINDS: [&str; 14] = [
    "pods",
    "nodes",
    "namespaces",
    "services",
    "endpointslices.discovery.k8s.io",
    "deployments.apps",
    "daemonsets.apps",
    "statefulsets.apps",
    "clusterspiffeids.spire.spiffe.io",
    "clusterfederatedtrustdomains.spire.spiffe.io",
    "clusterstaticentries.spire.spiffe.io",
    "gateways.gateway.networking.k8s.io",
    "destinationrules.networking.istio.io",
    "peerauthentications.security.istio.io",
];

/// Objects by kind.
pub(super) type Objects = BTreeMap<String, Look<Vec<Value>>>;

/// All of them. A kind that the cluster does not serve has no objects.
pub(super) async fn all(client: &Client) -> Objects {
    let served = match look("the kinds that the cluster serves", listable(client)).await {
        Look::Seen(served) => served,
        Look::NotReadable(why) => {
            return KINDS.map(|kind| (kind.to_owned(), Look::NotReadable(why.clone()))).into();
        }
    };
    let named = served.into_iter().map(|kind| (called(&kind), kind));
    let wanted: Vec<_> = named.filter(|(name, _)| KINDS.contains(&name.as_str())).collect();
    let mut all: Objects = KINDS.map(|kind| (kind.to_owned(), Look::Seen(Vec::new()))).into();
    let lists = wanted.into_iter().map(|(name, kind)| async move {
        let listed = look(&name, list(kind)).await;
        (name, listed)
    });
    all.extend(stream::iter(lists).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    all
}

fn called(Kind { resource, .. }: &Kind) -> String {
    format!("{}.{}", resource.plural, resource.group).trim_end_matches('.').to_owned()
}

async fn list(Kind { api, resource }: Kind) -> Result<Vec<Value>> {
    let listed = api.list(&ListParams::default()).await;
    let listed = listed.or_fail(Code::KubeFailed, || format!("cannot list {}", resource.plural))?;
    let values = listed.items.into_iter().map(|mut object| {
        object.managed_fields_mut().clear();
        let mut value = serde_json::to_value(object)?;
        value["kind"] = Value::from(resource.kind.as_str());
        scrub::object(&mut value);
        Ok(value)
    });
    values
        .collect::<Result<Vec<_>, serde_json::Error>>()
        .or_fail(Code::Internal, || "an object is not JSON".into())
}

/// Every ConfigMap: where components keep what they were told.
pub(super) async fn configs(client: &Client) -> Result<Vec<ConfigMap>> {
    let maps: Api<ConfigMap> = Api::all(client.clone());
    let listed = maps.list(&ListParams::default()).await;
    Ok(listed.or_fail(Code::KubeFailed, || "cannot list ConfigMaps".to_owned())?.items)
}

/// What is in them, where that could be read.
pub(super) fn in_configs<T>(
    configs: &Look<Vec<ConfigMap>>,
    read: impl FnOnce(&[ConfigMap]) -> Result<T>,
) -> Look<T> {
    match configs {
        Look::Seen(maps) => Look::of(read(maps)),
        Look::NotReadable(why) => Look::NotReadable(why.clone()),
    }
}

/// The objects of a kind, as far as they were read.
pub(super) fn of<'a>(objects: &'a Objects, kind: &str) -> &'a [Value] {
    match objects.get(kind) {
        Some(Look::Seen(all)) => all,
        _ => &[],
    }
}
