//! The peer is not as it was: its API server is away, its bundle endpoint answers as somebody else, its gateway has another
//! address.

use std::time::{Duration, Instant};

use harness::{Code, Error, Result, wait};
use jiff::Timestamp;
use proof::evidence::Must;
use proof::motion::Answers;
use serde_json::json;

use super::cut::Cut;
use super::parts::{UNKNOWN, merge, said, unknown};
use super::steps::other;
use super::{SVID_LIFE, bounds, window};
use crate::objects::service;
use crate::traffic::{CLIENT, Traffic};
use crate::watched::seen_within;
use crate::{CLUSTER1, CLUSTER2, Fixture, Pods, scenarios};

scenarios! {
    "api-server-away" => an_api_server_that_its_peer_does_not_reach_is_noticed_by_no_request {
        NOT_TOLD: "while the second cluster's API server refuses its peer, a Service that it gets stays unknown there",
        TOLD_AGAIN: "once it is reached again the first cluster's proxies know that Service within the time that the timers make",
        NEW_DESPITE_API each way: "meanwhile every request from {from} to {to} on a connection of its own is answered: \
            endpoints stay",
        KEPT_DESPITE_API each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
    "endpoint-of-another" => a_bundle_endpoint_of_another_identity_is_refused_and_noticed_by_no_request {
        REFUSED_AS_ANOTHER: "a bundle endpoint that is another than the relationship says is refused when its bundle is fetched",
        FETCHED_AS_ITSELF: "once the relationship names it again its bundle is fetched within the time that the timers make",
        NEW_DESPITE_ANOTHER each way: "meanwhile every request from {from} to {to} on a connection of its own is answered",
        KEPT_DESPITE_ANOTHER each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
    "gateway-moved" => a_gateway_that_moves_is_found_at_its_new_address {
        FOUND_AT_NEW: "a gateway that got another address is known by that one alone to the first cluster's proxies within the \
            time that istiod takes",
        NEW_THROUGH_MOVED each way: "of the requests from {from} to {to} on connections of their own those may fail that are \
            sent to the old address before that, and no others",
        KEPT_THROUGH_MOVED each way: "of those on connections that stay, from {from} to {to}, no others fail either",
    },
}

/// If this fails, a mesh depends on its peer's API server from one request to the next.
async fn an_api_server_that_its_peer_does_not_reach_is_noticed_by_no_request(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let (near, far) = (CLUSTER1, CLUSTER2);
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let began = Instant::now();
    let spoilt = Cut::ApiServer.at(fixture, far).await?;
    let version = fixture.cluster(far)?.version.clone();
    for cluster in [near, far] {
        fixture.bring(cluster, "rotation/late.yaml", &[("VERSION", &version)]).await?;
    }
    wait::pause_for(Duration::from_secs(10)).await;
    let not = unknown(fixture, near).await?;
    fixture.shows(NOT_TOLD, Must::have([UNKNOWN]), not.unwrap_or_else(|| "an endpoint of it".to_owned()));
    let bound = bounds::known_again(began.elapsed());
    let what = "until the first cluster's client knows it";
    fixture.announces(what, &bound)?;
    let mended = spoilt.mend(fixture).await?;
    let took = seen_within(what, mended, &bound, || unknown(fixture, near)).await?;
    fixture.took(TOLD_AGAIN, bound, &took)?;
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_DESPITE_API, KEPT_DESPITE_API], |_| Answers::All)
}

