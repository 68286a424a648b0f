//! What istiod and its proxies say, and what they were told.

use futures::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
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

/// The time by an API server's answer, as it was there at that moment of ours: it may have answered much later.
pub(super) async fn clock(client: &Client, at: Timestamp) -> Result<Timestamp> {
    let what = || "the API server says no time".to_owned();
    let request = hyper::Request::get("/version").body(Body::empty()).or_fail(Code::Internal, what)?;
    let before = Timestamp::now();
    let answer = client.send(request).await.or_fail(Code::KubeFailed, what)?;
    let after = Timestamp::now();
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
    // Read to its end, so that the connection can be used again.
    let _ = answer.into_body().collect().await;
    let date = date.ok_or_else(|| Error::new(Code::Evidence, what()))?;
    let said = jiff::fmt::rfc2822::parse(&date).or_fail(Code::Evidence, what)?.timestamp();
    Ok(at.saturating_add(off(said, before, after)).unwrap_or(said))
}

/// How far a clock is off, at least, that said this between two moments of ours, to the second and rounded down.
fn off(said: Timestamp, before: Timestamp, after: Timestamp) -> SignedDuration {
    let late = said.duration_since(before) + SignedDuration::from_secs(1);
    if late < SignedDuration::ZERO { late } else { said.duration_since(after).max(SignedDuration::ZERO) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_no_clock_that_is_wrong() {
        let at = |second: u8| format!("2026-11-26T20:02:{second:02}.5Z").parse::<Timestamp>().unwrap();
        let said = |second: u8| format!("2026-11-26T20:02:{second:02}Z").parse::<Timestamp>().unwrap();
        for (what, seconds) in [(said(10), 0), (said(30), 0), (said(55), 0)] {
            assert_eq!(off(what, at(10), at(55)).as_secs(), seconds, "{what} within 45 s of waiting");
        }
        assert_eq!(off(said(59), at(10), at(55)), SignedDuration::from_millis(3500));
        assert_eq!(off(said(5), at(10), at(55)), SignedDuration::from_millis(-4500));
    }
}
