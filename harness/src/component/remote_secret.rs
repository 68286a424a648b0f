//! Each istiod may read the other clusters: what `istioctl create-remote-secret` makes, made here, because it is
//! one token and one Secret.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::{Cx, Site, of, step};
use crate::error::Context as _;
use crate::kube::apply::apply;
use crate::kube::conditions::Standing;
use crate::kube::watch::until;
use crate::plan::Plan;
use crate::progress::Note;
use crate::{Code, Error, Result, patience};
use proof::topology::Cluster;

/// The ConfigMap that Kubernetes keeps in every namespace.
const ROOT: &str = "kube-root-ca.crt";

/// A kept world stays readable for so long.
const TOKEN_SECONDS: i64 = 30 * 24 * 3600;

pub(super) fn steps(plan: &mut Plan<Cx>, cluster: &Cluster, peers: &[&Cluster]) {
    let applied = peers.iter().map(|peer| of(peer, "istio-applied"));
    plan.add(
        step(cluster, "remote-secrets", "istiod may read its peers", grant)
            .needs([of(cluster, "istio-applied")])
            .needs(applied),
    );
}

async fn grant(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let mut secrets = Vec::new();
    for peer in cx.sites().filter(|peer| peer.cluster.name != site.cluster.name) {
        secrets.push(secret(peer, &note).await?);
    }
    apply(site.client()?, &secrets, &note).await
}

/// The Secret with which another cluster's istiod reads `peer`.
async fn secret(peer: &Site, note: &Note) -> Result<Value> {
    let name = &peer.cluster.name;
    let fail = || format!("cannot get a reader's token of {name}");
    let client = peer.client()?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "istio-system");
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..Default::default() },
        ..Default::default()
    };
    let answer = accounts
        .create_token_request("istio-reader-service-account", &PostParams::default(), &request)
        .await
        .or_fail(Code::KubeFailed, fail)?;
    let token = answer.status.ok_or_else(|| Error::new(Code::KubeFailed, fail()))?.token;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    // The controller manager publishes it some seconds after the API server answers (missing once in 18 runs).
    let root = until(&maps, ROOT, "the API server's own root", patience::STEP, note, |_: &ConfigMap| {
        Standing::Ready
    })
    .await?;
    let ca =
        root.data.and_then(|mut d| d.remove("ca.crt")).ok_or_else(|| Error::new(Code::KubeFailed, fail()))?;
    Ok(document(&name.0, &format!("https://{}:6443", peer.address()?), &ca, &token))
}

/// As istioctl writes it: a kubeconfig under the cluster's name, found by the label.
fn document(name: &str, server: &str, ca: &str, token: &str) -> Value {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{ "name": name, "cluster": { "server": server, "certificate-authority-data": STANDARD.encode(ca) } }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
        "users": [{ "name": name, "user": { "token": token } }],
    });
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": format!("istio-remote-secret-{name}"), "namespace": "istio-system",
            "labels": { "istio/multiCluster": "true" },
            "annotations": { "networking.istio.io/cluster": name },
        },
        "stringData": { name: kubeconfig.to_string() },
    })
}
