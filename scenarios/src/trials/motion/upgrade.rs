//! SPIRE is upgraded in place: the server first, then its agents, as upstream says, to the version that the other cluster has.

use harness::Result;
use harness::kube::rollout::Workload;
use jiff::Timestamp;
use proof::envoy::Held;
use proof::evidence::Must;
use proof::motion::Answers;
use serde_json::{Value, json};

use super::parts::{image, made_since, spire_server};
use super::server::RESTORE;
use super::{EVERYONE, SVID_LIFE, bounds};
use crate::traffic::Traffic;
use crate::undo::Undo;
use crate::watched::Watched;
use crate::{CLUSTER1, CLUSTER2, Fixture, Nth, Pods, scenarios};

scenarios! {
    "spire-upgraded" => a_spire_that_is_upgraded_is_noticed_by_no_request {
        SERVER_UPGRADED: "the second cluster's SPIRE server is replaced by one of the version that the first cluster has",
        SIGNS_AS_BEFORE: "it signs by the authority that it had",
        AGENT_UPGRADED: "then its agents are: every proxy has a new SVID by them within the time that their back-off makes",
        NEW_DESPITE_UPGRADE each way: "meanwhile every request from {from} to {to} on a connection of its own is answered",
        KEPT_DESPITE_UPGRADE each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
}

/// Before a newer server changes what an older one could not read.
const KEEP: &str = "cp -a /var/lib/spire /var/lib/spire-kept";

/// If this fails, SPIRE cannot be upgraded beneath a mesh that is in use.
async fn a_spire_that_is_upgraded_is_noticed_by_no_request(fixture: &mut Fixture<'_>) -> Result<()> {
    let (newer, of) = (CLUSTER1, CLUSTER2);
    let [server, agent] = ["IMAGE_SPIRE_SERVER", "IMAGE_SPIRE_AGENT"].map(|name| image(fixture, newer, name));
    for image in [&server, &agent] {
        fixture.bring_image((newer, of), image).await?;
    }
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let before = fixture.published(of).await?.authorities;
    // Undone last: both start by what is theirs again.
    fixture.will_undo(of, Undo::Restart("spire".into(), "spire-agent".into(), Workload::DaemonSet))?;
    fixture.will_undo(of, Undo::Restart("spire".into(), "spire-server".into(), Workload::StatefulSet))?;
    fixture.change_node(of, KEEP, RESTORE).await?;
    upgrade(fixture, of, (&spire_server(), "spire-server", &server)).await?;
    fixture.rolled_out(of, Workload::StatefulSet, "spire", "spire-server").await?;
    let runs = fixture.pod(of, Pods("spire", "app=spire-server")).await?;
    let runs = runs.spec.into_iter().flat_map(|spec| spec.containers).filter_map(|one| one.image);
    let runs = runs.collect::<Vec<_>>().join(" ");
    let had = image(fixture, of, "IMAGE_SPIRE_SERVER");
    fixture.shows(SERVER_UPGRADED, Must::have([&*server]), format!("{runs}, and before {had}"));
    let now = fixture.published(of).await?.authorities;
    let same =
        now.len() == before.len() && now.iter().all(|one| before.iter().any(|old| old.has_key_of(one)));
    let seen = if same { "the same" } else { "others" };
    fixture.shows(SIGNS_AS_BEFORE, Must::be("the same"), seen);

    let bound = bounds::new_agent();
    let what = "until every proxy has an SVID from the new agent";
    fixture.announces(what, &bound)?;
    let replaced = Timestamp::now();
    let agents = json!({ "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": { "name": "spire-agent", "namespace": "spire" } });
    upgrade(fixture, of, (&agents, "spire-agent", &agent)).await?;
    fixture.rolled_out(of, Workload::DaemonSet, "spire", "spire-agent").await?;
    let since = Timestamp::now();
    let fresh = |held: &Held| made_since(held, replaced);
    let took = Watched::of(fixture)?.all(fixture, (&[of], &EVERYONE), (what, since, &bound), fresh).await?;
    fixture.took(AGENT_UPGRADED, bound, &took)?;
    traffic.flows().await?;
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_DESPITE_UPGRADE, KEPT_DESPITE_UPGRADE], |_| Answers::All)
}

/// Another image of a container of that workload, whose pods are replaced, also where it is the same.
async fn upgrade(
    fixture: &mut Fixture<'_>,
    cluster: Nth,
    (workload, container, image): (&Value, &str, &str),
) -> Result<()> {
    let mut containers =
        fixture.read(cluster, workload).await?.data["spec"]["template"]["spec"]["containers"].take();
    let of_it = containers.as_array_mut().into_iter().flatten().filter(|one| one["name"] == container);
    of_it.for_each(|one| one["image"] = json!(image));
    let metadata = json!({ "annotations": { "upgraded-to": image } });
    let patch =
        json!({ "spec": { "template": { "metadata": metadata, "spec": { "containers": containers } } } });
    fixture.change(cluster, workload, &patch).await
}
