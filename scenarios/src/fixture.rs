//! A fixture: what one story brings into a cluster and what it changes there, all of it undone at its end. That nothing
//! is left is a claim like any other, judged by comparing everything that the cluster holds with the moment before.

use harness::kube::apply::apply;
use harness::kube::delete::delete;
use harness::kube::object::{merge_patch, strategic_patch};
use harness::kube::rollout::{Workload, rolled_out};
use harness::layout::Layout;
use harness::progress::Note;
use harness::{Code, Error, Result, patience, render, spire};
use kube::Client;
use kube::api::{DynamicObject, PostParams};
use proof::evidence::{Evidence, Fact, Must};
use proof::topology::Cluster;
use serde_json::{Value, json};

use crate::Mesh;
use crate::pods::Pods;
use crate::shows::Shown;
use crate::undo::{Undo, delete_pods, named, restart};

/// What a story brings and changes, with how all of it is undone.
pub struct Fixture<'a> {
    /// The world around it.
    pub mesh: &'a Mesh,
    /// What was seen so far.
    pub seen: &'a mut Evidence,
    /// Which story is played.
    story: &'static str,
    undo: Vec<(usize, Undo)>,
}

impl<'a> Fixture<'a> {
    /// The fixture of that story; nothing is brought yet.
    pub(crate) fn of(story: &'static str, mesh: &'a Mesh, seen: &'a mut Evidence) -> Self {
        Self { mesh, seen, story, undo: Vec::new() }
    }
}

