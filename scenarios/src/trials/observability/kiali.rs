//! What does Kiali show, and what does it need for it? By its API, which is what its page is drawn from.

use std::collections::BTreeMap;

use crate::{CLUSTER1, CLUSTER2, CURL, Fixture, Pods, scenarios};
use harness::error::Context as _;
use harness::{Code, Result};
use proof::evidence::Must;
use serde_json::{Value, json};

scenarios! {
    "kiali-rights" => kiali_lacks_an_account_and_a_binding_and_then_reaches_istiod_by_port_forward {
        KIALI_NEVER_STARTS: "[S4-48] as the guide gives it Kiali never starts: no pod may be made, because \
            nothing makes the service account that its Deployment names",
        READS_NOTHING_WITHOUT_BINDING: "[S4-48] with a service account but no binding Kiali may read \
            nothing: the guide's ClusterRole is nobody's",
        NO_PORT_8080: "[S4-49] istiod's Service has no port 8080 here",
        ISTIOD_REACHED: "[S4-49] Kiali reaches istiod without port 8080 on its Service: it asks 8080 and \
            15014 of the pod, through a port-forward of the API server",
        UNREACHABLE_WITHOUT_PORT_FORWARD: "[S4-48] without the right to create pods/portforward Kiali \
            calls the same istiod unreachable",
    },
    "kiali-graph" => the_graph_shows_both_versions_and_a_lock_where_prometheus_knows_of_one {
        LOCK_TO_NEAR_VERSION: "[S4-51] Kiali's graph goes from curl to the helloworld Service, and from \
            there to the version of this cluster, with a lock",
        NO_LOCK_TO_FAR_VERSION: "[S4-51] the version of the other cluster is in the graph under its own \
            cluster's name, but without a lock: who answers reports the policy, and that proxy is asked by \
            the other cluster's Prometheus",
    },
}

const KIALI: Pods<'static> = Pods("istio-system", "app=kiali");
const GRAPH: &str = "/kiali/api/namespaces/graph?namespaces=istio-test&graphType=versionedApp&duration=60s\
    &injectServiceNodes=true&appenders=securityPolicy";

/// If this fails, the guide's Kiali needs less beside it than we say, or more.
async fn kiali_lacks_an_account_and_a_binding_and_then_reaches_istiod_by_port_forward(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    fixture.bring_prometheus(CLUSTER1).await?;
    fixture.bring(CLUSTER1, "observability/kiali.yaml", &[]).await?;
    let absent = r#"serviceaccount "kiali" not found"#;
    let why = fixture
        .until("why there is no pod", absent, || fixture.conditions(CLUSTER1, "istio-system", "kiali"))
        .await?;
    fixture.shows(KIALI_NEVER_STARTS, Must::have([absent]), why);
    fixture.bring(CLUSTER1, "observability/kiali-account.yaml", &[]).await?;
    let forbidden = r#"User "system:serviceaccount:istio-system:kiali" cannot"#;
    let log = fixture.until("what Kiali writes", forbidden, || fixture.log(CLUSTER1, KIALI, "kiali")).await?;
    fixture.shows(READS_NOTHING_WITHOUT_BINDING, Must::have([forbidden]), log);
    fixture.bring(CLUSTER1, "observability/kiali-access.yaml", &[]).await?;
    fixture.ready(CLUSTER1, "istio-system", "kiali").await?;

    let ports = crate::service("istio-system", "istiod");
    let ports = fixture.read(CLUSTER1, &ports).await?.data["spec"]["ports"].to_string();
    fixture.shows(NO_PORT_8080, Must::lack(["8080"]), ports);
    let healthy = "istiod Healthy";
    let said = fixture.until("Kiali to reach istiod", healthy, || status(fixture)).await?;
    fixture.shows(ISTIOD_REACHED, Must::have([healthy]), said);

    let role = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": "kiali" } });
    let mut rules = fixture.read(CLUSTER1, &role).await?.data["rules"].clone();
    if let Some(rules) = rules.as_array_mut() {
        rules.retain(|rule| !rule["resources"].to_string().contains("portforward"));
    }
    fixture.change(CLUSTER1, &role, &json!({ "rules": rules })).await?;
    let unreachable = "istiod Unreachable";
    let said = fixture.until("Kiali to lose istiod", unreachable, || status(fixture)).await?;
    fixture.shows(UNREACHABLE_WITHOUT_PORT_FORWARD, Must::have([unreachable]), said);
    Ok(())
}

