//! Which way does traffic between the clusters take, and what must be there for it? (004: parts B3, C1, 4, 5)

use crate::{CURL, GATEWAY, HELLOWORLD, MESH, OUTSIDER, Stage, deployment, stories};
use harness::{Code, Error, Result};
use proof::evidence::Must;
use proof::topology::Cluster;
use serde_json::json;

stories! {
    "reached" => gateway_and_bundle_endpoint_are_reached_from_the_other_cluster,
    "far-gateway" => the_far_gateway_alone_carries_the_traffic,
    "far-gateway-again" => the_far_gateway_alone_carries_the_traffic_again,
    "remote-secret" => without_the_remote_secret_the_far_cluster_is_unknown,
    "remote-secret-again" => without_the_remote_secret_the_far_cluster_is_unknown_again,
}

const WAYS: [(usize, usize); 2] = [(0, 1), (1, 0)];

/// If this fails, a firewall is in the way, or an endpoint speaks for somebody else.
async fn gateway_and_bundle_endpoint_are_reached_from_the_other_cluster(stage: &mut Stage<'_>) -> Result<()> {
    for (from, to) in WAYS {
        let (near, far) = (stage.cluster(from)?.clone(), stage.cluster(to)?.clone());
        let address = stage.mesh.address(to)?;
        let (from_name, to_name) = (&near.name, &far.name);
        for (port, must, how) in [
            (15443, Must::have(["Connected to"]), "is reached"),
            (15444, Must::have(["refused"]), "has no neighbour: the next port is refused"),
        ] {
            let tried = connect(stage, from, &format!("https://{address}:{port}")).await?;
            stage.fact(format!("[S4-1] port 15443 of {to_name} {how} from {from_name}"), must, tried);
        }
        let url = format!("https://{address}:8443");
        let argv = ["curl", "-sk", "-m", "5", "-w", "%{certs}", &url];
        let got = stage.run(from, OUTSIDER, "curl", &argv).await?.stdout;
        stage.fact(
            format!(
                "[S4-3] the bundle endpoint of {to_name} answers {from_name} with keys and a refresh hint"
            ),
            Must::have(["\"x509-svid\"", "\"spiffe_refresh_hint\""]),
            &got,
        );
        let id = format!("spiffe://{}/spire/server", far.trust_domain).parse();
        let id = id.map_err(|e| Error::new(Code::Evidence, "the server's ID").because(e))?;
        stage.fact(
            format!("[S4-3] it is the SPIRE server of {to_name} that answers: profile https_spiffe"),
            Must::BeVouchedFor { by: far.name.clone(), id },
            got,
        );
    }
    Ok(())
}

/// If this fails, traffic takes another way than people draw, or needs more than they think.
async fn the_far_gateway_alone_carries_the_traffic(stage: &mut Stage<'_>) -> Result<()> {
    let (near, far) = (stage.cluster(0)?.clone(), stage.cluster(1)?.clone());
    let gateway = format!("{}:15443", stage.mesh.address(1)?);
    let local = stage.pod(0, HELLOWORLD).await?;
    let local = local.status.and_then(|status| status.pod_ip).unwrap_or_default();
    let near_pod = format!("{local}:5000::cx_active::");
    let known =
        stage.until("the near pod's endpoint", &near_pod, || stage.admin(0, CURL, "/clusters")).await?;
    let all: String = known
        .lines()
        .filter(|line| {
            line.starts_with("outbound|5000||helloworld.istio-test") && line.contains("::cx_active::")
        })
        .map(|line| format!("{line}\n"))
        .collect();
    stage.fact(
        "[S4-30] the client knows the near pod by its address and the far one by its gateway",
        Must::have([format!("{local}:5000"), gateway]),
        all,
    );
    let networks = stage.setting(0, MESH, "meshNetworks").await?;
    stage.fact(
        "[S4-12, S4-35, S4-43] meshNetworks is empty: the gateway's address is found by itself",
        Must::be("networks: {}"),
        networks,
    );
    scale_away(stage, 0).await?;
    let reply = asked(stage, &far).await?;
    stage.fact(
        format!(
            "[S4-31] with no gateway in {} its client still reaches {}: traffic passes the far \
                 gateway only",
            near.name, far.name
        ),
        Must::be("200"),
        reply,
    );
    scale_away(stage, 1).await?;
    let reply = stage.until("the loss of the way", "503", async || asked(stage, &far).await).await?;
    stage.fact(
        format!("[S4-29, S4-31] with no gateway in {} there is no way to it", far.name),
        Must::be("503"),
        reply,
    );
    Ok(())
}

/// If this fails, the way that far-gateway took away is not back.
async fn the_far_gateway_alone_carries_the_traffic_again(stage: &mut Stage<'_>) -> Result<()> {
    stage.mesh.answers_again(&stage.mesh.way(0, 1)?).await?;
    let far = stage.cluster(1)?.clone();
    let reply = asked(stage, &far).await?;
    stage.fact(format!("with it put back, {} answers again", far.name), Must::be("200"), reply);
    Ok(())
}

/// If this fails, a cluster is found by other means than its remote secret.
async fn without_the_remote_secret_the_far_cluster_is_unknown(stage: &mut Stage<'_>) -> Result<()> {
    let far = stage.cluster(1)?.clone();
    let name = format!("istio-remote-secret-{}", far.name);
    let secret = crate::secret("istio-system", &name);
    let found = stage.read(0, &secret).await?.metadata.labels.unwrap_or_default();
    let labels: Vec<_> = found.iter().map(|(name, value)| format!("{name}={value}")).collect();
    stage.fact(
        "[S4-15, S4-43] the remote secret is found by its label",
        Must::have(["istio/multiCluster=true"]),
        labels.join(" "),
    );
    stage.remove(0, &secret).await?;
    let reply = stage.until("the loss of the far cluster", "503", async || asked(stage, &far).await).await?;
    let claim = format!("[S4-43] without it the client gets no answer from {}", far.name);
    stage.fact(claim, Must::be("503"), reply);
    Ok(())
}

/// If this fails, the way that remote-secret took away is not back.
async fn without_the_remote_secret_the_far_cluster_is_unknown_again(stage: &mut Stage<'_>) -> Result<()> {
    stage.mesh.answers_again(&stage.mesh.way(0, 1)?).await?;
    let far = stage.cluster(1)?.clone();
    let reply = asked(stage, &far).await?;
    stage.fact(format!("with it put back, {} answers again", far.name), Must::be("200"), reply);
    Ok(())
}

async fn connect(stage: &Stage<'_>, from: usize, url: &str) -> Result<String> {
    Ok(stage.run(from, OUTSIDER, "curl", &["curl", "-skv", "-m", "5", url]).await?.stderr)
}

async fn asked(stage: &Stage<'_>, far: &Cluster) -> Result<String> {
    let url = format!("http://helloworld-{}.istio-test:5000/hello", far.version);
    Ok(stage.ask(0, CURL, "curl", &url).await?.status.to_string())
}

/// Takes every pod of the east-west gateway away.
async fn scale_away(stage: &mut Stage<'_>, place: usize) -> Result<()> {
    let gateway = deployment("istio-system", "east-west-istio");
    stage.change(place, &gateway, &json!({ "spec": { "replicas": 0 } })).await?;
    let left = stage
        .until("the gateway's end", "none", async || {
            Ok(stage.pod(place, GATEWAY).await.map_or_else(|_| "none".to_owned(), |_| "one".to_owned()))
        })
        .await?;
    stage.fact("there is no pod of the gateway any more", Must::be("none"), left);
    Ok(())
}
