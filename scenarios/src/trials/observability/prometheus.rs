//! Who is watched, and what is counted? Prometheus as the guide deploys it, and as it works.

use crate::{CLUSTER1, CLUSTER2, CURL, Fixture, OUTSIDER, PROXIES, Pods, scenarios};
use harness::Result;
use harness::kube::pods::pods;
use proof::evidence::Must;
use serde_json::json;

scenarios! {
    "prometheus-targets" => prometheus_lacks_an_account_and_rights_and_then_sees_every_proxy {
        PROMETHEUS_NEVER_STARTS: "[S4-47] as the guide gives it Prometheus never starts: no pod may be \
            made, because nothing makes the service account that its Deployment names",
        NOBODY_TO_ASK: "[S4-47] with a service account but without rights Prometheus runs and finds nobody \
            to ask: it may not list pods",
        NO_TARGET: "[S4-47] and so it has no target",
        EVERY_PROXY_ASKED: "[S4-47] with rights to list pods it asks istiod on 15014 and every proxy on \
            15090, STRICT or not, and each answers",
        NO_ROUTES: "Routes are OpenShift's: kind has no such API, and Prometheus is reached by a \
            port-forward instead, as all of the above was",
    },
    "prometheus-requests" => requests_between_the_trust_domains_are_counted_as_mutual_tls {
        COUNTED_BY_WHO_ANSWERS each way: "[S4-47] a request from {from} is counted in {to} as mutual TLS, \
            with the SPIFFE IDs of both trust domains",
        COUNTED_BY_WHO_ASKS each way: "[S4-47] the one who asks, in {from}, counts the same request with \
            both SPIFFE IDs and does not know its policy: `mutual_tls` is found only in the Prometheus of \
            who answered",
    },
    "prometheus-plain-text" => a_request_in_plain_text_is_not_counted_as_mutual_tls {
        NO_ANSWER_UNDER_STRICT: "[S4-47] under STRICT a request in plain text gets no answer at all, so \
            there is nothing to count",
        COUNTED_UNDER_PERMISSIVE: "[S4-47] under PERMISSIVE the same request is let in and counted once, \
            under the policy `none`: `mutual_tls` is said of a connection, not of every request",
    },
}

const PROMETHEUS: Pods<'static> = Pods("istio-system", "app=prometheus");
const ISTIOD: Pods<'static> = Pods("istio-system", "app=istiod");

/// If this fails, the guide's Prometheus needs less beside it than we say, or it does not see every proxy.
async fn prometheus_lacks_an_account_and_rights_and_then_sees_every_proxy(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    fixture.bring(CLUSTER1, "observability/prometheus.yaml", &[]).await?;
    let absent = r#"serviceaccount "prometheus" not found"#;
    let why = fixture
        .until("why there is no pod", absent, || fixture.conditions(CLUSTER1, "istio-system", "prometheus"))
        .await?;
    fixture.shows(PROMETHEUS_NEVER_STARTS, Must::have([absent]), why);
    fixture.bring(CLUSTER1, "observability/prometheus-account.yaml", &[]).await?;
    fixture.ready(CLUSTER1, "istio-system", "prometheus").await?;
    let forbidden = "cannot list resource";
    let log = fixture
        .until("what Prometheus writes", forbidden, || fixture.log(CLUSTER1, PROMETHEUS, "prometheus"));
    let log = log.await?;
    fixture.shows(
        NOBODY_TO_ASK,
        Must::have([forbidden, "system:serviceaccount:istio-system:prometheus"]),
        log,
    );
    fixture.shows(NO_TARGET, Must::be(""), fixture.targets(CLUSTER1).await?);

    fixture.bring(CLUSTER1, "observability/prometheus-access.yaml", &[]).await?;
    let wanted = expected(fixture).await?;
    let targets = fixture.until("every target to answer", &wanted, || fixture.targets(CLUSTER1)).await?;
    fixture.shows(EVERY_PROXY_ASKED, Must::be(wanted), targets);
    let groups = fixture.api(CLUSTER1)?.list_api_groups().await;
    let groups: Vec<_> = groups.into_iter().flat_map(|all| all.groups).map(|group| group.name).collect();
    fixture.shows(NO_ROUTES, Must::lack(["route.openshift.io"]), groups.join(" "));
    Ok(())
}

