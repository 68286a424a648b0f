//! Taking trust away, and putting it back: the controls.

use futures::future::try_join_all;
use harness::kube::apply::apply;
use harness::kube::delete::delete;
use harness::kube::object::{dynamic, merge_patch};
use harness::progress::Note;
use harness::wait::{self, Look};
use harness::{Code, Error, Result, patience, spire};
use kube::Client;
use proof::envoy::Trust;
use proof::topology::Cluster;
use serde_json::{Value, json};

use crate::look::{held, workload};
use crate::pods::{CURL, HELLOWORLD, Pods};
use crate::{Mesh, Nth};

const API: &str = "spire.spiffe.io/v1alpha1";

/// Trust between clusters, as the objects that grant it say before it is withdrawn.
pub(crate) struct Granted(Vec<(Nth, Vec<Value>)>);

impl Granted {
    /// Each object, with its cluster.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (Nth, &Value)> {
        self.0.iter().flat_map(|(cluster, objects)| objects.iter().map(|object| (*cluster, object)))
    }
}

impl Mesh {
    /// The relationship of every SPIRE server with every peer.
    pub(crate) async fn relationships(&self) -> Result<Granted> {
        let read = self.numbers().map(async |number| {
            let here = self.cluster(number)?;
            let client = self.api(&here.name)?;
            let mut found = Vec::new();
            for peer in self.clusters().iter().filter(|peer| peer.name != here.name) {
                found.push(as_applied(client, "ClusterFederatedTrustDomain", &peer.name.0).await?);
            }
            Ok::<_, Error>((number, found))
        });
        Ok(Granted(try_join_all(read).await?))
    }

    /// The registration of every cluster's workloads.
    pub(crate) async fn registrations(&self) -> Result<Granted> {
        let read = self.numbers().map(async |number| {
            let client = self.api(&self.cluster(number)?.name)?;
            Ok::<_, Error>((number, vec![as_applied(client, "ClusterSPIFFEID", "istio-test").await?]))
        });
        Ok(Granted(try_join_all(read).await?))
    }

    /// Takes every peer's bundle from every SPIRE server. Deleting the ClusterFederatedTrustDomain alone would
    /// leave the bundle, and so the trust, in place.
    pub(crate) async fn take_bundles_away(&self, relationships: &Granted) -> Result<()> {
        let taken = relationships.0.iter().map(async |(number, objects)| {
            let here = self.cluster(*number)?;
            let client = self.api(&here.name)?;
            delete(client, objects, &Note::silent()).await?;
            for peer in self.clusters().iter().filter(|peer| peer.name != here.name) {
                spire::delete_bundle_of_peer(client, &peer.trust_domain).await?;
            }
            Ok::<_, Error>(())
        });
        try_join_all(taken).await.map(drop)
    }

    /// Takes `federatesWith` from the workloads' registration.
    pub(crate) async fn take_federates_with_away(&self, registrations: &Granted) -> Result<()> {
        let nobody = json!({ "spec": { "federatesWith": [] } });
        let taken = registrations.objects().map(async |(number, object)| {
            let client = self.api(&self.cluster(number)?.name)?;
            merge_patch(client, object, &nobody, &Note::silent()).await.map(drop)
        });
        try_join_all(taken).await.map(drop)
    }

    /// Grants trust as it was.
    pub(crate) async fn put_back(&self, granted: &Granted) -> Result<()> {
        let back = granted.0.iter().map(async |(number, objects)| {
            apply(self.api(&self.cluster(*number)?.name)?, objects, &Note::silent()).await
        });
        try_join_all(back).await.map(drop)
    }

    /// Waits until both sidecars of every cluster believe in so many trust domains: SPIRE tells them by itself.
    pub async fn sidecars_believe_in(&self, domains: usize) -> Result<()> {
        let waits = self.clusters().iter().flat_map(|here| [CURL, HELLOWORLD].map(|of| (here, of)));
        try_join_all(waits.map(async |(here, of)| self.believes_in(here, of, domains).await)).await.map(drop)
    }

    async fn believes_in(&self, here: &Cluster, of: Pods<'_>, domains: usize) -> Result<()> {
        let client = self.api(&here.name)?;
        let workload = workload(client, of).await?;
        let what = format!("{domains} trust domains in ROOTCA of {} in {}", workload.pod, here.name);
        wait::eventually(&what, patience::SETTLE, &Note::silent(), || async {
            match held(client, &workload).await {
                Ok(held) => match held.trust("ROOTCA") {
                    Some(Trust::PerTrustDomain(now)) if now.len() == domains => Look::Ready(()),
                    Some(Trust::PerTrustDomain(now)) => Look::NotYet(format!("it holds {}", now.len())),
                    Some(Trust::AnyName(_)) => {
                        Look::NotYet("it holds a pool of roots for any name".to_owned())
                    }
                    None => Look::NotYet("it holds no ROOTCA".to_owned()),
                },
                Err(e) => Look::not_yet(e),
            }
        })
        .await
    }
}

/// The object, with only what one would apply.
async fn as_applied(client: &Client, kind: &str, name: &str) -> Result<Value> {
    let found = dynamic(client, API, kind, None)?.get(name).await;
    let found =
        found.map_err(|e| Error::new(Code::Evidence, format!("cannot read {kind} {name}")).because(e))?;
    Ok(json!({ "apiVersion": API, "kind": kind, "metadata": { "name": name }, "spec": found.data["spec"] }))
}
