//! The network between the clusters: cut one way, cut both ways, and one that loses packets.

use std::time::Duration;

use harness::{Result, wait};
use proof::evidence::Must;
use proof::motion::{Answers, Flow, Window};

use super::cut::Cut;
use super::{SVID_LIFE, failed_only, window};
use crate::authorities::noticed;
use crate::shows::Shows;
use crate::traffic::Traffic;
use crate::{CLUSTER1, CLUSTER2, Fixture, scenarios};

scenarios! {
    "cut-one-way" => a_firewall_against_one_side_is_noticed_that_way_only {
        CUT_THAT_WAY: "the second cluster's node drops what the first one opens to it: packets met that rule",
        NEW_ONE_WAY each way: "of the requests from {from} to {to} on connections of their own those fail that the first \
            cluster sends to the second while that is so, and no others",
        KEPT_ONE_WAY each way: "of those on connections that stay, from {from} to {to}, no others fail either",
    },
    "cut-both-ways" => a_network_that_is_cut_is_noticed_for_as_long_as_it_is {
        CUT_BOTH_WAYS: "the second cluster's node drops what comes from the first: packets met that rule",
        NEW_CUT each way: "of the requests from {from} to {to} on connections of their own those fail that are sent meanwhile, \
            and no others",
        KEPT_CUT each way: "of those on connections that stay, from {from} to {to}, no others fail either",
    },
    "lossy" => a_network_that_loses_packets_costs_time_and_no_request {
        LOST each cluster: "the node of {cluster} drops some of the packets of its peer by chance: packets met that rule",
        NEW_DESPITE_LOSS each way: "meanwhile every request from {from} to {to} on a connection of its own is answered",
        KEPT_DESPITE_LOSS each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
}

/// Longer than Envoy waits for a connection (10 s, Istio's default) and the client for an answer (15 s).
const AWAY: Duration = Duration::from_secs(20);
/// Of a hundred. A packet that opens a connection is sent again after 1, 3 and 7 s: that four in a row are lost within Envoy's
/// 10 s happens once in six million connections.
const LOSS: u8 = 2;

/// If this fails, requests go another way than the one that is cut, or a firewall's mistake takes both directions down.
async fn a_firewall_against_one_side_is_noticed_that_way_only(fixture: &mut Fixture<'_>) -> Result<()> {
    let (flows, meanwhile) = cut(fixture, (Cut::OpenedByPeer, CUT_THAT_WAY)).await?;
    let far = fixture.cluster(CLUSTER2)?.name.clone();
    fixture.answered(&flows, [NEW_ONE_WAY, KEPT_ONE_WAY], |flow| {
        if flow.way.to == far { failed_only(flow, meanwhile.clone()) } else { Answers::All }
    })
}

/// If this fails, a cut is over later than it is, or something else than the network fails with it.
async fn a_network_that_is_cut_is_noticed_for_as_long_as_it_is(fixture: &mut Fixture<'_>) -> Result<()> {
    let (flows, meanwhile) = cut(fixture, (Cut::All, CUT_BOTH_WAYS)).await?;
    fixture.answered(&flows, [NEW_CUT, KEPT_CUT], |flow| failed_only(flow, meanwhile.clone()))
}

/// If this fails, a bad line is an outage.
async fn a_network_that_loses_packets_costs_time_and_no_request(fixture: &mut Fixture<'_>) -> Result<()> {
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let mut spoilt = Vec::new();
    for cluster in [CLUSTER1, CLUSTER2] {
        spoilt.push((cluster, Cut::Some(LOSS).at(fixture, cluster).await?));
    }
    wait::pause_for(AWAY).await;
    for (cluster, spoilt) in spoilt {
        let name = fixture.cluster(cluster)?.name.clone();
        fixture.shows(LOST.of(&name), Must::have([MET]), met(spoilt.packets(fixture).await?));
        spoilt.mend(fixture).await?;
    }
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_DESPITE_LOSS, KEPT_DESPITE_LOSS], |_| Answers::All)
}

/// Cuts the second cluster off for a while; what came of all requests, and when those fail that need the network.
async fn cut(fixture: &mut Fixture<'_>, (how, fact): (Cut, Shows)) -> Result<(Vec<Flow>, Window)> {
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let bound = noticed();
    fixture.announces("until requests are answered again, once the network is back", &bound)?;
    let spoilt = how.at(fixture, CLUSTER2).await?;
    wait::pause_for(AWAY).await;
    fixture.shows(fact, Must::have([MET]), met(spoilt.packets(fixture).await?));
    let since = spoilt.since;
    let mended = spoilt.mend(fixture).await?;
    traffic.flows().await?;
    let flows = traffic.end().await?;
    let because = "the network is cut from the first of these on, and back at";
    // What is on its way when it is cut hangs: the client gives it up, in its own words.
    Ok((flows, window(since, (mended, &bound), &["503", "no answer"], because)))
}

/// What a rule that met some packets is told to have done.
const MET: &str = "packets met it";

fn met(packets: u64) -> String {
    if packets == 0 { "nothing met it".to_owned() } else { format!("{packets} {MET}") }
}
