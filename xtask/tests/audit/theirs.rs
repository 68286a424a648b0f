//! Two clusters laid out as somebody else would: what we brought is taken away, and the manifests beside this are applied.

use std::path::{Path, PathBuf};

use harness::cmd::Cmd;
use harness::kube::rollout::{Workload, rolled_out};
use harness::kube::{apply::apply, delete::delete, object};
use harness::layout::Layout;
use harness::progress::Note;
use harness::render::{self, Values};
use harness::spire::Server;
use harness::wait::{self, Look};
use harness::world::World;
use harness::{existing, patience};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::Kubeconfig;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

const SPIRE: &str = include_str!("spire.yaml");
const FEDERATION: &str = include_str!("federation.yaml");
const OPERATOR: &str = include_str!("operator.yaml");
const WORKLOADS: &str = include_str!("workloads.yaml");

/// What was laid out, so that it can be spoilt.
pub struct Theirs {
    server: Server,
    peers: Vec<String>,
}

/// One kubeconfig with a context for each cluster, by its name; with these tokens instead of our credentials.
pub fn merged(world: &World, dir: &Path, tokens: Option<&[String]>) -> String {
    let mut all =
        json!({ "apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": [] });
    for (i, cluster) in world.topology.clusters.iter().enumerate() {
        let name = &cluster.name.0;
        let file = Kubeconfig::read_from(&world.sites[&cluster.name].kubeconfig).unwrap();
        let file = serde_json::to_value(file).unwrap();
        let user =
            tokens.map_or_else(|| file["users"][0]["user"].clone(), |tokens| json!({ "token": tokens[i] }));
        let mut push = |list: &str, what: Value| all[list].as_array_mut().unwrap().push(what);
        push("clusters", json!({ "name": name, "cluster": file["clusters"][0]["cluster"] }));
        push("users", json!({ "name": name, "user": user }));
        push("contexts", json!({ "name": name, "context": { "cluster": name, "user": name } }));
    }
    let path = dir.join(if tokens.is_some() { "reader.kubeconfig" } else { "admin.kubeconfig" });
    std::fs::write(&path, all.to_string()).unwrap();
    path.display().to_string()
}

