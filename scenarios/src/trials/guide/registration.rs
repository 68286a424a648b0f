//! What must be there before an identity is given, and what is skipped in silence? (004: D2, troubleshooting)

use crate::{CLUSTER1, CLUSTER2, Fixture, Pods, scenarios};
use harness::{Result, spire};
use proof::evidence::Must;

scenarios! {
    "registration" => an_identity_waits_for_the_class_and_for_the_peers_bundle {
        NO_ENTRY_WITHOUT_CLASS: "[S4-45, S4-52] a ClusterSPIFFEID without className makes no entry at all, \
            and nobody says so",
        SIDECAR_WAITS: "[S4-27] without an entry its sidecar waits, and the pod with it",
        UNKNOWN_BUNDLE_REFUSED: "[S4-18] an identity that federates with a domain whose bundle is not \
            there is refused: bundles come first",
        NO_ENTRY_UNTIL_THEN: "[S4-18] until then there is no entry",
        ENTRY_COMES_BY_ITSELF: "[S4-17, S4-18, S4-24, S4-45] once the bundle is there the entry comes by \
            itself, with its federation",
        WAITING_POD_GETS_READY: "[S4-18] and the pod that waited gets ready",
    },
}

const LATE: Pods<'static> = Pods("late", "app=late");

/// If this fails, the order of steps no longer matters, or a new cause keeps entries away.
async fn an_identity_waits_for_the_class_and_for_the_peers_bundle(fixture: &mut Fixture<'_>) -> Result<()> {
    let mut classless = fixture.manifest(CLUSTER1, "guide/late.yaml", &[("FEDERATES_WITH", "[]")])?;
    for object in classless.iter_mut().filter(|object| object["kind"] == "ClusterSPIFFEID") {
        object["spec"].as_object_mut().and_then(|spec| spec.remove("className"));
    }
    fixture.bring_objects(CLUSTER1, classless).await?;
    let id = format!("spiffe://{}/ns/late/sa/default", fixture.cluster(CLUSTER1)?.trust_domain);
    fixture.stands(CLUSTER1, LATE, "0/2").await?;
    // The manager looks at pods and resources as they come; a workload that it does take has its entry by now.
    settled(fixture).await?;
    fixture.shows(NO_ENTRY_WITHOUT_CLASS, Must::be("no entry"), entry(fixture, &id).await?);
    let standing = fixture.standing(CLUSTER1, LATE).await?;
    fixture.shows(SIDECAR_WAITS, Must::be("0/2 Pending"), standing);

    let unknown = "[\"unknown.example\"]";
    fixture.bring(CLUSTER1, "guide/late.yaml", &[("FEDERATES_WITH", unknown)]).await?;
    let manager = Pods("spire", "app=spire-server");
    let said = fixture
        .until("the server's refusal", "unable to find federated bundle", async || {
            let log = fixture.log(CLUSTER1, manager, "spire-controller-manager").await?;
            Ok(log
                .lines()
                .filter(|line| line.contains("unknown.example") || line.contains("federated bundle"))
                .collect::<Vec<_>>()
                .join("\n"))
        })
        .await?;
    fixture.shows(UNKNOWN_BUNDLE_REFUSED, Must::have(["unable to find federated bundle"]), said);
    fixture.shows(NO_ENTRY_UNTIL_THEN, Must::be("no entry"), entry(fixture, &id).await?);

    let bundle = spire::bundle(fixture.api(CLUSTER2)?).await?;
    spire::set_bundle_of_peer(fixture.api(CLUSTER1)?, "unknown.example", &bundle).await?;
    let made = fixture.until("the entry", "federates", async || entry(fixture, &id).await).await;
    let ready = fixture.stands(CLUSTER1, LATE, "2/2").await;
    fixture.take(CLUSTER1, "guide/late.yaml", &[("FEDERATES_WITH", "[]")]).await?;
    spire::delete_bundle_of_peer(fixture.api(CLUSTER1)?, "unknown.example").await?;
    fixture.shows(ENTRY_COMES_BY_ITSELF, Must::be("federates with unknown.example"), made?);
    fixture.shows(WAITING_POD_GETS_READY, Must::have(["2/2"]), ready?);
    Ok(())
}

/// An entry for a pod that came later is there, so the manager has seen everything before it.
async fn settled(fixture: &mut Fixture<'_>) -> Result<()> {
    fixture.bring(CLUSTER1, "guide/short-lived.yaml", &[]).await?;
    fixture.ready(CLUSTER1, "short-lived", "short-lived").await
}

async fn entry(fixture: &Fixture<'_>, id: &str) -> Result<String> {
    let found = fixture.entries_for(CLUSTER1, id).await?;
    Ok(match found.first() {
        None => "no entry".to_owned(),
        Some(entry) => {
            let with: Vec<_> = entry.federates_with.iter().map(ToString::to_string).collect();
            format!("federates with {}", with.join(" "))
        }
    })
}
