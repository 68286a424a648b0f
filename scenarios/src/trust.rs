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
use proof::topology::{Cluster, ClusterName};
use serde_json::{Value, json};

use crate::Mesh;
use crate::look::{held, workload};
use crate::pods::{CURL, HELLOWORLD, Pods};

const API: &str = "spire.spiffe.io/v1alpha1";

/// Trust that was taken away, in every cluster at once; put it back with [`Mesh::put_back`].
#[must_use = "put it back"]
pub struct Withdrawn {
    /// Per cluster: the objects as they were.
    before: Vec<(ClusterName, Vec<Value>)>,
}

impl Mesh {
    /// Takes every peer's bundle from every SPIRE server. Deleting the ClusterFederatedTrustDomain alone would
    /// leave the bundle, and so the trust, in place.
    pub async fn take_bundles_away(&self) -> Result<Withdrawn> {
        let taken = self.clusters().iter().map(async |here| {
            let client = self.api(&here.name)?;
            let mut before = Vec::new();
            for peer in self.clusters().iter().filter(|peer| peer.name != here.name) {
                before.push(as_applied(client, "ClusterFederatedTrustDomain", &peer.name.0).await?);
            }
            delete(client, &before, &Note::silent()).await?;
            for peer in self.clusters().iter().filter(|peer| peer.name != here.name) {
                spire::delete_bundle_of_peer(client, &peer.trust_domain).await?;
            }
            Ok::<_, Error>((here.name.clone(), before))
        });
        Ok(Withdrawn { before: try_join_all(taken).await? })
    }

    /// Takes `federatesWith` from the workloads' registration.
    pub async fn take_federates_with_away(&self) -> Result<Withdrawn> {
        let taken = self.clusters().iter().map(async |here| {
            let client = self.api(&here.name)?;
            let before = as_applied(client, "ClusterSPIFFEID", "istio-test").await?;
            let nobody = json!({ "spec": { "federatesWith": [] } });
            merge_patch(client, &before, &nobody, &Note::silent()).await?;
            Ok::<_, Error>((here.name.clone(), vec![before]))
        });
        Ok(Withdrawn { before: try_join_all(taken).await? })
    }

    /// Puts back what was taken.
    pub async fn put_back(&self, withdrawn: Withdrawn) -> Result<()> {
        let back = withdrawn
            .before
            .iter()
            .map(async |(name, objects)| apply(self.api(name)?, objects, &Note::silent()).await);
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
