//! What waiting does not cure, by what the API server says of pods, of those that make them, and of gateways.
//!
//! A wait ends at its limit, minutes after an image could not be had. What is named here is final, or was tried so often
//! that it is as good as final; whoever looks decides for how long it has to be so ([`crate::stuck`]).

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::api::{Api, DynamicObject, ListParams, LogParams};
use kube::{Client, ResourceExt as _};
use proof::diagnosis::lacks_its_image;
use serde_json::Value;

use super::conditions::said;
use super::object::dynamic;
use super::pod;
use super::{fault, logs, why};
use crate::Result;

/// A container that ended so often is in no race any more with what it needs: the third time is half a minute after the
/// first.
const RESTARTS: i32 = 3;

/// Something that will not get better by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// What it is about: the same as long as it is the same fault.
    pub about: String,
    /// What was seen.
    pub why: String,
    /// What to run or change next.
    pub next: &'static str,
    /// It has been tried often enough; others have to stay for a while.
    pub is_final: bool,
    /// More of what is known: the latest warning, the last words of a container that ended.
    pub more: Vec<String>,
}

/// Everything in a cluster that will not get better by itself.
///
/// # Errors
/// [`crate::Code::KubeFailed`] when the API server does not answer.
pub async fn signs(client: &Client) -> Result<Vec<Sign>> {
    let all = ListParams::default();
    let failed = |fault| fault::failed("cannot list what may be stuck", &fault);
    let (pods, deployments) = (Api::<Pod>::all(client.clone()), Api::<Deployment>::all(client.clone()));
    let (daemons, sets) = (Api::<DaemonSet>::all(client.clone()), Api::<StatefulSet>::all(client.clone()));
    let pods = pods.list(&all).await.map_err(failed)?.items;
    let mut signs = Vec::new();
    for object in &pods {
        for mut sign in of_pod(object) {
            let namespace = object.namespace().unwrap_or_default();
            let name = object.name_any();
            let trouble = pod::trouble(object).map(|trouble| (object, trouble));
            sign.more = why::not(client, &namespace, &name, trouble, &sign.why).await;
            signs.push(sign);
        }
    }
    signs.extend(deployments.list(&all).await.map_err(failed)?.iter().filter_map(of_deployment));
    let mut lacking = Vec::new();
    lacking.extend(daemons.list(&all).await.map_err(failed)?.iter().filter_map(|set| {
        let status = set.status.as_ref()?;
        let short = status.current_number_scheduled < status.desired_number_scheduled;
        short.then(|| ("DaemonSet", set.namespace().unwrap_or_default(), set.name_any()))
    }));
    lacking.extend(sets.list(&all).await.map_err(failed)?.iter().filter_map(|set| {
        let want = set.spec.as_ref()?.replicas.unwrap_or(1);
        let short = set.status.as_ref().map_or(0, |status| status.replicas) < want;
        short.then(|| ("StatefulSet", set.namespace().unwrap_or_default(), set.name_any()))
    }));
    if !lacking.is_empty() {
        let events: Api<Event> = Api::all(client.clone());
        let refused = events.list(&ListParams::default().fields("reason=FailedCreate")).await;
        let refused = refused.map_err(failed)?.items;
        signs.extend(lacking.iter().filter_map(|set| of_set(set, &refused)));
    }
    let gateways = dynamic(client, "gateway.networking.k8s.io/v1", "Gateway", None)?;
    // A cluster that does not serve the kind has none.
    let gateways = gateways.list(&all).await.map(|all| all.items).unwrap_or_default();
    signs.extend(gateways.iter().filter_map(of_gateway));
    let waiting: Vec<_> = gateways.iter().filter(|gateway| is_unserved(gateway)).collect();
    if !waiting.is_empty() {
        let log = log_of_istiod(client, &pods).await;
        signs.extend(waiting.into_iter().filter_map(|gateway| given_up(gateway, &log)));
    }
    Ok(signs)
}

fn of_pod(object: &Pod) -> Vec<Sign> {
    if object.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let status = object.status.clone().unwrap_or_default();
    let all = status.init_container_statuses.into_iter().chain(status.container_statuses).flatten();
    let about = format!("pod {}/{}", object.namespace().unwrap_or_default(), object.name_any());
    all.filter_map(|container| of_container(&about, &container)).collect()
}

