//! How does an entry federate: by hand, by the page's annotation (003), and which SDS names must the agent have for it?

use crate::shows::Shows;
use crate::{CLUSTER1, Fixture, scenarios};
use harness::kube::rollout::Workload;
use harness::{Result, spire};
use proof::envoy::Trust;
use proof::evidence::Must;

use crate::trials::registration::{HTTPBIN, alias, httpbin, id, waits_for};

scenarios! {
    "manual-federation" => an_entry_federates_when_there_is_a_bundle_and_the_agent_serves_all {
        REFUSED_WITHOUT_BUNDLE: "[S3-23] without a bundle of the other trust domain the server refuses the \
            entry",
        MADE_WITH_BUNDLE: "[S3-23] with a bundle set by hand the same command makes the entry",
        OTHER_DOMAIN_BELIEVED: "[S3-21, S3-23] with the table's three names the sidecar's ROOTCA has a \
            bundle for the other trust domain too",
        OTHER_DOMAIN_LOST: "[S3-21] without `default_bundle_name = \"null\"` SPIRE's own default takes the \
            name ROOTCA: the sidecar loses the other trust domain",
        NOBODY_SERVES_ROOTCA: "[S3-21] without `default_all_bundles_name = \"ROOTCA\"` nobody serves \
            `ROOTCA`, and a new pod waits for it",
        NOT_READY_WITHOUT_ROOTCA: "[S3-21] without `default_all_bundles_name = \"ROOTCA\"` a new pod does \
            not get ready",
        NOBODY_SERVES_DEFAULT: "[S3-21] without `default_svid_name = \"default\"` nobody serves `default`, \
            and a new pod waits for it",
        NOT_READY_WITHOUT_DEFAULT: "[S3-21] without `default_svid_name = \"default\"` a new pod does not \
            get ready",
    },
}

/// A trust domain that has no cluster here; its bundle is ours under another name.
const OTHER: &str = "other.test";
/// A row of the page's table as our agent has it, as it is without that row, the secret that is missed then, and
/// what that does.
const ROWS: [(&str, &str, &str, [Shows; 2]); 2] = [
    (
        "default_all_bundles_name = \"ROOTCA\"",
        "default_all_bundles_name = \"ALL\"",
        "ROOTCA",
        [NOBODY_SERVES_ROOTCA, NOT_READY_WITHOUT_ROOTCA],
    ),
    (
        "default_svid_name = \"default\"",
        "default_svid_name = \"other\"",
        "default",
        [NOBODY_SERVES_DEFAULT, NOT_READY_WITHOUT_DEFAULT],
    ),
];

/// If this fails, a workload believes another trust domain without having been told to, or not although it was.
async fn an_entry_federates_when_there_is_a_bundle_and_the_agent_serves_all(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    httpbin(fixture, "1", "sidecar,spire").await?;
    let (node, _) = alias(fixture).await?;
    let bin = id(fixture, "/ns/default/sa/httpbin")?;
    let to = format!("spiffe://{OTHER}");
    let plain =
        ["-spiffeID", &bin, "-parentID", &node, "-selector", "k8s:ns:default", "-selector", "k8s:sa:httpbin"];
    let federated = [plain.as_slice(), &["-federatesWith", &to]].concat();
    let refused = fixture.entry_or_refusal(CLUSTER1, &federated).await?;
    let refused = refused.unwrap_or_else(|refusal| refusal);
    fixture.shows(REFUSED_WITHOUT_BUNDLE, Must::have(["unable to find federated bundle"]), refused);
    let own = spire::bundle(fixture.api(CLUSTER1)?).await?;
    fixture.peer_bundle(CLUSTER1, OTHER, &own).await?;
    let said = fixture.entry(CLUSTER1, &federated).await?;
    fixture.shows(MADE_WITH_BUNDLE, Must::have([&bin, OTHER]), said);
    fixture.stands(CLUSTER1, HTTPBIN, "2/2 Running").await?;
    let trusted = fixture.until("both trust domains in ROOTCA", "believes", || trust(fixture)).await?;
    fixture.shows(OTHER_DOMAIN_BELIEVED, Must::have([&format!("believes {OTHER}")]), trusted);

    serve(fixture, "default_bundle_name = \"null\"", "").await?;
    let trusted = fixture.until("one trust domain in ROOTCA", "a stranger", || trust(fixture)).await?;
    fixture.shows(OTHER_DOMAIN_LOST, Must::have([&format!("{OTHER} is a stranger")]), trusted);
    for (row, without, waits, [nobody, not_ready]) in ROWS {
        serve(fixture, row, without).await?;
        fixture.renew(CLUSTER1, HTTPBIN).await?;
        let seen = waits_for(fixture, HTTPBIN, waits).await?;
        fixture.shows(nobody, Must::have([format!("\"{waits}\"")]), seen);
        let standing = fixture.standing(CLUSTER1, HTTPBIN).await?;
        fixture.shows(not_ready, Must::be("0/2 Pending"), standing);
    }
    Ok(())
}

/// The agent with its original configuration, but for one row.
async fn serve(fixture: &mut Fixture<'_>, row: &str, without: &str) -> Result<()> {
    let ours = fixture.manifest(CLUSTER1, "spire/agent.yaml", &[])?;
    let ours = ours.iter().find_map(|object| object["data"]["agent.conf"].as_str()).unwrap_or_default();
    fixture.set(CLUSTER1, crate::AGENT, "agent.conf", &ours.replace(row, without)).await?;
    fixture.restart(CLUSTER1, "spire", "spire-agent", Workload::DaemonSet).await
}

/// Whom httpbin's sidecar believes, and in which form.
async fn trust(fixture: &Fixture<'_>) -> Result<String> {
    Ok(match fixture.held(CLUSTER1, HTTPBIN).await?.trust("ROOTCA") {
        Some(Trust::PerTrustDomain(all)) => {
            let domains: Vec<_> = all.iter().map(|one| one.trust_domain.as_str()).collect();
            let other =
                if domains.contains(&OTHER) { "believes other.test" } else { "other.test is a stranger" };
            format!("{other}; a bundle for each of {}", domains.join(" "))
        }
        Some(Trust::AnyName(_)) => "other.test is a stranger; one pool of roots for any name".to_owned(),
        None => "nothing is held".to_owned(),
    })
}
