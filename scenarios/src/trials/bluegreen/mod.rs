//! Blue and Green (002): Blue has Istio and the SPIRE server; Green has no mesh, and an agent of Blue's server that a
//! join token attests. An Envoy on each side, with SVIDs of Blue's trust domain, carries requests across.

mod authorisation;
mod demo;
mod restart;
mod robust;
mod token;

use crate::trial::Scenario;

use std::fmt::Display;

use crate::{CLUSTER1, CLUSTER2, Fixture, Nth, Pods};
use harness::{Code, Error, Result, render, spire};
use proof::envoy::Record;
use proof::evidence::Reply;
use proof::identity::{Pem, SpiffeId};
use serde_json::Value;

pub(super) const SCENARIOS: &[&[Scenario]] =
    &[authorisation::SCENARIOS, demo::SCENARIOS, restart::SCENARIOS, robust::SCENARIOS, token::SCENARIOS];

const BLUE: Nth = CLUSTER1;
const GREEN: Nth = CLUSTER2;
const SLEEP: Pods<'_> = Pods("blue", "app=sleep");
const BLUE_ENVOY: Pods<'_> = Pods("blue", "app=envoy");
const GREEN_ENVOY: Pods<'_> = Pods("green", "app=envoy");
const AGENT: Pods<'_> = Pods("green", "app=spire-agent");
/// The container of our own Envoys.
const ENVOY: &str = "envoy";

/// An agent in Green, as one of its starts is to be.
#[derive(Clone)]
struct Agent {
    name: &'static str,
    /// Its health is asked at the node's own address, so each agent needs its own.
    port: &'static str,
    token: String,
    /// Whom it believes before it has met the server, as PEM.
    bundle: String,
    /// Where it keeps its key and its SVID; another place is as good as a lost disk.
    data: String,
    /// Another one starts it anew.
    start: u8,
}

impl Agent {
    /// Green's agent, with a fresh token and the bundle of Blue's server.
    async fn new(fixture: &mut Fixture<'_>) -> Result<Self> {
        let token = fixture.join_token(BLUE, &node(fixture)?).await?;
        let bundle = bundle_of(fixture, BLUE).await?;
        let data = format!("/run/spire/green/data-{}", token.split('-').next().unwrap_or_default());
        Ok(Self { name: "spire-agent", port: "9983", token, bundle, data, start: 1 })
    }

    async fn bring(&self, fixture: &mut Fixture<'_>) -> Result<()> {
        let (address, domain) = (fixture.address(BLUE)?, fixture.cluster(BLUE)?.trust_domain.clone());
        let values = [
            ("NAME", self.name),
            ("HEALTH_PORT", self.port),
            ("TOKEN", &self.token),
            ("BUNDLE", self.bundle.trim()),
            ("DATA", &self.data),
            ("START", &self.start.to_string()),
            ("SERVER_ADDRESS", &address),
            ("SERVER_TRUST_DOMAIN", &domain),
        ];
        fixture.bring(GREEN, "bluegreen/agent.yaml", &values).await
    }
}

/// All of the document, ready, and its request answered.
async fn scene(fixture: &mut Fixture<'_>) -> Result<Agent> {
    let agent = Agent::new(fixture).await?;
    let (parent, id) = (node(fixture)?, id(fixture, "green", "envoy")?.to_string());
    let selectors = ["-selector", "k8s:ns:green", "-selector", "k8s:sa:envoy"];
    fixture.entry(BLUE, &[&["-parentID", &parent, "-spiffeID", &id], &selectors[..]].concat()).await?;
    bring_all(fixture, &agent).await?;
    Ok(agent)
}

/// Everything but token and entry, which are made once; as often as one likes.
async fn bring_all(fixture: &mut Fixture<'_>, agent: &Agent) -> Result<()> {
    fixture.bring(GREEN, "bluegreen/green.yaml", &[]).await?;
    agent.bring(fixture).await?;
    bring_green_envoy(fixture, "1").await?;
    fixture.bring(BLUE, "bluegreen/blue.yaml", &[]).await?;
    bring_blue_envoy(fixture, "envoy").await?;
    for (cluster, namespace, name) in [
        (GREEN, "green", "quote-trust"),
        (GREEN, "green", "quote-doubt"),
        (GREEN, "green", "spire-agent"),
        (GREEN, "green", "envoy"),
        (BLUE, "blue", "sleep"),
        (BLUE, "blue", "envoy"),
    ] {
        fixture.ready(cluster, namespace, name).await?;
    }
    // kube-proxy and istiod need a moment for new Services; what is judged is asked after that.
    fixture
        .until("an answer from Green", "200 ", || async { Ok(said(&ask(fixture, "envoy").await?)) })
        .await
        .map(drop)
}

