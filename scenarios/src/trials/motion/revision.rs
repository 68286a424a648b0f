//! Istio is upgraded by revision, as upstream says: a newer istiod beside the older one, then the gateway and the workloads one
//! after the other, then the older one goes. And back.

use harness::Result;
use jiff::Timestamp;
use proof::evidence::Must;
use proof::motion::{Answers, Connection, Flow};

use super::istios::{Istios, Which};
use super::parts::{always, image, renewed, shown};
use super::{CURL, EVERYONE, GATEWAY, HELLOWORLD, SVID_LIFE, bounds, window};
use crate::authorities::noticed;
use crate::shows::Shows;
use crate::traffic::{SERVER, Traffic};
use crate::{CLUSTER1, CLUSTER2, Fixture, scenarios};

scenarios! {
    "istio-upgraded" => an_istio_that_is_upgraded_by_revision_and_back_is_noticed_by_no_request {
        BESIDE: "an istiod of the first cluster's version runs in the second beside its own, by a revision of its own, and reads \
            the first cluster by the remote secret that was there",
        MOVED: "once namespaces and Gateway have that revision's label and are replaced one after the other, every proxy of the \
            second cluster is that istiod's, of its version",
        VOUCHED: "and every one of them has its SVID of the second cluster's SPIRE, as the older ones had",
        ALONE: "then the older istiod is taken away, with all that is its own",
        RENEWED_WITHOUT: "without it SVIDs are renewed within the time that the timers make",
        NEW_THERE each way: "while all of that is upgraded every request from {from} to {to} on a connection of its own is answered",
        KEPT_THERE each way: "and those from {from} to {to} on connections that stay, but for what is on its way when the \
            older gateway ends them",
        MOVED_BACK: "back, in the same way: the older istiod's again is every proxy but that of a client that runs",
        VOUCHED_BACK: "and every one of those has its SVID of the second cluster's SPIRE",
        NEW_BACK each way: "without the older istiod and on the way back every request from {from} to {to} on a connection of its \
            own is answered",
        KEPT_BACK each way: "and those from {from} to {to} on connections that stay, but for what is on its way when the \
            gateway before ends them",
        NEVER_ISTIODS each cluster: "at no time did a proxy of {cluster} hold anything from the CA of either istiod",
        NEVER_WITHOUT each cluster: "at no time did one of {cluster} cease to believe a trust domain",
    },
}

/// Where pods are replaced, one Deployment after the other, while the other cluster asks the last of them.
const DEPLOYMENTS: [(&str, &str); 3] =
    [("istio-test", "curl"), ("istio-test", "helloworld"), ("motion", "server")];

/// If this fails, Istio cannot be upgraded beneath a mesh that is in use, or not without istiod's own certificates.
async fn an_istio_that_is_upgraded_by_revision_and_back_is_noticed_by_no_request(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let (of, version_of) = (CLUSTER2, CLUSTER1);
    let began = Timestamp::now();
    for name in ["IMAGE_PILOT", "IMAGE_PROXYV2"] {
        fixture.bring_image((version_of, of), &image(fixture, version_of, name)).await?;
    }
    let istios = Istios::of(fixture, (of, version_of)).await?;
    Traffic::bring(fixture, &format!("{SVID_LIFE}s")).await?;
    fixture.patch(of, "rotation/graceful.yaml", &[]).await?;
    fixture.ready(of, "motion", "server").await?;
    let ways = fixture.mesh.pairs();
    let own = fixture.published(of).await?.authorities;

    let traffic = Traffic::asks(fixture, &ways).await?;
    let seen = istios.bring_newer(fixture).await?;
    let peer = fixture.cluster(version_of)?.name.clone();
    fixture.shows(BESIDE, Must::have([istios.istiod(fixture), format!("{peer} is synced")]), seen);
    let gateway = istios.take_over(fixture, (Which::Newer, &DEPLOYMENTS)).await?;
    traffic.flows().await?;
    let flows = traffic.end().await?;
    answered(fixture, &flows, [NEW_THERE, KEPT_THERE], gateway)?;
    // A client that is replaced asks nothing meanwhile.
    istios.roll(fixture, ("motion", "client"), Which::Newer).await?;
    let seen = istios.proxies(fixture, &EVERYONE).await?.join(", ");
    fixture.shows(MOVED, Must::be(istios.proxy(fixture, Which::Newer)?), seen);
    let what = "until every proxy shows an SVID of its own SPIRE server's";
    let step = shown(fixture, of, (what, Timestamp::now(), noticed()), &own).await?;
    fixture.took(VOUCHED, step.bound, &step.took)?;

    let traffic = Traffic::asks(fixture, &ways).await?;
    let back = istios.take_own_away(fixture).await?;
    fixture.shows(ALONE, Must::be(istios.istiod(fixture)), istios.istiods(fixture).await?);
    let since = Timestamp::now();
    let bound = bounds::renewed(&fixture.told(of).await?);
    let what = "until every SVID that lives for a minute is a new one";
    fixture.announces(what, &bound)?;
    let took = renewed(fixture, of, (what, since, &bound)).await?;
    fixture.took(RENEWED_WITHOUT, bound, &took)?;

    istios.put_own_back(fixture, &back).await?;
    let gateway = istios.take_over(fixture, (Which::Own, &DEPLOYMENTS)).await?;
    traffic.flows().await?;
    let flows = traffic.end().await?;
    answered(fixture, &flows, [NEW_BACK, KEPT_BACK], gateway)?;
    let seen = istios.proxies(fixture, &[CURL, HELLOWORLD, GATEWAY, SERVER]).await?.join(", ");
    fixture.shows(MOVED_BACK, Must::be(istios.proxy(fixture, Which::Own)?), seen);
    let what = "until every proxy shows an SVID of its own SPIRE server's";
    let step = shown(fixture, of, (what, Timestamp::now(), noticed()), &own).await?;
    fixture.took(VOUCHED_BACK, step.bound, &step.took)?;
    always(fixture, began, [NEVER_ISTIODS, NEVER_WITHOUT]).await
}

/// A gateway passes connections on that it cannot tell to end: those that stay it cuts, and with them what is on its way.
fn answered(
    fixture: &mut Fixture<'_>,
    flows: &[Flow],
    facts: [Shows; 2],
    (asked_for, there): (Timestamp, Timestamp),
) -> Result<()> {
    let through = fixture.cluster(CLUSTER2)?.name.clone();
    let bound = bounds::cut_by_gateway();
    fixture.answered(flows, facts, |flow| {
        let because = "the gateway is replaced from the first of these on, and the new one is ready at";
        let window = window(asked_for, (there, &bound), &["503"], because);
        match flow.connection {
            Connection::Kept if flow.way.to == through => Answers::AllMaybeBut(window),
            _ => Answers::All,
        }
    })
}
