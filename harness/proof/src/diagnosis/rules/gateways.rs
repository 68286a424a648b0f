//! East-west gateways: where networks meet.

use serde_json::Value;

use crate::diagnosis::objects::{
    CROSS_NETWORK, NETWORK, Scene, label, list, name, namespace, number, shown, text,
};
use crate::diagnosis::rule::{Found, Judged, Judging, Rule};
use crate::diagnosis::seen::Unread;

const GATEWAYS: &str = "gateways.gateway.networking.k8s.io";
const MODE: &str = "gateway.istio.io/listener-protocol";

pub const CAUSES: &[Rule] = &[
    Rule {
        name: "gateway-without-network-label",
        sentence: "an east-west gateway has no label topology.istio.io/network, so the other clusters know no way into its network",
        next: "kubectl label {object} topology.istio.io/network=… in {cluster}",
        source: "checklist S4-14; facts/mesh.md 4",
        explains: &["gateway-without-address", "gateway-without-endpoint"],
        judge: without_label,
    },
    Rule {
        name: "listener-without-auto-passthrough",
        sentence: "an east-west gateway's listener at 15443 does not pass mutual TLS through by its SNI, so nothing gets in",
        next: "protocol: TLS and tls.mode: Passthrough for port 15443 of {object} in {cluster}",
        source: "checklist S4-14, S4-29; facts/mesh.md 4",
        explains: &[],
        judge: not_passthrough,
    },
    Rule {
        name: "gateway-without-address",
        sentence: "an east-west gateway has no address that other networks reach",
        next: "kubectl get {object} -o yaml in {cluster}: who takes this class of gateways, and who gives load balancers their addresses there?",
        source: "checklist S4-43",
        explains: &[],
        judge: without_address,
    },
    Rule {
        name: "gateway-without-endpoint",
        sentence: "no pod of an east-west gateway is ready, so nothing gets into its network",
        next: "kubectl get pods behind {object} in {cluster}",
        source: "cases, tried for real: gateway scaled to 0",
        explains: &[],
        judge: without_endpoint,
    },
];

/// Networks whose gateways some istiod was told itself.
fn told<'a>(scene: &Scene<'a>) -> Result<Vec<&'a str>, Unread> {
    let mut all = Vec::new();
    for cluster in &scene.all.clusters {
        let networks = cluster.mesh_networks.get()?.pointer("/networks").and_then(Value::as_object);
        let with = networks.into_iter().flatten().filter(|(_, n)| !list(n, "/gateways").is_empty());
        all.extend(with.map(|(name, _)| name.as_str()));
    }
    Ok(all)
}

fn port(listener: &Value) -> u64 {
    number(listener, "/port")
}

/// As istiod decides it (`IsAutoPassthrough`, `pilot/pkg/serviceregistry/kube/conversion.go`).
fn passes_through(gateway: &Value, listener: &Value) -> bool {
    let Some(tls) = listener.get("tls") else { return false };
    let told = tls.get("options").and_then(|o| o.get(MODE)).and_then(Value::as_str);
    told == Some("auto-passthrough") || label(gateway, NETWORK).is_some() && port(listener) == CROSS_NETWORK
}

fn without_label(scene: &Scene<'_>) -> Judging {
    let told = told(scene)?;
    let meets = |o: &&Value| list(o, "/spec/listeners").iter().any(|l| passes_through(o, l));
    let all: Vec<_> = scene.objects(GATEWAYS)?.iter().filter(meets).collect();
    let mut found = Vec::new();
    for gateway in all.iter().filter(|o| label(o, NETWORK).is_none() && told.is_empty()) {
        found.push(Found::at(
            shown("Gateway", gateway),
            "it has an auto-passthrough listener, no network label, and no meshNetworks names its network",
        ));
    }
    Ok(Judged::of(found, format!("{} east-west gateways say which network they lead to", all.len())))
}

fn not_passthrough(scene: &Scene<'_>) -> Judging {
    let all: Vec<_> = scene.objects(GATEWAYS)?.iter().filter(|o| label(o, NETWORK).is_some()).collect();
    let found = all.iter().filter(|o| !list(o, "/spec/listeners").iter().any(|l| passes_through(o, l)));
    let found = found.map(|gateway| {
        let listeners: Vec<_> = list(gateway, "/spec/listeners")
            .iter()
            .map(|l| {
                let mode = text(l, "/tls/mode").unwrap_or("no TLS mode");
                format!("{} {} with {mode}", port(l), text(l, "/protocol").unwrap_or_default())
            })
            .collect();
        Found::at(shown("Gateway", gateway), format!("its listeners are [{}]", listeners.join(", ")))
    });
    Ok(Judged::of(
        found.collect(),
        format!("{} gateways with a network label have an auto-passthrough listener", all.len()),
    ))
}

/// Services by which other networks reach this one.
fn services<'a>(scene: &Scene<'a>) -> Result<Vec<&'a Value>, Unread> {
    let leads = |o: &&Value| {
        label(o, NETWORK).is_some() && list(o, "/spec/ports").iter().any(|p| port(p) == CROSS_NETWORK)
    };
    Ok(scene.objects("services")?.iter().filter(leads).collect())
}

fn without_address(scene: &Scene<'_>) -> Judging {
    let told = told(scene)?;
    let all = services(scene)?;
    let found = all.iter().filter(|o| {
        let external =
            list(o, "/status/loadBalancer/ingress").is_empty() && list(o, "/spec/externalIPs").is_empty();
        // istiod takes a NodePort's address from the nodes, or from meshNetworks.
        external
            && text(o, "/spec/type") == Some("LoadBalancer")
            && !label(o, NETWORK).is_some_and(|n| told.contains(&n))
    });
    let found = found.map(|o| {
        Found::at(shown("Service", o), "its status has no load balancer's address, and it has no externalIPs")
    });
    let mut found: Vec<_> = found.collect();
    // A Gateway that no controller takes has not even a Service.
    for gateway in scene.objects(GATEWAYS)?.iter().filter(|o| label(o, NETWORK).is_some()) {
        let conditions = list(gateway, "/status/conditions").iter();
        let accepted = conditions.into_iter().find(|one| text(one, "/type") == Some("Accepted"));
        if let Some(refused) = accepted.filter(|one| text(one, "/status") != Some("True")) {
            let class = text(gateway, "/spec/gatewayClassName").unwrap_or_default();
            let words = text(refused, "/message").unwrap_or_default();
            found.push(Found::at(
                shown("Gateway", gateway),
                format!("no controller has accepted it (class {class}): {words}"),
            ));
        }
    }
    Ok(Judged::of(found, format!("{} Services of east-west gateways have an address", all.len())))
}

fn without_endpoint(scene: &Scene<'_>) -> Judging {
    let slices = scene.objects("endpointslices.discovery.k8s.io")?;
    let all = services(scene)?;
    let ready = |service: &Value| {
        let of = slices.iter().filter(|slice| {
            namespace(slice) == namespace(service)
                && label(slice, "kubernetes.io/service-name") == Some(name(service))
        });
        let endpoints = of.flat_map(|slice| list(slice, "/endpoints"));
        endpoints.filter(|e| e.pointer("/conditions/ready").and_then(Value::as_bool) != Some(false)).count()
    };
    let found = all.iter().filter(|o| ready(o) == 0);
    let found = found.map(|o| Found::at(shown("Service", o), "none of its endpoints is ready"));
    Ok(Judged::of(
        found.collect(),
        format!("{} Services of east-west gateways have ready endpoints", all.len()),
    ))
}
