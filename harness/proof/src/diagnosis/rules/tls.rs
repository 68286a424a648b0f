//! What takes mutual TLS off between sidecars.

use serde_json::Value;

use crate::diagnosis::objects::{Scene, list, namespace, proxy, shown, text};
use crate::diagnosis::rule::{Found, Judged, Judging, Rule};
use crate::diagnosis::seen::Unread;

const POLICIES: &str = "peerauthentications.security.istio.io";

pub const CAUSES: &[Rule] = &[
    Rule {
        name: "destination-rule-without-mtls",
        sentence: "a DestinationRule makes clients speak something else than Istio's mutual TLS to workloads that take nothing else",
        next: "kubectl edit {object} in {cluster}: no tls, or mode: ISTIO_MUTUAL",
        source: "cases, tried for real: plain requests; istio#29032",
        explains: &[],
        judge: destination_rule,
    },
    Rule {
        name: "policy-without-mtls",
        sentence: "a PeerAuthentication takes mutual TLS off, so nothing of the mesh gets in from another network",
        next: "kubectl edit {object} in {cluster}: mode STRICT or PERMISSIVE",
        source: "checklist S4-16",
        explains: &[],
        judge: policy,
    },
];

/// Modes of a traffic policy that are not Istio's mutual TLS.
fn other_modes(policy: &Value) -> Vec<&str> {
    let ports = list(policy, "/portLevelSettings").iter().filter_map(|one| text(one, "/tls/mode"));
    let modes = text(policy, "/tls/mode").into_iter().chain(ports);
    modes.filter(|mode| *mode != "ISTIO_MUTUAL").collect()
}

/// The namespace of the Service that a rule's host names, if it is one of this cluster.
fn home_of_host<'a>(scene: &Scene<'a>, rule: &'a Value) -> Result<Option<&'a str>, Unread> {
    let mut parts = text(rule, "/spec/host").unwrap_or_default().splitn(3, '.');
    let service = parts.next().unwrap_or_default();
    let home = parts.next().unwrap_or_else(|| namespace(rule));
    let services = scene.objects("services")?;
    let there =
        |o: &Value| namespace(o) == home && (service == "*" || crate::diagnosis::objects::name(o) == service);
    Ok(services.iter().any(there).then_some(home))
}

/// Whether workloads of a namespace take nothing but mutual TLS.
fn is_strict(scene: &Scene<'_>, home: &str) -> Result<bool, Unread> {
    let root = text(scene.here.mesh.get()?, "/rootNamespace").unwrap_or("istio-system");
    let policies = scene.objects(POLICIES)?;
    let of = |ns: &str| {
        let whole = |o: &&Value| namespace(o) == ns && o.pointer("/spec/selector").is_none();
        policies.iter().filter(whole).find_map(|o| text(o, "/spec/mtls/mode").filter(|mode| *mode != "UNSET"))
    };
    Ok(of(home).or_else(|| of(root)) == Some("STRICT"))
}

fn destination_rule(scene: &Scene<'_>) -> Judging {
    let all = scene.objects("destinationrules.networking.istio.io")?;
    let mut found = Vec::new();
    for rule in all {
        let subsets = list(rule, "/spec/subsets").iter().filter_map(|subset| subset.get("trafficPolicy"));
        let policies = rule.pointer("/spec/trafficPolicy").into_iter().chain(subsets);
        let modes: Vec<_> = policies.flat_map(other_modes).collect();
        let Some(home) = home_of_host(scene, rule)?.filter(|_| !modes.is_empty()) else { continue };
        if is_strict(scene, home)? {
            let host = text(rule, "/spec/host").unwrap_or_default();
            let seen = format!("tls.mode {} for {host}, whose workloads are STRICT", modes.join(", "));
            found.push(Found::at(shown("DestinationRule", rule), seen));
        }
    }
    Ok(Judged::of(found, format!("{} DestinationRules leave mutual TLS to STRICT workloads", all.len())))
}

fn policy(scene: &Scene<'_>) -> Judging {
    let all = scene.objects(POLICIES)?;
    let federated = !scene.told_to_trust()?.is_empty();
    let homes: Vec<_> = scene.pods()?.into_iter().filter(|pod| proxy(pod).is_some()).map(namespace).collect();
    let root = text(scene.here.mesh.get()?, "/rootNamespace").unwrap_or("istio-system");
    let off = |o: &&Value| {
        let ports = o.pointer("/spec/portLevelMtls").and_then(Value::as_object);
        let mut ports = ports.into_iter().flatten().filter_map(|(_, port)| text(port, "/mode"));
        text(o, "/spec/mtls/mode") == Some("DISABLE") || ports.any(|mode| mode == "DISABLE")
    };
    let here = |o: &&Value| homes.contains(&namespace(o)) || namespace(o) == root;
    let found = all.iter().filter(off).filter(here).filter(|_| federated);
    let found = found.map(|o| {
        Found::at(shown("PeerAuthentication", o), "its mode is DISABLE, and this cluster is federated")
    });
    Ok(Judged::of(
        found.collect(),
        format!("{} PeerAuthentications leave mutual TLS on, or nothing is federated", all.len()),
    ))
}
