//! A stage: what one story brings into a cluster and what it changes there, all of it undone at its end. That nothing
//! is left is a claim like any other, judged by comparing everything that the cluster holds with the moment before.

use std::collections::BTreeMap;

use harness::evidence::{Evidence, Fact, Must};
use harness::kube::apply::apply;
use harness::kube::delete::delete;
use harness::kube::inventory::Inventory;
use harness::kube::object::{dynamic, merge_patch};
use harness::kube::rollout::{Workload, rolled_out};
use harness::layout::Layout;
use harness::progress::Note;
use harness::topology::Cluster;
use harness::wait::{self, Look};
use harness::{Code, Error, Result, patience, render, spire};
use kube::Client;
use kube::api::{DynamicObject, PostParams};
use serde_json::Value;

use crate::Mesh;
use crate::story::{Outcome, tell};

/// Pods by namespace and labels.
#[derive(Clone, Copy, Debug)]
pub struct Pods<'a>(pub &'a str, pub &'a str);

/// Where a story is played.
pub struct Stage<'a> {
    /// The world around it.
    pub mesh: &'a Mesh,
    /// What was seen so far.
    pub seen: &'a mut Evidence,
    undo: Vec<(usize, Undo)>,
}

enum Undo {
    Delete(Vec<Value>),
    Restore(Box<DynamicObject>),
    /// A workload that reads what was changed only when it starts.
    Restart(&'static str, &'static str, Workload),
    Entry(String),
}

