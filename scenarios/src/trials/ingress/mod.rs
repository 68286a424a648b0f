//! What the scenarios of the ingress gateway (document 000) share: the gateway, and asking through it.

mod ablations;
mod patch;
mod variants;

use crate::shows::Shows;
use crate::trial::Scenario;

use crate::{CLUSTER1, Fixture, HELLOWORLD, OUTSIDER, Pods};
use harness::Result;
use harness::kube::pods::pods;
use kube::ResourceExt;
use proof::envoy::{Cause, Record};
use proof::evidence::{Must, Reply};

pub(super) const SCENARIOS: &[&[Scenario]] = &[ablations::SCENARIOS, patch::SCENARIOS, variants::SCENARIOS];

/// Where the gateways are.
pub const NS: &str = "istio-ingress";
/// Who answers, behind a sidecar that takes mutual TLS only.
pub const BACKEND: Pods<'_> = HELLOWORLD;

/// The label that each gateway has by its name.
pub fn labels(gateway: &str) -> String {
    format!("app={gateway}")
}

/// Brings gateways as the chart makes them, with nothing of SPIRE's in them yet.
pub async fn bring(fixture: &mut Fixture<'_>, gateways: &[&str]) -> Result<()> {
    fixture.bring(CLUSTER1, "ingress/ground.yaml", &[]).await?;
    for gateway in gateways {
        fixture.bring(CLUSTER1, "ingress/gateway.yaml", &[("GATEWAY", gateway), ("AUTO", "auto")]).await?;
    }
    Ok(())
}

/// The names of all pods of a gateway, those on their way out too.
pub async fn names(fixture: &Fixture<'_>, gateway: &str) -> Result<String> {
    let all = pods(fixture.api(CLUSTER1)?, NS, &labels(gateway)).await?;
    Ok(all.iter().map(ResourceExt::name_any).collect::<Vec<_>>().join(" "))
}

/// A request through a gateway.
pub struct Passage {
    /// What came back.
    pub reply: Reply,
    /// In its path, for a gateway gives each request from outside an id of its own.
    pub mark: String,
    /// What the gateway wrote about it.
    pub records: Vec<Record>,
}

/// Asks once through the gateway, after it has answered with that status for a first time.
pub async fn through(fixture: &Fixture<'_>, gateway: &str, status: &str) -> Result<Passage> {
    let mark = format!("mark-{}", jiff::Timestamp::now().as_microsecond());
    let url = format!("http://{gateway}.{NS}/hello");
    let backend = format!("helloworld-{}.istio-test", fixture.cluster(CLUSTER1)?.version);
    fixture.knows(CLUSTER1, Pods(NS, &labels(gateway)), &backend, 5000).await?;
    let what = format!("{status} from {gateway}");
    let first = || async { Ok(fixture.ask(CLUSTER1, OUTSIDER, "curl", &url).await?.status.to_string()) };
    fixture.until(&what, status, first).await?;
    let reply = fixture.ask(CLUSTER1, OUTSIDER, "curl", &format!("{url}?{mark}")).await?;
    let records = marked(fixture, Pods(NS, &labels(gateway)), &mark).await?;
    Ok(Passage { reply, mark, records })
}

/// Claims that a gateway holds its own SVID, that a backend of mutual TLS answers through it, and that the backend was
/// shown that SVID.
pub async fn meets_by_its_svid(
    fixture: &mut Fixture<'_>,
    gateway: &str,
    [holds, answered, was_shown]: [Shows; 3],
) -> Result<Passage> {
    fixture.ready(CLUSTER1, NS, gateway).await?;
    let labels = labels(gateway);
    let pods = Pods(NS, &labels);
    let (id, own) = (fixture.id(CLUSTER1, pods).await?, fixture.own_certificate(CLUSTER1, pods).await?);
    let svid = Must::BeSvid { by: fixture.cluster(CLUSTER1)?.name.clone(), id };
    fixture.shows(holds, svid.clone(), own);
    let passage = through(fixture, gateway, "200").await?;
    fixture.shows(answered, Must::have(["200", "Hello version"]), said(&passage));
    let shown = gateways(fixture, &passage).await?;
    fixture.shows(was_shown, svid, shown);
    Ok(passage)
}

/// What a proxy wrote about the request with that mark.
async fn marked(fixture: &Fixture<'_>, of: Pods<'_>, mark: &str) -> Result<Vec<Record>> {
    let log = fixture
        .until(&format!("a record of {mark}"), mark, || fixture.log(CLUSTER1, of, "istio-proxy"))
        .await?;
    let all = Record::all_in(&log)?;
    Ok(all
        .into_iter()
        .filter(|record| record.path.as_deref().is_some_and(|path| path.contains(mark)))
        .collect())
}

/// An answer and why it is no better, in the words of whoever refused.
pub fn said(Passage { reply, records, .. }: &Passage) -> String {
    let cause = records.iter().rev().find_map(Record::cause).as_ref().map(Cause::to_string);
    let words = records.iter().rev().find_map(|record| record.upstream_transport_failure_reason.clone());
    format!(
        "{} {} | {} | {}",
        reply.status,
        reply.body.trim(),
        cause.unwrap_or_default(),
        words.unwrap_or_default()
    )
}

/// The certificate that the gateway was shown by the backend.
pub fn backends(passage: &Passage) -> String {
    let shown = passage.records.iter().rev().find_map(|record| record.upstream_peer_cert.as_ref());
    shown.map(|pem| pem.as_str().to_owned()).unwrap_or_default()
}

/// The certificate that the backend was shown for that request.
pub async fn gateways(fixture: &Fixture<'_>, passage: &Passage) -> Result<String> {
    let records = marked(fixture, BACKEND, &passage.mark).await?;
    let shown = records.iter().rev().find_map(|record| record.downstream_peer_cert.as_ref());
    Ok(shown.map(|pem| pem.as_str().to_owned()).unwrap_or_default())
}
