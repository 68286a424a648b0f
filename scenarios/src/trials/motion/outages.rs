//! Parts of the mesh are away for a while, or somebody's identity is taken: what users notice, and for how long.

use std::time::{Duration, Instant};

use harness::Result;
use harness::kube::rollout::Workload;
use harness::wait;
use jiff::Timestamp;
use proof::envoy::Held;
use proof::motion::Answers;
use serde_json::{Value, json};

use super::parts::{Mistake, back, made_since, scale, spire_server};
use super::steps::Rotation;
use super::{EVERYONE, SVID_LIFE, bounds, failed_only, window};
use crate::authorities::noticed;
use crate::objects::deployment;
use crate::traffic::Traffic;
use crate::watched::Watched;
use crate::{CLUSTER1, CLUSTER2, Fixture, GATEWAY, Pods, scenarios};

scenarios! {
    "server-down" => a_server_that_is_away_for_less_than_an_svids_life_is_noticed_by_no_request {
        SERVED_AGAIN: "a SPIRE server that was away is asked again by its agents within the time that their back-off makes",
        NEW_DESPITE_SERVER each way: "meanwhile every request from {from} to {to} on a connection of its own is answered",
        KEPT_DESPITE_SERVER each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
    "agent-restarted" => an_agent_that_starts_anew_is_noticed_by_no_request {
        FRESH_FROM_AGENT: "a SPIRE agent that was killed and started anew has given every proxy of its node a new SVID within \
            the time that their back-off makes",
        NEW_DESPITE_AGENT each way: "meanwhile every request from {from} to {to} on a connection of its own is answered",
        KEPT_DESPITE_AGENT each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
    "istiod-down" => an_authority_rotates_while_istiod_is_away {
        ROTATED_WITHOUT_ISTIOD: "with both istiods away an authority is replaced in every proxy all the same, for it does not \
            come from them",
        NEW_DESPITE_ISTIOD each way: "meanwhile every request from {from} to {to} on a connection of its own is answered",
        KEPT_DESPITE_ISTIOD each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
    "gateway-away" => a_gateway_that_is_away_is_noticed_by_those_who_need_it_and_no_longer {
        NEW_THROUGH_GATEWAY each way: "of the requests from {from} to {to} on connections of their own those fail that need \
            the gateway of the second cluster while it is away, and no others",
        KEPT_THROUGH_GATEWAY each way: "of those on connections that stay, from {from} to {to}, no others fail either",
    },
    "entry-deleted" => an_identity_that_is_taken_is_refused_at_once_and_until_it_is_back {
        NEW_WITHOUT_ENTRY each way: "once the entry of the first cluster's client is deleted its requests from {from} to {to} on \
            connections of their own are refused until the entry is back; nobody else's are",
        KEPT_WITHOUT_ENTRY each way: "of those on connections that stay, from {from} to {to}, no others are refused either",
        REFUSED_IN_TIME: "the first is refused as soon as the agent knows: nothing waits until its SVID is over",
    },
}

/// Less than what is left of an SVID's life when it is about to be renewed.
const AWAY: Duration = Duration::from_secs(20);

/// If this fails, a restart of a SPIRE server is an outage.
async fn a_server_that_is_away_for_less_than_an_svids_life_is_noticed_by_no_request(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let away = CLUSTER2;
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let server = spire_server();
    let began = Instant::now();
    scale(fixture, away, &server, 0).await?;
    wait::pause_for(AWAY).await;
    back(fixture, away, &server).await?;
    fixture.rolled_out(away, Workload::StatefulSet, "spire", "spire-server").await?;
    let bound = bounds::after_silence(&fixture.told(away).await?, began.elapsed());
    let what = "until every proxy of its cluster holds what it then prepared";
    let mut rotation = Rotation::prepare(fixture, away).await?;
    let step = rotation.at_home(fixture, (what, bound)).await?;
    fixture.took(SERVED_AGAIN, step.bound.clone(), &step.took)?;
    rotation.believed(fixture, rotation.prepared).await?.done()?;
    rotation.activate(fixture).await?.done()?;
    rotation.finish(fixture).await?;
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_DESPITE_SERVER, KEPT_DESPITE_SERVER], |_| Answers::All)
}

/// If this fails, an upgrade of the SPIRE agent is an outage.
async fn an_agent_that_starts_anew_is_noticed_by_no_request(fixture: &mut Fixture<'_>) -> Result<()> {
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let what = "until every proxy has an SVID from the new agent";
    let bound = bounds::new_agent();
    fixture.announces(what, &bound)?;
    let killed = Timestamp::now();
    fixture.renew(CLUSTER2, Pods("spire", "app=spire-agent")).await?;
    fixture.rolled_out(CLUSTER2, Workload::DaemonSet, "spire", "spire-agent").await?;
    let since = Timestamp::now();
    let mut watched = Watched::of(fixture)?;
    let fresh = |held: &Held| made_since(held, killed);
    let took = watched.all(fixture, (&[CLUSTER2], &EVERYONE), (what, since, &bound), fresh).await?;
    fixture.took(FRESH_FROM_AGENT, bound, &took)?;
    traffic.flows().await?;
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_DESPITE_AGENT, KEPT_DESPITE_AGENT], |_| Answers::All)
}

