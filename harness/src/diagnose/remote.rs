//! What istiods read other clusters with, and what those make of it. Tokens are looked at and never kept.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use proof::diagnosis::{ClusterLook, Look, Observations, Reader, RemoteSecret};
use serde::Deserialize;
use serde_json::Value;

use super::objects::of;
use super::{Subject, look};
use crate::error::Context as _;
use crate::{Code, Result, render};

/// What istiod cannot do without in another cluster (`istio-reader-clusterrole` of its chart): group and kind.
const READ: [(&str, &str); 6] = [
    ("", "namespaces"),
    ("", "services"),
    ("", "pods"),
    ("", "nodes"),
    ("", "configmaps"),
    ("discovery.k8s.io", "endpointslices"),
];

#[derive(Deserialize)]
struct Kubeconfig {
    clusters: Vec<Value>,
    users: Vec<Value>,
}

/// Every remote secret of a cluster, with what its cluster makes of it.
pub(super) async fn secrets(
    subject: &Subject,
    subjects: &[Subject],
    observed: &Observations,
) -> Look<Vec<RemoteSecret>> {
    look("remote secrets", async {
        let secrets: Api<Secret> = Api::all(subject.client.clone());
        let marked = ListParams::default().labels("istio/multiCluster=true");
        let listed = secrets.list(&marked).await;
        let listed = listed.or_fail(Code::KubeFailed, || "cannot list remote secrets".to_owned())?;
        let mut all = Vec::new();
        for secret in listed.items {
            let object = format!("{}/{}", secret.namespace().unwrap_or_default(), secret.name_any());
            for (cluster, kubeconfig) in secret.data.unwrap_or_default() {
                let text = String::from_utf8_lossy(&kubeconfig.0);
                let read: Kubeconfig = render::parse(&text, Code::Evidence, "a remote secret")?;
                let first = |all: &[Value], pointer: &str| {
                    all.first().and_then(|one| one.pointer(pointer)?.as_str()).unwrap_or_default().to_owned()
                };
                let token = first(&read.users, "/user/token");
                let peer = observed.clusters.iter().find(|peer| peer.id() == cluster);
                all.push(RemoteSecret {
                    object: object.clone(),
                    server: first(&read.clusters, "/cluster/server"),
                    expires: end_of(&token),
                    reader: reader(peer, subjects, token).await,
                    cluster,
                });
            }
        }
        Ok(all)
    })
    .await
}

async fn reader(peer: Option<&ClusterLook>, subjects: &[Subject], token: String) -> Look<Reader> {
    let named =
        peer.and_then(|peer| Some((peer, subjects.iter().find(|subject| subject.name == peer.name)?)));
    let Some((peer, subject)) = named else {
        return Look::NotReadable("the cluster that it is of was not looked at".to_owned());
    };
    look("a reader's rights", async {
        let user = user_of(&subject.client, token).await?;
        let mut denied = Vec::new();
        if let Some(user) = &user {
            for (group, kind) in READ {
                if !may_list(&subject.client, user, group, kind).await? {
                    denied.push(kind.to_owned());
                }
            }
        }
        Ok(Reader { user: user.and_then(|user| user.username), denied, api: api(peer) })
    })
    .await
}

/// Whose token it is; nothing when the cluster does not take it. A review makes nothing.
async fn user_of(client: &Client, token: String) -> Result<Option<UserInfo>> {
    let spec = TokenReviewSpec { token: Some(token), ..Default::default() };
    let review = TokenReview { spec, ..Default::default() };
    let reviews: Api<TokenReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    let status = answer.or_fail(Code::KubeFailed, || "cannot have a token reviewed".to_owned())?.status;
    Ok(status.filter(|status| status.authenticated == Some(true)).and_then(|status| status.user))
}

async fn may_list(client: &Client, user: &UserInfo, group: &str, kind: &str) -> Result<bool> {
    let attributes = ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(kind.to_owned()),
        verb: Some("list".to_owned()),
        ..Default::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: user.username.clone(),
        groups: user.groups.clone(),
        resource_attributes: Some(attributes),
        ..Default::default()
    };
    let review = SubjectAccessReview { spec, ..Default::default() };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    let answer = answer.or_fail(Code::KubeFailed, || "cannot have rights reviewed".to_owned())?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Where a cluster's API server is, by the endpoints of its own Service.
fn api(peer: &ClusterLook) -> Vec<String> {
    let own = |slice: &&Value| slice["metadata"]["labels"]["kubernetes.io/service-name"] == "kubernetes";
    let slices = of(&peer.objects, "endpointslices.discovery.k8s.io").iter().filter(own);
    slices
        .flat_map(|slice| {
            let port = slice["ports"][0]["port"].as_u64().unwrap_or_default();
            let endpoints = slice["endpoints"].as_array().into_iter().flatten();
            let addresses = endpoints.filter_map(|endpoint| endpoint["addresses"][0].as_str());
            addresses.map(move |address| format!("{address}:{port}"))
        })
        .collect()
}

/// When a token ends, by its own words.
fn end_of(token: &str) -> Option<Timestamp> {
    let claims = token.split('.').nth(1)?.trim_end_matches('=');
    let claims = URL_SAFE_NO_PAD.decode(claims).or_else(|_| STANDARD_NO_PAD.decode(claims)).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Timestamp::from_second(claims["exp"].as_i64()?).ok()
}