/// Plays a story on a stage of its own, strikes the stage, and claims that every cluster is as it was before.
///
/// # Errors
/// As [`tell`].
pub async fn play(name: &str, story: impl AsyncFnOnce(&mut Stage<'_>) -> Result<()>) -> Outcome {
    tell(name, async |mesh, seen| {
        let before = inventories(mesh).await?;
        let mut stage = Stage { mesh, seen, undo: Vec::new() };
        let played = story(&mut stage).await;
        let struck = stage.strike().await;
        for (i, before) in before.iter().enumerate() {
            let left = left_over(mesh, i, before).await?;
            let cluster = &mesh.cluster(i)?.name;
            let claim = format!("after {name} everything in {cluster} is as it was before");
            seen.facts.push(Fact { claim, must: Must::be("as before"), seen: left });
        }
        mesh.published(seen).await?;
        mesh.istiod_roots(seen).await?;
        played.and(struck)
    })
    .await
}

impl Stage<'_> {
    /// The API of the cluster at that place.
    pub fn api(&self, place: usize) -> Result<&Client> {
        self.mesh.api(&self.mesh.cluster(place)?.name)
    }

    /// The cluster at that place.
    pub fn cluster(&self, place: usize) -> Result<&Cluster> {
        self.mesh.cluster(place)
    }

    /// Whether the proxies are upstream Envoy, without Istio's own filters.
    pub fn upstream_envoy(&self) -> bool {
        self.mesh.world().origin == harness::artifact::Origin::Packages
    }

    /// Keeps an observation beside the sentence that it decides.
    pub fn fact(&mut self, claim: impl Into<String>, must: Must, seen: impl Into<String>) {
        self.seen.facts.push(Fact { claim: claim.into(), must, seen: seen.into() });
    }

    /// Fills one of our manifests for the cluster at that place, with `extra` values beside its own.
    pub fn manifest(&self, place: usize, name: &str, extra: &[(&str, &str)]) -> Result<Vec<Value>> {
        let mut values = self.mesh.place(place)?.values.clone();
        values.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        render::manifest(&Layout::find()?.manifests().join(name), &values)
    }

    /// Brings a manifest of ours onto the stage.
    pub async fn bring(&mut self, place: usize, name: &str, extra: &[(&str, &str)]) -> Result<()> {
        let objects = self.manifest(place, name, extra)?;
        self.bring_objects(place, objects).await
    }

    /// Brings objects onto the stage. They are written down first, so that they go even when only some came.
    pub async fn bring_objects(&mut self, place: usize, objects: Vec<Value>) -> Result<()> {
        self.undo.push((place, Undo::Delete(objects.clone())));
        apply(self.api(place)?, &objects, &Note::silent()).await
    }

    /// Takes objects away before the end of the story.
    pub async fn take(&mut self, place: usize, name: &str, extra: &[(&str, &str)]) -> Result<()> {
        delete(self.api(place)?, &self.manifest(place, name, extra)?, &Note::silent()).await
    }

    /// Merges `patch` into an object that was there before the story; it is put back as it was.
    pub async fn change(&mut self, place: usize, object: &Value, patch: &Value) -> Result<()> {
        let client = self.api(place)?;
        let before = self.read(place, object).await?;
        let client = client.clone();
        self.undo.push((place, Undo::Restore(Box::new(before))));
        merge_patch(&client, object, patch, &Note::silent()).await.map(drop)
    }

    /// An object as the API server has it.
    pub async fn read(&self, place: usize, object: &Value) -> Result<DynamicObject> {
        let (api, name) = named(self.api(place)?, object)?;
        api.get(&name).await.map_err(|e| Error::new(Code::Evidence, format!("cannot read {name}")).because(e))
    }

    /// Restarts a workload now, and again when the stage is struck: it reads its configuration at its start.
    pub async fn restart(
        &mut self,
        place: usize,
        namespace: &'static str,
        name: &'static str,
        workload: Workload,
    ) -> Result<()> {
        // Before what was changed for it, so that striking, which goes backwards, comes to it after that.
        let at = self.undo.iter().position(|(p, undo)| *p == place && matches!(undo, Undo::Restore(_)));
        self.undo.insert(at.unwrap_or(self.undo.len()), (place, Undo::Restart(namespace, name, workload)));
        restart(self.api(place)?, namespace, name, workload).await
    }

    /// Waits until a Deployment is ready.
    pub async fn ready(&self, place: usize, namespace: &str, name: &str) -> Result<()> {
        let api = self.api(place)?;
        rolled_out(api, Workload::Deployment, namespace, name, patience::SETTLE, &Note::silent()).await
    }

    /// Makes a registration entry by the server's own command; hands back what it said.
    pub async fn entry(&mut self, place: usize, words: &[&str]) -> Result<String> {
        let words = [&["entry", "create"], words].concat();
        let said = spire::command(self.api(place)?, &words).await?;
        let id = said.lines().find_map(|line| line.strip_prefix("Entry ID")).unwrap_or_default();
        self.undo.push((place, Undo::Entry(id.trim_start_matches([' ', ':']).trim().to_owned())));
        Ok(said)
    }

    /// Undoes everything, last first; goes on when one thing resists.
    async fn strike(&mut self) -> Result<()> {
        let mut struck = Ok(());
        while let Some((place, undo)) = self.undo.pop() {
            let client = self.api(place)?;
            let done = match undo {
                Undo::Delete(objects) => delete(client, &objects, &Note::silent()).await,
                Undo::Restore(before) => restore(client, *before).await,
                Undo::Restart(namespace, name, workload) => restart(client, namespace, name, workload).await,
                Undo::Entry(id) => {
                    match spire::command(client, &["entry", "delete", "-entryID", &id]).await {
                        // A story may delete its own entry.
                        Err(e) if e.to_string().contains("NotFound") => Ok(()),
                        done => done.map(drop),
                    }
                }
            };
            struck = struck.and(done);
        }
        struck
    }
}

fn named(client: &Client, object: &Value) -> Result<(kube::Api<DynamicObject>, String)> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let namespace = Some(text("/metadata/namespace")).filter(|namespace| !namespace.is_empty());
    Ok((dynamic(client, text("/apiVersion"), text("/kind"), namespace)?, text("/metadata/name").to_owned()))
}

