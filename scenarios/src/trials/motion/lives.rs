//! Authorities of minutes and SVIDs of seconds: everything is replaced by itself, again and again, and nobody waits for it.

use std::collections::BTreeSet;

use harness::{Code, Error, Result, spire, wait};
use jiff::Timestamp;
use proof::evidence::Must;
use proof::motion::{Answers, Took};
use serde_json::Value;

use super::parts::always;
use super::steps::other;
use super::{EVERYONE, bounds};
use crate::traffic::Traffic;
use crate::watched::Watched;
use crate::{Fixture, Nth, scenarios};

scenarios! {
    "short-lives" => everything_is_replaced_by_itself_and_no_request_fails {
        RENEWED each cluster: "while SVIDs live ten times, every proxy of {cluster} shows at least as many, one after the other",
        TIME_ENOUGH each cluster: "what SPIRE leaves between preparing an authority of {cluster} and signing with it is longer \
            than every proxy of both clusters takes to believe it",
        X509_REPLACED each cluster: "meanwhile the X.509 authority of {cluster} is replaced by itself",
        JWT_REPLACED each cluster: "and the JWT authority of {cluster} along with it",
        JWT_HELD_BY_PEER each cluster: "the JWT authority that signs in {cluster} then is in its peer's SPIRE server, too",
        LIVES_OF_SPIRE each cluster: "at no time did a proxy of {cluster} hold anything from istiod's CA",
        LIVES_WITH_ALL each cluster: "at no time did one of {cluster} cease to believe a trust domain",
        NEW_THROUGH_LIVES each way: "meanwhile every request from {from} to {to} on a connection of its own is answered",
        KEPT_THROUGH_LIVES each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
}

/// So many lives of an SVID.
const LIVES: u32 = 10;

/// If this fails, whoever shortens lives as everybody advises gets an outage at each rotation.
async fn everything_is_replaced_by_itself_and_no_request_fails(fixture: &mut Fixture<'_>) -> Result<()> {
    let numbers: Vec<_> = fixture.mesh.numbers().collect();
    let mut lives = Vec::new();
    for cluster in &numbers {
        let told = fixture.told(*cluster).await?;
        let takes = bounds::believed(&told);
        let left = bounds::signs_by_itself(&told);
        fixture.announces("until it signs, once it is prepared", &left)?;
        let took = Took::in_time(takes.length(), format!("is what it takes at most: {takes}"));
        fixture.took(TIME_ENOUGH.of(&fixture.cluster(*cluster)?.name.clone()), left, &took)?;
        lives.push(told.own.svid_life);
    }
    let life = lives.into_iter().max().unwrap_or_default();
    let traffic = Traffic::begin(fixture, &format!("{}s", life.as_secs())).await?;
    let mut before = Vec::new();
    for cluster in &numbers {
        before.push([signs(fixture, *cluster, X509).await?, signs(fixture, *cluster, JWT).await?]);
    }
    let since = Timestamp::now();
    wait::pause_for(life * LIVES).await;
    let mut watched = Watched::of(fixture)?;
    for (cluster, before) in numbers.iter().zip(before) {
        let name = fixture.cluster(*cluster)?.name.clone();
        let shown = watched.svids(fixture, (*cluster, &EVERYONE), since).await?;
        let few = shown.iter().any(|(_, count)| *count < LIVES as usize);
        let told: Vec<_> = shown.iter().map(|(pod, count)| format!("{count} by {pod}")).collect();
        let seen = format!("{}: {}", if few { FEW } else { ENOUGH }, told.join(", "));
        fixture.shows(RENEWED.of(&name), Must::have([ENOUGH]), seen);
        let mut now = Vec::new();
        for ((kind, fact), before) in [(X509, X509_REPLACED), (JWT, JWT_REPLACED)].into_iter().zip(before) {
            let signs = signs(fixture, *cluster, kind).await?;
            let seen =
                if signs == before { SAME.to_owned() } else { format!("{REPLACED} {before}: {signs}") };
            fixture.shows(fact.of(&name), Must::have([REPLACED]), seen);
            now.push(signs);
        }
        let held = jwt_keys(fixture, other(*cluster), *cluster).await?;
        let seen = held.into_iter().collect::<Vec<_>>().join(" ");
        fixture.shows(JWT_HELD_BY_PEER.of(&name), Must::have([now.pop().unwrap_or_default()]), seen);
    }
    always(fixture, since, [LIVES_OF_SPIRE, LIVES_WITH_ALL]).await?;
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_THROUGH_LIVES, KEPT_THROUGH_LIVES], |_| Answers::All)
}

const ENOUGH: &str = "ten or more each";
const FEW: &str = "fewer than ten";
const SAME: &str = "the same one signs as before";
const REPLACED: &str = "another one signs than";
const X509: &str = "x509";
const JWT: &str = "jwt";

/// The id of the authority of that kind that signs.
async fn signs(fixture: &Fixture<'_>, cluster: Nth, kind: &str) -> Result<String> {
    let said =
        spire::command(fixture.api(cluster)?, &["localauthority", kind, "show", "-output", "json"]).await?;
    let state: Value = serde_json::from_str(&said).unwrap_or_default();
    let id = state["active"]["authority_id"].as_str().map(str::to_owned);
    id.ok_or_else(|| {
        Error::new(Code::Evidence, format!("the server names no active {kind} authority")).seen(said)
    })
}

/// The ids of the JWT authorities of `of` that the server of `holder` holds.
async fn jwt_keys(fixture: &Fixture<'_>, holder: Nth, of: Nth) -> Result<BTreeSet<String>> {
    let domain = &fixture.cluster(of)?.trust_domain;
    let held = spire::bundle_of_peer(fixture.api(holder)?, domain).await?.unwrap_or_default();
    let bundle: Value = serde_json::from_str(&held).unwrap_or_default();
    let keys = bundle["keys"].as_array().into_iter().flatten();
    let jwt = keys.filter(|key| key["use"] == "jwt-svid").filter_map(|key| key["kid"].as_str());
    Ok(jwt.map(str::to_owned).collect())
}
