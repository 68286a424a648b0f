//! Kubernetes objects, as `kubectl get -o json` and `-o yaml` print them.

use serde_json::Value;

use super::found::{Found, Told};
use super::words::{domain, own_name};
use crate::evidence::Workload;
use crate::identity::{Authority, Pem, TrustDomain};

/// The port of an east-west gateway that passes mutual TLS through.
const EAST_WEST: u64 = 15443;

/// What the object, or each object of the list, is.
pub fn read(object: &Value) -> Vec<Found> {
    let items = match object["items"].as_array() {
        Some(items) => items.as_slice(),
        None => std::slice::from_ref(object),
    };
    let mut pods = Vec::new();
    let mut found = Vec::new();
    for item in items {
        match item["kind"].as_str().unwrap_or_default() {
            "Pod" => pods.extend(pod(item)),
            kind => found.extend(other(kind, item)),
        }
    }
    if !pods.is_empty() {
        found.push(Found::Pods(pods));
    }
    if found.is_empty() {
        let kind = object["kind"].as_str().unwrap_or("object");
        found.push(Found::Idle(format!("a Kubernetes {kind} with nothing in it")));
    }
    found
}

fn pod(item: &Value) -> Option<Workload> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Workload {
        namespace: text(&item["metadata"]["namespace"])?,
        pod: text(&item["metadata"]["name"])?,
        service_account: text(&item["spec"]["serviceAccountName"])?,
        uid: text(&item["metadata"]["uid"]),
    })
}

fn other(kind: &str, item: &Value) -> Vec<Found> {
    let name = item["metadata"]["name"].as_str().unwrap_or("without a name");
    let object = format!("{kind} {name}");
    match kind {
        "Secret" => vec![Found::Secret(format!("{object}, a Kubernetes Secret"))],
        "Config" if item["users"].is_array() => {
            vec![Found::Secret("a kubeconfig, with its credentials".to_owned())]
        }
        "ConfigMap" => config_map(name, &item["data"]),
        "Service" => {
            service(item).map_or_else(|| vec![idle(&object)], |address| vec![Found::Gateway(address)])
        }
        "ClusterFederatedTrustDomain" => {
            let peers: Vec<_> = item["spec"]["trustDomain"].as_str().and_then(domain).into_iter().collect();
            vec![Found::Wish { object, peers }]
        }
        "ClusterSPIFFEID" | "ClusterStaticEntry" => {
            let named = item["spec"]["federatesWith"].as_array().into_iter().flatten();
            let peers = named.filter_map(Value::as_str).filter_map(domain).collect();
            vec![Found::Wish { object, peers }]
        }
        _ => vec![idle(&object)],
    }
}

fn idle(object: &str) -> Found {
    Found::Idle(format!("{object}, a Kubernetes object that decides no claim"))
}

fn config_map(name: &str, data: &Value) -> Vec<Found> {
    let text = |key: &str| data[key].as_str();
    if let Some(root) = text("root-cert.pem").map(Pem::of).filter(|pem| pem.certificates().is_ok()) {
        return vec![Found::IstiodRoot(root)];
    }
    if let Some(mesh) = text("mesh") {
        return vec![mesh_domain(mesh).map_or_else(|| idle(&format!("ConfigMap {name}")), Found::MeshDomain)];
    }
    // SPIRE's k8sbundle notifier publishes its own bundle, so that agents can begin.
    let bundle = text("bundle.crt").and_then(|text| Authority::all_in(&Pem::of(text)).ok());
    match bundle {
        Some(authorities) => {
            vec![Found::Bundle(Told {
                trust_domain: own_name(&authorities),
                of_peer: false,
                alone: true,
                authorities,
            })]
        }
        None => vec![idle(&format!("ConfigMap {name}"))],
    }
}

/// The trust domain of a mesh configuration: YAML of which one line at the margin is looked for, or JSON.
fn mesh_domain(mesh: &str) -> Option<TrustDomain> {
    let line = mesh.lines().find_map(|line| line.strip_prefix("trustDomain:"));
    line.and_then(|name| domain(name.trim().trim_matches(['"', '\''])))
}

/// `address:15443` of a Service that has the port and an address outside.
fn service(item: &Value) -> Option<String> {
    let ports = item["spec"]["ports"].as_array()?;
    ports.iter().any(|port| port["port"].as_u64() == Some(EAST_WEST)).then_some(())?;
    let address = item["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()?;
    Some(format!("{address}:{EAST_WEST}"))
}
