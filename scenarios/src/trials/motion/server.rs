//! A SPIRE server that is away for longer than an SVID lives, and one that loses everything that it knows.

use std::time::{Duration, Instant};

use harness::Result;
use harness::kube::rollout::Workload;
use jiff::{SignedDuration, Timestamp};
use proof::evidence::Must;
use proof::identity::Authority;
use proof::motion::Connection;

use super::parts::{back, scale, shown, spire_server};
use super::{SVID_LIFE, bounds, failed_only, window};
use crate::traffic::Traffic;
use crate::undo::Undo;
use crate::{CLUSTER1, CLUSTER2, Fixture, Nth, Pods, scenarios};

scenarios! {
    "server-down-for-longer" => a_server_that_is_away_for_longer_than_an_svid_lives_is_noticed_when_that_is_over {
        OVER each way: "new connections from {from} to {to} are refused when the SVIDs are over that the second cluster's server \
            cannot renew",
        NEW_WITHOUT_SVID each way: "of the requests from {from} to {to} on connections of their own those fail that are sent \
            after that and before the server's agents have new SVIDs, and no others",
        KEPT_WITHOUT_SVID each way: "of those on connections that stay, from {from} to {to}, no others fail either",
    },
    "server-lost-and-restored" => a_server_that_loses_its_data_takes_its_trust_domain_along_until_they_are_restored {
        AGENT_ENDS: "an agent that meets a server whose authority it does not know, for that one lost its data, ends: it does not \
            go on with what it has",
        TAKEN_ALONG: "started anew it takes that authority, which the server wrote where agents begin: every proxy of its cluster \
            shows an SVID that no peer believes",
        SAME_AGAIN: "restored from a backup the server signs by the authority that it had",
        SHOWN_AGAIN: "and then every proxy of its cluster shows an SVID of that one again",
        NEW_WITHOUT_DATA each way: "of the requests from {from} to {to} on connections of their own those fail that are sent after \
            the loss and before that, and no others",
        KEPT_WITHOUT_DATA each way: "of those on connections that stay, from {from} to {to}, no others fail either",
    },
}

/// What is shorter is over before the server is back.
const SHORT_LIFE: u64 = 30;

/// If this fails, an expired SVID is good enough for somebody, or an outage lasts longer than it does.
async fn a_server_that_is_away_for_longer_than_an_svid_lives_is_noticed_when_that_is_over(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let (near, away) = (CLUSTER1, CLUSTER2);
    let life = Duration::from_secs(SHORT_LIFE);
    let traffic = Traffic::begin(fixture, &format!("{SHORT_LIFE}s")).await?;
    let told = fixture.told(away).await?;
    let over = bounds::over(life);
    fixture.announces("until new connections are refused", &over)?;
    let began = Instant::now();
    let down = Timestamp::now();
    scale(fixture, away, &spire_server(), 0).await?;
    for (from, to) in [(near, away), (away, near)] {
        let way = fixture.mesh.way(from, to)?;
        let took = traffic.first_failure(&way, Connection::New, (down, &over)).await;
        fixture.took(OVER.on(&way), over.clone(), &took)?;
    }
    back(fixture, away, &spire_server()).await?;
    fixture.rolled_out(away, Workload::StatefulSet, "spire", "spire-server").await?;
    let served = Timestamp::now();
    let bound = bounds::after_silence(&told, began.elapsed());
    fixture.announces("until requests are answered again, once the server is back", &bound)?;
    traffic.flows().await?;
    let flows = traffic.end().await?;
    let first = down + SignedDuration::try_from(told.own.left_at_least(life)).unwrap_or_default();
    fixture.answered(&flows, [NEW_WITHOUT_SVID, KEPT_WITHOUT_SVID], |flow| {
        let because = "no SVID is over before the first of these, and the server is back at";
        failed_only(flow, window(first, (served, &bound), &["503"], because))
    })
}

