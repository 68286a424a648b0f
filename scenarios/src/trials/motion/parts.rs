//! Parts of a mesh that are away for a while and come back, and what is seen of it from outside.

use harness::Result;
use harness::kube::object::merge_patch;
use harness::progress::Note;
use jiff::{SignedDuration, Timestamp};
use proof::envoy::Held;
use proof::motion::{Bound, Took};
use serde_json::{Value, json};

use super::SHORT_LIVED;
use crate::Nth;
use crate::fixture::Fixture;
use crate::pods::Pods;
use crate::watched::Watched;

/// The SPIRE server's StatefulSet.
pub fn spire_server() -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": "spire-server", "namespace": "spire" } })
}

/// Whom this scenario's own pods get their identities by.
pub fn identity() -> Value {
    json!({ "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterSPIFFEID", "metadata": { "name": "motion" } })
}

/// Until it is scaled back, or the scenario ends.
pub async fn scale(fixture: &mut Fixture<'_>, cluster: Nth, workload: &Value, replicas: u32) -> Result<()> {
    fixture.change(cluster, workload, &json!({ "spec": { "replicas": replicas } })).await
}

/// One pod of it again.
pub async fn back(fixture: &Fixture<'_>, cluster: Nth, workload: &Value) -> Result<()> {
    merge(fixture, cluster, workload, &json!({ "spec": { "replicas": 1 } })).await
}

/// Changes what is of this scenario's own, or is put back anyway.
pub async fn merge(fixture: &Fixture<'_>, cluster: Nth, object: &Value, patch: &Value) -> Result<()> {
    merge_patch(fixture.api(cluster)?, object, patch, &Note::silent()).await.map(drop)
}

/// How often a container wrote these words.
pub async fn said(
    fixture: &Fixture<'_>,
    cluster: Nth,
    (of, container): (Pods<'_>, &str),
    words: &str,
) -> Result<usize> {
    Ok(fixture.log(cluster, of, container).await?.matches(words).count())
}

/// Waits until each proxy of this scenario's own has an SVID that was made since then.
pub async fn renewed(
    fixture: &Fixture<'_>,
    cluster: Nth,
    (what, since, bound): (&str, Timestamp, &Bound),
) -> Result<Took> {
    Watched::of(fixture)?
        .all(fixture, (&[cluster], &SHORT_LIVED), (what, since, bound), |held| made_since(held, since))
        .await
}

/// Whether the SVID that a proxy shows was made since then: each is dated ten seconds back.
pub fn made_since(held: &Held, since: Timestamp) -> bool {
    let chain = held.certificate("default").and_then(|pem| pem.chain().ok());
    chain.is_some_and(|chain| chain.leaf.not_before >= since - SignedDuration::from_secs(10))
}
