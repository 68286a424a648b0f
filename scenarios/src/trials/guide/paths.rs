//! Which way does traffic between the clusters take, and what must be there for it? (004: parts B3, C1, 4, 5)

use crate::shows::Shows;
use crate::{
    CLUSTER1, CLUSTER2, CURL, Fixture, GATEWAY, HELLOWORLD, MESH, Nth, OUTSIDER, deployment, scenarios,
};
use harness::{Code, Error, Result};
use proof::evidence::Must;
use proof::topology::Cluster;
use serde_json::json;

scenarios! {
    "reached" => gateway_and_bundle_endpoint_are_reached_from_the_other_cluster {
        GATEWAY_REACHED each way: "[S4-1] port 15443 of {to} is reached from {from}",
        NO_NEIGHBOUR each way: "[S4-1] port 15443 of {to} has no neighbour: the next port is refused from \
            {from}",
        BUNDLE_ENDPOINT_ANSWERS each way: "[S4-3] the bundle endpoint of {to} answers {from} with keys and \
            a refresh hint",
        BUNDLE_ENDPOINT_IS_THE_SERVER each way: "[S4-3] it is the SPIRE server of {to} that answers: \
            profile https_spiffe",
    },
    "far-gateway" => the_far_gateway_alone_carries_the_traffic {
        KNOWN_BY_POD_AND_GATEWAY: "[S4-30] the client knows the near pod by its address and the far one by \
            its gateway",
        NETWORKS_EMPTY: "[S4-12, S4-35, S4-43] meshNetworks is empty: the gateway's address is found by \
            itself",
        NEAR_GATEWAY_GONE: "there is no pod of the gateway in the client's cluster any more",
        FAR_GATEWAY_SUFFICES: "[S4-31] with no gateway in the client's cluster it still reaches the far \
            one: traffic passes the far gateway only",
        FAR_GATEWAY_GONE: "there is no pod of the far gateway any more",
        NO_WAY_WITHOUT_IT: "[S4-29, S4-31] with no gateway in the far cluster there is no way to it",
    },
    "far-gateway-again" => the_far_gateway_alone_carries_the_traffic_again {
        WAY_IS_BACK: "with it put back, the far cluster answers again",
    },
    "remote-secret" => without_the_remote_secret_the_far_cluster_is_unknown {
        SECRET_FOUND_BY_LABEL: "[S4-15, S4-43] the remote secret is found by its label",
        NO_ANSWER_WITHOUT_IT: "[S4-43] without it the client gets no answer from the far cluster",
    },
    "remote-secret-again" => without_the_remote_secret_the_far_cluster_is_unknown_again {
        FAR_CLUSTER_IS_BACK: "with it put back, the far cluster answers again",
    },
}

const WAYS: [(Nth, Nth); 2] = [(CLUSTER1, CLUSTER2), (CLUSTER2, CLUSTER1)];

/// If this fails, a firewall is in the way, or an endpoint speaks for somebody else.
async fn gateway_and_bundle_endpoint_are_reached_from_the_other_cluster(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    for (from, to) in WAYS {
        let (way, far) = (fixture.mesh.way(from, to)?, fixture.cluster(to)?.clone());
        let address = fixture.mesh.address(to)?;
        for (port, must, fact) in [
            (15443, Must::have(["Connected to"]), GATEWAY_REACHED),
            (15444, Must::have(["refused"]), NO_NEIGHBOUR),
        ] {
            let tried = connect(fixture, from, &format!("https://{address}:{port}")).await?;
            fixture.shows(fact.on(&way), must, tried);
        }
        let url = format!("https://{address}:8443");
        let argv = ["curl", "-sk", "-m", "5", "-w", "%{certs}", &url];
        let got = fixture.run(from, OUTSIDER, "curl", &argv).await?.stdout;
        fixture.shows(
            BUNDLE_ENDPOINT_ANSWERS.on(&way),
            Must::have(["\"x509-svid\"", "\"spiffe_refresh_hint\""]),
            &got,
        );
        let id = format!("spiffe://{}/spire/server", far.trust_domain).parse();
        let id = id.map_err(|e| Error::new(Code::Evidence, "the server's ID").because(e))?;
        fixture.shows(BUNDLE_ENDPOINT_IS_THE_SERVER.on(&way), Must::BeSvid { by: far.name.clone(), id }, got);
    }
    Ok(())
}