async fn bring_green_envoy(fixture: &mut Fixture<'_>, start: &str) -> Result<()> {
    let (log, domain) = (access_log(fixture).await?, fixture.cluster(BLUE)?.trust_domain.clone());
    let listed = id(fixture, "blue", "envoy")?.to_string();
    let values = [
        ("ACCESS_LOG", log.as_str()),
        ("BLUE_TRUST_DOMAIN", &domain),
        ("LISTED_ID", &listed),
        ("START", start),
    ];
    fixture.bring(GREEN, "bluegreen/green-envoy.yaml", &values).await
}

async fn bring_blue_envoy(fixture: &mut Fixture<'_>, name: &str) -> Result<()> {
    let (log, domain) = (access_log(fixture).await?, fixture.cluster(BLUE)?.trust_domain.clone());
    let (address, green) = (fixture.address(GREEN)?, id(fixture, "green", "envoy")?.to_string());
    let values = [
        ("NAME", name),
        ("ACCESS_LOG", log.as_str()),
        ("BLUE_TRUST_DOMAIN", &domain),
        ("GREEN_ADDRESS", &address),
        ("GREEN_ID", &green),
    ];
    fixture.bring(BLUE, "bluegreen/blue-envoy.yaml", &values).await
}

/// The format in which the mesh's sidecars write, so that our Envoys' records read as theirs do.
async fn access_log(fixture: &Fixture<'_>) -> Result<String> {
    let mesh: Value =
        render::parse(&fixture.setting(BLUE, crate::MESH, "mesh").await?, Code::Evidence, "mesh")?;
    let format: Value =
        render::parse(mesh["accessLogFormat"].as_str().unwrap_or_default(), Code::Evidence, "format")?;
    Ok(format.to_string())
}

/// The other name of Green's agent: entries hang on it, so they outlive a token.
fn node(fixture: &Fixture<'_>) -> Result<String> {
    Ok(format!("spiffe://{}/green/node", fixture.cluster(BLUE)?.trust_domain))
}

/// An identity of Blue's trust domain; Green's workloads have such, too.
fn id(fixture: &Fixture<'_>, namespace: &str, account: &str) -> Result<SpiffeId> {
    let id = format!("spiffe://{}/ns/{namespace}/sa/{account}", fixture.cluster(BLUE)?.trust_domain);
    id.parse().map_err(|e| Error::new(Code::Evidence, "an identity").because(e))
}

/// What a cluster's SPIRE server is believed by, as PEM.
async fn bundle_of(fixture: &Fixture<'_>, cluster: Nth) -> Result<String> {
    spire::command(fixture.api(cluster)?, &["bundle", "show"]).await
}

/// The document's test command: curl in the `sleep` pod asks an Envoy of Blue.
async fn ask(fixture: &Fixture<'_>, envoy: &str) -> Result<Reply> {
    fixture.ask(BLUE, SLEEP, "curl", &format!("http://{envoy}.blue/hello")).await
}

fn said(reply: &Reply) -> String {
    format!("{} {}", reply.status, reply.body.trim())
}

/// What one of our Envoys recorded of a request.
async fn record(fixture: &Fixture<'_>, cluster: Nth, of: Pods<'_>, request: &str) -> Result<Record> {
    let log = fixture.until("the Envoy's record", request, || fixture.log(cluster, of, ENVOY)).await?;
    let found =
        Record::all_in(&log)?.into_iter().rfind(|record| record.request_id.as_deref() == Some(request));
    found.ok_or_else(|| {
        Error::new(Code::Evidence, format!("the Envoy in {} wrote nothing of {request}", of.0))
    })
}

fn pem(shown: &Option<Pem>) -> String {
    shown.as_ref().map(Pem::as_str).unwrap_or_default().to_owned()
}

/// What the server says of the agent that this token attested.
async fn listed(fixture: &Fixture<'_>, token: &str) -> Result<String> {
    let all = spire::command(fixture.api(BLUE)?, &["agent", "list"]).await?;
    let block = all.split("\n\n").find(|block| block.contains(token));
    Ok(block.unwrap_or("no agent of this token").trim().to_owned())
}

/// The lines of a log in which one of the words is.
fn lines(log: &str, words: &[impl Display]) -> String {
    let is_in = |line: &&str| words.iter().any(|word| line.contains(&word.to_string()));
    log.lines().filter(is_in).collect::<Vec<_>>().join("\n")
}