/// If this fails, a partner's mistake in a relationship is an outage at once, or is never healed.
async fn a_bundle_endpoint_of_another_identity_is_refused_and_noticed_by_no_request(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let (far, near) = (CLUSTER2, other(CLUSTER2));
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let bound = bounds::related(&fixture.told(near).await?);
    let object = json!({ "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterFederatedTrustDomain",
        "metadata": { "name": fixture.cluster(far)?.name } });
    let right =
        fixture.read(near, &object).await?.data["spec"]["bundleEndpointProfile"]["endpointSPIFFEID"].clone();
    let named = |id| json!({ "spec": { "bundleEndpointProfile": { "endpointSPIFFEID": id } } });
    let wrong = json!(format!("spiffe://{}/somebody/else", fixture.cluster(far)?.trust_domain));
    let refused = said(fixture, near, SERVER, UNEXPECTED).await?;
    fixture.change_and_back(near, &object, (&named(wrong), named(right.clone()))).await?;
    let look = async || {
        let more = said(fixture, near, SERVER, UNEXPECTED).await? > refused;
        Ok(if more { UNEXPECTED } else { "no such words since then" }.to_owned())
    };
    let seen = fixture.until("a refusal, in the server's log", UNEXPECTED, look).await?;
    fixture.shows(REFUSED_AS_ANOTHER, Must::have([UNEXPECTED]), seen);

    let fresh = said(fixture, near, SERVER, REFRESHED).await?;
    let what = "until it is fetched";
    fixture.announces(what, &bound)?;
    let since = Timestamp::now();
    merge(fixture, near, &object, &named(right)).await?;
    let look = || async {
        let more = said(fixture, near, SERVER, REFRESHED).await? > fresh;
        Ok((!more).then(|| format!("the server's log has no `{REFRESHED}` since then")))
    };
    let took = seen_within(what, since, &bound, look).await?;
    fixture.took(FETCHED_AS_ITSELF, bound, &took)?;
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_DESPITE_ANOTHER, KEPT_DESPITE_ANOTHER], |_| Answers::All)
}

/// A server's words of an endpoint that shows another SVID than the relationship says, and of a bundle that came.
const UNEXPECTED: &str = "unexpected ID";
const REFRESHED: &str = "Bundle refreshed";
const SERVER: (Pods<'static>, &str) = (Pods("spire", "app=spire-server"), "spire-server");

/// If this fails, a load balancer's new address is an outage until somebody acts.
async fn a_gateway_that_moves_is_found_at_its_new_address(fixture: &mut Fixture<'_>) -> Result<()> {
    let (near, far) = (CLUSTER1, CLUSTER2);
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let old = fixture.address(far)?;
    let new = another(&old)?;
    let line = format!("ip address add {new}/32 dev eth0");
    let back = format!("ip address del {new}/32 dev eth0; ! ip address show dev eth0 | grep -qF ' {new}/'");
    fixture.change_node(far, &line, &back).await?;
    let bound = bounds::told_by_istiod();
    let what = "until the first cluster's client knows the new address alone";
    fixture.announces(what, &bound)?;
    let at = |address: &str| json!({ "status": { "loadBalancer": { "ingress": [{ "ip": address }] } } });
    let gateway = service("istio-system", "east-west-istio");
    let moved = Timestamp::now();
    fixture.change_status(far, &gateway, (&at(&new), at(&old))).await?;
    let version = &fixture.cluster(far)?.version;
    let endpoint =
        |address: &str| format!("outbound|5000||new-{version}.motion.svc.cluster.local::{address}:15443::");
    let look = || async {
        let known = fixture.admin(near, CLIENT, "/clusters").await?;
        let [new, old] = [&new, &old].map(|address| known.contains(&endpoint(address)));
        Ok((!new || old).then(|| format!("the new one is known: {new}; the old one is: {old}")))
    };
    let took = seen_within(what, moved, &bound, look).await?;
    fixture.took(FOUND_AT_NEW, bound.clone(), &took)?;
    traffic.flows().await?;
    let to = fixture.cluster(far)?.name.clone();
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_THROUGH_MOVED, KEPT_THROUGH_MOVED], |flow| {
        let because = "the gateway has its new address from the first of these on, and istiod knows it at";
        let window = window(moved, (moved, &bound), &[], because);
        if flow.way.to == to { Answers::AllMaybeBut(window) } else { Answers::All }
    })
}

/// Another address of the node's network that nobody has: the engine gives them out from its begin on.
fn another(address: &str) -> Result<String> {
    let address: std::net::IpAddr =
        address.parse().map_err(|e| Error::internal(format!("the node's address {address}")).because(e))?;
    match address {
        std::net::IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ok(format!("{a}.{b}.{c}.250"))
        }
        std::net::IpAddr::V6(_) => {
            Err(Error::new(Code::Evidence, "no second address is made up of an IPv6 one"))
        }
    }
}
