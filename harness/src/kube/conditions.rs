//! Whether an object stands as asked for, and if not, why: pure functions over what the API server says.
//!
//! Ready means that the controller has seen *our* generation and that everything it counts agrees. A number
//! alone (`readyReplicas: 1`) may be about the generation before.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use serde_json::Value;

use super::definition::Definition;

/// Whether an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As asked for.
    Ready,
    /// Not yet, and why: one line for people.
    Not(String),
}

impl Standing {
    pub(super) fn not(why: impl Into<String>) -> Self {
        Self::Not(why.into())
    }
}

/// All pods are of the newest template and available. Older ones are at least on their way out: this controller
/// does not count what is being deleted.
pub fn deployment(object: &Deployment) -> Standing {
    let status = object.status.clone().unwrap_or_default();
    if let Some(why) = unseen(&object.metadata, status.observed_generation) {
        return why;
    }
    let failure =
        status.conditions.iter().flatten().find(|c| c.type_ == "ReplicaFailure" && c.status == "True");
    if let Some(condition) = failure {
        return Standing::not(said("no pod can be made", condition.message.as_deref()));
    }
    let want = object.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    tally(
        want,
        &[("updated", status.updated_replicas), ("available", status.available_replicas)],
        status.replicas,
    )
}

/// A pod of the newest template is available on every node that should have one, and there is such a node.
pub fn daemon_set(object: &DaemonSet) -> Standing {
    let status = object.status.clone().unwrap_or_default();
    if let Some(why) = unseen(&object.metadata, status.observed_generation) {
        return why;
    }
    let want = status.desired_number_scheduled;
    if want == 0 {
        return Standing::not("no node should have a pod of it yet");
    }
    tally(
        want,
        &[("updated", status.updated_number_scheduled), ("available", status.number_available)],
        Some(status.current_number_scheduled),
    )
}

/// All pods are of the newest revision and available.
pub fn stateful_set(object: &StatefulSet) -> Standing {
    let status = object.status.clone().unwrap_or_default();
    if let Some(why) = unseen(&object.metadata, status.observed_generation) {
        return why;
    }
    let want = object.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    tally(
        want,
        &[("updated", status.updated_replicas), ("available", status.available_replicas)],
        Some(status.replicas),
    )
}

/// The definition is accepted and served. Objects of it can be made a moment later, not at once.
pub(super) fn crd(object: &Definition) -> Standing {
    let conditions = object.status.iter().flat_map(|s| &s.conditions);
    let states: Vec<_> = conditions
        .map(|c| Condition {
            kind: c.type_.as_str(),
            status: c.status.as_str(),
            message: c.message.as_deref(),
        })
        .collect();
    if let Some(refused) = states.iter().find(|c| c.kind == "NamesAccepted" && c.status == "False") {
        return Standing::not(said("its names are not accepted", refused.message));
    }
    positive("Established", &states)
}

/// The kubelet says that it can run pods.
pub fn node(object: &Node) -> Standing {
    let conditions = object.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let states: Vec<_> = conditions
        .map(|c| Condition {
            kind: c.type_.as_str(),
            status: c.status.as_str(),
            message: c.message.as_deref(),
        })
        .collect();
    positive("Ready", &states)
}

/// A Gateway API gateway is programmed, in its present generation.
pub fn gateway_programmed(object: &DynamicObject) -> Standing {
    let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
    let current: Vec<_> = conditions
        .into_iter()
        .flatten()
        .filter(|c| c["observedGeneration"].as_i64() == object.metadata.generation)
        .filter_map(|c| {
            let (kind, status) = (c["type"].as_str()?, c["status"].as_str()?);
            Some(Condition { kind, status, message: c["message"].as_str() })
        })
        .collect();
    if let Some(refused) = current.iter().find(|c| c.kind == "Accepted" && c.status == "False") {
        return Standing::not(said("not accepted", refused.message));
    }
    positive("Programmed", &current)
}

/// A load balancer has given the service an address.
pub fn service_has_address(object: &Service) -> Standing {
    let balancer = object.status.as_ref().and_then(|s| s.load_balancer.as_ref());
    let mut ingress = balancer.into_iter().flat_map(|b| b.ingress.iter().flatten());
    match ingress.any(|i| i.ip.is_some() || i.hostname.is_some()) {
        true => Standing::Ready,
        false => Standing::not("no load-balancer address yet"),
    }
}

struct Condition<'a> {
    kind: &'a str,
    status: &'a str,
    message: Option<&'a str>,
}

fn positive(kind: &str, conditions: &[Condition<'_>]) -> Standing {
    match conditions.iter().find(|c| c.kind == kind) {
        Some(c) if c.status == "True" => Standing::Ready,
        Some(c) => Standing::not(said(&format!("{kind} is {}", c.status), c.message)),
        None => Standing::not(format!("no word about {kind} yet")),
    }
}

fn unseen(meta: &ObjectMeta, observed: Option<i64>) -> Option<Standing> {
    let (ours, seen) = (meta.generation.unwrap_or(0), observed.unwrap_or(0));
    (seen < ours)
        .then(|| Standing::not(format!("its controller has not seen generation {ours} yet (saw {seen})")))
}

/// Every count must equal `want`, and so must the total: one more is a pod of the template before.
fn tally(want: i32, counts: &[(&str, Option<i32>)], total: Option<i32>) -> Standing {
    let mut short: Vec<String> = counts
        .iter()
        .filter(|(_, have)| have.unwrap_or(0) != want)
        .map(|(what, have)| format!("{} of {want} {what}", have.unwrap_or(0)))
        .collect();
    let extra = total.unwrap_or(0) - want;
    if extra > 0 {
        short.push(format!("{extra} more than wanted"));
    }
    if short.is_empty() && extra < 0 {
        short.push(format!("{} of {want} exist", total.unwrap_or(0)));
    }
    if short.is_empty() { Standing::Ready } else { Standing::Not(short.join(", ")) }
}

pub(super) fn said(what: &str, message: Option<&str>) -> String {
    match message.map(str::trim).filter(|m| !m.is_empty()) {
        Some(message) => format!("{what}: {message}"),
        None => what.to_owned(),
    }
}
