//! The token with which an istiod reads its peer is over: everybody forgets that remote secrets end.

use std::time::Duration;

use harness::{Code, Error, Result, istiod, wait};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use proof::evidence::Must;
use proof::motion::Answers;
use serde_json::{Value, json};

use super::cut::Cut;
use super::parts::{UNKNOWN, merge, said, unknown};
use super::{SVID_LIFE, bounds};
use crate::objects::secret;
use crate::traffic::Traffic;
use crate::watched::seen_within;
use crate::{CLUSTER1, CLUSTER2, Fixture, Nth, Pods, scenarios};

scenarios! {
    "token-over" => a_remote_secret_whose_token_is_over_is_noticed_by_no_request {
        UNAUTHORIZED: "an istiod whose token for the second cluster is over is refused there when it asks again",
        NOT_TOLD_WITHOUT: "a Service that the second cluster gets then stays unknown in the first",
        TOLD_BY_ANOTHER: "once the remote secret has a valid token the first cluster's proxies know that Service within the time \
            that istiod takes",
        NEW_DESPITE_TOKEN each way: "meanwhile every request from {from} to {to} on a connection of its own is answered: \
            endpoints stay, also when the secret is replaced",
        KEPT_DESPITE_TOKEN each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
}

/// An API server believes a token that it has seen for so long, and istiod asks again within twice as much.
const BELIEVED_ON: Duration = Duration::from_secs(10);
const ISTIOD: (Pods<'static>, &str) = (Pods(istiod::NAMESPACE, "app=istiod"), "discovery");
const REFUSED: &str = "Unauthorized";
/// What the token is bound to: it is over when that is gone. By the clock a token lives for ten minutes at least.
const HOLDER: &str = "holds-a-token";

/// If this fails, a mesh ends with a token that was made for so long as nobody remembers.
async fn a_remote_secret_whose_token_is_over_is_noticed_by_no_request(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let (near, far) = (CLUSTER1, CLUSTER2);
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let name = fixture.cluster(far)?.name.0.clone();
    let object = secret(istiod::NAMESPACE, &format!("istio-remote-secret-{name}"));
    let right = kubeconfig(fixture, near, &name).await?;
    let mut ends = right.clone();
    ends["users"][0]["user"]["token"] = json!(token_that_ends(fixture, far).await?);
    let with = |config: &Value| json!({ "stringData": { name.clone(): config.to_string() } });
    fixture.change(near, &object, &with(&ends)).await?;
    wait::pause_for(BELIEVED_ON).await;

    let refused = said(fixture, near, ISTIOD, REFUSED).await?;
    let holder = secret(istiod::NAMESPACE, HOLDER);
    harness::kube::delete::delete(fixture.api(far)?, &[holder], &harness::progress::Note::silent()).await?;
    wait::pause_for(BELIEVED_ON).await;
    // What it watches it goes on watching: it asks again when that ends.
    Cut::ApiServer.at(fixture, far).await?.mend(fixture).await?;
    let version = fixture.cluster(far)?.version.clone();
    for cluster in [near, far] {
        fixture.bring(cluster, "rotation/late.yaml", &[("VERSION", &version)]).await?;
    }
    let look = async || {
        let more = said(fixture, near, ISTIOD, REFUSED).await? > refused;
        Ok(if more { REFUSED } else { "no such words since then" }.to_owned())
    };
    let seen = fixture.until("a refusal, in istiod's log", REFUSED, look).await?;
    fixture.shows(UNAUTHORIZED, Must::have([REFUSED]), seen);
    wait::pause_for(BELIEVED_ON).await;
    let not = unknown(fixture, near).await?;
    fixture.shows(
        NOT_TOLD_WITHOUT,
        Must::have([UNKNOWN]),
        not.unwrap_or_else(|| "an endpoint of it".to_owned()),
    );

    let bound = bounds::told_by_istiod();
    let what = "until the first cluster's client knows it";
    fixture.announces(what, &bound)?;
    let since = Timestamp::now();
    merge(fixture, near, &object, &with(&right)).await?;
    let took = seen_within(what, since, &bound, || unknown(fixture, near)).await?;
    fixture.took(TOLD_BY_ANOTHER, bound, &took)?;
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_DESPITE_TOKEN, KEPT_DESPITE_TOKEN], |_| Answers::All)
}

/// With which the istiod of that cluster reads the other.
async fn kubeconfig(fixture: &Fixture<'_>, cluster: Nth, of: &str) -> Result<Value> {
    let secrets: Api<Secret> = Api::namespaced(fixture.api(cluster)?.clone(), istiod::NAMESPACE);
    let unread = || Error::new(Code::Evidence, format!("the remote secret of {of} cannot be read"));
    let found = secrets.get(&format!("istio-remote-secret-{of}")).await;
    let data = found.map_err(|e| unread().because(e))?.data.unwrap_or_default();
    let text = data.get(of).ok_or_else(unread)?;
    serde_json::from_slice(&text.0).map_err(|e| unread().because(e))
}

/// A token of the account that peers read that cluster by, which is over when its holder is gone.
async fn token_that_ends(fixture: &mut Fixture<'_>, cluster: Nth) -> Result<String> {
    fixture.bring_objects(cluster, vec![secret(istiod::NAMESPACE, HOLDER)]).await?;
    let refused = || Error::new(Code::Evidence, "cannot get a reader's token");
    let client = fixture.api(cluster)?.clone();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), istiod::NAMESPACE);
    let uid = secrets.get(HOLDER).await.map_err(|e| refused().because(e))?.uid();
    let bound = BoundObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Secret".into()),
        name: Some(HOLDER.into()),
        uid,
    };
    let spec = TokenRequestSpec { bound_object_ref: Some(bound), ..Default::default() };
    let accounts: Api<ServiceAccount> = Api::namespaced(client, istiod::NAMESPACE);
    let request = TokenRequest { spec, ..Default::default() };
    let answer = accounts
        .create_token_request("istio-reader-service-account", &PostParams::default(), &request)
        .await
        .map_err(|e| refused().because(e))?;
    answer.status.map(|status| status.token).ok_or_else(refused)
}
