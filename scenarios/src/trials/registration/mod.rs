//! What the scenarios of Istio's page (003) share: its gateway, its httpbin, and entries made by hand.

mod auto;
mod federation;
mod injection;
mod manual;
mod names;
mod quick_start;

use crate::trial::Scenario;

use crate::{CLUSTER1, Fixture, Pods};
use harness::{Result, spire};
use kube::ResourceExt as _;

pub(super) const SCENARIOS: &[&[Scenario]] = &[
    auto::SCENARIOS,
    federation::SCENARIOS,
    injection::SCENARIOS,
    manual::SCENARIOS,
    names::SCENARIOS,
    quick_start::SCENARIOS,
];

/// The page's ingress gateway, found as the page finds it.
pub const GATEWAY: Pods<'_> = Pods("istio-system", "istio=ingressgateway");
/// The page's example.
pub const HTTPBIN: Pods<'_> = Pods("default", "app=httpbin");
/// Secrets that a proxy waits for.
pub const WARMING: &str = "/config_dump?resource=dynamic_warming_secrets";

/// The identity of that path.
pub fn id(fixture: &Fixture<'_>, path: &str) -> Result<String> {
    Ok(format!("spiffe://{}{path}", fixture.cluster(CLUSTER1)?.trust_domain))
}

/// The node's alias, by the page's words: the parent of all entries that are made by hand.
pub async fn alias(fixture: &mut Fixture<'_>) -> Result<(String, String)> {
    let alias = id(fixture, "/ns/spire/sa/spire-agent")?;
    let cluster = format!("k8s_psat:cluster:{}", fixture.cluster(CLUSTER1)?.name);
    let selectors = [
        "-selector",
        &cluster,
        "-selector",
        "k8s_psat:agent_ns:spire",
        "-selector",
        "k8s_psat:agent_sa:spire-agent",
    ];
    let said =
        fixture.entry(CLUSTER1, &[&["-spiffeID", &alias], selectors.as_slice(), &["-node"]].concat()).await?;
    Ok((alias, said))
}

/// A pod's name and uid, as the page looks them up.
pub async fn name_and_uid(fixture: &Fixture<'_>, of: Pods<'_>) -> Result<(String, String)> {
    let pod = fixture.pod(CLUSTER1, of).await?;
    Ok((pod.name_any(), pod.uid().unwrap_or_default()))
}

/// Brings the page's example.
pub async fn httpbin(fixture: &mut Fixture<'_>, replicas: &str, templates: &str) -> Result<()> {
    let values = [
        ("APP", "httpbin"),
        ("REPLICAS", replicas),
        ("TEMPLATES", templates),
        ("FEDERATES_WITH", "other.test"),
    ];
    fixture.bring(CLUSTER1, "registration/httpbin.yaml", &values).await
}

/// Waits until a proxy waits for a secret; what it then waits for.
pub async fn waits_for(fixture: &Fixture<'_>, of: Pods<'_>, secret: &str) -> Result<String> {
    let wanted = format!("\"{secret}\"");
    fixture
        .until(&format!("a proxy that waits for {secret}"), &wanted, || fixture.admin(CLUSTER1, of, WARMING))
        .await
}

/// A cluster address of a Service.
pub async fn address(fixture: &Fixture<'_>, name: &str) -> Result<String> {
    let service = crate::service("default", name);
    Ok(fixture.read(CLUSTER1, &service).await?.data["spec"]["clusterIP"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// What the SPIRE server's own command shows.
pub async fn entries(fixture: &Fixture<'_>) -> Result<String> {
    spire::command(fixture.api(CLUSTER1)?, &["entry", "show"]).await
}
