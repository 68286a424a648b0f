//! The peer's bundle endpoint is silent: for a while, and at the very first fetch.

use std::time::Duration;

use harness::kube::apply::apply;
use harness::progress::Note;
use harness::{Code, Error, Result, spire, wait};
use proof::evidence::Must;
use proof::motion::Answers;
use serde_json::{Value, json};

use super::SVID_LIFE;
use super::parts::said;
use super::steps::{Closed, Rotation, other};
use crate::authorities::Step;
use crate::traffic::Traffic;
use crate::{CLUSTER2, Fixture, Nth, Pods, scenarios};

scenarios! {
    "endpoint-down" => a_silent_bundle_endpoint_is_noticed_by_no_request {
        NOT_FETCHED: "while a server's bundle endpoint is closed its peer holds what it held, whatever is prepared meanwhile",
        FETCHED_AGAIN: "once it is open again the peer fetches the bundle within the time that the timers make",
        BELIEVED_AGAIN: "and then every proxy believes what was prepared meanwhile",
        NEW_UNAFFECTED each way: "meanwhile every request from {from} to {to} on a connection of its own is answered",
        KEPT_UNAFFECTED each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
    "given-without-a-hint" => a_bundle_that_is_given_without_its_hint_is_not_fetched_again {
        NOT_WITHIN_THE_HINT: "a bundle that was given without a hint, and whose first fetch failed, is not fetched again in \
            three times the time that the endpoint's own hint makes",
        WITHIN_THE_HINT: "the same bundle given with the hint is, although its first fetch failed, too",
    },
}

/// If this fails, a partner who is away for a minute takes this mesh's production down.
async fn a_silent_bundle_endpoint_is_noticed_by_no_request(fixture: &mut Fixture<'_>) -> Result<()> {
    let (silent, peer) = (CLUSTER2, other(CLUSTER2));
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let told = fixture.told(silent).await?;
    let poll = told.own.fetched_by(&told.peer).length();
    let closed = Closed::endpoint(fixture, silent).await?;
    let mut rotation = Rotation::prepare(fixture, silent).await?;
    // Whoever polls was refused at least once.
    wait::pause_for(poll + Duration::from_secs(5)).await;
    let not = fixture.lacks(peer, silent, &rotation.new).await?;
    fixture.shows(
        NOT_FETCHED,
        Must::have(["it holds "]),
        not.unwrap_or_else(|| "what was prepared".to_owned()),
    );
    let opened = closed.open(fixture).await?;
    let step = rotation.held_by_peer(fixture, opened).await?;
    fixture.took(FETCHED_AGAIN, step.bound.clone(), &step.took)?;
    let step = rotation.believed(fixture, opened).await?;
    fixture.took(BELIEVED_AGAIN, step.bound.clone(), &step.took)?;
    step.done()?;
    rotation.activate(fixture).await?.done()?;
    rotation.finish(fixture).await?;
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_UNAFFECTED, KEPT_UNAFFECTED], |_| Answers::All)
}

/// If this fails, SPIRE polls by another rule than its source has, and the bounds of everything here are wrong. It is what
/// becomes of "a peer polls within a quarter of the hint" where that timer is not set.
async fn a_bundle_that_is_given_without_its_hint_is_not_fetched_again(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let (far, near) = (CLUSTER2, other(CLUSTER2));
    let (own, peers) = (fixture.timers(far).await?, fixture.timers(near).await?);
    let by_life = own.fetched_after_a_failed_first_fetch(&peers);
    fixture.announces("until a bundle that was given without a hint is fetched again", &by_life)?;
    let bundle = spire::bundle(fixture.api(far)?).await?;

    let closed = Closed::endpoint(fixture, far).await?;
    give(fixture, near, far, &bundle).await?;
    closed.open(fixture).await?;
    let mut rotation = Rotation::prepare(fixture, far).await?;
    wait::pause_for(own.fetched_by(&peers).length() * 3).await;
    let not = fixture.lacks(near, far, &rotation.new).await?;
    fixture.shows(
        NOT_WITHIN_THE_HINT,
        Must::have(["it holds "]),
        not.unwrap_or_else(|| "what was prepared".to_owned()),
    );

    let closed = Closed::endpoint(fixture, far).await?;
    give(fixture, near, far, &with_hint(&bundle, own.refresh_hint)?).await?;
    let opened = closed.open(fixture).await?;
    let step = rotation.held_by_peer(fixture, opened).await?;
    fixture.took(WITHIN_THE_HINT, step.bound.clone(), &step.took)?;
    rotation.believed(fixture, opened).await?.done()?;
    fixture.step(far, Step::Activate, &rotation.new).await?;
    rotation.finish(fixture).await
}

/// Federates anew with a bundle that is given, whose endpoint is closed: the first fetch has failed when this returns.
async fn give(fixture: &mut Fixture<'_>, near: Nth, far: Nth, bundle: &str) -> Result<()> {
    let name = fixture.cluster(far)?.name.0.clone();
    let mut object = json!({
        "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterFederatedTrustDomain",
        "metadata": { "name": name }
    });
    let before = fixture.read(near, &object).await?;
    let failures = failed_fetches(fixture, near).await?;
    fixture.remove(near, &object).await?;
    let domain = fixture.cluster(far)?.trust_domain.clone();
    let gone = async || {
        let said = spire::command(fixture.api(near)?, &["federation", "list"]).await?;
        Ok(if said.contains(&domain) { said } else { "no relationship".to_owned() })
    };
    fixture.until("the end of the relationship", "no relationship", gone).await?;
    object["spec"] = before.data["spec"].clone();
    object["spec"]["trustDomainBundle"] = json!(bundle);
    apply(fixture.api(near)?, &[object], &Note::silent()).await?;
    let failed = async || {
        Ok(if failed_fetches(fixture, near).await? > failures { "it failed" } else { "" }.to_owned())
    };
    match fixture.until("the first fetch of the bundle", "it failed", failed).await?.as_str() {
        "" => Err(Error::new(
            Code::Evidence,
            "the server did not try to fetch the bundle from a closed endpoint",
        )),
        _ => Ok(()),
    }
}

async fn failed_fetches(fixture: &Fixture<'_>, cluster: Nth) -> Result<usize> {
    let server = (Pods("spire", "app=spire-server"), "spire-server");
    said(fixture, cluster, server, "Error updating bundle").await
}

fn with_hint(bundle: &str, hint: Duration) -> Result<String> {
    let mut bundle: Value =
        serde_json::from_str(bundle).map_err(|e| Error::new(Code::Evidence, "the bundle").because(e))?;
    bundle["spiffe_refresh_hint"] = json!(hint.as_secs());
    Ok(bundle.to_string())
}
