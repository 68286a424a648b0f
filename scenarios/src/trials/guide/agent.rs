//! What does the SPIRE agent's configuration decide? (004: steps 5 and 6, the two tables of settings)

use crate::shows::Shows;
use crate::{CLUSTER1, CLUSTER2, CURL, Fixture, Pods, scenarios};
use harness::Result;
use harness::kube::rollout::Workload;
use proof::evidence::Must;

scenarios! {
    "agent-socket" => the_agents_configuration_is_ours_and_its_socket_must_be_called_socket {
        SOCKET_TO_CHANGE: "the setting is in the configuration to be changed",
        AGENTS_ARE_NEW: "[S4-8] agents restarted by their label are new pods, and ready",
        CONFIGURATION_STAYS: "nothing puts the changed configuration back between patch and restart",
        SOCKET_NOT_FOUND: "[S4-42] with another name of the socket the sidecar does not find SPIRE",
        CANNOT_SERVE_ISTIODS: "[S4-42] it wants to serve istiod's certificates at that place instead, and \
            cannot",
        SHORT_NOT_READY: "[S4-42] and its pod does not get ready",
        DRIVER_READY: "[S4-42] although the CSI driver's pods, found by their label, are ready",
    },
    "sds-names" => peers_bundles_reach_sidecars_only_by_the_documented_names {
        BUNDLE_NAME_TO_CHANGE: "the setting is in the configuration to be changed",
        OWN_DOMAIN_ALONE: "[S4-8, S4-23, S4-35, S4-52] with `ROOTCA` as default_bundle_name a sidecar \
            believes its own trust domain alone, whatever default_all_bundles_name says",
        FAR_CLUSTER_REFUSED: "[S4-26, S4-35] and the far cluster is refused",
    },
    "sds-names-again" => peers_bundles_reach_sidecars_only_by_the_documented_names_again {
        EVERY_DOMAIN_BELIEVED: "[S4-8, S4-23] with `null` there it believes every trust domain",
    },
}

const AGENT: Pods<'static> = Pods("spire", "app=spire-agent");
const SHORT: Pods<'static> = Pods("short-lived", "app=short-lived");

/// If this fails, somebody else owns the agent's configuration, or a sidecar finds SPIRE elsewhere.
async fn the_agents_configuration_is_ours_and_its_socket_must_be_called_socket(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let first = fixture.pod(CLUSTER1, AGENT).await?.metadata.uid;
    configure(fixture, SOCKET_TO_CHANGE, "public/socket", "public/agent.sock").await?;
    fixture.shows(
        AGENTS_ARE_NEW,
        Must::be("new"),
        if fixture.pod(CLUSTER1, AGENT).await?.metadata.uid == first { "the same" } else { "new" },
    );
    let now = fixture.setting(CLUSTER1, crate::AGENT, "agent.conf").await?;
    fixture.shows(CONFIGURATION_STAYS, Must::have(["public/agent.sock"]), now);

    fixture.bring(CLUSTER1, "guide/short-lived.yaml", &[]).await?;
    let log = fixture
        .until("the sidecar's words", "failed to set up UDS", async || {
            fixture.log(CLUSTER1, SHORT, "istio-proxy").await
        })
        .await?;
    let words: Vec<_> = log.lines().filter(|line| line.to_lowercase().contains("sds")).collect();
    fixture.shows(SOCKET_NOT_FOUND, Must::lack(["Existing workload SDS socket found"]), words.join("\n"));
    fixture.shows(CANNOT_SERVE_ISTIODS, Must::have(["failed to set up UDS"]), words.join("\n"));
    let standing = fixture.standing(CLUSTER1, SHORT).await?;
    fixture.shows(SHORT_NOT_READY, Must::lack(["2/2"]), standing);
    let driver = Pods("spire", "app=spiffe-csi-driver");
    let drivers = fixture.standing(CLUSTER1, driver).await?;
    fixture.shows(DRIVER_READY, Must::have(["2/2"]), drivers);
    Ok(())
}

/// If this fails, the peers' bundles reach a sidecar by another name than Istio asks for.
async fn peers_bundles_reach_sidecars_only_by_the_documented_names(fixture: &mut Fixture<'_>) -> Result<()> {
    configure(
        fixture,
        BUNDLE_NAME_TO_CHANGE,
        "default_bundle_name = \"null\"",
        "default_bundle_name = \"ROOTCA\"",
    )
    .await?;
    let seen = fixture.until("one bundle alone", "1 trust domain", async || domains(fixture).await).await?;
    fixture.shows(OWN_DOMAIN_ALONE, Must::be("1 trust domain"), seen);
    let url = format!("http://helloworld-{}.istio-test:5000/hello", fixture.cluster(CLUSTER2)?.version);
    let reply = fixture
        .until("the refusal", "503", async || {
            Ok(fixture.ask(CLUSTER1, CURL, "curl", &url).await?.status.to_string())
        })
        .await?;
    fixture.shows(FAR_CLUSTER_REFUSED, Must::be("503"), reply);
    Ok(())
}

/// If this fails, what sds-names took is not back.
async fn peers_bundles_reach_sidecars_only_by_the_documented_names_again(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let seen = fixture.until("all bundles", "2 trust domains", async || domains(fixture).await).await?;
    fixture.shows(EVERY_DOMAIN_BELIEVED, Must::be("2 trust domains"), seen);
    fixture.mesh.answers_again(&fixture.mesh.way(CLUSTER1, CLUSTER2)?).await
}

/// How many trust domains curl's proxy believes.
async fn domains(fixture: &Fixture<'_>) -> Result<String> {
    use proof::envoy::Trust;
    let count = match fixture.held(CLUSTER1, CURL).await?.trust("ROOTCA") {
        Some(Trust::PerTrustDomain(all)) => all.len(),
        // One pool of roots is what the agent serves for one trust domain.
        Some(Trust::AnyName(_)) => 1,
        None => 0,
    };
    Ok(if count == 1 { "1 trust domain".to_owned() } else { format!("{count} trust domains") })
}

/// Changes the agent's configuration and restarts it.
async fn configure(fixture: &mut Fixture<'_>, is_there: Shows, from: &str, to: &str) -> Result<()> {
    let conf = fixture.setting(CLUSTER1, crate::AGENT, "agent.conf").await?;
    let changed = conf.replace(from, to);
    fixture.shows(is_there, Must::have([from]), conf);
    fixture.set(CLUSTER1, crate::AGENT, "agent.conf", &changed).await?;
    fixture.restart(CLUSTER1, "spire", "spire-agent", Workload::DaemonSet).await
}