impl Fixture<'_> {
    /// The API of the cluster of that index.
    pub fn api(&self, index: usize) -> Result<&Client> {
        self.mesh.api(&self.mesh.cluster(index)?.name)
    }

    /// The cluster of that index.
    pub fn cluster(&self, index: usize) -> Result<&Cluster> {
        self.mesh.cluster(index)
    }

    /// Whether the proxies are upstream Envoy, without Istio's own filters.
    pub fn upstream_envoy(&self) -> bool {
        self.mesh.world().origin == harness::artifact::Origin::Packages
    }

    /// Keeps an observation beside the fact that it decides, which the story's table owes.
    pub fn shows(&mut self, fact: impl Into<Shown>, must: Must, seen: impl Into<String>) {
        let fact = fact.into();
        self.seen.facts.push(Fact { id: fact.id(self.story), claim: fact.says(), must, seen: seen.into() });
    }

    /// Fills one of our manifests for the cluster at that index, with `extra` values beside its own.
    pub fn manifest(&self, index: usize, name: &str, extra: &[(&str, &str)]) -> Result<Vec<Value>> {
        let mut values = self.mesh.access(index)?.values.clone();
        values.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        render::manifest(&Layout::find()?.manifests().join(name), &values)
    }

    /// Brings a manifest of ours into the cluster.
    pub async fn bring(&mut self, index: usize, name: &str, extra: &[(&str, &str)]) -> Result<()> {
        let objects = self.manifest(index, name, extra)?;
        self.bring_objects(index, objects).await
    }

    /// Brings objects into the cluster. They are written down first, so that they go even when only some came.
    pub async fn bring_objects(&mut self, index: usize, objects: Vec<Value>) -> Result<()> {
        self.undo.push((index, Undo::Delete(objects.clone())));
        apply(self.api(index)?, &objects, &Note::silent()).await
    }

    /// Takes objects away before the end of the story.
    pub async fn take(&mut self, index: usize, name: &str, extra: &[(&str, &str)]) -> Result<()> {
        delete(self.api(index)?, &self.manifest(index, name, extra)?, &Note::silent()).await
    }

    /// Merges `patch` into an object that was there before the story; it is put back as it was.
    pub async fn change(&mut self, index: usize, object: &Value, patch: &Value) -> Result<()> {
        let client = self.api(index)?;
        let before = self.read(index, object).await?;
        let client = client.clone();
        self.undo.push((index, Undo::Restore(Box::new(before))));
        merge_patch(&client, object, patch, &Note::silent()).await.map(drop)
    }

    /// Takes an object away that was there before the story; it is put back.
    pub async fn remove(&mut self, index: usize, object: &Value) -> Result<()> {
        let before = self.read(index, object).await?;
        let mut back = object.clone();
        let fields = before.data.as_object().into_iter().flatten();
        for (key, value) in fields.filter(|(key, _)| *key != "status") {
            back[key] = value.clone();
        }
        back["metadata"]["labels"] = json!(before.metadata.labels);
        back["metadata"]["annotations"] = json!(before.metadata.annotations);
        self.undo.push((index, Undo::Apply(back)));
        delete(self.api(index)?, std::slice::from_ref(object), &Note::silent()).await
    }

    /// Merges a manifest of ours into what this story brought before, as `kubectl apply` does with a patch file.
    pub async fn patch(&self, index: usize, name: &str, extra: &[(&str, &str)]) -> Result<()> {
        for object in self.manifest(index, name, extra)? {
            self.merge(index, &object).await?;
        }
        Ok(())
    }

    /// As [`Fixture::patch`], of an object with only what it changes.
    pub async fn merge(&self, index: usize, object: &Value) -> Result<()> {
        strategic_patch(self.api(index)?, object, &Note::silent()).await.map(drop)
    }

    /// Deletes pods and waits for their end: whoever owns them makes new ones, whether or not those get ready.
    pub async fn renew(&self, index: usize, Pods(namespace, labels): Pods<'_>) -> Result<()> {
        delete_pods(self.api(index)?, namespace, labels).await
    }

    /// Gives the SPIRE server a bundle, in SPIFFE's JSON, for another trust domain.
    pub async fn peer_bundle(&mut self, index: usize, trust_domain: &str, bundle: &str) -> Result<()> {
        self.undo.push((index, Undo::Bundle(trust_domain.to_owned())));
        spire::set_bundle_of_peer(self.api(index)?, trust_domain, bundle).await
    }

    /// An object as the API server has it.
    pub async fn read(&self, index: usize, object: &Value) -> Result<DynamicObject> {
        let (api, name) = named(self.api(index)?, object)?;
        api.get(&name).await.map_err(|e| Error::new(Code::Evidence, format!("cannot read {name}")).because(e))
    }

    /// Restarts a workload now, and again when the fixture is undone: it reads its configuration at its start.
    pub async fn restart(
        &mut self,
        index: usize,
        namespace: &'static str,
        name: &'static str,
        workload: Workload,
    ) -> Result<()> {
        // Before what was changed for it, so that striking, which goes backwards, comes to it after that.
        let at = self.undo.iter().position(|(p, undo)| *p == index && matches!(undo, Undo::Restore(_)));
        let again =
            |(p, undo): &(usize, Undo)| *p == index && matches!(undo, Undo::Restart(_, n, _) if *n == name);
        if !self.undo.iter().any(again) {
            self.undo
                .insert(at.unwrap_or(self.undo.len()), (index, Undo::Restart(namespace, name, workload)));
        }
        restart(self.api(index)?, namespace, name, workload).await
    }

    /// Restarts a workload once: its pods are to start in the world as it is now.
    pub async fn restart_pods(
        &self,
        index: usize,
        namespace: &str,
        name: &str,
        workload: Workload,
    ) -> Result<()> {
        restart(self.api(index)?, namespace, name, workload).await
    }

    /// Whether the API server and its webhooks would take an object: `admitted`, or their words. Nothing is made.
    pub async fn admission(&self, index: usize, object: &Value) -> Result<String> {
        let (api, _) = named(self.api(index)?, object)?;
        let object =
            serde_json::from_value(object.clone()).map_err(|e| Error::internal("an object").because(e))?;
        let dry = PostParams { dry_run: true, ..Default::default() };
        Ok(match api.create(&dry, &object).await {
            Ok(_) => "admitted".to_owned(),
            Err(kube::Error::Api(status)) => status.message.clone(),
            Err(e) => return Err(Error::new(Code::KubeFailed, "cannot ask for admission").because(e)),
        })
    }

    /// Waits until a Deployment is ready.
    pub async fn ready(&self, index: usize, namespace: &str, name: &str) -> Result<()> {
        let api = self.api(index)?;
        rolled_out(api, Workload::Deployment, namespace, name, patience::SETTLE, &Note::silent()).await
    }

    /// Makes a registration entry by the server's own command; hands back what it said.
    pub async fn entry(&mut self, index: usize, words: &[&str]) -> Result<String> {
        let words = [&["entry", "create"], words].concat();
        let said = spire::command(self.api(index)?, &words).await?;
        let id = said.lines().find_map(|line| line.strip_prefix("Entry ID")).unwrap_or_default();
        self.undo.push((index, Undo::Entry(id.trim_start_matches([' ', ':']).trim().to_owned())));
        Ok(said)
    }

    /// The address of the node of that cluster, at which others reach its Services.
    pub fn address(&self, index: usize) -> Result<String> {
        Ok(self.mesh.access(index)?.address.to_string())
    }

    /// A join token of that cluster's server, for an agent that is also called `alias`. The agent that uses it is
    /// evicted at the end.
    pub async fn join_token(&mut self, index: usize, alias: &str) -> Result<String> {
        let said = spire::command(self.api(index)?, &["token", "generate", "-spiffeID", alias]).await?;
        let token = said.lines().find_map(|line| line.strip_prefix("Token:")).unwrap_or_default().trim();
        let agent = format!("spiffe://{}/spire/agent/join_token/{token}", self.cluster(index)?.trust_domain);
        self.undo.push((index, Undo::Agent(agent)));
        Ok(token.to_owned())
    }

    /// Undoes everything, last first; goes on when one thing resists.
    pub(crate) async fn undo_all(&mut self) -> Result<()> {
        let mut undone = Ok(());
        while let Some((index, undo)) = self.undo.pop() {
            undone = undone.and(undo.run(self.api(index)?).await);
        }
        undone
    }
}
