//! Does the patch of the document (000) give an ingress gateway its identity, and what was there before it?

use crate::{CLUSTER1, Fixture, Map, OUTSIDER, Pods, scenarios};
use harness::Result;
use kube::ResourceExt as _;
use proof::envoy::Trust;
use proof::evidence::Must;
use proof::identity::Pem;
use serde_json::json;

use crate::trials::ingress::{BACKEND, NS, backends, bring, gateways, names, said, through};

scenarios! {
    "ingress-patch" => before_the_patch_istiod_vouches_and_after_it_spire_does {
        NO_ENTRY_WITHOUT_LABEL: "[S0-2] without the label no entry is made for the gateway",
        ISTIODS_WITHOUT_PATCH: "[S0-1, S0-18] the gateway of the chart alone is ready, with a certificate \
            that istiod's CA signed",
        BACKENDS_REFUSED: "[S0-16] such a gateway checks backends against istiod's CA and refuses their \
            SVIDs: 503 by failed verification, not a reset",
        CONFIGMAP_MISSING: "[S0-8] SPIRE does not make the ConfigMap spire-bundle in the gateway's \
            namespace: until somebody does, the patched pod cannot start",
        PATCH_REPLACES_POD: "[S0-9] applying the patch file alone replaces the pod, and the old one goes",
        RESTART_COMPLETES: "[S0-9] `rollout restart` after it completes, once more",
        ADMITTED_WITH_BOTH: "[S0-4, S0-5, S0-7] the pod is admitted with annotations and volumes both: one \
            volume, mounted at the template's path and at the patch's",
        ENTRY_FOR_THIS_POD: "[S0-2] with the label there is an entry for exactly this pod",
        OWN_SVID_WITH_PATCH: "[S0-10] the patched gateway's certificate is its own SVID, signed by SPIRE",
        OUTSIDE_REACHES_WORKLOAD: "[S0-11] a request from outside reaches, through the gateway, a workload \
            that takes mutual TLS only",
        PAST_GATEWAY_REFUSED: "[S0-11] the same request past the gateway is refused",
        BACKENDS_SVID_SHOWN: "[S0-11] the gateway was shown the backend's SVID",
        GATEWAYS_SVID_SHOWN: "[S0-12] the backend was shown the gateway's SVID",
        SAME_ROOT_BELIEVED: "[S0-13] gateway and sidecar believe the same root, by SDS from the same agent",
        SIDECARS_SOCKET_BY_TEMPLATE: "[S0-13] the sidecar has the agent's socket from the template \
            `spire`, by the same driver under the same name",
        MOUNTED_ROOT_IS_SPIRES: "[S0-8] the root in the gateway's container is the one that SPIRE serves",
    },
}

const NAME: &str = "istio-ingress";
const GATEWAY: Pods<'_> = Pods(NS, "app=istio-ingress");

