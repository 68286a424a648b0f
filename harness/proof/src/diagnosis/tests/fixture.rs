//! Two healthy clusters, as small as the causes allow.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::diagnosis::{
    ClusterLook, Look, Observations, ProxyLook, Reader, Relationship, RemoteSecret, Server,
};
use crate::envoy::secrets::{Content, DomainTrust, Secret};
use crate::envoy::{Held, Trust};
use crate::evidence::{Fetch, RemoteCluster};
use crate::identity::forge::{self, Ca};
use crate::identity::{Entry, Pem};

/// Who makes certificates: SPIRE and istiod of both clusters.
pub struct Makers {
    pub spire: [Ca; 2],
    pub istiod: [Ca; 2],
}

pub const PODS: [(&str, &str); 2] = [("curl", "istio-test"), ("east-west-istio", "istio-system")];

/// Both clusters, healthy, and who made their certificates.
pub fn healthy() -> (Makers, Observations) {
    let named = |name: &str| Ca::named(name);
    let spire = [named("east.example"), named("west.example")];
    let makers = Makers { spire, istiod: [named("cluster.local"), named("cluster.local")] };
    let clusters = vec![cluster(&makers, 0), cluster(&makers, 1)];
    (makers, Observations::of(clusters, Vec::new(), forge::now()))
}

/// Another pair of names than our own worlds have.
pub fn name(i: usize) -> &'static str {
    ["east", "west"][i]
}

pub fn domain(i: usize) -> String {
    format!("{}.example", name(i))
}

fn cluster(makers: &Makers, i: usize) -> ClusterLook {
    let (own, peer) = (domain(i), domain(1 - i));
    let mesh = json!({"trustDomain": own, "trustDomainAliases": [peer], "accessLogFile": "/dev/stdout",
        "rootNamespace": "istio-system", "defaultConfig": {"meshId": "mesh1"}});
    let manager =
        json!({"kind": "ControllerManagerConfig", "className": "zero-trust", "watchClassless": false});
    let agent = "agent {\n socket_path = \"/tmp/agent/socket\"\n sds { default_svid_name = \"default\" default_bundle_name = \"null\" default_all_bundles_name = \"ROOTCA\" }\n}";
    let remote = |n: usize, secret: &str| RemoteCluster {
        id: name(n).into(),
        secret_name: secret.into(),
        sync_status: "synced".into(),
    };
    let reader = Reader { user: Some("reader".into()), denied: vec![], api: vec!["172.18.0.3:6443".into()] };
    let secret = RemoteSecret {
        object: format!("istio-system/istio-remote-secret-{}", name(1 - i)),
        cluster: name(1 - i).into(),
        server: "https://172.18.0.3:6443".into(),
        expires: None,
        reader: Look::Seen(reader),
    };
    ClusterLook {
        name: name(i).into(),
        trust_domain: own.parse().unwrap(),
        objects: objects(makers, i)
            .into_iter()
            .map(|(kind, all)| (kind.to_owned(), Look::Seen(all)))
            .collect(),
        managers: Look::Seen(vec![manager]),
        agents: Look::Seen(vec![agent.into()]),
        mesh: Look::Seen(mesh),
        mesh_networks: Look::Seen(json!({"networks": {}})),
        server: server(makers, i),
        istiod_root: Look::Seen(Pem::of(&makers.istiod[i].pem)),
        remotes: Look::Seen(vec![remote(i, ""), remote(1 - i, "istio-system/secret")]),
        remote_secrets: Look::Seen(vec![secret]),
        proxies: PODS.iter().map(|(pod, namespace)| proxy(makers, i, pod, namespace)).collect(),
        clock: Look::Seen(forge::now()),
    }
}

fn server(makers: &Makers, i: usize) -> Server {
    let (own, peer) = (domain(i), domain(1 - i));
    let fetch = Fetch { trust_domain: peer.parse().unwrap(), status: 0, said: "refreshed".into() };
    let relationship = Relationship {
        trust_domain: peer.clone(),
        url: "https://172.18.0.3:8443".into(),
        endpoint_id: Some(format!("spiffe://{peer}/spire/server")),
    };
    let entry = |(pod, namespace): &(&str, &str)| Entry {
        id: format!("{}.{pod}", name(i)),
        spiffe_id: format!("spiffe://{own}/ns/{namespace}/sa/{pod}").parse().unwrap(),
        parent_id: format!("spiffe://{own}/spire/agent/k8s_psat/x/y").parse().unwrap(),
        selectors: vec![format!("k8s:pod-uid:uid-{pod}")],
        federates_with: vec![peer.parse().unwrap()],
    };
    Server {
        bundle: Look::Seen(makers.spire[i].bundle(&own)),
        peers: Look::Seen(vec![makers.spire[1 - i].bundle(&peer)]),
        relationships: Look::Seen(vec![relationship]),
        fetches: Look::Seen(vec![fetch]),
        entries: Look::Seen(PODS.iter().map(entry).collect()),
    }
}

fn proxy(makers: &Makers, i: usize, pod: &str, namespace: &str) -> ProxyLook {
    let svid = makers.spire[i].svid(&format!("spiffe://{}/ns/{namespace}/sa/{pod}", domain(i)));
    let both = [0, 1].map(|n| DomainTrust { trust_domain: domain(n), bundle: Pem::of(&makers.spire[n].pem) });
    let secret = |name: &str, content| Secret { name: name.into(), last_updated: None, content };
    let secrets = vec![
        secret("default", Content::Certificate(Pem::of(&svid))),
        secret("ROOTCA", Content::Trust(Trust::PerTrustDomain(both.into()))),
    ];
    ProxyLook { namespace: namespace.into(), pod: pod.into(), held: Look::Seen(Held { secrets }) }
}