/// Where the server's data lie in its node, and where they are kept meanwhile.
const LOSE: &str = "mv /var/lib/spire /var/lib/spire-kept && mkdir /var/lib/spire";
pub const RESTORE: &str =
    "if [ -d /var/lib/spire-kept ]; then rm -rf /var/lib/spire && mv /var/lib/spire-kept /var/lib/spire; fi";

/// If this fails, a backup of a SPIRE server's data is no backup, or a loss is less than an outage at once.
async fn a_server_that_loses_its_data_takes_its_trust_domain_along_until_they_are_restored(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let of = CLUSTER2;
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let had = authorities(fixture, of).await?;
    // Undone last: the server reads its data when it starts.
    fixture.will_undo(of, Undo::Restart("spire".into(), "spire-server".into(), Workload::StatefulSet))?;
    let before = restarts(fixture, of).await?;
    let lost = Timestamp::now();
    scale(fixture, of, &spire_server(), 0).await?;
    fixture.renew(of, PODS).await?;
    fixture.change_node(of, LOSE, RESTORE).await?;
    back(fixture, of, &spire_server()).await?;
    fixture.rolled_out(of, Workload::StatefulSet, "spire", "spire-server").await?;
    let made = authorities(fixture, of).await?;
    let told = fixture.told(of).await?;
    let taken = |began: Timestamp| {
        let silent = Duration::try_from(Timestamp::now().duration_since(began)).unwrap_or_default();
        bounds::after_loss(&told, silent)
    };
    let waits = ("until every proxy shows an SVID of the new authority", Timestamp::now(), taken(lost));
    let step = shown(fixture, of, waits, &made).await?;
    fixture.took(TAKEN_ALONG, step.bound, &step.took)?;
    let ended = restarts(fixture, of).await? - before;
    let seen = if ended > 0 { format!("{ENDED}, {ended} times") } else { "it went on".to_owned() };
    fixture.shows(AGENT_ENDS, Must::have([ENDED]), seen);

    let again = Timestamp::now();
    scale(fixture, of, &spire_server(), 0).await?;
    fixture.renew(of, PODS).await?;
    fixture.on_node(of, RESTORE).await?;
    back(fixture, of, &spire_server()).await?;
    fixture.rolled_out(of, Workload::StatefulSet, "spire", "spire-server").await?;
    let restored = Timestamp::now();
    let now = authorities(fixture, of).await?;
    fixture.shows(SAME_AGAIN, Must::be(ids(&had)), ids(&now));
    let bound = taken(again);
    let waits = ("until every proxy shows an SVID of the old authority", restored, bound.clone());
    let step = shown(fixture, of, waits, &had).await?;
    fixture.took(SHOWN_AGAIN, step.bound, &step.took)?;
    traffic.flows().await?;
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_WITHOUT_DATA, KEPT_WITHOUT_DATA], |flow| {
        let because = "the data are lost from the first of these on, and restored at";
        failed_only(flow, window(lost, (restored, &bound), &["503"], because))
    })
}

const ENDED: &str = "it ended and was started anew";
const PODS: Pods<'static> = Pods("spire", "app=spire-server");

/// How often the agent's container was started anew because it had ended by itself.
async fn restarts(fixture: &Fixture<'_>, cluster: Nth) -> Result<i32> {
    let pod = fixture.pod(cluster, Pods("spire", "app=spire-agent")).await?;
    let containers = pod.status.into_iter().flat_map(|status| status.container_statuses.unwrap_or_default());
    Ok(containers.map(|one| one.restart_count).sum())
}

/// What the server publishes.
async fn authorities(fixture: &Fixture<'_>, cluster: Nth) -> Result<Vec<Authority>> {
    Ok(fixture.published(cluster).await?.authorities)
}

fn ids(authorities: &[Authority]) -> String {
    authorities.iter().map(Authority::key_id).collect::<Vec<_>>().join(", ")
}
