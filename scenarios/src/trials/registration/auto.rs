//! Does a registrar make an entry for each new pod, as the page (003, option 1) says, and for whom does it not?

use crate::{CLUSTER1, Fixture, read_out, scenarios};
use harness::Result;
use proof::evidence::Must;

use crate::trials::registration::{GATEWAY, HTTPBIN, httpbin, waits_for};

scenarios! {
    "auto-registration" => each_new_pod_gets_an_entry_when_somebody_asks_for_it {
        ALONE_REGISTERS_NOBODY: "[S3-6, S3-7] the controller manager alone registers nobody: gateway and \
            httpbin wait for their certificates",
        CLASSLESS_MAKES_NO_ENTRY: "[S3-7] a ClusterSPIFFEID without className, as Istio's sample has it, \
            makes no entry here",
        GATEWAY_STANDS: "[S3-6] unregistered, the gateway stands 0/1 Running",
        GATEWAY_READY: "[S3-7, S3-16] a ClusterSPIFFEID of its class makes the gateway ready without a \
            restart",
        HTTPBIN_READY: "[S3-7] and httpbin",
        GATEWAY_HOLDS_SVID: "[S3-7] the gateway, registered by the controller manager, holds its own SVID",
        HTTPBIN_HOLDS_SVID: "[S3-7] httpbin, registered by the controller manager, holds its own SVID",
        GATEWAY_SUBJECT: "[S3-19] the gateway's SVID says O=SPIRE, and without DNS names in the entry it \
            has no CN",
        HTTPBIN_SUBJECT: "[S3-19] httpbin's SVID says O=SPIRE, and without DNS names in the entry it has \
            no CN",
        ENTRY_FOR_EACH_POD: "[S3-7] each pod has an entry of its own, the one that came later too",
        ANNOTATION_DOES_NOTHING: "[S3-22] the pod annotation spiffe.io/federatesWith does nothing under \
            the controller manager",
    },
}

/// If this fails, pods are registered that nobody asked for, or those that were asked for wait for ever.
async fn each_new_pod_gets_an_entry_when_somebody_asks_for_it(fixture: &mut Fixture<'_>) -> Result<()> {
    let here = fixture.cluster(CLUSTER1)?.name.clone();
    fixture.renew(CLUSTER1, GATEWAY).await?;
    httpbin(fixture, "1", "sidecar,spire").await?;
    fixture.bring(CLUSTER1, "registration/every-pod.yaml", &[("NAME", "classless"), ("CLASS", "")]).await?;
    let mut waits = waits_for(fixture, GATEWAY, "default").await?;
    waits.push_str(&waits_for(fixture, HTTPBIN, "default").await?);
    fixture.shows(ALONE_REGISTERS_NOBODY, Must::have(["\"default\""]), waits);
    let (gateway, bin) = (fixture.id(CLUSTER1, GATEWAY).await?, fixture.id(CLUSTER1, HTTPBIN).await?);
    let mut made = fixture.entries_for(CLUSTER1, &gateway.to_string()).await?;
    made.extend(fixture.entries_for(CLUSTER1, &bin.to_string()).await?);
    fixture.shows(CLASSLESS_MAKES_NO_ENTRY, Must::be("0 entries"), format!("{} entries", made.len()));
    let mut standing = fixture.stands(CLUSTER1, GATEWAY, "0/1 Running").await?;
    fixture.shows(GATEWAY_STANDS, Must::be("0/1 Running"), standing);

    fixture
        .bring(CLUSTER1, "registration/every-pod.yaml", &[("NAME", "every-pod"), ("CLASS", "spire")])
        .await?;
    standing = fixture.stands(CLUSTER1, GATEWAY, "1/1 Running").await?;
    fixture.shows(GATEWAY_READY, Must::be("1/1 Running"), standing);
    standing = fixture.stands(CLUSTER1, HTTPBIN, "2/2 Running").await?;
    fixture.shows(HTTPBIN_READY, Must::be("2/2 Running"), standing);
    for (of, id, holds, subject) in [
        (GATEWAY, &gateway, GATEWAY_HOLDS_SVID, GATEWAY_SUBJECT),
        (HTTPBIN, &bin, HTTPBIN_HOLDS_SVID, HTTPBIN_SUBJECT),
    ] {
        let own = fixture.own_certificate(CLUSTER1, of).await?;
        let told = read_out(&own);
        let svid = Must::BeSvid { by: here.clone(), id: id.clone() };
        fixture.shows(holds, svid, own);
        fixture.shows(subject, Must::be("no CN, O=SPIRE"), told_subject(&told));
    }
    let scaled = serde_json::json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "httpbin", "namespace": "default" }, "spec": { "replicas": 2 } });
    fixture.merge(CLUSTER1, &scaled).await?;
    fixture.ready(CLUSTER1, "default", "httpbin").await?;
    let entries = fixture.entries_for(CLUSTER1, &bin.to_string()).await?;
    let mut told: Vec<_> = entries.iter().flat_map(|one| one.selectors.clone()).collect();
    told.sort();
    told.dedup();
    let mut uids = Vec::new();
    for pod in harness::kube::pods::pods(fixture.api(CLUSTER1)?, HTTPBIN.0, HTTPBIN.1).await? {
        uids.push(format!("k8s:pod-uid:{}", pod.metadata.uid.unwrap_or_default()));
    }
    uids.sort();
    fixture.shows(ENTRY_FOR_EACH_POD, Must::be(uids.join(" ")), told.join(" "));
    let federated: Vec<_> = entries.iter().flat_map(|one| one.federates_with.clone()).collect();
    fixture.shows(
        ANNOTATION_DOES_NOTHING,
        Must::be("federates with nobody"),
        match federated.is_empty() {
            true => "federates with nobody".to_owned(),
            false => format!("{federated:?}"),
        },
    );
    Ok(())
}

fn told_subject(told: &str) -> String {
    let subject = told.split(" issuer=").next().unwrap_or_default();
    let has = |part: &str| subject.contains(part);
    format!(
        "{}, {}",
        if has("CN=") { subject } else { "no CN" },
        if has("O=SPIRE") { "O=SPIRE" } else { subject }
    )
}
