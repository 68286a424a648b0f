//! Why a pod is not ready: the most telling of all the things that its status says.
//!
//! A pod whose sidecar cannot start says a dozen things at once, most of them consequences ("PodInitializing").
//! What is told is the first container with a trouble of its own; what merely waits for others comes last.

use k8s_openapi::api::core::v1::{Container, ContainerState, ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt as _;

use super::conditions::{Standing, said};

/// Whether the pod is ready and not on its way out.
pub fn pod(object: &Pod) -> Standing {
    match trouble(object) {
        None => Standing::Ready,
        Some(trouble) => Standing::Not(trouble.why),
    }
}

/// How much a reason explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// It waits for something else.
    Waits,
    /// It works, and is not done.
    Works,
    /// It is broken.
    Broken,
}

/// What keeps a pod from being ready.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) weight: Weight,
    pub(super) why: String,
    /// The container that ended with an error before, whose last words may say more.
    pub(super) crashed: Option<String>,
}

impl Trouble {
    fn new(weight: Weight, why: impl Into<String>) -> Self {
        Self { weight, why: why.into(), crashed: None }
    }
}

pub(super) fn trouble(object: &Pod) -> Option<Trouble> {
    use Weight::{Broken, Waits};
    let status = object.status.clone().unwrap_or_default();
    let condition = |kind: &str| status.conditions.iter().flatten().find(|c| c.type_ == kind);
    if object.metadata.deletion_timestamp.is_some() {
        return Some(Trouble::new(Waits, "it is being deleted"));
    }
    if condition("Ready").is_some_and(|c| c.status == "True") {
        return None;
    }
    if let Some(unplaced) = condition("PodScheduled").filter(|c| c.status != "True") {
        return Some(Trouble::new(Broken, said("no node takes it", unplaced.message.as_deref())));
    }
    let mut troubles = containers(object);
    // The first of the weightiest: init containers run in order, so an earlier one explains a later one.
    troubles.sort_by_key(|t| std::cmp::Reverse(t.weight));
    let worst = troubles.into_iter().next();
    match status.phase.as_deref() {
        Some("Failed") if worst.as_ref().is_none_or(|t| t.weight != Broken) => {
            let message = status.message.or(status.reason);
            Some(Trouble::new(Broken, said("it has failed", message.as_deref())))
        }
        Some("Succeeded") => Some(Trouble::new(Broken, "it has ended")),
        _ if worst.is_some() => worst,
        // All containers are ready and the pod is not: a readiness gate, or a status on its way.
        _ => Some(Trouble::new(
            Waits,
            said("not ready", condition("Ready").and_then(|c| c.message.as_deref())),
        )),
    }
}

/// The troubles of all containers: init containers in their order, then the others.
fn containers(object: &Pod) -> Vec<Trouble> {
    let Some(spec) = &object.spec else { return Vec::new() };
    let status = object.status.clone().unwrap_or_default();
    let (init, main) =
        (status.init_container_statuses.unwrap_or_default(), status.container_statuses.unwrap_or_default());
    let inits = spec.init_containers.iter().flatten().map(|c| (c, &init, is_sidecar(c)));
    let mains = spec.containers.iter().map(|c| (c, &main, true));
    inits
        .chain(mains)
        .filter_map(|(container, statuses, stays)| {
            let status = statuses.iter().find(|s| s.name == container.name);
            one(&container.name, status, stays)
        })
        .collect()
}

/// A native sidecar is an init container that stays.
fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn one(name: &str, status: Option<&ContainerStatus>, stays: bool) -> Option<Trouble> {
    let Some(status) = status else {
        return Some(Trouble::new(Weight::Waits, format!("{name} has not been looked at yet")));
    };
    let state = status.state.clone().unwrap_or_default();
    let before = status.last_state.as_ref().and_then(|s| s.terminated.as_ref());
    match state {
        ContainerState { waiting: Some(waiting), .. } => {
            let reason = waiting.reason.unwrap_or_default();
            let waits = matches!(reason.as_str(), "" | "PodInitializing" | "ContainerCreating");
            let mut why = said(&format!("{name} waiting: {reason}"), waiting.message.as_deref());
            if let Some(before) = before {
                why = format!("{why}; before that it {}", ended(before));
            }
            let weight = if waits { Weight::Waits } else { Weight::Broken };
            Some(Trouble { weight, why, crashed: before.map(|_| name.to_owned()) })
        }
        ContainerState { terminated: Some(end), .. } if stays || end.exit_code != 0 => Some(Trouble {
            weight: Weight::Broken,
            why: format!("{name} {}", ended(&end)),
            crashed: (end.exit_code != 0).then(|| name.to_owned()),
        }),
        ContainerState { terminated: Some(_), .. } => None,
        _ if stays && status.ready => None,
        _ => {
            let doing = match (stays, status.started) {
                (false, _) => "is still running",
                (true, Some(true)) => "runs and is not ready",
                (true, _) => "runs and has not started up",
            };
            let mut trouble = Trouble::new(Weight::Works, format!("{name} {doing}"));
            if let Some(before) = before.filter(|b| b.exit_code != 0) {
                let times = status.restart_count;
                trouble.why = format!("{} (restarted {times} times; it {})", trouble.why, ended(before));
                trouble.crashed = Some(name.to_owned());
            }
            Some(trouble)
        }
    }
}

fn ended(end: &ContainerStateTerminated) -> String {
    let reason = end.reason.as_deref().unwrap_or("no reason given");
    said(&format!("ended with {} ({reason})", end.exit_code), end.message.as_deref())
}

/// "curl-7d (istio-proxy waiting: PodInitializing)": the line in which many pods are told apart.
pub(super) fn line(object: &Pod, trouble: &Trouble) -> String {
    format!("{}: {}", object.name_any(), trouble.why)
}
