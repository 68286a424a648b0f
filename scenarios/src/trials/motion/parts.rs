//! Parts of a mesh that are away for a while and come back, and what is seen of it from outside.

use std::collections::{BTreeMap, BTreeSet};

use harness::Result;
use harness::kube::object::merge_patch;
use harness::progress::Note;
use jiff::{SignedDuration, Timestamp};
use proof::envoy::Held;
use proof::evidence::{Evidence, HeldAt, Must};
use proof::identity::Authority;
use proof::motion::{Bound, Connection, Flow, Took, Window};
use proof::verdict::history::{never_ceased_to_believe, never_of_istiod};
use serde_json::{Value, json};

use super::steps::Waited;
use super::{EVERYONE, SHORT_LIVED, bounds, window};
use crate::fixture::Fixture;
use crate::pods::Pods;
use crate::shows::Shows;
use crate::traffic::{CLIENT, Traffic};
use crate::watched::{Watched, shows};
use crate::{CLUSTER1, CLUSTER2, Nth};

/// The SPIRE server's StatefulSet.
pub fn spire_server() -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": "spire-server", "namespace": "spire" } })
}

/// A mistake in whom this scenario's own pods get their identities by, and what came of it.
pub struct Mistake {
    /// Of all requests.
    pub flows: Vec<Flow>,
    made: Timestamp,
    mended: Timestamp,
    answered: Bound,
}

impl Mistake {
    /// Makes it in that cluster, by what is merged into its ClusterSPIFFEID, until a request to it or from it is refused, and
    /// mends it. `fact` is that the first one is refused in time.
    pub async fn make(
        fixture: &mut Fixture<'_>,
        (traffic, cluster): (Traffic, Nth),
        (wrong, right): (Value, Value),
        fact: Shows,
    ) -> Result<Self> {
        let told = fixture.told(cluster).await?;
        let refused = bounds::refused(&told);
        fixture.announces("until the first request is refused", &refused)?;
        // The controller manager makes one entry and deletes the other: in between there may be none.
        let answered = bounds::entry_back(&told);
        fixture.announces("until requests are answered again, once the entry is right", &answered)?;
        let way = fixture.mesh.way(CLUSTER1, CLUSTER2)?;
        let made = Timestamp::now();
        merge(fixture, cluster, &identity(), &wrong).await?;
        let took = traffic.first_failure(&way, Connection::New, (made, &refused)).await;
        fixture.took(fact, refused, &took)?;
        merge(fixture, cluster, &identity(), &right).await?;
        let mended = Timestamp::now();
        traffic.flows().await?;
        Ok(Self { flows: traffic.end().await?, made, mended, answered })
    }

    /// When requests fail because of it.
    pub fn window(&self, because: &str) -> Window {
        window(self.made, (self.mended, &self.answered), &["503"], because)
    }
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

/// Waits until every proxy of that cluster shows a certificate of one of these.
pub async fn shown(
    fixture: &Fixture<'_>,
    cluster: Nth,
    (what, since, bound): (&str, Timestamp, Bound),
    by: &[Authority],
) -> Result<Waited> {
    fixture.announces(what, &bound)?;
    let so = |held: &Held| by.iter().any(|authority| shows(held, authority));
    let took = Watched::of(fixture)?.all(fixture, (&[cluster], &EVERYONE), (what, since, &bound), so).await?;
    Ok(Waited { bound, took })
}

/// What was so of every proxy since then: none held anything of istiod's, none ceased to believe a trust domain. It is asked
/// before anything is undone, which takes identities away.
pub async fn always(
    fixture: &mut Fixture<'_>,
    since: Timestamp,
    [istiods, believes]: [Shows; 2],
) -> Result<()> {
    let mesh = fixture.mesh;
    let mut seen = Evidence::of(mesh.clusters(), Timestamp::now());
    mesh.published(&mut seen).await?;
    mesh.istiod_roots(&mut seen).await?;
    mesh.proxies(&mut seen).await?;
    mesh.history(&mut seen).await?;
    seen.collected_at = Timestamp::now();
    seen.clusters.iter_mut().filter_map(|one| one.history.as_mut()).for_each(|all| since_then(all, since));
    for cluster in mesh.clusters() {
        let judged = [
            (istiods, never_of_istiod(&seen, &cluster.name)?),
            (believes, never_ceased_to_believe(&seen, &cluster.name)?),
        ];
        for (fact, (finding, _)) in judged {
            let seen = if finding.held { finding.expected.clone() } else { finding.observed };
            fixture.shows(fact.of(&cluster.name), Must::be(finding.expected), seen);
        }
    }
    Ok(())
}

/// Leaves what each proxy held then and later: scenarios before this one, in the same run, had purposes of their own.
fn since_then(history: &mut Vec<HeldAt>, since: Timestamp) {
    let mut then: BTreeMap<_, Timestamp> = BTreeMap::new();
    for look in history.iter().filter(|look| look.at < since && look.held.is_some()) {
        let last = then.entry(look.workload.uid.clone()).or_insert(look.at);
        *last = look.at.max(*last);
    }
    let later: BTreeSet<_> =
        history.iter().filter(|look| look.at >= since).map(|look| look.workload.uid.clone()).collect();
    then.retain(|uid, _| later.contains(uid));
    history.retain(|look| look.at >= since || then.get(&look.workload.uid) == Some(&look.at));
}

/// What is said of a Service that a cluster's client has not heard of.
pub const UNKNOWN: &str = "no endpoint of late.motion";

/// Why the client of that cluster does not know the Service that came late.
pub async fn unknown(fixture: &Fixture<'_>, cluster: Nth) -> Result<Option<String>> {
    // Gateways have addresses that begin with 1; what else Envoy says of a cluster does not.
    let known = fixture.admin(cluster, CLIENT, "/clusters").await?;
    let known = known.contains("outbound|5000||late.motion.svc.cluster.local::1");
    Ok((!known).then(|| UNKNOWN.to_owned()))
}

/// What a cluster was made with.
pub fn image(fixture: &Fixture<'_>, cluster: Nth, name: &str) -> String {
    let values = fixture.mesh.access(cluster).ok().map(|access| &access.values);
    values.and_then(|values| values.get(name)).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proof::evidence::Workload;

    use super::*;

    #[test]
    fn what_a_proxy_held_when_a_scenario_began_is_of_its_time_and_nothing_before_that() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let look = |uid: &str, second, held: bool| HeldAt {
            at: at(second),
            longest_ms: None,
            pod_created: None,
            workload: Workload {
                namespace: "motion".into(),
                pod: uid.into(),
                service_account: "client".into(),
                uid: Some(uid.into()),
            },
            held: held.then(Held::default),
        };
        let mut all = vec![look("a", 1, true), look("a", 2, true), look("b", 3, true), look("a", 4, false)];
        all.extend([look("b", 5, false), look("a", 6, true), look("b", 7, false), look("gone", 1, true)]);
        since_then(&mut all, at(5));
        let kept: Vec<_> = all.iter().map(|look| look.at.as_second()).collect();
        assert_eq!(kept, [2, 3, 5, 6, 7]);
    }
}