/// If this fails, a dashboard says something else of a connection than its certificates do.
async fn requests_between_the_trust_domains_are_counted_as_mutual_tls(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    for cluster in [CLUSTER1, CLUSTER2] {
        fixture.bring_prometheus(cluster).await?;
    }
    for (from, to) in [(CLUSTER1, CLUSTER2), (CLUSTER2, CLUSTER1)] {
        let way = fixture.mesh.way(from, to)?;
        let (near, far) = (fixture.cluster(from)?.clone(), fixture.cluster(to)?.clone());
        let url = format!("http://helloworld-{}.istio-test:5000/hello", far.version);
        let source = format!(r#"source_principal="spiffe://{}/ns/istio-test/sa/curl""#, near.trust_domain);
        let destination =
            format!(r#"destination_principal="spiffe://{}/ns/istio-test/sa/helloworld""#, far.trust_domain);
        let by = "connection_security_policy,source_principal,destination_principal";
        let counted = |reporter: &str| {
            format!(
                r#"group by({by})(istio_requests_total{{reporter="{reporter}",response_code="200",{source},{destination}}})"#
            )
        };
        let (asked, answered) = (counted("source"), counted("destination"));
        let at_the_answerer = fixture
            .until("the request to be counted by who answers", &source, async || {
                fixture.ask(from, CURL, "curl", &url).await?;
                fixture.series(to, &answered).await
            })
            .await?;
        fixture.shows(
            COUNTED_BY_WHO_ANSWERS.on(&way),
            Must::be(format!(r#"connection_security_policy="mutual_tls" {destination} {source} 1"#)),
            at_the_answerer,
        );
        let at_the_asker = fixture
            .until("the request to be counted by who asks", &source, || fixture.series(from, &asked))
            .await?;
        fixture.shows(
            COUNTED_BY_WHO_ASKS.on(&way),
            Must::be(format!(r#"connection_security_policy="unknown" {destination} {source} 1"#)),
            at_the_asker,
        );
    }
    Ok(())
}

/// If this fails, `mutual_tls` is a word that every request gets.
async fn a_request_in_plain_text_is_not_counted_as_mutual_tls(fixture: &mut Fixture<'_>) -> Result<()> {
    fixture.bring_prometheus(CLUSTER1).await?;
    let url = format!("http://helloworld-{}.istio-test:5000/hello", fixture.cluster(CLUSTER1)?.version);
    let wanted = expected(fixture).await?;
    fixture.until("every target to answer", &wanted, || fixture.targets(CLUSTER1)).await?;
    let refused = fixture.ask(CLUSTER1, OUTSIDER, "curl", &url).await?;
    fixture.shows(NO_ANSWER_UNDER_STRICT, Must::be("0"), refused.status.to_string());
    let before = plain(fixture).await?;
    let strict = crate::peer_authentication("istio-test", "strict");
    fixture.change(CLUSTER1, &strict, &json!({ "spec": { "mtls": { "mode": "PERMISSIVE" } } })).await?;
    let let_in = async || Ok(fixture.ask(CLUSTER1, OUTSIDER, "curl", &url).await?.status.to_string());
    fixture.until("plain text to be let in", "200", let_in).await?;
    let after = (before.parse::<u64>().unwrap_or_default() + 1).to_string();
    let counted = fixture.until("the request to be counted", &after, || plain(fixture)).await?;
    fixture.shows(COUNTED_UNDER_PERMISSIVE, Must::be(after), counted);
    Ok(())
}

/// How many requests in plain text were answered in the first cluster.
async fn plain(fixture: &Fixture<'_>) -> Result<String> {
    let query =
        r#"sum(istio_requests_total{reporter="destination",connection_security_policy="none"}) or vector(0)"#;
    fixture.series(CLUSTER1, query).await
}

/// The targets that there must be, as [`Fixture::targets`] shows them.
async fn expected(fixture: &Fixture<'_>) -> Result<String> {
    let mut lines = Vec::new();
    for of in PROXIES {
        for pod in pods(fixture.api(CLUSTER1)?, of.0, of.1).await? {
            let address = pod.status.and_then(|status| status.pod_ip).unwrap_or_default();
            lines.push(format!("envoy-stats {address}:15090 up"));
        }
    }
    let address =
        fixture.pod(CLUSTER1, ISTIOD).await?.status.and_then(|status| status.pod_ip).unwrap_or_default();
    lines.push(format!("istiod {address}:15014 up"));
    lines.sort();
    Ok(lines.join("\n"))
}
