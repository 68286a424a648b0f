//! What does each property of the page's table (001) do? Each is taken away once.

use crate::shows::Shows;
use crate::{CLUSTER1, Fixture, Pods, scenarios};
use harness::{Code, Error, Result, spire};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use proof::evidence::Must;
use proof::identity::entries_of;
use serde_json::{Value, json};

use super::{CALLER, LABEL, MYAPI, containers, scene, socket_volume};

scenarios! {
    "template-no-inject" => without_inject_there_is_no_sidecar {
        SIDECAR_WITH_INJECT: "[S1-6] with `sidecar.istio.io/inject: 'true'` the pod has a sidecar",
        NO_SIDECAR_WITHOUT_INJECT: "[S1-6] without `sidecar.istio.io/inject` the pod has its own container \
            alone, whatever else it asks for",
    },
    "template-no-label" => without_the_label_there_is_no_entry_and_the_pod_never_gets_ready {
        UNLABELLED_HAS_NO_IDENTITY: "[S1-6] without `spire-managed-identity` SPIRE has no identity for the \
            pod, and its sidecar's log says so",
        UNLABELLED_HAS_NO_ENTRY: "[S1-6] without `spire-managed-identity` there is no entry for the pod",
        UNLABELLED_NOT_READY: "[S1-6] without `spire-managed-identity` the pod does not get ready",
        READY_WITH_LABEL: "[S1-6] the same pod gets ready once it has the label",
        ENTRY_BY_LABEL: "[S1-6] the label has made an entry for exactly that pod",
    },
    "template-label-key" => the_selector_must_have_the_key_that_the_pods_have {
        OTHER_KEY_HAS_NO_IDENTITY: "[S1-7] selected by the other document's key \
            `spiffe.io/spire-managed-identity` SPIRE has no identity for the pod, and its sidecar's log \
            says so",
        OTHER_KEY_HAS_NO_ENTRY: "[S1-7] selected by the other document's key \
            `spiffe.io/spire-managed-identity` there is no entry for the pod",
        OTHER_KEY_NOT_READY: "[S1-7] selected by the other document's key \
            `spiffe.io/spire-managed-identity` the pod does not get ready",
        READY_WITH_OWN_KEY: "[S1-7] with the pods' own key in the ClusterSPIFFEID the same pod gets ready",
    },
    "template-no-template" => without_the_template_the_sidecar_falls_back_to_istiod {
        READY_WITHOUT_TEMPLATE: "[S1-6] without the templates annotation the pod is ready as if nothing \
            were wrong",
        EMPTY_SOCKET_VOLUME: "[S1-6] without the templates annotation the sidecar's socket volume is an \
            empty one, not SPIRE's",
        ENTRY_WITHOUT_TEMPLATE: "[S1-6] SPIRE has an entry for the pod all the same",
        HOLDS_ISTIODS: "[S1-6] without the templates annotation the sidecar holds a certificate of \
            istiod's CA",
        CLIENT_REFUSES: "[S1-6] a client on SPIRE refuses that certificate",
    },
}

const NO_IDENTITY: &str = "workload is not authorized for the requested identities";

/// If this fails, pods without the property get a sidecar in some other way.
async fn without_inject_there_is_no_sidecar(fixture: &mut Fixture<'_>) -> Result<()> {
    scene(fixture).await?;
    bring_less(fixture, "bare", "/spec/template/metadata/labels", "sidecar.istio.io/inject").await?;
    fixture.ready(CLUSTER1, "myapi", "bare").await?;
    let (with, without) =
        (fixture.pod(CLUSTER1, MYAPI).await?, fixture.pod(CLUSTER1, Pods("myapi", "app=bare")).await?);
    fixture.shows(SIDECAR_WITH_INJECT, Must::have(["istio-proxy"]), containers(&with));
    fixture.shows(NO_SIDECAR_WITHOUT_INJECT, Must::be("myapi"), containers(&without));
    Ok(())
}

/// If this fails, identities are given to pods that did not ask, or a pod runs without one.
async fn without_the_label_there_is_no_entry_and_the_pod_never_gets_ready(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    scene(fixture).await?;
    let pods = Pods("myapi", "app=unmanaged");
    bring_less(fixture, "unmanaged", "/spec/template/metadata/labels", LABEL).await?;
    refused_by_spire(
        fixture,
        pods,
        [UNLABELLED_HAS_NO_IDENTITY, UNLABELLED_HAS_NO_ENTRY, UNLABELLED_NOT_READY],
    )
    .await?;

    let pod = fixture.pod(CLUSTER1, pods).await?.name_any();
    let api: Api<Pod> = Api::namespaced(fixture.api(CLUSTER1)?.clone(), "myapi");
    let label = json!({ "metadata": { "labels": { LABEL: "true" } } });
    let labelled = api.patch(&pod, &PatchParams::default(), &Patch::Merge(label)).await;
    labelled.map_err(|e| Error::new(Code::KubeFailed, "cannot label a pod").because(e))?;
    let stands = fixture.stands(CLUSTER1, pods, "2/2 Running").await?;
    fixture.shows(READY_WITH_LABEL, Must::be("2/2 Running"), stands);
    let entries = entries_of_pod(fixture, pods).await?;
    fixture.shows(ENTRY_BY_LABEL, Must::be("1 of its own"), entries);
    Ok(())
}

