//! Undoing a fixture: the opposite of each thing that a scenario did.

use harness::kube::apply::apply;
use harness::kube::delete::delete;
use harness::kube::object::{dynamic, merge_patch, merge_patch_status};
use harness::kube::pods::pods;
use harness::kube::rollout::{Workload, rolled_out};
use harness::kube::watch::gone;
use harness::progress::Note;
use harness::{Code, Error, Result, patience, spire};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, PostParams};
use kube::{Api, Client, ResourceExt as _};
use proof::topology::ClusterName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Mesh;

/// The opposite of one thing that a scenario did. It can be written down, and run twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Undo {
    Delete(Vec<Value>),
    Restore(Box<DynamicObject>),
    Apply(Value),
    /// What is merged into an object: whatever else was changed there meanwhile stays.
    Merge(Value, Value),
    /// The same for its status.
    MergeStatus(Value, Value),
    /// A line for a shell in the cluster's node.
    OnNode(String),
    /// A workload that reads what was changed only when it starts.
    Restart(String, String, Workload),
    Entry(String),
    /// The agents that join tokens attest for this other name: the only one that is known before the token.
    Agent(String),
    /// A trust domain whose bundle was given by hand.
    Bundle(String),
}

impl Undo {
    pub(crate) async fn run(self, mesh: &Mesh, cluster: &ClusterName) -> Result<()> {
        let client = mesh.api(cluster)?;
        match self {
            Undo::Delete(objects) => delete(client, &objects, &Note::silent()).await,
            Undo::Restore(before) => restore(client, *before).await,
            Undo::Apply(object) => apply(client, &[object], &Note::silent()).await,
            Undo::Merge(object, patch) => {
                merge_patch(client, &object, &patch, &Note::silent()).await.map(drop)
            }
            Undo::MergeStatus(object, patch) => {
                merge_patch_status(client, &object, &patch, &Note::silent()).await.map(drop)
            }
            Undo::OnNode(line) => mesh.on_node(cluster, &line).await.map(drop),
            Undo::Restart(namespace, name, workload) => restart(client, &namespace, &name, workload).await,
            Undo::Entry(id) => gone_from_spire(client, &["entry", "delete", "-entryID", &id]).await,
            Undo::Agent(alias) => evict(client, &alias).await,
            Undo::Bundle(domain) => {
                let id = format!("spiffe://{domain}");
                gone_from_spire(client, &["bundle", "delete", "-id", &id, "-mode", "dissociate"]).await
            }
        }
    }
}

impl std::fmt::Display for Undo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let object = |object: &Value| {
            let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            format!("{} {}", text("/kind"), text("/metadata/name"))
        };
        match self {
            Undo::Delete(objects) => f.write_str(&objects.iter().map(object).collect::<Vec<_>>().join(", ")),
            Undo::Restore(before) => {
                let kind = before.types.as_ref().map(|types| types.kind.as_str()).unwrap_or_default();
                write!(f, "{kind} {}", before.name_any())
            }
            Undo::Apply(one) | Undo::Merge(one, _) => f.write_str(&object(one)),
            Undo::MergeStatus(one, _) => write!(f, "the status of {}", object(one)),
            Undo::OnNode(line) => write!(f, "what `{line}` takes back in the node"),
            Undo::Restart(namespace, name, _) => write!(f, "{namespace}/{name}, which had to start again"),
            Undo::Entry(id) => write!(f, "the registration entry {id}"),
            Undo::Agent(id) => write!(f, "the agent that is called {id}"),
            Undo::Bundle(domain) => write!(f, "the trust bundle of {domain}"),
        }
    }
}

/// A scenario may have taken it away itself.
async fn gone_from_spire(client: &Client, words: &[&str]) -> Result<()> {
    spire::command_if_there(client, words).await.map(drop)
}

async fn evict(client: &Client, alias: &str) -> Result<()> {
    let entries = proof::identity::entries_of(&spire::entries(client).await?)?;
    for entry in entries.iter().filter(|entry| entry.spiffe_id.to_string() == alias) {
        // The server deletes the other name's entry with the agent, but not where no agent ever used the token.
        gone_from_spire(client, &["agent", "evict", "-spiffeID", &entry.parent_id.to_string()]).await?;
        gone_from_spire(client, &["entry", "delete", "-entryID", &entry.id]).await?;
    }
    Ok(())
}

pub(crate) fn named(client: &Client, object: &Value) -> Result<(Api<DynamicObject>, String)> {
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
    api.replace(&name, &PostParams::default(), &before).await.map_err(failed)?;
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    match object["kind"].as_str() {
        Some("Deployment") => {
            rolled_out(client, Workload::Deployment, namespace, &name, patience::SETTLE, &Note::silent())
                .await
        }
        _ => Ok(()),
    }
}

/// As `kubectl rollout restart` does, but without a trace in the template: its pods are deleted.
pub(crate) async fn restart(client: &Client, namespace: &str, name: &str, workload: Workload) -> Result<()> {
    delete_pods(client, namespace, &format!("app={name}")).await?;
    rolled_out(client, workload, namespace, name, patience::STEP, &Note::silent()).await
}

pub(crate) async fn delete_pods(client: &Client, namespace: &str, labels: &str) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for pod in pods(client, namespace, labels).await? {
        let (pod, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
        let failed = |e| Error::new(Code::KubeFailed, format!("cannot delete {pod}")).because(e);
        api.delete(&pod, &Default::default()).await.map_err(failed)?;
        let what = format!("the end of {pod}");
        gone(&api, &pod, &uid, &what, patience::SETTLE, &Note::silent()).await?;
    }
    Ok(())
}
