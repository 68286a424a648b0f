//! Which parts of the patch (000) does the gateway need? Each gateway here lacks some of them.

use crate::{CLUSTER1, Fixture, Map, Pods, scenarios};
use harness::Result;
use proof::evidence::Must;

use crate::trials::ingress::{NS, backends, bring, meets_by_its_svid, said, through};

scenarios! {
    "ingress-ablations" => the_socket_is_enough_and_nothing_else_replaces_it {
        SOCKET_ALONE_HOLDS_SVID: "[S0-3, S0-6, S0-16, S0-17, S0-18] with the socket's volume alone, no \
            trust root named, no bundle mounted and no variable set, the gateway's certificate is its own \
            SVID",
        SOCKET_ALONE_VERIFIES: "[S0-3, S0-16, S0-17] such a gateway verifies backends: the request is \
            answered",
        SOCKET_ALONE_WAS_SHOWN: "[S0-12] the backend was shown such a gateway's SVID",
        SOCKET_ALONE_MET_BACKEND: "[S0-16, S0-17] the backend's SVID was what such a gateway verified",
        OTHER_ROOT_HOLDS_SVID: "[S0-3] with istiod's root in the file that caCertificatesPem names, the \
            gateway's certificate is its own SVID all the same",
        OTHER_ROOT_VERIFIES: "[S0-3, S0-8] and it verifies backends all the same: the file is read by \
            nobody, trust comes by SDS",
        OTHER_ROOT_WAS_SHOWN: "[S0-12] the backend was shown the SVID of that gateway",
        OTHER_ROOT_MET_BACKEND: "[S0-3] the backend's SVID was what it verified",
        ANNOTATIONS_NOT_READ: "[S0-4, S0-5] istiod's gateway template does not read userVolume and \
            userVolumeMount: the pod has neither volume",
        ANNOTATED_FALLS_BACK: "[S0-6, S0-7, S0-18] with annotations, label and \
            ISTIO_META_WORKLOAD_SOCKET_PATH but no volume of its own, the gateway falls back to istiod's \
            CA in silence",
        ANNOTATED_REFUSES_BACKENDS: "[S0-7, S0-18] so the annotations are no redundancy: that gateway is \
            ready, and refuses every backend",
        UNLABELLED_WAITS: "[S0-2] with the socket but the label not `true` the gateway waits for a \
            certificate, and falls back to none",
        UNLABELLED_NOT_READY: "[S0-2] that gateway is not ready",
    },
}

/// If this fails, a line of the patch that is thought to do nothing does something, or the other way round.
async fn the_socket_is_enough_and_nothing_else_replaces_it(fixture: &mut Fixture<'_>) -> Result<()> {
    let here = fixture.cluster(CLUSTER1)?.name.clone();
    bring(fixture, &["socket-only", "annotations-only", "unlabelled", "istio-ingress"]).await?;
    // Not SPIRE's root but istiod's, where the patch names it.
    // Every namespace has the same one, and a new one has it in a moment.
    let other = fixture.setting(CLUSTER1, Map("istio-test", "istio-ca-root-cert"), "root-cert.pem").await?;
    fixture.bring(CLUSTER1, "ingress/bundle.yaml", &[("ROOT", other.trim_end())]).await?;
    fixture.patch(CLUSTER1, "ingress/documented-patch.yaml", &[]).await?;
    let socket = |gateway, registered| [("GATEWAY", gateway), ("REGISTERED", registered)];
    fixture.patch(CLUSTER1, "ingress/socket-patch.yaml", &socket("socket-only", "true")).await?;
    fixture.patch(CLUSTER1, "ingress/socket-patch.yaml", &socket("unlabelled", "false")).await?;
    fixture.patch(CLUSTER1, "ingress/annotations-patch.yaml", &[("GATEWAY", "annotations-only")]).await?;

    for (gateway, claims, verified) in [
        (
            "socket-only",
            [SOCKET_ALONE_HOLDS_SVID, SOCKET_ALONE_VERIFIES, SOCKET_ALONE_WAS_SHOWN],
            SOCKET_ALONE_MET_BACKEND,
        ),
        (
            "istio-ingress",
            [OTHER_ROOT_HOLDS_SVID, OTHER_ROOT_VERIFIES, OTHER_ROOT_WAS_SHOWN],
            OTHER_ROOT_MET_BACKEND,
        ),
    ] {
        let passage = meets_by_its_svid(fixture, gateway, claims).await?;
        let backend = fixture.id(CLUSTER1, crate::trials::ingress::BACKEND).await?;
        let theirs = Must::BeSvid { by: here.clone(), id: backend };
        fixture.shows(verified, theirs, backends(&passage));
    }

    fixture.ready(CLUSTER1, NS, "annotations-only").await?;
    let pods = Pods(NS, "app=annotations-only");
    let spec = serde_json::to_string(&fixture.pod(CLUSTER1, pods).await?.spec).unwrap_or_default();
    fixture.shows(ANNOTATIONS_NOT_READ, Must::lack(["csi.spiffe.io", "\"name\":\"spire-bundle\""]), spec);
    let own = fixture.own_certificate(CLUSTER1, pods).await?;
    fixture.shows(ANNOTATED_FALLS_BACK, Must::BeIstiods { of: here.clone() }, own);
    let passage = through(fixture, "annotations-only", "503").await?;
    fixture.shows(
        ANNOTATED_REFUSES_BACKENDS,
        Must::have(["503", "CERTIFICATE_VERIFY_FAILED"]),
        said(&passage),
    );

    let pods = Pods(NS, "app=unlabelled");
    let waits = fixture.until("the certificate that Envoy waits for", "\"default\"", || {
        fixture.admin(CLUSTER1, pods, "/config_dump?resource=dynamic_warming_secrets")
    });
    let waits = waits.await?;
    fixture.shows(UNLABELLED_WAITS, Must::have(["\"default\""]), waits);
    let standing = fixture.stands(CLUSTER1, pods, "0/1 Running").await?;
    fixture.shows(UNLABELLED_NOT_READY, Must::be("0/1 Running"), standing);
    Ok(())
}
