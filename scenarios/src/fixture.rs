//! A fixture: what one scenario brings into a cluster and what it changes there, all of it undone at its end. That nothing
//! is left is a claim like any other, judged by comparing everything that the cluster holds with the moment before.

use harness::kube::apply::apply;
use harness::kube::delete::delete;
use harness::kube::fault::refusal;
use harness::kube::object::{merge_patch, merge_patch_status, strategic_patch};
use harness::kube::rollout::{Workload, rolled_out};
use harness::layout::Layout;
use harness::progress::Note;
use harness::{Code, Error, Result, patience, spire};
use kube::Client;
use kube::api::{DynamicObject, PostParams};
use proof::evidence::{Evidence, Fact, Must};
use proof::topology::Cluster;
use serde_json::{Value, json};

use crate::pods::Pods;
use crate::shows::Shown;
use crate::trust::Granted;
use crate::undo::{Undo, delete_pods, named, restart};
use crate::{Mesh, Nth, snapshot};

/// What a scenario brings and changes, with how all of it is undone.
pub struct Fixture<'a> {
    /// The world around it.
    pub mesh: &'a Mesh,
    /// What was seen so far.
    pub seen: &'a mut Evidence,
    /// Which scenario it is of.
    scenario: &'static str,
    undo: Vec<(Nth, Undo)>,
}

impl<'a> Fixture<'a> {
    /// The fixture of that scenario; nothing is brought yet.
    pub(crate) fn of(scenario: &'static str, mesh: &'a Mesh, seen: &'a mut Evidence) -> Self {
        Self { mesh, seen, scenario, undo: Vec::new() }
    }
}

