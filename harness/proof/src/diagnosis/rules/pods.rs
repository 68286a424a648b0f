//! Pods that never get to do what they are for, whatever they are: no image, or an end instead of work.

use serde_json::Value;

use crate::diagnosis::objects::{Scene, list, number, shown, text};
use crate::diagnosis::rule::{Found, Judged, Judging, Rule};

pub const CAUSES: &[Rule] = &[
    Rule {
        name: "image-missing",
        sentence: "a container's image is neither on the node nor to be had, so its pod never starts",
        next: "kubectl describe {object} in {cluster}: the image's name, and who may pull it",
        source: "issue 13, point 6; seen since",
        explains: DOWN,
        judge: image_missing,
    },
    Rule {
        name: "container-crashes",
        sentence: "a container ends again and again instead of doing its work",
        next: "kubectl logs --previous of {object} in {cluster}: its last words, beside its configuration",
        source: "issue 13, point 6; seen since",
        explains: DOWN,
        judge: crashes,
    },
];

/// What a pod that never works is for the rest of the mesh, whichever it is.
const DOWN: &[&str] = &[
    "spire-server-down",
    "agent-down",
    "csi-driver-down",
    "istiod-down",
    "gateway-without-endpoint",
    "proxy-without-certificate",
];
/// Once may be a race with what it needs.
const ENDS: u64 = 2;

/// Whether a container waits for that reason because its image is not to be had (`pkg/kubelet/images/types.go`).
pub fn lacks_its_image(reason: &str) -> bool {
    matches!(reason, "ErrImageNeverPull" | "InvalidImageName" | "ErrImagePull" | "ImagePullBackOff")
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"].into_iter().flat_map(|at| list(pod, at))
}

fn image_missing(scene: &Scene<'_>) -> Judging {
    let missing = |container: &&Value| text(container, "/state/waiting/reason").is_some_and(lacks_its_image);
    let pods = scene.pods()?;
    let found = pods.iter().flat_map(|pod| containers(pod).filter(missing).map(move |one| (pod, one)));
    let found = found.map(|(pod, one)| {
        let of = |pointer: &str| text(one, pointer).unwrap_or_default();
        let seen = format!("{} has no image {}: {}", of("/name"), of("/image"), of("/state/waiting/reason"));
        Found::at(shown("Pod", pod), seen)
    });
    Ok(Judged::of(found.collect(), format!("{} pods have their images", pods.len())))
}

fn crashes(scene: &Scene<'_>) -> Judging {
    // One that is ready now has got over it.
    let crashes = |one: &&Value| {
        let ended = one.pointer("/lastState/terminated/exitCode").and_then(Value::as_i64);
        let ready = one.get("ready").and_then(Value::as_bool).unwrap_or(false);
        !ready && number(one, "/restartCount") >= ENDS && ended.is_some_and(|code| code != 0)
    };
    let pods = scene.pods()?;
    let found = pods.iter().flat_map(|pod| containers(pod).filter(crashes).map(move |one| (pod, one)));
    let found = found.map(|(pod, one)| {
        let (name, times) = (text(one, "/name").unwrap_or_default(), number(one, "/restartCount"));
        let code = one.pointer("/lastState/terminated/exitCode").and_then(Value::as_i64).unwrap_or_default();
        Found::at(shown("Pod", pod), format!("{name} was restarted {times} times, and ended with {code}"))
    });
    Ok(Judged::of(found.collect(), format!("no container of {} pods ends again and again", pods.len())))
}