fn of_container(about: &str, container: &ContainerStatus) -> Option<Sign> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let (is_final, next) = match reason {
        reason if lacks_its_image(reason) => (
            false,
            "compare the image with those that the node has: `crictl images` in it, or images.txt in the report",
        ),
        "CrashLoopBackOff" if container.restart_count >= RESTARTS => {
            (true, "read its last words, and what it was told in its ConfigMap and arguments")
        }
        _ => return None,
    };
    let name = &container.name;
    let why = match reason {
        "CrashLoopBackOff" => {
            let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
            let code = ended.map_or_else(String::new, |ended| format!(", with {} at last", ended.exit_code));
            format!("{name} was restarted {} times, and ended each time{code}", container.restart_count)
        }
        _ => said(&format!("{name} has no image, {}: {reason}", container.image), waiting.message.as_deref()),
    };
    Some(Sign { about: format!("{about}, container {name}"), why, next, is_final, more: Vec::new() })
}

fn of_deployment(object: &Deployment) -> Option<Sign> {
    let conditions = object.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions.iter().find(|c| c.type_ == "ReplicaFailure" && c.status == "True")?;
    let about = format!("Deployment {}/{}", object.namespace().unwrap_or_default(), object.name_any());
    Some(refused(about, failure.message.as_deref()))
}

fn of_set((kind, namespace, name): &(&str, String, String), events: &[Event]) -> Option<Sign> {
    let about_it = |event: &&Event| {
        let about = &event.involved_object;
        about.kind.as_deref() == Some(kind)
            && about.name.as_ref() == Some(name)
            && about.namespace.as_ref() == Some(namespace)
    };
    let latest = events.iter().filter(about_it).max_by_key(|event| why::when(event))?;
    Some(refused(format!("{kind} {namespace}/{name}"), latest.message.as_deref()))
}

fn refused(about: String, message: Option<&str>) -> Sign {
    let next = "change what refuses the pod (a webhook, a quota, a policy), or the pod";
    Sign { about, why: said("no pod can be made", message), next, is_final: false, more: Vec::new() }
}

/// A Gateway that no controller takes, or that the one which does cannot accept, never gets a Service and an address.
fn of_gateway(object: &DynamicObject) -> Option<Sign> {
    let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array)?;
    let accepted = conditions.iter().find(|c| c["type"] == "Accepted").filter(|c| c["status"] != "True")?;
    let class = object.data.pointer("/spec/gatewayClassName").and_then(Value::as_str).unwrap_or_default();
    let status = accepted["status"].as_str().unwrap_or_default();
    Some(Sign {
        about: format!("Gateway {}/{}", object.namespace().unwrap_or_default(), object.name_any()),
        why: said(
            &format!("it has no address, for Accepted is {status} (class {class})"),
            accepted["message"].as_str(),
        ),
        next: "kubectl get gatewayclasses: name one whose controller runs, and read the Gateway's conditions",
        is_final: false,
        more: Vec::new(),
    })
}

/// Whether a Gateway was accepted, and still has nothing that serves it.
fn is_unserved(object: &DynamicObject) -> bool {
    let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
    let is =
        |kind, status| conditions.into_iter().flatten().any(|c| c["type"] == kind && c["status"] == status);
    is("Accepted", "True") && is("Programmed", "False")
}

/// What istiod said last.
async fn log_of_istiod(client: &Client, pods: &[Pod]) -> String {
    let mut all = String::new();
    for pod in pods.iter().filter(|pod| pod.labels().get("app").is_some_and(|app| app == "istiod")) {
        let params = LogParams { tail_lines: Some(200), ..LogParams::default() };
        let namespace = pod.namespace().unwrap_or_default();
        // One that does not start yet has none.
        all.push_str(&logs::logs(client, &namespace, &pod.name_any(), &params).await.unwrap_or_default());
    }
    all
}