impl Fixture<'_> {
    /// The API of that cluster.
    pub fn api(&self, cluster: Nth) -> Result<&Client> {
        self.mesh.api(&self.mesh.cluster(cluster)?.name)
    }

    /// That cluster, as data.
    pub fn cluster(&self, cluster: Nth) -> Result<&Cluster> {
        self.mesh.cluster(cluster)
    }

    /// Which scenario it is of.
    pub fn scenario(&self) -> &'static str {
        self.scenario
    }

    /// Whether the proxies are upstream Envoy, without Istio's own filters.
    pub fn upstream_envoy(&self) -> bool {
        self.mesh.world().origin == harness::artifact::Origin::Packages
    }

    /// Keeps an observation beside the fact that it decides, which the scenario's table owes.
    pub fn shows(&mut self, fact: impl Into<Shown>, must: Must, seen: impl Into<String>) {
        let fact = fact.into();
        self.seen.facts.push(Fact {
            id: fact.id(self.scenario),
            claim: fact.says(),
            must,
            seen: seen.into(),
        });
    }

    /// Fills one of our manifests for a cluster, with `extra` values beside its own.
    pub fn manifest(&self, cluster: Nth, name: &str, extra: &[(&str, &str)]) -> Result<Vec<Value>> {
        let mut values = self.mesh.access(cluster)?.values.clone();
        values.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let (otherwise, of) = (&self.mesh.world().otherwise, &self.mesh.cluster(cluster)?.name);
        otherwise.manifest(&Layout::find()?.manifests(), name, of, &values)
    }

    /// Brings a manifest of ours into the cluster.
    pub async fn bring(&mut self, cluster: Nth, name: &str, extra: &[(&str, &str)]) -> Result<()> {
        let objects = self.manifest(cluster, name, extra)?;
        self.bring_objects(cluster, objects).await
    }

    /// Brings objects into the cluster. They are written down first, so that they go even when only some came.
    pub async fn bring_objects(&mut self, cluster: Nth, objects: Vec<Value>) -> Result<()> {
        self.will_undo(cluster, Undo::Delete(objects.clone()))?;
        apply(self.api(cluster)?, &objects, &Note::silent()).await
    }

    /// Takes objects away before the end of the scenario.
    pub async fn take(&mut self, cluster: Nth, name: &str, extra: &[(&str, &str)]) -> Result<()> {
        delete(self.api(cluster)?, &self.manifest(cluster, name, extra)?, &Note::silent()).await
    }

    /// Merges `patch` into an object that was there before the scenario; it is put back as it was.
    pub async fn change(&mut self, cluster: Nth, object: &Value, patch: &Value) -> Result<()> {
        let client = self.api(cluster)?;
        let before = self.read(cluster, object).await?;
        let client = client.clone();
        self.will_undo(cluster, Undo::Restore(Box::new(before)))?;
        merge_patch(&client, object, patch, &Note::silent()).await.map(drop)
    }

    /// As [`Fixture::change`], where something else of the object changes meanwhile and stays: at the end `back` is merged.
    pub async fn change_and_back(
        &mut self,
        cluster: Nth,
        object: &Value,
        (patch, back): (&Value, Value),
    ) -> Result<()> {
        self.will_undo(cluster, Undo::Merge(object.clone(), back))?;
        merge_patch(self.api(cluster)?, object, patch, &Note::silent()).await.map(drop)
    }

    /// The same for the object's status.
    pub async fn change_status(
        &mut self,
        cluster: Nth,
        object: &Value,
        (patch, back): (&Value, Value),
    ) -> Result<()> {
        self.will_undo(cluster, Undo::MergeStatus(object.clone(), back))?;
        merge_patch_status(self.api(cluster)?, object, patch, &Note::silent()).await.map(drop)
    }

    /// Takes an object away that was there before the scenario; it is put back. Hands back what puts it back.
    pub async fn remove(&mut self, cluster: Nth, object: &Value) -> Result<Value> {
        let before = self.read(cluster, object).await?;
        let mut back = object.clone();
        let fields = before.data.as_object().into_iter().flatten();
        for (key, value) in fields.filter(|(key, _)| *key != "status") {
            back[key] = value.clone();
        }
        back["metadata"]["labels"] = json!(before.metadata.labels);
        back["metadata"]["annotations"] = json!(before.metadata.annotations);
        self.will_undo(cluster, Undo::Apply(back.clone()))?;
        delete(self.api(cluster)?, std::slice::from_ref(object), &Note::silent()).await?;
        Ok(back)
    }

    /// Applies what is of another version than an object that was there before the scenario; it is put back as it was.
    pub async fn replace(&mut self, cluster: Nth, object: &Value) -> Result<()> {
        let before = self.read(cluster, object).await?;
        self.will_undo(cluster, Undo::Restore(Box::new(before)))?;
        apply(self.api(cluster)?, std::slice::from_ref(object), &Note::silent()).await
    }

    /// Merges a manifest of ours into what this scenario brought before, as `kubectl apply` does with a patch file.
    pub async fn patch(&self, cluster: Nth, name: &str, extra: &[(&str, &str)]) -> Result<()> {
        for object in self.manifest(cluster, name, extra)? {
            self.merge(cluster, &object).await?;
        }
        Ok(())
    }

    /// As [`Fixture::patch`], of an object with only what it changes.
    pub async fn merge(&self, cluster: Nth, object: &Value) -> Result<()> {
        strategic_patch(self.api(cluster)?, object, &Note::silent()).await.map(drop)
    }

    /// Deletes pods and waits for their end: whoever owns them makes new ones, whether or not those get ready.
    pub async fn renew(&self, cluster: Nth, Pods(namespace, labels): Pods<'_>) -> Result<()> {
        delete_pods(self.api(cluster)?, namespace, labels).await
    }

    /// Gives the SPIRE server a bundle, in SPIFFE's JSON, for another trust domain.
    pub async fn peer_bundle(&mut self, cluster: Nth, trust_domain: &str, bundle: &str) -> Result<()> {
        self.will_undo(cluster, Undo::Bundle(trust_domain.to_owned()))?;
        spire::set_bundle_of_peer(self.api(cluster)?, trust_domain, bundle).await
    }

    /// Trust is about to be withdrawn: it is put back at the end, whatever happens before.
    pub(crate) fn will_put_back(&mut self, granted: &Granted) -> Result<()> {
        for (cluster, object) in granted.objects() {
            self.will_undo(cluster, Undo::Apply(object.clone()))?;
        }
        Ok(())
    }

    /// About to put back itself what it changed: if what it saw by now is a failure, everything that there is is kept first.
    pub(crate) async fn before_put_back(&self, ran: &Result<()>) {
        snapshot::if_failed(self.scenario, ran, self.mesh, self.seen).await;
    }

    /// An object as the API server has it.
    pub async fn read(&self, cluster: Nth, object: &Value) -> Result<DynamicObject> {
        let (api, name) = named(self.api(cluster)?, object)?;
        api.get(&name).await.map_err(|e| Error::new(Code::Evidence, format!("cannot read {name}")).because(e))
    }

    /// Restarts a workload now, and again when the fixture is undone: it reads its configuration at its start.
    pub async fn restart(
        &mut self,
        cluster: Nth,
        namespace: &'static str,
        name: &'static str,
        workload: Workload,
    ) -> Result<()> {
        // Before what was changed for it, so that undoing, which goes backwards, comes to it after that.
        let at = self.undo.iter().position(|(p, undo)| *p == cluster && matches!(undo, Undo::Restore(_)));
        let again =
            |(p, undo): &(Nth, Undo)| *p == cluster && matches!(undo, Undo::Restart(_, n, _) if *n == name);
        if !self.undo.iter().any(again) {
            let undo = Undo::Restart(namespace.to_owned(), name.to_owned(), workload);
            self.write_down(cluster, &undo)?;
            self.undo.insert(at.unwrap_or(self.undo.len()), (cluster, undo));
        }
        restart(self.api(cluster)?, namespace, name, workload).await
    }

    /// Restarts a workload once: its pods are to start in the world as it is now.
    pub async fn restart_pods(
        &self,
        cluster: Nth,
        namespace: &str,
        name: &str,
        workload: Workload,
    ) -> Result<()> {
        restart(self.api(cluster)?, namespace, name, workload).await
    }

    /// Whether the API server and its webhooks would take an object: `admitted`, or their words. Nothing is made.
    pub async fn admission(&self, cluster: Nth, object: &Value) -> Result<String> {
        let (api, _) = named(self.api(cluster)?, object)?;
        let object =
            serde_json::from_value(object.clone()).map_err(|e| Error::internal("an object").because(e))?;
        let dry = PostParams { dry_run: true, ..Default::default() };
        match api.create(&dry, &object).await {
            Ok(_) => Ok("admitted".to_owned()),
            Err(e) => refusal("cannot ask for admission", &e),
        }
    }

    /// Waits until a Deployment is ready.
    pub async fn ready(&self, cluster: Nth, namespace: &str, name: &str) -> Result<()> {
        self.rolled_out(cluster, Workload::Deployment, namespace, name).await
    }

    /// Waits until a workload is ready.
    pub async fn rolled_out(&self, cluster: Nth, kind: Workload, namespace: &str, name: &str) -> Result<()> {
        rolled_out(self.api(cluster)?, kind, namespace, name, patience::SETTLE, &Note::silent()).await
    }

    /// Makes a registration entry by the server's own command; hands back what it said.
    pub async fn entry(&mut self, cluster: Nth, words: &[&str]) -> Result<String> {
        let refused = |words| Error::new(Code::Evidence, "the SPIRE server made no entry").seen(words);
        self.entry_or_refusal(cluster, words).await?.map_err(refused)
    }

    /// As [`Fixture::entry`], where the server may refuse; then the words of its refusal. We choose the entry's id, so that
    /// it is written down before there is an entry.
    pub async fn entry_or_refusal(
        &mut self,
        cluster: Nth,
        words: &[&str],
    ) -> Result<std::result::Result<String, String>> {
        let id = format!("vouchsafe.{}.{}", self.scenario, self.undo.len());
        self.will_undo(cluster, Undo::Entry(id.clone()))?;
        spire::attempt(self.api(cluster)?, &[&["entry", "create", "-entryID", &id], words].concat()).await
    }

    /// The address of the node of that cluster, at which others reach its Services.
    pub fn address(&self, cluster: Nth) -> Result<String> {
        Ok(self.mesh.access(cluster)?.address.to_string())
    }

    /// A join token of that cluster's server, for an agent that is also called `alias`, and nobody else is. The agent that
    /// uses it is evicted at the end.
    pub async fn join_token(&mut self, cluster: Nth, alias: &str) -> Result<String> {
        self.will_undo(cluster, Undo::Agent(alias.to_owned()))?;
        let said = spire::command(self.api(cluster)?, &["token", "generate", "-spiffeID", alias]).await?;
        let token = said.lines().find_map(|line| line.strip_prefix("Token:")).unwrap_or_default();
        Ok(token.trim().to_owned())
    }

    /// Undoes everything, last first; goes on when one thing resists.
    pub(crate) async fn undo_all(&mut self) -> Result<()> {
        let mut undone = Ok(());
        while let Some((cluster, undo)) = self.undo.pop() {
            undone = undone.and(undo.run(self.mesh, &self.cluster(cluster)?.name).await);
        }
        undone?;
        self.mesh.journal().close()
    }

    /// What is about to be changed is undone at the end, by us or by whoever comes after us.
    pub(crate) fn will_undo(&mut self, cluster: Nth, undo: Undo) -> Result<()> {
        self.write_down(cluster, &undo)?;
        self.undo.push((cluster, undo));
        Ok(())
    }

    fn write_down(&self, cluster: Nth, undo: &Undo) -> Result<()> {
        self.mesh.journal().will_undo(self.scenario, &self.cluster(cluster)?.name, undo)
    }
}
