//! From a workload to a pod with a sidecar.

use serde_json::Value;

use crate::diagnosis::objects::{Scene, annotation, label, list, namespace, proxy, selects, shown, text};
use crate::diagnosis::rule::{Found, Judged, Judging, Rule};
use crate::diagnosis::seen::Unread;

pub const CAUSES: &[Rule] = &[
    Rule {
        name: "container-doubled",
        sentence: "a template adds a second container istio-proxy, because the sidecar is an init container: the API server refuses the pod",
        next: "in {cluster} leave the volume alone in the template, or sidecar.istio.io/nativeSidecar: \"false\" on {object}",
        source: "checklist S4-40; facts/mesh.md 4",
        explains: &[],
        judge: doubled,
    },
    Rule {
        name: "template-refused",
        sentence: "the injector knows no template of the name that a pod asks for, so the pod is not made",
        next: "kubectl describe {object} in {cluster}: compare inject.istio.io/templates with the injector's templates",
        source: "checklist S4-36",
        explains: &[],
        judge: template_refused,
    },
    Rule {
        name: "pod-refused",
        sentence: "the API server or a webhook refuses the pods of a workload",
        next: "kubectl describe {object} in {cluster}",
        source: "checklist S4-41",
        explains: &[],
        judge: pod_refused,
    },
    Rule {
        name: "sidecar-not-injected",
        sentence: "a pod that should have a sidecar has none: it was made while the injector was not asked",
        next: "kubectl describe mutatingwebhookconfigurations in {cluster}; then delete {object}, which is made anew",
        source: "checklist S4-16, S3-5",
        explains: &[],
        judge: not_injected,
    },
    Rule {
        name: "outside-discovery-selectors",
        sentence: "a namespace with mesh workloads is outside istiod's discoverySelectors, so istiod knows nothing of it",
        next: "a label on {object} in {cluster} that meshConfig.discoverySelectors select, or no selectors",
        source: "case 20; istio#56574, istio#48306",
        explains: &["gateway-without-address"],
        judge: outside_selectors,
    },
];

/// Deployments whose pods are refused, with the words.
fn refused<'a>(scene: &Scene<'a>) -> Result<Vec<(&'a Value, &'a str)>, Unread> {
    let words = |o: &'a Value| {
        let conditions = list(o, "/status/conditions").iter();
        let failed = conditions
            .filter(|c| text(c, "/type") == Some("ReplicaFailure") && text(c, "/status") == Some("True"));
        failed.filter_map(|c| text(c, "/message")).next()
    };
    Ok(scene.objects("deployments.apps")?.iter().filter_map(|o| Some((o, words(o)?))).collect())
}

fn is_doubled(words: &str) -> bool {
    words.contains("Duplicate value") && words.contains("istio-proxy")
}

fn is_template(words: &str) -> bool {
    words.contains("template") && words.contains("not found")
}

fn of_refused(scene: &Scene<'_>, is: impl Fn(&str) -> bool) -> Judging {
    let refused = refused(scene)?;
    let found = refused.iter().filter(|(_, words)| is(words));
    let found = found.map(|(o, words)| Found::at(shown("Deployment", o), *words));
    let all = scene.objects("deployments.apps")?.len();
    Ok(Judged::of(
        found.collect(),
        format!("{all} Deployments, {} with pods that are refused", refused.len()),
    ))
}

fn doubled(scene: &Scene<'_>) -> Judging {
    of_refused(scene, is_doubled)
}

fn template_refused(scene: &Scene<'_>) -> Judging {
    of_refused(scene, |words| is_template(words) && !is_doubled(words))
}

fn pod_refused(scene: &Scene<'_>) -> Judging {
    of_refused(scene, |words| !is_template(words) && !is_doubled(words))
}

/// Whether Istio's injector should have been asked for this pod, and would not have refused.
fn should_have_one(pod: &Value, home: &Value) -> bool {
    const INJECT: &str = "sidecar.istio.io/inject";
    let own = label(pod, INJECT).or_else(|| annotation(pod, INJECT));
    let on_host = pod.pointer("/spec/hostNetwork").and_then(Value::as_bool).unwrap_or(false);
    let enabled = label(home, "istio-injection") == Some("enabled")
        || label(home, "istio-injection").is_none() && label(home, "istio.io/rev").is_some();
    !on_host
        && match own {
            Some(own) => own == "true",
            // It names templates for nobody but the injector.
            None => enabled || annotation(pod, "inject.istio.io/templates").is_some(),
        }
}

fn not_injected(scene: &Scene<'_>) -> Judging {
    let (mut found, mut looked) = (Vec::new(), 0);
    for pod in scene.pods()? {
        let Some(home) = scene.namespace(namespace(pod))? else { continue };
        if !should_have_one(pod, home) {
            continue;
        }
        looked += 1;
        if proxy(pod).is_none() {
            let told = match annotation(pod, "inject.istio.io/templates") {
                Some(templates) => format!("it asks for the templates `{templates}`"),
                None => format!("its namespace {} is one with injection", namespace(pod)),
            };
            found.push(Found::at(shown("Pod", pod), format!("{told}, and it has no container istio-proxy")));
        }
    }
    Ok(Judged::of(found, format!("{looked} pods that should have a sidecar have one")))
}

fn outside_selectors(scene: &Scene<'_>) -> Judging {
    let mesh = scene.here.mesh.get()?;
    let selectors = list(mesh, "/discoverySelectors");
    let mut homes: Vec<_> =
        scene.pods()?.into_iter().filter(|pod| proxy(pod).is_some()).map(namespace).collect();
    homes.sort_unstable();
    homes.dedup();
    let mut found = Vec::new();
    for home in &homes {
        let Some(object) = scene.namespace(home)? else { continue };
        if !selectors.is_empty() && !selectors.iter().any(|selector| selects(Some(selector), object)) {
            let seen = format!(
                "it has pods with sidecars, and none of {} discoverySelectors selects it",
                selectors.len()
            );
            found.push(Found::at(shown("Namespace", object), seen));
        }
    }
    Ok(Judged::of(
        found,
        format!("{} discoverySelectors, {} namespaces with sidecars", selectors.len(), homes.len()),
    ))
}