fn objects(makers: &Makers, i: usize) -> BTreeMap<&'static str, Vec<Value>> {
    let peer = domain(1 - i);
    let identity = |name: &str, namespace: &str| {
        json!({"metadata": {"name": name}, "spec": {"className": "zero-trust", "federatesWith": [peer],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
            "status": {"stats": {"podsSelected": 1, "entryFailures": 0, "podEntryRenderFailures": 0}}})
    };
    let relationship = json!({"metadata": {"name": name(1 - i)}, "spec": {"className": "zero-trust", "trustDomain": peer,
        "trustDomainBundle": forge::published(&[&makers.spire[1 - i]])}});
    let network = json!({"topology.istio.io/network": format!("net-{}", name(i))});
    let daemon = |name: &str, containers: Value, volumes: Value| {
        json!({"metadata": {"name": name, "namespace": "zt"},
            "spec": {"template": {"spec": {"containers": containers, "volumes": volumes}}},
            "status": {"desiredNumberScheduled": 1, "numberReady": 1}})
    };
    let sockets = json!({"name": "s", "hostPath": {"path": "/run/agent"}});
    let agent = json!([{"name": "spire-agent", "volumeMounts": [{"name": "s", "mountPath": "/tmp/agent"}]}]);
    let driver = json!([{"name": "driver", "args": ["-workload-api-socket-dir", "/sock"],
        "volumeMounts": [{"name": "s", "mountPath": "/sock"}]}]);
    let deployment = |name: &str, container: Value| {
        json!({"metadata": {"name": name, "namespace": "istio-system"},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}}, "status": {"readyReplicas": 1}})
    };
    let env = json!([{"name": "CLUSTER_ID", "value": name(i)}]);
    let namespaces = ["istio-test", "istio-system", "outside"].map(|name| {
        let mut labels = json!({"kubernetes.io/metadata.name": name});
        if name == "istio-test" {
            labels["istio-injection"] = "enabled".into();
        }
        json!({"metadata": {"name": name, "labels": labels}})
    });
    let mut pods: Vec<_> = PODS.iter().map(|(name, namespace)| pod(name, namespace)).collect();
    pods[1]["metadata"]["labels"] =
        json!({"gateway.networking.k8s.io/gateway-name": "east-west", "sidecar.istio.io/inject": "false"});
    pods.push(json!({"metadata": {"name": "outsider", "namespace": "outside", "uid": "o"}, "spec": {}}));
    BTreeMap::from([
        ("pods", pods),
        ("nodes", vec![]),
        ("namespaces", namespaces.into()),
        ("clusterfederatedtrustdomains.spire.spiffe.io", vec![relationship]),
        (
            "clusterspiffeids.spire.spiffe.io",
            vec![identity("workloads", "istio-test"), identity("gateway", "istio-system")],
        ),
        ("clusterstaticentries.spire.spiffe.io", vec![]),
        (
            "daemonsets.apps",
            vec![
                daemon("agent", agent, json!([sockets])),
                daemon(
                    "csi",
                    driver,
                    json!([sockets, {"name": "csi", "hostPath": {"path": "/var/lib/kubelet/plugins/csi.spiffe.io"}}]),
                ),
            ],
        ),
        ("statefulsets.apps", vec![deployment("spire-server", json!({"name": "spire-server"}))]),
        (
            "deployments.apps",
            vec![
                deployment("istiod", json!({"name": "discovery", "env": env})),
                deployment("curl", json!({"name": "curl"})),
            ],
        ),
        (
            "gateways.gateway.networking.k8s.io",
            vec![json!({"metadata": {"name": "east-west", "namespace": "istio-system", "labels": network},
                "spec": {"listeners": [{"port": 15443, "protocol": "TLS", "tls": {"mode": "Passthrough",
                    "options": {"gateway.istio.io/listener-protocol": "auto-passthrough"}}}]}})],
        ),
        (
            "services",
            vec![
                json!({"metadata": {"name": "east-west-istio", "namespace": "istio-system", "labels": network},
                    "spec": {"type": "LoadBalancer", "ports": [{"port": 15443}]},
                    "status": {"loadBalancer": {"ingress": [{"ip": "172.18.0.2"}]}}}),
                json!({"metadata": {"name": "curl", "namespace": "istio-test"}, "spec": {"ports": [{"port": 80}]}}),
            ],
        ),
        (
            "endpointslices.discovery.k8s.io",
            vec![json!({"metadata": {"name": "x", "namespace": "istio-system",
                    "labels": {"kubernetes.io/service-name": "east-west-istio"}},
                "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]})],
        ),
        ("destinationrules.networking.istio.io", vec![]),
        (
            "peerauthentications.security.istio.io",
            vec![
                json!({"metadata": {"name": "strict", "namespace": "istio-test"}, "spec": {"mtls": {"mode": "STRICT"}}}),
            ],
        ),
    ])
}

/// A pod with a sidecar and SPIRE's socket.
pub fn pod(name: &str, namespace: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}"), "labels": {"app": name}},
        "spec": {"serviceAccountName": name, "containers": [{"name": "istio-proxy"}],
            "volumes": [{"name": "workload-socket", "csi": {"driver": "csi.spiffe.io", "readOnly": true}}]},
        "status": {"phase": "Running"}})
}