impl Theirs {
    /// Takes away what we brought, and lays out what is theirs.
    pub async fn laid_out(world: &World, clients: &[Client]) -> Self {
        let note = Note::silent();
        let [pod, container, program, socket] =
            ["trust-server-0", "spire-server", harness::spire::PROGRAM, "/run/trust/private/server.sock"]
                .map(str::to_owned);
        let server = Server { namespace: "trust-server".into(), pod, container, program, socket };
        let mut bundles = vec![];
        for (client, values) in clients.iter().zip(values(world)) {
            struck(client).await;
            apply(client, &filled(SPIRE, &values), &note).await.unwrap();
        }
        for client in clients {
            let ready = wait::eventually("their server", patience::STEP, &note, || async {
                server.bundle(client).await.map_or_else(Look::not_yet, Look::Ready)
            });
            bundles.push(Box::pin(ready).await.unwrap());
        }
        for (i, (client, mut values)) in clients.iter().zip(values(world)).enumerate() {
            let peer = &world.topology.clusters[1 - i];
            values.insert("PEER_TRUST_DOMAIN".into(), peer.trust_domain.clone());
            values.insert("PEER_ADDRESS".into(), world.sites[&peer.name].address.to_string());
            values.insert("PEER_BUNDLE".into(), bundles[1 - i].trim_end().to_owned());
            rolled(client, Workload::DaemonSet, "trust-system", &["trust-agent", "trust-csi-driver"]).await;
            apply(client, &filled(FEDERATION, &values), &note).await.unwrap();
            apply(client, &istio(world, &values).await, &note).await.unwrap();
            rolled(client, Workload::Deployment, "istio-system", &["istiod-canary"]).await;
        }
        for (i, (client, values)) in clients.iter().zip(values(world)).enumerate() {
            let address = |i: usize| world.sites[&world.topology.clusters[i].name].address.to_string();
            let (id, peer) = (&world.topology.clusters[1 - i].version, &clients[1 - i]);
            apply(client, &[remote_secret(&format!("mesh-{id}"), peer, &address(1 - i)).await], &note)
                .await
                .unwrap();
            apply(client, &filled(WORKLOADS, &values), &note).await.unwrap();
            rolled(client, Workload::Deployment, "shop", &["web"]).await;
            rolled(client, Workload::Deployment, "billing", &["ledger"]).await;
            rolled(client, Workload::Deployment, "edge", &["crossing-istio"]).await;
            let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "crossing-istio", "namespace": "edge" } });
            let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": address(i) }] } } });
            object::merge_patch_status(client, &service, &status, &note).await.unwrap();
        }
        let peers = world.topology.clusters.iter().rev().map(|peer| peer.trust_domain.clone()).collect();
        Self { server, peers }
    }

    /// A kubeconfig of somebody who may do all that an audit does but exec.
    pub async fn reader(&self, world: &World, dir: &Path, clients: &[Client]) -> String {
        let mut tokens = vec![];
        for client in clients {
            let mut role = render::documents(&existing::cluster_role(), "the role").unwrap().remove(0);
            let exec = |rule: &Value| rule["resources"][0] == "pods/exec";
            role["rules"].as_array_mut().unwrap().retain(|rule| !exec(rule));
            let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "reader", "namespace": "default" } });
            let binding = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": { "name": "vouchsafe-audit" },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "vouchsafe-audit" },
                "subjects": [{ "kind": "ServiceAccount", "name": "reader", "namespace": "default" }] });
            apply(client, &[account, role, binding], &Note::silent()).await.unwrap();
            tokens.push(token(client, "default", "reader").await);
        }
        merged(world, dir, Some(&tokens))
    }

    /// The ledger is injected without SPIRE's socket.
    pub async fn without_socket(&self, client: &Client) {
        self.injected(client, "sidecar").await;
    }

    /// As before.
    pub async fn with_socket(&self, client: &Client) {
        self.injected(client, "sidecar,spire").await;
    }

    async fn injected(&self, client: &Client, templates: &str) {
        let ledger = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "ledger", "namespace": "billing" } });
        let annotations = json!({ "inject.istio.io/templates": templates });
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
        object::merge_patch(client, &ledger, &patch, &Note::silent()).await.unwrap();
        rolled(client, Workload::Deployment, "billing", &["ledger"]).await;
        // The pod before goes within its second of grace.
        let note = Note::silent();
        let gone = wait::eventually("one pod", patience::STEP, &note, || async {
            let pods = harness::kube::pods::pods(client, "billing", "app=ledger").await.unwrap();
            if pods.len() == 1 { Look::Ready(()) } else { Look::NotYet(format!("{} pods", pods.len())) }
        });
        gone.await.unwrap();
    }

    /// The first cluster's server no longer holds what the second publishes, and nobody brings it back.
    pub async fn without_bundle(&self, client: &Client) {
        let other = json!({ "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterFederatedTrustDomain", "metadata": { "name": "the-other" } });
        delete(client, &[other], &Note::silent()).await.unwrap();
        let id = format!("spiffe://{}", self.peers[0]);
        self.server.command(client, &["bundle", "delete", "-id", &id, "-mode", "dissociate"]).await.unwrap();
        // Proxies hear of it a moment later.
        let note = Note::silent();
        let heard = wait::eventually("proxies without it", patience::SETTLE, &note, || async {
            let mut believe = vec![];
            for (namespace, labels) in [("shop", "app=web"), ("billing", "app=ledger")] {
                for pod in harness::kube::pods::pods(client, namespace, labels).await.unwrap() {
                    let held = harness::proxy::held(client, namespace, &pod.name_any()).await.unwrap();
                    believe.push(format!("{:?}", held.trust("ROOTCA")).contains(&self.peers[0]));
                }
            }
            if believe.contains(&true) {
                Look::NotYet("some still believe it".to_owned())
            } else {
                Look::Ready(())
            }
        });
        Box::pin(heard).await.unwrap();
    }
}

/// What manifests may name, cluster by cluster.
fn values(world: &World) -> Vec<Values> {
    world.topology.clusters.iter().map(|one| world.sites[&one.name].values.clone()).collect()
}

fn filled(text: &str, values: &Values) -> Vec<Value> {
    render::documents(&render::fill(text, values, "theirs").unwrap(), "theirs").unwrap()
}