/// If this fails, traffic takes another way than people draw, or needs more than they think.
async fn the_far_gateway_alone_carries_the_traffic(fixture: &mut Fixture<'_>) -> Result<()> {
    let far = fixture.cluster(CLUSTER2)?.clone();
    let gateway = format!("{}:15443", fixture.mesh.address(CLUSTER2)?);
    let local = fixture.pod(CLUSTER1, HELLOWORLD).await?;
    let local = local.status.and_then(|status| status.pod_ip).unwrap_or_default();
    let near_pod = format!("{local}:5000::cx_active::");
    let known = fixture
        .until("the near pod's endpoint", &near_pod, || fixture.admin(CLUSTER1, CURL, "/clusters"))
        .await?;
    let all: String = known
        .lines()
        .filter(|line| {
            line.starts_with("outbound|5000||helloworld.istio-test") && line.contains("::cx_active::")
        })
        .map(|line| format!("{line}\n"))
        .collect();
    fixture.shows(KNOWN_BY_POD_AND_GATEWAY, Must::have([format!("{local}:5000"), gateway]), all);
    let networks = fixture.setting(CLUSTER1, MESH, "meshNetworks").await?;
    fixture.shows(NETWORKS_EMPTY, Must::be("networks: {}"), networks);
    scale_away(fixture, CLUSTER1, NEAR_GATEWAY_GONE).await?;
    let reply = asked(fixture, &far).await?;
    fixture.shows(FAR_GATEWAY_SUFFICES, Must::be("200"), reply);
    scale_away(fixture, CLUSTER2, FAR_GATEWAY_GONE).await?;
    let reply = fixture.until("the loss of the way", "503", async || asked(fixture, &far).await).await?;
    fixture.shows(NO_WAY_WITHOUT_IT, Must::be("503"), reply);
    Ok(())
}

/// If this fails, the way that far-gateway took away is not back.
async fn the_far_gateway_alone_carries_the_traffic_again(fixture: &mut Fixture<'_>) -> Result<()> {
    fixture.mesh.answers_again(&fixture.mesh.way(CLUSTER1, CLUSTER2)?).await?;
    let far = fixture.cluster(CLUSTER2)?.clone();
    let reply = asked(fixture, &far).await?;
    fixture.shows(WAY_IS_BACK, Must::be("200"), reply);
    Ok(())
}

/// If this fails, a cluster is found by other means than its remote secret.
async fn without_the_remote_secret_the_far_cluster_is_unknown(fixture: &mut Fixture<'_>) -> Result<()> {
    let far = fixture.cluster(CLUSTER2)?.clone();
    let name = format!("istio-remote-secret-{}", far.name);
    let secret = crate::secret("istio-system", &name);
    let found = fixture.read(CLUSTER1, &secret).await?.metadata.labels.unwrap_or_default();
    let labels: Vec<_> = found.iter().map(|(name, value)| format!("{name}={value}")).collect();
    fixture.shows(SECRET_FOUND_BY_LABEL, Must::have(["istio/multiCluster=true"]), labels.join(" "));
    fixture.remove(CLUSTER1, &secret).await?;
    let reply =
        fixture.until("the loss of the far cluster", "503", async || asked(fixture, &far).await).await?;
    fixture.shows(NO_ANSWER_WITHOUT_IT, Must::be("503"), reply);
    Ok(())
}

/// If this fails, the way that remote-secret took away is not back.
async fn without_the_remote_secret_the_far_cluster_is_unknown_again(fixture: &mut Fixture<'_>) -> Result<()> {
    fixture.mesh.answers_again(&fixture.mesh.way(CLUSTER1, CLUSTER2)?).await?;
    let far = fixture.cluster(CLUSTER2)?.clone();
    let reply = asked(fixture, &far).await?;
    fixture.shows(FAR_CLUSTER_IS_BACK, Must::be("200"), reply);
    Ok(())
}

async fn connect(fixture: &Fixture<'_>, from: Nth, url: &str) -> Result<String> {
    Ok(fixture.run(from, OUTSIDER, "curl", &["curl", "-skv", "-m", "5", url]).await?.stderr)
}

async fn asked(fixture: &Fixture<'_>, far: &Cluster) -> Result<String> {
    let url = format!("http://helloworld-{}.istio-test:5000/hello", far.version);
    Ok(fixture.ask(CLUSTER1, CURL, "curl", &url).await?.status.to_string())
}

/// Takes every pod of the east-west gateway away.
async fn scale_away(fixture: &mut Fixture<'_>, cluster: Nth, gone: Shows) -> Result<()> {
    let gateway = deployment("istio-system", "east-west-istio");
    fixture.change(cluster, &gateway, &json!({ "spec": { "replicas": 0 } })).await?;
    let left = fixture
        .until("the gateway's end", "none", async || {
            Ok(if fixture.pod_if_any(cluster, GATEWAY).await?.is_some() { "one" } else { "none" }.to_owned())
        })
        .await?;
    fixture.shows(gone, Must::be("none"), left);
    Ok(())
}