/// The Deployment and the Service of a Gateway are made by istiod. What it could not make it says in its log alone: the
/// Gateway's own condition only knows that there is no Service (seen with Istio 1.30 and 1.31).
fn given_up(object: &DynamicObject, log: &str) -> Option<Sign> {
    let gateway = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    let words = format!("error handling {gateway}, and retry budget exceeded: ");
    let (_, why) = log.lines().rev().find_map(|line| line.split_once(&words))?;
    let why = why.split('\t').next().unwrap_or(why);
    Some(Sign {
        about: format!("Gateway {gateway}"),
        why: format!("istiod gave up making what serves it: {why}"),
        next: "change what the Gateway, its annotations or its class put into that Deployment",
        is_final: false,
        more: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn container(reason: &str, restarts: i32) -> Vec<Sign> {
        let status = json!({"name": "spire-server", "ready": false, "restartCount": restarts, "image": "a/b:1",
            "imageID": "", "state": {"waiting": {"reason": reason, "message": "so it is"}},
            "lastState": {"terminated": {"exitCode": 1}}});
        let pod = json!({"metadata": {"name": "s-0", "namespace": "spire"}, "status": {"containerStatuses": [status]}});
        of_pod(&from_value(pod).unwrap())
    }

    #[test]
    fn what_may_still_come_is_no_sign() {
        let quota = json!({"type": "ReplicaFailure", "status": "False"});
        assert_eq!(
            of_deployment(&from_value(json!({"metadata": {}, "status": {"conditions": [quota]}})).unwrap()),
            None
        );
        for (reason, restarts) in [("ContainerCreating", 0), ("PodInitializing", 9), ("CrashLoopBackOff", 2)]
        {
            assert_eq!(container(reason, restarts), [], "{reason}");
        }
        let gateway = |status: &str| {
            let accepted = json!({"type": "Accepted", "status": status, "message": "Waiting for controller"});
            from_value(
                json!({"metadata": {"name": "g", "namespace": "n"}, "spec": {"gatewayClassName": "other"},
                "status": {"conditions": [accepted]}}),
            )
            .unwrap()
        };
        assert_eq!(of_gateway(&gateway("True")), None);
        let sign = of_gateway(&gateway("Unknown")).unwrap();
        assert_eq!(
            (sign.about.as_str(), sign.why.as_str()),
            (
                "Gateway n/g",
                "it has no address, for Accepted is Unknown (class other): Waiting for controller"
            )
        );
    }

    #[test]
    fn what_istiod_could_not_make_is_said_of_the_gateway_that_waits_for_it() {
        let gateway = |programmed: &str| -> DynamicObject {
            let conditions =
                json!([{"type": "Accepted", "status": "True"}, {"type": "Programmed", "status": programmed}]);
            from_value(
                json!({"metadata": {"name": "g", "namespace": "n"}, "status": {"conditions": conditions}}),
            )
            .unwrap()
        };
        assert!(is_unserved(&gateway("False")) && !is_unserved(&gateway("True")));
        let log = "t\terror\tcontrollers\terror handling n/g, retrying (retry count: 4): apply failed: early\tcontroller=x\n\
                   t\terror\tcontrollers\terror handling n/g, and retry budget exceeded: apply failed: may not\tcontroller=x\n\
                   t\terror\tcontrollers\terror handling n/other, and retry budget exceeded: apply failed: other\tcontroller=x";
        let sign = given_up(&gateway("False"), log).unwrap();
        let why = "istiod gave up making what serves it: apply failed: may not";
        assert_eq!((sign.about.as_str(), sign.why.as_str()), ("Gateway n/g", why));
        assert_eq!(given_up(&gateway("False"), log.lines().next().unwrap()), None);
    }

    #[test]
    fn an_image_that_is_not_there_and_a_container_that_ends_again_and_again_are_told_apart() {
        let image = container("ErrImageNeverPull", 0);
        assert_eq!(image[0].about, "pod spire/s-0, container spire-server");
        assert_eq!(image[0].why, "spire-server has no image, a/b:1: ErrImageNeverPull: so it is");
        assert!(!image[0].is_final);
        let crashed = container("CrashLoopBackOff", 3);
        assert_eq!(crashed[0].why, "spire-server was restarted 3 times, and ended each time, with 1 at last");
        assert!(crashed[0].is_final);
    }

    #[test]
    fn a_refusal_is_its_own_sets_and_the_latest() {
        let event = |name: &str, at: &str, message: &str| -> Event {
            from_value(json!({"metadata": {}, "involvedObject": {"kind": "DaemonSet", "name": name, "namespace": "spire"},
                "message": message, "lastTimestamp": at})).unwrap()
        };
        let events = [
            event("agent", "2026-11-26T12:00:01Z", "denied: late"),
            event("agent", "2026-11-26T12:00:00Z", "denied: early"),
            event("csi", "2026-11-26T12:00:02Z", "other"),
        ];
        let sign = of_set(&("DaemonSet", "spire".into(), "agent".into()), &events).unwrap();
        assert_eq!(
            (sign.about.as_str(), sign.why.as_str()),
            ("DaemonSet spire/agent", "no pod can be made: denied: late")
        );
        assert_eq!(of_set(&("StatefulSet", "spire".into(), "agent".into()), &events), None);
    }
}
