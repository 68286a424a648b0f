//! What makes each cause true for real: the table of faults.

use serde_json::{Value, json};

use super::change::{Change, Held, Remote, Second};
use proof::topology::Cluster;

/// The changes that make a fault of the first cluster, with its peer's data in hand.
pub type Fault = fn(&Cluster) -> Vec<Change>;

/// By the name of the cause, in the order of the table of causes. Not here: `clock-skew`, for all nodes of a machine have its
/// one clock, and `authority-expired`, for a SPIRE server renews in time whatever it was told: only one that cannot keep a new
/// key for as long as its authority lives would get there, and nothing that it signed since could be put back.
pub const FAULTS: [(&str, Fault); 48] = [
    ("image-missing", |_| {
        let container = json!({ "name": "curl", "image": "localhost:1/nobody/curl:1" });
        curl(json!({}), json!({ "containers": [container] }))
    }),
    ("container-crashes", |_| {
        let conf = config("spire", "spire-agent");
        let metadata = json!({ "annotations": { "tampered": "yes" } });
        let again = json!({ "spec": { "template": { "metadata": metadata } } });
        vec![
            Change::Text(conf, "agent.conf", |text| text.replace("\"INFO\"", "\"NOISE\"")),
            Change::Merge(workload("DaemonSet", "spire", "spire-agent"), again),
        ]
    }),
    ("spire-server-down", |_| vec![scaled("StatefulSet", "spire", "spire-server")]),
    ("class-filter-skips-resource", |peer| relationship(peer, json!({ "className": "other" }))),
    ("relationship-missing", |peer| {
        let mut changes = manager(|text| format!("{text}\nreconcile: {{ clusterSPIFFEIDs: true }}\n"));
        changes.push(Change::Relationship(peer.trust_domain.clone()));
        changes
    }),
    ("peer-bundle-missing", |_| vec![Change::Bundle(Held::Nothing)]),
    ("start-bundle-edit-ignored", |_| vec![Change::Bundle(Held::Own)]),
    // With its own keys for the peer's it believes no answer of the peer's endpoint, so nothing brings the right ones.
    ("peer-bundle-stale", |peer| {
        let mut changes = relationship(peer, json!({ "trustDomainBundle": null }));
        changes.push(Change::Bundle(Held::Own));
        changes
    }),
    ("bundle-endpoint-wrong-identity", |peer| {
        let id = format!("spiffe://{}/spire/bundles", peer.trust_domain);
        relationship(peer, json!({ "bundleEndpointProfile": { "endpointSPIFFEID": id } }))
    }),
    ("bundle-endpoint-silent", |peer| {
        relationship(peer, json!({ "bundleEndpointURL": "https://127.0.0.1:9443" }))
    }),
    ("identity-template-fails", |_| {
        identity(json!({ "spiffeIDTemplate": "spiffe://{{ .TrustDomain }}/{{ .Nothing }}" }))
    }),
    ("federates-with-unknown-domain", |_| identity(json!({ "federatesWith": ["nobody.example"] }))),
    ("entry-refused", |_| identity(json!({ "dnsNameTemplates": ["{{ .PodMeta.Name }}..empty-label"] }))),
    ("pod-not-selected", |_| identity(json!({ "podSelector": { "matchLabels": { "app": "nobody" } } }))),
    ("entry-missing", |_| {
        let edit = |text: &str| format!("{text}\nreconcile: {{ clusterFederatedTrustDomains: true }}\n");
        [manager(edit), again()].concat()
    }),
    ("entry-doubled", |_| vec![Change::Entry(Second::OfTheSame)]),
    ("entry-without-federation", |_| identity(json!({ "federatesWith": [] }))),
    ("agent-down", |_| vec![nowhere("spire-agent")]),
    ("agent-without-pod-attestor", |_| {
        let edit = |text: &str| {
            let begin = text.find("WorkloadAttestor").unwrap_or(text.len());
            let (before, line) = text.split_at(begin);
            let rest = line.split_once('\n').map_or("", |(_, rest)| rest);
            format!("{before}WorkloadAttestor \"unix\" {{ plugin_data {{}} }}\n{rest}")
        };
        [agent(edit), again()].concat()
    }),
    ("wrong-sds-names", |_| agent(|text| text.replace("default_bundle_name = \"null\" ", ""))),
    ("csi-driver-down", |_| vec![nowhere("spiffe-csi-driver")]),
    ("csi-volume-not-read-only", |_| {
        let volume =
            json!({ "name": "workload-socket", "csi": { "driver": "csi.spiffe.io", "readOnly": false } });
        curl(json!({ "annotations": { TEMPLATES: "sidecar" } }), json!({ "volumes": [volume] }))
    }),
    ("socket-misnamed", |_| {
        let told = "proxyMetadata: { WORKLOAD_IDENTITY_SOCKET_FILE: other.sock }";
        curl(json!({ "annotations": { "proxy.istio.io/config": told } }), json!({}))
    }),
    ("socket-folder-differs", |_| {
        let mut changes =
            vec![Change::Volume("spiffe-csi-driver", "socket", json!({ "path": "/run/other" }))];
        changes.extend(again());
        changes
    }),
    ("container-doubled", |_| templates("sidecar,spire-documented")),
    ("template-refused", |_| templates("sidecar,nope")),
    ("pod-refused", |_| {
        let quota = json!({ "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": { "name": "tampered", "namespace": "istio-test" }, "spec": { "hard": { "pods": "1" } } });
        [vec![Change::Make(quota)], again()].concat()
    }),
    ("sidecar-not-injected", |_| {
        let home = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "istio-test" } });
        let none = json!({ "metadata": { "labels": { "istio-injection": null } } });
        [vec![Change::Merge(home, none)], again()].concat()
    }),
    ("outside-discovery-selectors", |_| {
        mesh(|text| {
            format!(
                "{text}\ndiscoverySelectors:\n- matchLabels: {{ kubernetes.io/metadata.name: istio-system }}\n"
            )
        })
    }),
    ("socket-not-mounted", |_| templates("sidecar")),
    // Beside the agent's folder as people mounted it before the CSI driver: Istio binds its own socket where SPIRE's is
    // missing, if it may.
    ("istiod-issued-certificate", |_| {
        let folder =
            json!({ "name": "workload-socket", "hostPath": { "path": SOCKETS, "type": "Directory" } });
        let mut changes = vec![Change::OnNode(ABSENT, "chmod 755 /run/spire/agent-sockets")];
        changes
            .extend(curl(json!({ "annotations": { TEMPLATES: "sidecar" } }), json!({ "volumes": [folder] })));
        changes.push(Change::Stands(workload("Deployment", "istio-test", "curl")));
        changes.push(Change::Restart(workload("DaemonSet", "spire", "spire-agent")));
        changes
    }),
    ("trust-of-proxy-incomplete", |_| {
        let edit = |text: &str| text.replace("sds { ", "sds { disable_spiffe_cert_validation = true ");
        [agent(edit), again()].concat()
    }),
    // An entry below another agent than that of the pod's node: every selector is right.
    ("proxy-without-certificate", |_| {
        let edit = |text: &str| format!("{text}\nreconcile: {{ clusterFederatedTrustDomains: true }}\n");
        let labelled = curl(json!({ "labels": { "tampered": "yes" } }), json!({}));
        [manager(edit), vec![Change::Entry(Second::OfAnotherNode)], labelled].concat()
    }),
    ("istiod-down", |_| vec![scaled("Deployment", "istio-system", "istiod")]),
    ("remote-secret-missing", |peer| vec![Change::Remove(remote_secret(peer))]),
    ("remote-secret-expired", |peer| vec![Change::Remote(remote_secret(peer), Remote::Token)]),
    ("remote-secret-without-rights", |peer| vec![Change::Remote(remote_secret(peer), Remote::Account)]),
    ("remote-secret-unreachable", |peer| vec![Change::Remote(remote_secret(peer), Remote::Url)]),
    ("gateway-without-network-label", |_| {
        gateway(json!({ "metadata": { "labels": { "topology.istio.io/network": null } } }))
    }),
    ("listener-without-auto-passthrough", |_| {
        gateway(
            json!({ "spec": { "listeners": [{ "name": "cross-network", "port": 15443, "protocol": "TCP" }] } }),
        )
    }),
    ("gateway-without-address", |_| {
        let service = json!({ "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "east-west-istio", "namespace": "istio-system" } });
        vec![Change::Status(service, json!({ "status": { "loadBalancer": { "ingress": null } } }))]
    }),
    ("gateway-without-endpoint", |_| vec![scaled("Deployment", "istio-system", "east-west-istio")]),
    ("trust-domain-of-mesh-differs", |_| {
        mesh(|text| with_line(text, "trustDomain: ", "trustDomain: other.example"))
    }),
    ("trust-domain-not-accepted", |_| {
        // The last of its lines, as istioctl writes it.
        mesh(|text| text.split("trustDomainAliases:").next().unwrap_or_default().to_owned())
    }),
    ("access-log-off", |_| mesh(|text| with_line(text, "accessLogFile: ", "accessLogFile: \"\""))),
    ("locality-keeps-traffic", |_| {
        let rule = json!({ "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": { "name": "tampered", "namespace": "istio-test" },
            "spec": { "host": "helloworld.istio-test.svc.cluster.local", "trafficPolicy": {
                "outlierDetection": { "consecutive5xxErrors": 5, "interval": "10s", "baseEjectionTime": "30s" } } } });
        let place = json!({ "spec": { "template": { "metadata": { "labels": { "istio-locality": "here.rack1" } } } } });
        let of = |name| workload("Deployment", "istio-test", name);
        let moved = ["curl", "helloworld"].map(|name| Change::Merge(of(name), place.clone()));
        let stand = ["curl", "helloworld"].map(|name| Change::Stands(of(name)));
        [vec![Change::Make(rule)], moved.into(), stand.into()].concat()
    }),
    ("destination-rule-without-mtls", |_| {
        vec![Change::Make(json!({ "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": { "name": "tampered", "namespace": "istio-test" },
            "spec": { "host": "helloworld.istio-test.svc.cluster.local", "trafficPolicy": { "tls": { "mode": "DISABLE" } } } }))]
    }),
    ("policy-without-mtls", |_| {
        let policy = json!({ "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": { "name": "strict", "namespace": "istio-test" } });
        vec![Change::Merge(policy, json!({ "spec": { "mtls": { "mode": "DISABLE" } } }))]
    }),
];

const TEMPLATES: &str = "inject.istio.io/templates";
/// The node's folder in which the SPIRE agent has its socket.
const SOCKETS: &str = "/run/spire/agent-sockets";
/// No socket of SPIRE's, in a folder in which Istio's user may make one.
const ABSENT: &str = "rm /run/spire/agent-sockets/socket && chmod 777 /run/spire/agent-sockets";

fn relationship(peer: &Cluster, spec: Value) -> Vec<Change> {
    let object = json!({ "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterFederatedTrustDomain",
        "metadata": { "name": peer.name } });
    vec![Change::Merge(object, json!({ "spec": spec }))]
}

fn identity(spec: Value) -> Vec<Change> {
    let object = json!({ "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterSPIFFEID",
        "metadata": { "name": "istio-test" } });
    vec![Change::Merge(object, json!({ "spec": spec }))]
}

fn workload(kind: &str, namespace: &str, name: &str) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name, "namespace": namespace } })
}