/// Replaces what is there now by what was there before, whoever changed it meanwhile.
async fn restore(client: &Client, mut before: DynamicObject) -> Result<()> {
    let object = serde_json::to_value(&before).map_err(|e| Error::internal("an object").because(e))?;
    let (api, name) = named(client, &object)?;
    let failed = |e| Error::new(Code::KubeFailed, format!("cannot put {name} back")).because(e);
    before.metadata.resource_version = api.get(&name).await.map_err(failed)?.metadata.resource_version;
    before.metadata.managed_fields = None;
    api.replace(&name, &PostParams::default(), &before).await.map_err(failed).map(drop)
}

/// As `kubectl rollout restart` does, but without a trace in the template: its pods are deleted.
async fn restart(client: &Client, namespace: &str, name: &str, workload: Workload) -> Result<()> {
    use k8s_openapi::api::core::v1::Pod;
    use kube::ResourceExt as _;
    let pods: kube::Api<Pod> = kube::Api::namespaced(client.clone(), namespace);
    let failed = |e| Error::new(Code::KubeFailed, format!("cannot restart {name}")).because(e);
    for pod in harness::kube::pods::pods(client, namespace, &format!("app={name}")).await? {
        let (pod, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
        pods.delete(&pod, &Default::default()).await.map_err(failed)?;
        harness::kube::watch::gone(
            &pods,
            &pod,
            &uid,
            &format!("the end of {pod}"),
            patience::SETTLE,
            &Note::silent(),
        )
        .await?;
    }
    rolled_out(client, workload, namespace, name, patience::STEP, &Note::silent()).await
}

/// What every cluster holds now, and what its SPIRE server knows.
async fn inventories(mesh: &Mesh) -> Result<Vec<(Inventory, BTreeMap<String, String>)>> {
    let mut all = Vec::new();
    for cluster in mesh.clusters() {
        all.push(inventory(mesh.api(&cluster.name)?).await?);
    }
    Ok(all)
}

async fn inventory(client: &Client) -> Result<(Inventory, BTreeMap<String, String>)> {
    let (objects, known) = tokio::try_join!(Inventory::of(client), known_to_spire(client))?;
    Ok((objects, known))
}

/// Whom the server would give which identity, and whose bundle it has. Entries of pods that were replaced have other
/// selectors, so an entry is its identity.
async fn known_to_spire(client: &Client) -> Result<BTreeMap<String, String>> {
    let (entries, bundles) =
        tokio::try_join!(spire::entries(client), spire::command(client, &["bundle", "list"]))?;
    let mut known = BTreeMap::new();
    for entry in harness::identity::entries_of(&entries)? {
        let to: Vec<_> = entry.federates_with.iter().map(ToString::to_string).collect();
        known.insert(format!("entry {}", entry.spiffe_id), to.join(" "));
    }
    for line in bundles.lines().filter(|line| line.starts_with("* ")) {
        known.insert(format!("bundle {}", line.trim_start_matches("* ")), String::new());
    }
    Ok(known)
}

/// What is different from before once the controllers have caught up, in words.
async fn left_over(
    mesh: &Mesh,
    place: usize,
    before: &(Inventory, BTreeMap<String, String>),
) -> Result<String> {
    let client = mesh.api(&mesh.cluster(place)?.name)?;
    let look = || async {
        let now = inventory(client).await?;
        let mut different = before.0.until(&now.0);
        let gone = before.1.iter().filter(|(name, value)| now.1.get(*name) != Some(*value));
        let new = now.1.iter().filter(|(name, _)| !before.1.contains_key(*name));
        different.extend(gone.map(|(name, value)| format!("\nmissing in SPIRE {name} {value}")));
        different.extend(new.map(|(name, value)| format!("\nadded to SPIRE {name} {value}")));
        Ok::<_, Error>(different)
    };
    let found = wait::eventually("the cluster as before", patience::CAUGHT_UP, &Note::silent(), || async {
        match look().await {
            Ok(different) if different.is_empty() => Look::Ready("as before".to_owned()),
            Ok(different) => Look::NotYet(different),
            Err(e) => Look::not_yet(e),
        }
    })
    .await;
    match found {
        Err(e) if e.code() == Code::TimedOut => look().await,
        found => found,
    }
}