/// If this fails, the picture in the guide is not what one sees.
async fn the_graph_shows_both_versions_and_a_lock_where_prometheus_knows_of_one(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    fixture.bring_prometheus(CLUSTER1).await?;
    fixture.bring_proxy_metrics(CLUSTER2).await?;
    for file in ["kiali-account", "kiali-access", "kiali"] {
        fixture.bring(CLUSTER1, &format!("observability/{file}.yaml"), &[]).await?;
    }
    fixture.ready(CLUSTER1, "istio-system", "kiali").await?;
    let (near, far) = (fixture.cluster(CLUSTER1)?.clone(), fixture.cluster(CLUSTER2)?.clone());
    let asked = format!("curl latest {near} > service helloworld", near = near.name);
    let locked = format!("helloworld {} {} mTLS 100%", near.version, near.name);
    let crossed = format!("helloworld {} {} mTLS -", far.version, far.name);
    let look = async || {
        for _ in 0..4 {
            fixture.ask(CLUSTER1, CURL, "curl", "http://helloworld.istio-test:5000/hello").await?;
        }
        graph(fixture).await
    };
    fixture.until("the lock on the way to the near version", &locked, look).await?;
    let graph = fixture.until("the way to the far version", &crossed, look).await?;
    fixture.shows(LOCK_TO_NEAR_VERSION, Must::have([asked, locked]), graph.clone());
    fixture.shows(NO_LOCK_TO_FAR_VERSION, Must::have([crossed]), graph);
    Ok(())
}

/// What Kiali says of Istio's parts: name and status, a line each.
async fn status(fixture: &Fixture<'_>) -> Result<String> {
    let answer = read(&fixture.get(CLUSTER1, KIALI, 20001, "/kiali/api/istio/status").await?)?;
    let part = |part: &Value| format!("{} {}", text(part, "name"), text(part, "status"));
    Ok(answer.as_array().into_iter().flatten().map(part).collect::<Vec<_>>().join("\n"))
}

/// Kiali's graph, an edge to a line.
async fn graph(fixture: &Fixture<'_>) -> Result<String> {
    let answer = read(&fixture.get(CLUSTER1, KIALI, 20001, GRAPH).await?)?;
    let parts = |kind: &str| {
        let all = answer["elements"][kind].as_array().cloned().unwrap_or_default();
        all.into_iter().map(|one| one["data"].clone()).collect::<Vec<_>>()
    };
    let named: BTreeMap<_, _> = parts("nodes").iter().map(|node| (text(node, "id"), name(node))).collect();
    let of = |edge: &Value, end: &str| named.get(&text(edge, end)).cloned().unwrap_or_default();
    let locks = |edge: &Value| match text(edge, "isMTLS") {
        none if none.is_empty() => "-".to_owned(),
        percent => format!("{percent}%"),
    };
    let edge = |edge: &Value| format!("{} > {} mTLS {}", of(edge, "source"), of(edge, "target"), locks(edge));
    let mut lines: Vec<_> = parts("edges").iter().map(edge).collect();
    lines.sort();
    Ok(lines.join("\n"))
}

fn name(node: &Value) -> String {
    match text(node, "nodeType").as_str() {
        "service" => format!("service {} {}", text(node, "service"), text(node, "cluster")),
        _ => format!("{} {} {}", text(node, "app"), text(node, "version"), text(node, "cluster")),
    }
}

fn read(answer: &str) -> Result<Value> {
    serde_json::from_str(answer).or_fail(Code::Evidence, || "Kiali's answer".to_owned())
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
