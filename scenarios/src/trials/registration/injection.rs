//! Does automatic injection bring the socket into new pods, as the page (003) says, and in which form?

use crate::{CLUSTER1, Fixture, Pods, scenarios};
use harness::Result;
use proof::evidence::Must;

scenarios! {
    "auto-injection" => a_pod_has_the_socket_when_it_names_the_template {
        NAMED_HOLDS_SVID: "[S3-5, S3-11] injected with `sidecar,spire` a new pod has its own SVID",
        SOCKET_IS_THERE: "[S3-2] the agent's socket is there under the name that Envoy asks",
        PLAIN_HOLDS_ISTIODS: "[S3-5] automatic injection alone does not bring the template: a pod that \
            names only `sidecar` gets ready, with a certificate of istiod's CA, although it has an entry",
        DOCUMENTED_REFUSED: "[S3-3, S3-5] the page's template, which names the container, is refused where \
            sidecars are init containers",
        WRITABLE_REFUSED: "[S3-3, S3-4] the page's volume, which does not say readOnly, is refused by the \
            CSI driver: the pod never starts",
    },
}

/// If this fails, a pod that looks like the others has papers of another authority, or a form that is refused today
/// is not refused any more.
async fn a_pod_has_the_socket_when_it_names_the_template(fixture: &mut Fixture<'_>) -> Result<()> {
    let here = fixture.cluster(CLUSTER1)?.name.clone();
    fixture
        .bring(CLUSTER1, "registration/every-pod.yaml", &[("NAME", "every-pod"), ("CLASS", "spire")])
        .await?;
    let forms =
        [("named", "sidecar,spire"), ("plain", "sidecar"), ("documented", "sidecar,spire-documented")];
    for (app, templates) in forms {
        let values = [("APP", app), ("REPLICAS", "1"), ("TEMPLATES", templates), ("FEDERATES_WITH", "")];
        fixture.bring(CLUSTER1, "registration/httpbin.yaml", &values).await?;
    }
    fixture.bring(CLUSTER1, "registration/writable-socket.yaml", &[]).await?;

    fixture.ready(CLUSTER1, "default", "named").await?;
    let named = Pods("default", "app=named");
    let (id, own) = (fixture.id(CLUSTER1, named).await?, fixture.own_certificate(CLUSTER1, named).await?);
    fixture.shows(NAMED_HOLDS_SVID, Must::BeSvid { by: here.clone(), id }, own);
    let socket =
        fixture.run(CLUSTER1, named, "istio-proxy", &["ls", "/var/run/secrets/workload-spiffe-uds"]).await?;
    fixture.shows(SOCKET_IS_THERE, Must::be("socket"), socket.stdout);
    fixture.ready(CLUSTER1, "default", "plain").await?;
    let own = fixture.own_certificate(CLUSTER1, Pods("default", "app=plain")).await?;
    fixture.shows(PLAIN_HOLDS_ISTIODS, Must::BeIstiods { of: here }, own);
    let refused = "Duplicate value: \"istio-proxy\"";
    let look = || fixture.events(CLUSTER1, "default", "documented");
    let words = fixture.until("the ReplicaSet's words", refused, look).await?;
    fixture.shows(DOCUMENTED_REFUSED, Must::have([refused]), words);
    let refused = "csi.readOnly must be set to 'true'";
    let look = || fixture.events(CLUSTER1, "default", "writable-socket");
    let words = fixture.until("the kubelet's words", refused, look).await?;
    fixture.shows(WRITABLE_REFUSED, Must::have([refused]), words);
    Ok(())
}
