//! What istiod and its proxies say, and what they were told.

use futures::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::client::Body;
use proof::diagnosis::{Look, ProxyLook};
use proof::identity::Pem;
use serde_json::Value;

use super::look;
use super::objects::{Objects, in_configs, of};
use crate::error::Context as _;
use crate::{Code, Error, Result, istiod, proxy, render};

const AT_ONCE: usize = 8;

/// The time by an API server's answer.
pub(super) async fn clock(client: &Client) -> Result<Timestamp> {
    let what = || "the API server says no time".to_owned();
    let request = hyper::Request::get("/version").body(Body::empty()).or_fail(Code::Internal, what)?;
    let answer = client.send(request).await.or_fail(Code::KubeFailed, what)?;
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
    // Read to its end, so that the connection can be used again.
    let _ = answer.into_body().collect().await;
    let date = date.ok_or_else(|| Error::new(Code::Evidence, what()))?;
    Ok(jiff::fmt::rfc2822::parse(&date).or_fail(Code::Evidence, what)?.timestamp())
}

/// What each running proxy holds.
pub(super) async fn proxies(client: &Client, objects: &Objects) -> Vec<ProxyLook> {
    let running = of(objects, "pods").iter().filter(|pod| runs_a_proxy(pod));
    let text = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
    let looks = running.map(|pod| {
        let (namespace, pod) = (text(pod, "namespace"), text(pod, "name"));
        async move {
            let held = look("what a proxy holds", proxy::held(client, &namespace, &pod)).await;
            ProxyLook { namespace, pod, held }
        }
    });
    stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await
}

fn runs_a_proxy(pod: &Value) -> bool {
    let status = |field: &str| pod["status"][field].as_array().into_iter().flatten();
    let mut all = status("initContainerStatuses").chain(status("containerStatuses"));
    all.any(|container| container["name"] == proxy::CONTAINER && container["state"]["running"].is_object())
}

pub(super) fn mesh(configs: &Look<Vec<ConfigMap>>) -> Look<Value> {
    of_mesh(configs, "mesh")
}

pub(super) fn mesh_networks(configs: &Look<Vec<ConfigMap>>) -> Look<Value> {
    of_mesh(configs, "meshNetworks")
}

/// A part of istiod's own ConfigMap, which is called after its revision.
fn of_mesh(configs: &Look<Vec<ConfigMap>>, key: &str) -> Look<Value> {
    in_configs(configs, |maps| {
        let own = maps.iter().filter(|map| {
            let name = map.metadata.name.as_deref().unwrap_or_default();
            map.metadata.namespace.as_deref() == Some(istiod::NAMESPACE)
                && (name == "istio" || name.starts_with("istio-"))
        });
        let found = own.filter_map(|map| map.data.as_ref()).find(|data| data.contains_key("mesh"));
        let found = found.ok_or_else(|| Error::new(Code::Evidence, "no mesh configuration was found"))?;
        match found.get(key) {
            Some(text) => render::parse(text, Code::Evidence, key),
            None => Ok(Value::Null),
        }
    })
}

/// The root that istiod gives to every namespace.
pub(super) fn root(configs: &Look<Vec<ConfigMap>>) -> Look<Pem> {
    in_configs(configs, |maps| {
        let mut own = maps.iter().filter(|map| map.metadata.name.as_deref() == Some("istio-ca-root-cert"));
        let root = own.find_map(|map| map.data.as_ref()?.get("root-cert.pem"));
        root.map(|root| Pem::of(root)).ok_or_else(|| Error::new(Code::Evidence, "istiod gave no root"))
    })
}