fn config(namespace: &str, name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": namespace } })
}

fn scaled(kind: &str, namespace: &str, name: &str) -> Change {
    Change::Merge(workload(kind, namespace, name), json!({ "spec": { "replicas": 0 } }))
}

/// A DaemonSet of SPIRE's that no node is selected for.
fn nowhere(name: &str) -> Change {
    let none = json!({ "spec": { "template": { "spec": { "nodeSelector": { "tampered": "yes" } } } } });
    Change::Merge(workload("DaemonSet", "spire", name), none)
}

fn curl(metadata: Value, spec: Value) -> Vec<Change> {
    let template = json!({ "spec": { "template": { "metadata": metadata, "spec": spec } } });
    vec![Change::Merge(workload("Deployment", "istio-test", "curl"), template)]
}

/// A new pod of curl.
fn again() -> Vec<Change> {
    curl(json!({ "annotations": { "tampered": "yes" } }), json!({}))
}

fn templates(names: &str) -> Vec<Change> {
    curl(json!({ "annotations": { TEMPLATES: names } }), json!({}))
}

/// The SPIRE agent with another configuration.
fn agent(edit: fn(&str) -> String) -> Vec<Change> {
    vec![
        Change::Text(config("spire", "spire-agent"), "agent.conf", edit),
        Change::Restart(workload("DaemonSet", "spire", "spire-agent")),
    ]
}

/// A controller manager whose configuration leaves some kinds of resources alone.
fn manager(edit: fn(&str) -> String) -> Vec<Change> {
    vec![
        Change::Text(config("spire", "spire-server"), "manager.yaml", edit),
        Change::Restart(workload("StatefulSet", "spire", "spire-server")),
    ]
}

/// The text with another line for the one that begins so; only the outermost level of a YAML text begins a line.
fn with_line(text: &str, begin: &str, other: &str) -> String {
    let lines = text.lines().map(|line| if line.starts_with(begin) { other } else { line });
    lines.map(|line| format!("{line}\n")).collect()
}

fn mesh(edit: fn(&str) -> String) -> Vec<Change> {
    vec![Change::Text(config("istio-system", "istio"), "mesh", edit)]
}

fn remote_secret(peer: &Cluster) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": format!("istio-remote-secret-{}", peer.name), "namespace": "istio-system" } })
}

fn gateway(patch: Value) -> Vec<Change> {
    let object = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "name": "east-west", "namespace": "istio-system" } });
    vec![Change::Merge(object, patch)]
}
