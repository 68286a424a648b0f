//! Must an SVID's name follow Istio's pattern, as the page (003) warns, and what breaks when it does not?

use crate::{CLUSTER1, CURL, Fixture, HELLOWORLD, Pods, scenarios};
use harness::Result;
use proof::envoy::Cause;
use proof::evidence::Must;

use crate::trials::registration::{alias, id};

scenarios! {
    "manual-names" => a_name_off_the_pattern_may_ask_and_is_never_answered_to {
        OFF_THE_PATTERN_READY: "[S3-14] SPIRE and the sidecar take a SPIFFE ID that is not of Istio's \
            pattern: the pod gets ready",
        STRAY_HOLDS_SVID: "[S3-14] its sidecar holds the SVID of that name",
        NOBODY_MAY_ASK_IT: "[S3-14] nobody in the mesh can ask it: the client's sidecar expects the name \
            of its service account and refuses the other",
        MAY_ASK_OTHERS: "[S3-14] it can ask others: a server checks no more than the trust domain",
        STRAY_WAS_SHOWN: "[S3-14] the server that it asked was shown that name",
    },
}

const STRAY: Pods<'_> = Pods("default", "app=stray");

/// If this fails, a workload can be met under a name that is not its own.
async fn a_name_off_the_pattern_may_ask_and_is_never_answered_to(fixture: &mut Fixture<'_>) -> Result<()> {
    let here = fixture.cluster(CLUSTER1)?.name.clone();
    fixture.bring(CLUSTER1, "registration/stray.yaml", &[]).await?;
    let (node, _) = alias(fixture).await?;
    let stray_id = id(fixture, "/foo")?;
    let words = [
        "-spiffeID",
        &stray_id,
        "-parentID",
        &node,
        "-selector",
        "k8s:ns:default",
        "-selector",
        "k8s:sa:stray",
    ];
    fixture.entry(CLUSTER1, &words).await?;
    let standing = fixture.stands(CLUSTER1, STRAY, "2/2 Running").await?;
    fixture.shows(OFF_THE_PATTERN_READY, Must::be("2/2 Running"), standing);
    let foo_id = || stray_id.parse().map_err(|e| harness::Error::internal("an identity").because(e));
    let own = fixture.own_certificate(CLUSTER1, STRAY).await?;
    fixture.shows(STRAY_HOLDS_SVID, Must::BeSvid { by: here.clone(), id: foo_id()? }, own);
    fixture.knows(CLUSTER1, CURL, "stray.default", 8000).await?;
    let reply = fixture.ask(CLUSTER1, CURL, "curl", "http://stray.default:8000/").await?;
    let records = fixture.records(CLUSTER1, CURL, &reply.request).await?;
    let cause = records.iter().rev().find_map(proof::envoy::Record::cause).as_ref().map(Cause::to_string);
    let words = records.iter().rev().find_map(|record| record.upstream_transport_failure_reason.clone());
    fixture.shows(
        NOBODY_MAY_ASK_IT,
        Must::have(["503", "the peer has another name"]),
        format!("{} {} | {}", reply.status, cause.unwrap_or_default(), words.unwrap_or_default()),
    );
    fixture.knows(CLUSTER1, STRAY, "helloworld.istio-test", 5000).await?;
    let reply = fixture.ask(CLUSTER1, STRAY, "curl", "http://helloworld.istio-test:5000/hello").await?;
    fixture.shows(
        MAY_ASK_OTHERS,
        Must::have(["200 Hello version"]),
        format!("{} {}", reply.status, reply.body),
    );
    let records = fixture.records(CLUSTER1, HELLOWORLD, &reply.request).await?;
    let shown = records.iter().rev().find_map(|record| record.downstream_peer_cert.as_ref());
    let shown = shown.map(|pem| pem.as_str().to_owned()).unwrap_or_default();
    fixture.shows(STRAY_WAS_SHOWN, Must::BeSvid { by: here, id: foo_id()? }, shown);
    Ok(())
}
