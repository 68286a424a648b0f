//! Which way of giving a sidecar SPIRE's socket works? (004: Q1, Q5, the version matrix.) Asked of the API server
//! and the injector by a dry run, which makes nothing.

use crate::{CLUSTER1, Fixture, Pods, scenarios};
use harness::Result;
use proof::evidence::Must;
use serde_json::{Value, json};

scenarios! {
    "injection" => a_volume_alone_is_what_every_sidecar_takes {
        VOLUME_ALONE_ADMITTED: "[S4-36, S4-46] a template with the volume alone is admitted",
        CONTAINER_MAKES_A_SECOND_PROXY: "[S4-36, S4-40, S4-46, S4-52] the documented template, with a \
            container, makes a second istio-proxy beside a native sidecar",
        CONTAINER_ADMITTED_WITHOUT_NATIVE: "[S4-40] the same template is admitted where the sidecar is no \
            init container: native sidecars are the cause, not merging",
        ANNOTATIONS_ADMITTED: "[S4-36, S4-46] the documented annotations for 1.27 and later are admitted \
            as well",
        ANNOTATIONS_ADMITTED_WITHOUT_NATIVE: "[S4-36] so they are where the sidecar is no init container",
        ANNOTATED_POD_ON_SPIRE: "[S4-36, S4-46] a pod with those annotations and no template gets its \
            certificate from SPIRE",
    },
}

const ANNOTATED: Pods<'static> = Pods("istio-test", "app=annotated");
const DOCUMENTED: &str = "sidecar,spire-documented";

/// If this fails, the answer to "how do I mount the socket" has changed with this version of Istio or Kubernetes.
async fn a_volume_alone_is_what_every_sidecar_takes(fixture: &mut Fixture<'_>) -> Result<()> {
    let annotations = |templates: &str| json!({ "inject.istio.io/templates": templates });
    let mut in_containers = annotations(DOCUMENTED);
    in_containers["sidecar.istio.io/nativeSidecar"] = json!("false");
    let volumes = json!({
        "sidecar.istio.io/userVolume": json!([{ "name": "workload-socket", "csi": { "driver": "csi.spiffe.io", "readOnly": true } }]).to_string(),
        "sidecar.istio.io/userVolumeMount": json!([{ "name": "workload-socket", "mountPath": "/run/secrets/workload-spiffe-uds", "readOnly": true }]).to_string(),
    });
    let mut old_volumes = volumes.clone();
    old_volumes["sidecar.istio.io/nativeSidecar"] = json!("false");
    let twice_proxy = || Must::have(["Duplicate value", "istio-proxy"]);
    let cases = [
        (VOLUME_ALONE_ADMITTED, Must::be("admitted"), annotations("sidecar,spire")),
        (CONTAINER_MAKES_A_SECOND_PROXY, twice_proxy(), annotations(DOCUMENTED)),
        (CONTAINER_ADMITTED_WITHOUT_NATIVE, Must::be("admitted"), in_containers),
        (ANNOTATIONS_ADMITTED, Must::be("admitted"), volumes),
        (ANNOTATIONS_ADMITTED_WITHOUT_NATIVE, Must::be("admitted"), old_volumes),
    ];
    for (fact, must, annotations) in cases {
        let said = fixture.admission(CLUSTER1, &pod(&annotations)).await?;
        fixture.shows(fact, must, said);
    }
    fixture.bring(CLUSTER1, "guide/annotated.yaml", &[]).await?;
    fixture.ready(CLUSTER1, ANNOTATED.0, "annotated").await?;
    let by = fixture.cluster(CLUSTER1)?.name.clone();
    let (id, pem) =
        (fixture.id(CLUSTER1, ANNOTATED).await?, fixture.own_certificate(CLUSTER1, ANNOTATED).await?);
    fixture.shows(ANNOTATED_POD_ON_SPIRE, Must::BeSvid { by, id }, pem);
    Ok(())
}

fn pod(annotations: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "tried", "namespace": "istio-test", "annotations": annotations },
        "spec": { "containers": [{ "name": "app", "image": "app:1" }] }
    })
}
