//! Can the set-up be run again? The document's own script cannot.

use crate::{Fixture, Nth, scenarios};
use harness::Result;
use harness::kube::delete::delete;
use harness::kube::inventory::Inventory;
use harness::kube::pods::pods;
use harness::progress::Note;
use kube::ResourceExt as _;
use proof::evidence::Must;
use serde_json::json;

use super::{BLUE, GREEN, ask, bring_all, said, scene};

scenarios! {
    "blue-green-robust" => the_set_up_can_be_repeated_and_resumed {
        BLUE_OBJECTS_UNCHANGED: "[S2-11] bringing all of it a second time changes no object in Blue",
        GREEN_OBJECTS_UNCHANGED: "[S2-11] bringing all of it a second time changes no object in Green",
        BLUE_PODS_UNCHANGED: "[S2-11] bringing all of it a second time starts no pod in Blue anew",
        GREEN_PODS_UNCHANGED: "[S2-11] bringing all of it a second time starts no pod in Green anew",
        HALF_IS_COMPLETED: "[S2-11] a set-up of which half is missing is completed by bringing it again: a \
            quote comes",
    },
}

/// If this fails, whoever repeats the set-up, or resumes one that stopped half-way, gets something else.
async fn the_set_up_can_be_repeated_and_resumed(fixture: &mut Fixture<'_>) -> Result<()> {
    let agent = scene(fixture).await?;
    let before = [inventory(fixture, BLUE).await?, inventory(fixture, GREEN).await?];
    bring_all(fixture, &agent).await?;
    let unchanged = [
        (BLUE, BLUE_OBJECTS_UNCHANGED, BLUE_PODS_UNCHANGED),
        (GREEN, GREEN_OBJECTS_UNCHANGED, GREEN_PODS_UNCHANGED),
    ];
    for ((cluster, objects, no_pod), before) in unchanged.into_iter().zip(&before) {
        let now = inventory(fixture, cluster).await?;
        let different = before.0.until(&now.0);
        fixture.shows(
            objects,
            Must::be("nothing is different"),
            if different.is_empty() { "nothing is different".to_owned() } else { different },
        );
        fixture.shows(no_pod, Must::be(before.1.clone()), now.1);
    }

    // As if it had stopped half-way: both Envoys and the agent are missing, the rest is there.
    let object = |version: &str, kind: &str, namespace: &str, name: &str| json!({ "apiVersion": version, "kind": kind, "metadata": { "namespace": namespace, "name": name } });
    let green = [
        object("apps/v1", "Deployment", "green", "envoy"),
        object("apps/v1", "Deployment", "green", "spire-agent"),
        object("v1", "Service", "green", "envoy"),
    ];
    delete(fixture.api(GREEN)?, &green, &Note::silent()).await?;
    delete(fixture.api(BLUE)?, &[object("apps/v1", "Deployment", "blue", "envoy")], &Note::silent()).await?;
    bring_all(fixture, &agent).await?;
    let reply = ask(fixture, "envoy").await?;
    fixture.shows(HALF_IS_COMPLETED, Must::have(["200 Hello version"]), said(&reply));
    Ok(())
}

/// What the cluster holds, and the pods of the two namespaces.
async fn inventory(fixture: &Fixture<'_>, cluster: Nth) -> Result<(Inventory, String)> {
    let api = fixture.api(cluster)?;
    let mut uids = Vec::new();
    for namespace in ["blue", "green"] {
        uids.extend(
            pods(api, namespace, "")
                .await?
                .iter()
                .map(|pod| format!("{} {}", pod.name_any(), pod.uid().unwrap_or_default())),
        );
    }
    Ok((Inventory::of(api).await?, uids.join("\n")))
}