/// If this fails, an ingress gateway is in the mesh with another authority's papers, or not in it at all.
async fn before_the_patch_istiod_vouches_and_after_it_spire_does(fixture: &mut Fixture<'_>) -> Result<()> {
    let here = fixture.cluster(CLUSTER1)?.name.clone();
    bring(fixture, &[NAME]).await?;
    fixture.ready(CLUSTER1, NS, NAME).await?;
    let id = fixture.id(CLUSTER1, GATEWAY).await?;
    let entries = fixture.entries_for(CLUSTER1, &id.to_string()).await?.len();
    fixture.shows(NO_ENTRY_WITHOUT_LABEL, Must::be("0"), entries.to_string());
    let own = fixture.own_certificate(CLUSTER1, GATEWAY).await?;
    fixture.shows(ISTIODS_WITHOUT_PATCH, Must::BeIstiods { of: here.clone() }, own);
    let passage = through(fixture, NAME, "503").await?;
    fixture.shows(BACKENDS_REFUSED, Must::have(["503", "CERTIFICATE_VERIFY_FAILED"]), said(&passage));

    let old = names(fixture, NAME).await?;
    fixture.patch(CLUSTER1, "ingress/documented-patch.yaml", &[]).await?;
    let missing = "configmap \"spire-bundle\" not found";
    let words = fixture.until("the kubelet's words", missing, || fixture.events(CLUSTER1, NS, NAME)).await?;
    fixture.shows(CONFIGMAP_MISSING, Must::have([missing]), words);
    let root = fixture.setting(CLUSTER1, Map("spire", "spire-bundle"), "bundle.crt").await?;
    fixture.bring(CLUSTER1, "ingress/bundle.yaml", &[("ROOT", root.trim_end())]).await?;
    fixture.ready(CLUSTER1, NS, NAME).await?;
    let patched = fixture.pod(CLUSTER1, GATEWAY).await?.name_any();
    let left = fixture.until("the old pod's end", "true", async || {
        Ok((names(fixture, NAME).await? == patched && patched != old).to_string())
    });
    let left = left.await?;
    fixture.shows(PATCH_REPLACES_POD, Must::be("true"), left);
    let restarted = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": NAME, "namespace": NS },
            "spec": { "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": "now" } } } } });
    fixture.merge(CLUSTER1, &restarted).await?;
    fixture.ready(CLUSTER1, NS, NAME).await?;
    let last = fixture.pod(CLUSTER1, GATEWAY).await?.name_any();
    let left = fixture.until("the patched pod's end", "true", async || {
        Ok((names(fixture, NAME).await? == last && last != patched).to_string())
    });
    let left = left.await?;
    fixture.shows(RESTART_COMPLETES, Must::be("true"), left);

    let pod = serde_json::to_string(&fixture.pod(CLUSTER1, GATEWAY).await?.spec).unwrap_or_default();
    fixture.shows(
        ADMITTED_WITH_BOTH,
        Must::have([
            "\"mountPath\":\"/run/secrets/workload-spiffe-uds\"",
            "\"mountPath\":\"/var/run/secrets/workload-spiffe-uds\"",
            "{\"csi\":{\"driver\":\"csi.spiffe.io\",\"readOnly\":true},\"name\":\"workload-socket\"}",
        ]),
        pod,
    );
    let uid = fixture.pod(CLUSTER1, GATEWAY).await?.uid().unwrap_or_default();
    let entries = fixture.entries_for(CLUSTER1, &id.to_string()).await?;
    let selectors: Vec<_> = entries.iter().flat_map(|entry| entry.selectors.clone()).collect();
    fixture.shows(ENTRY_FOR_THIS_POD, Must::have([format!("k8s:pod-uid:{uid}")]), selectors.join(" "));
    let own = fixture.own_certificate(CLUSTER1, GATEWAY).await?;
    fixture.shows(OWN_SVID_WITH_PATCH, Must::BeSvid { by: here.clone(), id: id.clone() }, own);
    let passage = through(fixture, NAME, "200").await?;
    fixture.shows(OUTSIDE_REACHES_WORKLOAD, Must::have(["200", "Hello version"]), said(&passage));
    let direct = fixture.ask(CLUSTER1, OUTSIDER, "curl", "http://helloworld.istio-test:5000/hello").await?;
    fixture.shows(PAST_GATEWAY_REFUSED, Must::have(["0 "]), format!("{} {}", direct.status, direct.body));
    let backend = fixture.id(CLUSTER1, BACKEND).await?;
    fixture.shows(BACKENDS_SVID_SHOWN, Must::BeSvid { by: here.clone(), id: backend }, backends(&passage));
    let shown = gateways(fixture, &passage).await?;
    fixture.shows(GATEWAYS_SVID_SHOWN, Must::BeSvid { by: here.clone(), id: id.clone() }, shown);
    let trust = |held: proof::envoy::Held| match held.trust("ROOTCA") {
        Some(Trust::PerTrustDomain(all)) => {
            all.iter().map(|one| format!("{}\n{}", one.trust_domain, one.bundle.as_str())).collect::<String>()
        }
        Some(Trust::AnyName(pem)) => format!("any name\n{}", pem.as_str()),
        None => String::new(),
    };
    let (mine, theirs) =
        (trust(fixture.held(CLUSTER1, GATEWAY).await?), trust(fixture.held(CLUSTER1, BACKEND).await?));
    fixture.shows(SAME_ROOT_BELIEVED, Must::have([theirs.trim_end()]), mine.clone());
    let sidecar = serde_json::to_string(&fixture.pod(CLUSTER1, BACKEND).await?.spec).unwrap_or_default();
    fixture.shows(
        SIDECARS_SOCKET_BY_TEMPLATE,
        Must::have([
            "{\"csi\":{\"driver\":\"csi.spiffe.io\",\"readOnly\":true},\"name\":\"workload-socket\"}",
        ]),
        sidecar,
    );
    let mounted = fixture.run(
        CLUSTER1,
        GATEWAY,
        "istio-proxy",
        &["cat", "/var/run/secrets/spire-bundle/root-cert.pem"],
    );
    let mounted = Pem::of(&mounted.await?.stdout).as_str().to_owned();
    fixture.shows(MOUNTED_ROOT_IS_SPIRES, Must::have([mounted.trim_end()]), mine);
    Ok(())
}