/// Workloads first: their volumes need the CSI driver to go.
async fn struck(client: &Client) {
    let note = Note::silent();
    let namespace =
        |name: &str| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    let of_spire = |kind: &str, name: &str| json!({ "apiVersion": "spire.spiffe.io/v1alpha1", "kind": kind, "metadata": { "name": name } });
    delete(client, &[namespace("istio-test")], &note).await.unwrap();
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    mutating.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    validating.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    delete(client, &[namespace("istio-system")], &note).await.unwrap();
    let identities = ["istio-test", "east-west-gateway"].map(|name| of_spire("ClusterSPIFFEID", name));
    delete(client, &identities, &note).await.unwrap();
    let peers = ["west", "east"].map(|name| of_spire("ClusterFederatedTrustDomain", name));
    delete(client, &peers, &note).await.unwrap();
    delete(client, &[namespace("spire")], &note).await.unwrap();
}

/// What istioctl makes of their operator.
async fn istio(world: &World, values: &Values) -> Vec<Value> {
    let layout = Layout::find().unwrap();
    let mut values = values.clone();
    let (hub, tag) =
        values["IMAGE_PILOT"].rsplit_once(':').map(|(name, tag)| (name.to_owned(), tag.to_owned())).unwrap();
    values.insert("ISTIO_HUB".into(), hub.strip_suffix("/pilot").unwrap().to_owned());
    values.insert("ISTIO_TAG".into(), tag);
    let dir = tempfile::tempdir().unwrap();
    let operator = dir.path().join("operator.yaml");
    std::fs::write(&operator, render::fill(OPERATOR, &values, "operator").unwrap()).unwrap();
    let istioctl = istioctl(&layout, &values["ISTIO_TAG"]).await;
    let mut render =
        Cmd::new(istioctl).args(["manifest", "generate", "-f"]).arg(operator).env("KUBECONFIG", "/dev/null");
    if world.source.starts_with("packages") {
        render = render.arg("-f").arg(layout.manifests().join("istio/upstream-envoy.yaml"));
    }
    let mut objects = render::documents(&render.run().await.unwrap().stdout, "istioctl").unwrap();
    let network = format!("net-{}", values["VERSION"]);
    let labels = json!({ "topology.istio.io/network": network });
    objects.insert(0, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "istio-system", "labels": labels } }));
    objects
}

/// That of the version: a cache that has served other ones has theirs, too.
async fn istioctl(layout: &Layout, version: &str) -> PathBuf {
    let built = std::fs::read_dir(layout.artifacts()).unwrap();
    for program in built.map(|one| one.unwrap().path().join("istioctl")).filter(|path| path.is_file()) {
        let said = Cmd::new(&program).args(["version", "--remote=false"]).run().await.unwrap().stdout;
        if said.split_whitespace().any(|word| word == version) {
            return program;
        }
    }
    panic!("no istioctl {version} in {}", layout.artifacts().display());
}

/// As `istioctl create-remote-secret` writes it.
async fn remote_secret(id: &str, peer: &Client, address: &str) -> Value {
    let token = token(peer, "istio-system", "istio-reader-service-account").await;
    let maps: Api<ConfigMap> = Api::namespaced(peer.clone(), "kube-system");
    let ca = maps.get("kube-root-ca.crt").await.unwrap().data.unwrap().remove("ca.crt").unwrap();
    let cluster =
        json!({ "server": format!("https://{address}:6443"), "certificate-authority-data": base64(&ca) });
    let kubeconfig = json!({ "apiVersion": "v1", "kind": "Config", "current-context": id,
        "clusters": [{ "name": id, "cluster": cluster }], "users": [{ "name": id, "user": { "token": token } }],
        "contexts": [{ "name": id, "context": { "cluster": id, "user": id } }] });
    json!({ "apiVersion": "v1", "kind": "Secret", "stringData": { id: kubeconfig.to_string() },
        "metadata": { "name": format!("istio-remote-secret-{id}"), "namespace": "istio-system",
            "labels": { "istio/multiCluster": "true" }, "annotations": { "networking.istio.io/cluster": id } } })
}

fn base64(text: &str) -> Value {
    serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap()
}

async fn token(client: &Client, namespace: &str, account: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..Default::default() };
    let request = TokenRequest { spec, ..Default::default() };
    accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .unwrap()
        .status
        .unwrap()
        .token
}

async fn rolled(client: &Client, kind: Workload, namespace: &str, names: &[&str]) {
    for name in names {
        Box::pin(rolled_out(client, kind, namespace, name, patience::STEP, &Note::silent())).await.unwrap();
    }
}
