//! An authority is replaced: as it should be done, and too fast.

use harness::Result;
use harness::kube::logs::logs;
use harness::kube::pods::one_ready_pod;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::LogParams;
use proof::envoy::Record;
use proof::evidence::Must;
use proof::motion::Answers;

use super::steps::{Closed, Rotation, other};
use super::{SVID_LIFE, bounds, failed_only, window};
use crate::traffic::{CLIENT, Traffic};
use crate::{CLUSTER1, CLUSTER2, Fixture, Nth, scenarios};

scenarios! {
    "authority-rotation" => an_authority_rotates_and_no_request_fails {
        HELD_BY_PEER each cluster: "a new authority of {cluster} is in its peer's SPIRE server within the time that the \
            timers make",
        BELIEVED each cluster: "then every proxy of both clusters believes the new authority of {cluster}, before it signs \
            anything",
        SIGNS each cluster: "once it is activated, it signs every SVID of {cluster} that lives for a minute",
        OLD_SHOWN_NO_MORE each cluster: "once the old authority of {cluster} is tainted, no proxy shows a certificate of it, \
            whatever that one's life",
        OLD_BELIEVED_NO_MORE each cluster: "once it is revoked, no proxy of either cluster believes the old authority of \
            {cluster}",
        NEW_ANSWERED each way: "meanwhile every request from {from} to {to} on a connection of its own is answered",
        KEPT_ANSWERED each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
    "authority-rotation-too-fast" => an_authority_that_signs_before_its_peer_knows_it_cuts_new_connections {
        SIGNS_UNKNOWN: "an authority can be activated although no peer knows it: SPIRE does not ask",
        REFUSED_BY_CLIENT: "then the far client refuses the server's new certificate",
        REFUSED_BY_SERVER: "and the far server ends the connections of a client with a new certificate, which hears no reason",
        CUT_AND_HEALED each way: "new connections from {from} to {to} are refused until the peer has fetched the bundle, and \
            no longer than its timers make",
        KEPT_AT_MOST each way: "connections from {from} to {to} that stay suffer at no other time",
    },
}

const REFUSED: &str = "CERTIFICATE_VERIFY_FAILED";
const ENDED: &str = "connection_termination";

/// If this fails, nobody can rotate an authority of this mesh without an outage, or the timers are not what decides.
async fn an_authority_rotates_and_no_request_fails(fixture: &mut Fixture<'_>) -> Result<()> {
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    for cluster in [CLUSTER2, CLUSTER1] {
        rotate(fixture, cluster).await?;
    }
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_ANSWERED, KEPT_ANSWERED], |_| Answers::All)
}

async fn rotate(fixture: &mut Fixture<'_>, cluster: Nth) -> Result<()> {
    let name = fixture.cluster(cluster)?.name.clone();
    let mut rotation = Rotation::prepare(fixture, cluster).await?;
    let since = rotation.prepared;
    let step = rotation.held_by_peer(fixture, since).await?;
    fixture.took(HELD_BY_PEER.of(&name), step.bound.clone(), &step.took)?;
    let step = rotation.believed(fixture, since).await?;
    fixture.took(BELIEVED.of(&name), step.bound.clone(), &step.took)?;
    step.done()?;
    let step = rotation.activate(fixture).await?;
    fixture.took(SIGNS.of(&name), step.bound.clone(), &step.took)?;
    let step = rotation.taint(fixture).await?;
    fixture.took(OLD_SHOWN_NO_MORE.of(&name), step.bound.clone(), &step.took)?;
    step.done()?;
    let step = rotation.revoke(fixture).await?;
    fixture.took(OLD_BELIEVED_NO_MORE.of(&name), step.bound.clone(), &step.took)?;
    step.done()
}

/// If this fails, a rotation may be hurried, or the damage is another one than the timers say. It is the control of the
/// other one: nothing differs but that nobody waits.
async fn an_authority_that_signs_before_its_peer_knows_it_cuts_new_connections(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let (hasty, peer) = (CLUSTER2, other(CLUSTER2));
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let healed_within = bounds::believed(&fixture.told(hasty).await?);
    fixture.announces("until the breakage is over, once the peer can fetch the bundle", &healed_within)?;
    let closed = Closed::endpoint(fixture, hasty).await?;
    let mut rotation = Rotation::prepare(fixture, hasty).await?;
    let activated = Timestamp::now();
    let step = rotation.activate(fixture).await?;
    fixture.took(SIGNS_UNKNOWN, step.bound.clone(), &step.took)?;
    let what = "a refusal, in the access log";
    let by_client = fixture.until(what, REFUSED, async || refusals(fixture, peer).await).await?;
    let by_server = fixture.until(what, ENDED, async || refusals(fixture, hasty).await).await?;
    let opened = closed.open(fixture).await?;
    fixture.shows(REFUSED_BY_CLIENT, Must::have([REFUSED]), by_client);
    fixture.shows(REFUSED_BY_SERVER, Must::have([ENDED]), by_server);
    rotation.held_by_peer(fixture, opened).await?.done()?;
    rotation.believed(fixture, opened).await?.done()?;
    traffic.flows().await?;
    rotation.finish(fixture).await?;
    let flows = traffic.end().await?;
    let because = "it signs from the first of these on, and the peer can fetch it from";
    fixture.answered(&flows, [CUT_AND_HEALED, KEPT_AT_MOST], |flow| {
        // Neither client is told more than that; the reason is in its sidecar's log.
        let window = window(activated, (opened, &healed_within), &["503"], because);
        failed_only(flow, window)
    })
}

/// What the sidecar of that cluster's client wrote in the last seconds about requests that were not answered.
async fn refusals(fixture: &Fixture<'_>, cluster: Nth) -> Result<String> {
    let pod = one_ready_pod(fixture.api(cluster)?, CLIENT.0, CLIENT.1).await?.name_any();
    let container = Some("istio-proxy".to_owned());
    let params = LogParams { container, since_seconds: Some(10), ..Default::default() };
    let records = Record::all_in(&logs(fixture.api(cluster)?, CLIENT.0, &pod, &params).await?)?;
    let mut words: Vec<String> = Vec::new();
    for record in records.into_iter().filter(|record| record.response_code == 503) {
        let said = [record.response_code_details, record.upstream_transport_failure_reason];
        let said = said.into_iter().flatten().collect::<Vec<_>>().join(" ");
        if !words.contains(&said) {
            words.push(said);
        }
    }
    Ok(words.join(" / "))
}