/// If this fails, trust comes by way of istiod after all.
async fn an_authority_rotates_while_istiod_is_away(fixture: &mut Fixture<'_>) -> Result<()> {
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let istiod = deployment("istio-system", "istiod");
    for cluster in [CLUSTER1, CLUSTER2] {
        scale(fixture, cluster, &istiod, 0).await?;
    }
    let mut rotation = Rotation::prepare(fixture, CLUSTER2).await?;
    rotation.believed(fixture, rotation.prepared).await?.done()?;
    rotation.activate(fixture).await?.done()?;
    rotation.taint(fixture).await?.done()?;
    let step = rotation.revoke(fixture).await?;
    fixture.took(ROTATED_WITHOUT_ISTIOD, step.bound.clone(), &step.took)?;
    for cluster in [CLUSTER1, CLUSTER2] {
        back(fixture, cluster, &istiod).await?;
        fixture.ready(cluster, "istio-system", "istiod").await?;
    }
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_DESPITE_ISTIOD, KEPT_DESPITE_ISTIOD], |_| Answers::All)
}

/// If this fails, requests go another way than through the gateway, or it is away for longer than it is.
async fn a_gateway_that_is_away_is_noticed_by_those_who_need_it_and_no_longer(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let away = CLUSTER2;
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let gateway = deployment("istio-system", "east-west-istio");
    let bound = noticed();
    fixture.announces("until requests are answered again, once the gateway is ready", &bound)?;
    let gone = Timestamp::now();
    scale(fixture, away, &gateway, 0).await?;
    fixture.renew(away, GATEWAY).await?;
    wait::pause_for(AWAY / 2).await;
    back(fixture, away, &gateway).await?;
    fixture.ready(away, "istio-system", "east-west-istio").await?;
    let ready = Timestamp::now();
    traffic.flows().await?;
    let needs_it = fixture.cluster(away)?.name.clone();
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_THROUGH_GATEWAY, KEPT_THROUGH_GATEWAY], |flow| {
        if flow.way.to != needs_it {
            return Answers::All;
        }
        let window = window(
            gone,
            (ready, &bound),
            &["503"],
            "the gateway is scaled to none from the first of these on, and \
            ready again at",
        );
        Answers::AllBut(window)
    })
}

/// If this fails, whoever takes an identity away has not taken it, or not as soon as the timers say.
async fn an_identity_that_is_taken_is_refused_at_once_and_until_it_is_back(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let of = CLUSTER1;
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let pods = |pods: Value| json!({ "spec": { "podSelector": pods } });
    // With the identity the agent takes the peers' bundles away from its proxy, which then verifies nobody (seen).
    let only_servers = pods(json!({ "matchLabels": { "app": "server" } }));
    let mistake =
        Mistake::make(fixture, (traffic, of), (only_servers, pods(Value::Null)), REFUSED_IN_TIME).await?;
    let from = fixture.cluster(of)?.name.clone();
    fixture.answered(&mistake.flows, [NEW_WITHOUT_ENTRY, KEPT_WITHOUT_ENTRY], |flow| {
        let window = mistake.window("its entry is deleted from the first of these on, and back at");
        if flow.way.from == from { failed_only(flow, window) } else { Answers::All }
    })
}