/// If this fails, a pod with the wrong key gets an identity from somewhere.
async fn the_selector_must_have_the_key_that_the_pods_have(fixture: &mut Fixture<'_>) -> Result<()> {
    fixture
        .bring(CLUSTER1, "templates/identities.yaml", &[("LABEL", "spiffe.io/spire-managed-identity")])
        .await?;
    fixture.bring(CLUSTER1, "templates/myapi.yaml", &[]).await?;
    refused_by_spire(
        fixture,
        MYAPI,
        [OTHER_KEY_HAS_NO_IDENTITY, OTHER_KEY_HAS_NO_ENTRY, OTHER_KEY_NOT_READY],
    )
    .await?;

    fixture.bring(CLUSTER1, "templates/identities.yaml", &[("LABEL", LABEL)]).await?;
    let stands = fixture.stands(CLUSTER1, MYAPI, "2/2 Running").await?;
    fixture.shows(READY_WITH_OWN_KEY, Must::be("2/2 Running"), stands);
    Ok(())
}

/// If this fails, a sidecar without SPIRE's socket does not fall back to istiod any more, or others believe it.
async fn without_the_template_the_sidecar_falls_back_to_istiod(fixture: &mut Fixture<'_>) -> Result<()> {
    scene(fixture).await?;
    let pods = Pods("myapi", "app=fallback");
    bring_less(fixture, "fallback", "/spec/template/metadata/annotations", "inject.istio.io/templates")
        .await?;
    let stands = fixture.stands(CLUSTER1, pods, "2/2 Running").await?;
    fixture.shows(READY_WITHOUT_TEMPLATE, Must::be("2/2 Running"), stands);
    let volume = socket_volume(&fixture.pod(CLUSTER1, pods).await?)?;
    fixture.shows(EMPTY_SOCKET_VOLUME, Must::be(r#"{"emptyDir":{},"name":"workload-socket"}"#), volume);
    let entries = entries_of_pod(fixture, pods).await?;
    fixture.shows(ENTRY_WITHOUT_TEMPLATE, Must::be("1 of its own"), entries);
    let of = fixture.cluster(CLUSTER1)?.name.clone();
    let held = fixture.own_certificate(CLUSTER1, pods).await?;
    fixture.shows(HOLDS_ISTIODS, Must::BeIstiods { of }, held);
    fixture.knows(CLUSTER1, CALLER, "fallback.myapi", 80).await?;
    let reply = fixture.ask(CLUSTER1, CALLER, "curl", "http://fallback.myapi/hello").await?;
    let recorded = fixture.records(CLUSTER1, CALLER, &reply.request).await?;
    let why = recorded.last().and_then(|record| record.upstream_transport_failure_reason.clone());
    fixture.shows(
        CLIENT_REFUSES,
        Must::have(["503", "CERTIFICATE_VERIFY_FAILED"]),
        format!("{} {}", reply.status, why.unwrap_or_default()),
    );
    Ok(())
}

/// A pod without an entry: its sidecar waits, and says for what.
async fn refused_by_spire(
    fixture: &mut Fixture<'_>,
    pods: Pods<'_>,
    [no_identity, no_entry, not_ready]: [Shows; 3],
) -> Result<()> {
    let log = fixture.until("the sidecar to say what it waits for", NO_IDENTITY, || {
        fixture.log(CLUSTER1, pods, "istio-proxy")
    });
    let log = log.await?;
    fixture.shows(
        no_identity,
        Must::have([NO_IDENTITY]),
        log.lines().filter(|line| line.contains("sds-grpc")).collect::<Vec<_>>().join("\n"),
    );
    let entries = entries_of_pod(fixture, pods).await?;
    fixture.shows(no_entry, Must::be("0 of its own"), entries);
    let stands = fixture.standing(CLUSTER1, pods).await?;
    fixture.shows(not_ready, Must::have(["0/2"]), stands);
    Ok(())
}

/// How many entries select exactly that pod.
async fn entries_of_pod(fixture: &Fixture<'_>, pods: Pods<'_>) -> Result<String> {
    let selector = format!("k8s:pod-uid:{}", fixture.pod(CLUSTER1, pods).await?.uid().unwrap_or_default());
    let all = entries_of(&spire::entries(fixture.api(CLUSTER1)?).await?)?;
    Ok(format!("{} of its own", all.iter().filter(|entry| entry.selectors.contains(&selector)).count()))
}

/// The page's Deployment and Service again, under another name and without one property.
async fn bring_less(fixture: &mut Fixture<'_>, name: &str, at: &str, property: &str) -> Result<()> {
    let mut objects = fixture.manifest(CLUSTER1, "templates/myapi.yaml", &[])?;
    let kinds = ["Service", "Deployment"];
    objects.retain(|object| {
        object["metadata"]["name"] == "myapi" && kinds.iter().any(|kind| object["kind"] == **kind)
    });
    for object in &mut objects {
        object["metadata"]["name"] = name.into();
        for pointer in
            ["/spec/selector/app", "/spec/selector/matchLabels/app", "/spec/template/metadata/labels/app"]
        {
            if let Some(app) = object.pointer_mut(pointer) {
                *app = name.into();
            }
        }
        if let Some(properties) = object.pointer_mut(at).and_then(Value::as_object_mut) {
            properties.remove(property);
        }
    }
    fixture.bring_objects(CLUSTER1, objects).await
}
