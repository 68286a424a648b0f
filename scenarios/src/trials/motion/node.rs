//! What is below the mesh in a node starts anew: the CSI driver that mounts SPIRE's socket, and the kubelet.

use harness::kube::rollout::Workload;
use harness::{Code, Error, Result};
use jiff::Timestamp;
use proof::evidence::Must;
use proof::motion::Answers;

use super::parts::renewed;
use super::{SVID_LIFE, bounds, window};
use crate::traffic::Traffic;
use crate::{CLUSTER1, CLUSTER2, CURL, Fixture, Nth, Pods, scenarios};

scenarios! {
    "csi-driver-restarted" => a_csi_driver_that_starts_anew_is_noticed_by_no_request {
        MOUNTS_CONSTANT: "a CSI driver that starts anew several times leaves as many mounts of SPIRE's socket as there were",
        RENEWED_BY_SOCKET: "every socket lives: afterwards each proxy whose SVID lives for a minute has a new one by it",
        MOUNTED_ANEW: "and a pod that is made then gets an SVID by a new mount",
        NEW_DESPITE_DRIVER each way: "meanwhile every request from {from} to {to} on a connection of its own is answered",
        KEPT_DESPITE_DRIVER each way: "meanwhile every request from {from} to {to} on connections that stay is answered",
    },
    "kubelet-restarted" => a_kubelet_that_starts_anew_is_noticed_until_it_has_asked_the_pods_of_its_node {
        MOUNTED_OVER: "a kubelet that starts anew has SPIRE's socket mounted over itself: this CSI driver does not ask whether it \
            is mounted (spiffe-csi#331)",
        RENEWED_DESPITE_KUBELET: "every socket lives all the same: each proxy whose SVID lives for a minute has a new one by it",
        NEW_DESPITE_KUBELET: "of the requests to that node on connections of their own those may fail that are sent while the \
            kubelet takes pods that run for not ready, and no others",
        KEPT_DESPITE_KUBELET: "of those on connections that stay no others fail either",
    },
}

/// Mounts that double at each start are seen after a few.
const TIMES: usize = 4;
const DRIVER: Pods<'static> = Pods("spire", "app=spiffe-csi-driver");

/// If this fails, an upgrade of the CSI driver fills the node with mounts, or takes identities from pods that run.
async fn a_csi_driver_that_starts_anew_is_noticed_by_no_request(fixture: &mut Fixture<'_>) -> Result<()> {
    let of = CLUSTER2;
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let before = mounts(fixture, of).await?;
    for _ in 0..TIMES {
        fixture.renew(of, DRIVER).await?;
        fixture.rolled_out(of, Workload::DaemonSet, "spire", "spiffe-csi-driver").await?;
    }
    let since = Timestamp::now();
    fixture.shows(MOUNTS_CONSTANT, Must::be(told(before)), told(mounts(fixture, of).await?));

    let bound = bounds::renewed(&fixture.told(of).await?);
    let what = "until every SVID that lives for a minute is a new one";
    fixture.announces(what, &bound)?;
    let took = renewed(fixture, of, (what, since, &bound)).await?;
    fixture.took(RENEWED_BY_SOCKET, bound, &took)?;

    fixture.restart_pods(of, "istio-test", "curl", Workload::Deployment).await?;
    let (by, id) = (fixture.cluster(of)?.name.clone(), fixture.id(of, CURL).await?);
    fixture.shows(MOUNTED_ANEW, Must::BeSvid { by, id }, fixture.own_certificate(of, CURL).await?);
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_DESPITE_DRIVER, KEPT_DESPITE_DRIVER], |_| Answers::All)
}

/// Each mountpoint is left with one of the mounts that lie over each other.
const UNMOUNT: &str = "for at in $(awk '/kubernetes.io~csi/ { print $5 }' /proc/self/mountinfo | sort | uniq -d); do \
     while [ $(grep -c \" $at \" /proc/self/mountinfo) -gt 1 ]; do umount $at || exit 1; done; done";

/// If this fails, an upgrade of Kubernetes takes identities from pods that run, or the driver's known mistake is mended.
async fn a_kubelet_that_starts_anew_is_noticed_until_it_has_asked_the_pods_of_its_node(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let of = CLUSTER2;
    let traffic = Traffic::begin_on(fixture, &format!("{SVID_LIFE}s"), &[(CLUSTER1, of)]).await?;
    let before = mounts(fixture, of).await?;
    let ready = bounds::taken_for_ready();
    fixture.announces("until the node's proxies are taken for ready again", &ready)?;
    let ended = Timestamp::now();
    fixture.change_node(of, "systemctl restart kubelet", UNMOUNT).await?;
    let since = Timestamp::now();
    let look = async || {
        let now = mounts(fixture, of).await?;
        Ok(format!("{}, {}", told(now), if now > before { MORE } else { "as before" }))
    };
    let seen = fixture.until("more mounts", MORE, look).await?;
    fixture.shows(MOUNTED_OVER, Must::have([MORE]), seen);

    let bound = bounds::renewed(&fixture.told(of).await?);
    let what = "until every SVID that lives for a minute is a new one";
    fixture.announces(what, &bound)?;
    let took = renewed(fixture, of, (what, since, &bound)).await?;
    fixture.took(RENEWED_DESPITE_KUBELET, bound, &took)?;
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_DESPITE_KUBELET, KEPT_DESPITE_KUBELET], |_| {
        let because = "the kubelet ends at the first of these, and starts at";
        Answers::AllMaybeBut(window(ended, (since, &ready), &["503"], because))
    })
}

const MORE: &str = "more than before";

/// How many there are of SPIRE's socket in the pods of the node.
async fn mounts(fixture: &Fixture<'_>, cluster: Nth) -> Result<usize> {
    let said = fixture.on_node(cluster, "grep -c kubernetes.io~csi /proc/self/mountinfo").await?;
    said.trim()
        .parse()
        .map_err(|e| Error::new(Code::Evidence, format!("`{said}` is no number of mounts")).because(e))
}

fn told(mounts: usize) -> String {
    format!("{mounts} mounts")
}
