//! One change of a cluster, and how it is undone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use regex::Regex;
use serde_json::{Value, json};

use super::merges::{leading, reverse};
use crate::cluster::nodes;
use crate::engine::Engine;
use crate::error::Context as _;
use crate::kube::apply::apply;
use crate::kube::delete::delete;
use crate::kube::object::{dynamic, merge_patch, merge_patch_status};
use crate::kube::stands::stands;
use crate::progress::Note;
use crate::render::Values;
use crate::wait::{self, Look};
use crate::{Code, Error, Result, patience, setup, spire};

/// A change in the first cluster.
#[derive(Clone, Debug)]
pub enum Change {
    /// Merges into an object: `apiVersion`, `kind` and `metadata` say which.
    Merge(Value, Value),
    /// The same for its status.
    Status(Value, Value),
    /// Another text under a key of a ConfigMap.
    Text(Value, &'static str, fn(&str) -> String),
    /// The same, as a file says it: wherever the expression is found in the text of that key, this instead.
    Replace(Value, String, Regex, String),
    /// Patches an object as a file says it.
    Patch(Value, setup::Patch),
    /// An object that was not there.
    Make(Value),
    /// An object that was there.
    Remove(Value),
    /// The SPIRE server holds this for the peer: its own bundle, or nothing.
    Bundle(Held),
    /// A second entry like that of curl.
    Entry(Second),
    /// Another remote secret of the peer.
    Remote(Value, Remote),
    /// The SPIRE server's relationship with that trust domain is deleted, and nobody makes it anew.
    Relationship(String),
    /// Another folder of the node as the volume of a DaemonSet of SPIRE's: its name, the volume's, the `hostPath`.
    Volume(&'static str, &'static str, Value),
    /// New pods of a workload, which must be ready before the next change.
    Restart(Value),
    /// No change: the workload must be ready before the next one.
    Stands(Value),
    /// A line for a shell in the node, and the one that takes it back.
    OnNode(&'static str, &'static str),
}

/// What a SPIRE server is made to hold for its peer.
#[derive(Clone, Copy, Debug)]
pub enum Held {
    /// Its own bundle, under the peer's name.
    Own,
    /// Nothing.
    Nothing,
}

/// For whom a second entry is.
#[derive(Clone, Copy, Debug)]
pub enum Second {
    /// For curl's pods too.
    OfTheSame,
    /// For pods with the label `tampered`, on a node that there is not.
    OfAnotherNode,
}

/// What is wrong with a remote secret.
#[derive(Clone, Copy, Debug)]
pub enum Remote {
    /// Nobody listens at its URL.
    Url,
    /// Its token is none.
    Token,
    /// Its token is of an account without rights.
    Account,
}

/// Who is changed, and for whom.
pub struct Place<'a> {
    /// The cluster that is changed.
    pub near: &'a Client,
    /// Its peer.
    pub far: &'a Client,
    /// Their trust domains.
    pub domains: (&'a str, &'a str),
    /// Who runs the node of the cluster that is changed, and its name.
    pub node: (&'a Engine, &'a str),
}

/// A step back.
pub enum Undo {
    /// Merges what was there before.
    Merge(Value, Value),
    /// The same for the status.
    Status(Value, Value),
    /// Takes away what was made.
    Delete(Value),
    /// Makes what was taken away.
    Apply(Value),
    /// Gives the peer's bundle back.
    Bundle,
    /// Takes an entry away.
    Entry(String),
    /// Waits until the controller manager has made the relationship with that trust domain again.
    Relationship(String),
    /// Waits for a workload.
    Stands(Value),
    /// A line for a shell in the node.
    OnNode(&'static str),
}

impl Change {
    /// Makes the change.
    pub async fn make(self, place: &Place<'_>, note: &Note) -> Result<Undo> {
        let client = place.near;
        match self {
            Self::Merge(object, patch) => merge(client, object, patch, note).await,
            Self::Status(object, patch) => {
                let before = read(client, &object).await?;
                let back = reverse(&patch, &before);
                merge_patch_status(client, &object, &patch, note).await?;
                Ok(Undo::Status(object, back))
            }
            Self::Text(object, key, edit) => edited(client, object, key, edit, note).await,
            Self::Replace(object, key, found, with) => {
                let edit = |text: &str| found.replace_all(text, with.as_str()).into_owned();
                edited(client, object, &key, edit, note).await
            }
            Self::Patch(object, patch) => {
                let before = read(client, &object).await?;
                let mut after = [before.clone()];
                patch.apply(&Values::new(), &mut after)?;
                let there = leading(&before, &after[0]);
                if there == json!({}) {
                    return Err(patch.meets_nothing(format!("{} is so already", named(&object))));
                }
                merge_patch(client, &object, &there, note).await?;
                Ok(Undo::Merge(object, leading(&after[0], &before)))
            }
            Self::Make(object) => {
                apply(client, std::slice::from_ref(&object), note).await?;
                Ok(Undo::Delete(object))
            }
            Self::Remove(object) => {
                let before = read(client, &object).await?;
                delete(client, std::slice::from_ref(&object), note).await?;
                Ok(Undo::Apply(before))
            }
            Self::Bundle(held) => {
                let peer = place.domains.1;
                match held {
                    Held::Nothing => spire::delete_bundle_of_peer(client, peer).await?,
                    Held::Own => {
                        spire::set_bundle_of_peer(client, peer, &spire::bundle(client).await?).await?;
                    }
                }
                Ok(Undo::Bundle)
            }
            Self::Entry(second) => second_entry(place, second).await,
            Self::Relationship(domain) => {
                let id = format!("spiffe://{domain}");
                spire::command(client, &["federation", "delete", "-id", &id]).await?;
                Ok(Undo::Relationship(domain))
            }
            Self::Volume(daemon, volume, folder) => {
                let object = json!({ "apiVersion": "apps/v1", "kind": "DaemonSet",
                    "metadata": { "name": daemon, "namespace": spire::NAMESPACE } });
                let mut volumes = read(client, &object).await?["spec"]["template"]["spec"]["volumes"].take();
                let all = volumes.as_array_mut().into_iter().flatten();
                all.filter(|one| one["name"] == volume).for_each(|one| one["hostPath"] = folder.clone());
                let patch = json!({ "spec": { "template": { "spec": { "volumes": volumes } } } });
                let undo = merge(client, object.clone(), patch, note).await?;
                stands(client, &object, note).await?;
                Ok(undo)
            }
            Self::Restart(object) => {
                let metadata = json!({ "annotations": { "tampered": "yes" } });
                let patch = json!({ "spec": { "template": { "metadata": metadata } } });
                let undo = merge(client, object.clone(), patch, note).await?;
                stands(client, &object, note).await?;
                Ok(undo)
            }
            Self::Stands(object) => {
                stands(client, &object, note).await?;
                Ok(Undo::Stands(object))
            }
            Self::OnNode(line, back) => {
                on_node(place, line).await?;
                Ok(Undo::OnNode(back))
            }
            Self::Remote(object, wrong) => {
                let before = read(client, &object).await?;
                let (cluster, text) = before["data"]
                    .as_object()
                    .and_then(|data| data.iter().next())
                    .ok_or_else(|| Error::new(Code::Usage, "the remote secret is empty"))?;
                let text = STANDARD.decode(text.as_str().unwrap_or_default());
                let text = text.or_fail(Code::Internal, || "a Secret is no base64".to_owned())?;
                let mut config: Value = serde_json::from_slice(&text)
                    .or_fail(Code::Internal, || "our remote secrets are JSON".to_owned())?;
                match wrong {
                    Remote::Url => {
                        let url = &mut config["clusters"][0]["cluster"]["server"];
                        *url = Value::from(url.as_str().unwrap_or_default().replace(":6443", ":6444"));
                    }
                    Remote::Token => config["users"][0]["user"]["token"] = "none".into(),
                    Remote::Account => {
                        config["users"][0]["user"]["token"] = token_without_rights(place.far).await?.into();
                    }
                }
                let data = json!({ "data": { cluster: STANDARD.encode(config.to_string()) } });
                merge(client, object, data, note).await
            }
        }
    }
}

impl Undo {
    /// Goes back, and waits for a workload that was changed.
    pub async fn make(self, place: &Place<'_>, note: &Note) -> Result<()> {
        let client = place.near;
        match self {
            Self::Merge(object, patch) => {
                merge_patch(client, &object, &patch, note).await?;
                stands(client, &object, note).await
            }
            Self::Status(object, patch) => merge_patch_status(client, &object, &patch, note).await.map(drop),
            Self::Delete(object) => delete(client, &[object], note).await,
            Self::Apply(object) => apply(client, &[object], note).await,
            Self::Bundle => {
                let bundle = spire::bundle(place.far).await?;
                spire::set_bundle_of_peer(client, place.domains.1, &bundle).await
            }
            Self::Entry(id) => spire::command(client, &["entry", "delete", "-entryID", &id]).await.map(drop),
            Self::Relationship(domain) => {
                let what = format!("the relationship with {domain}");
                let (domain, words) = (&domain, ["federation", "list", "-output", "json"]);
                let look = || async move {
                    match spire::command(client, &words).await {
                        Ok(list) if list.contains(domain) => Look::Ready(()),
                        Ok(_) => Look::NotYet("it is not among the server's".to_owned()),
                        Err(e) => Look::not_yet(e),
                    }
                };
                wait::eventually(&what, patience::SETTLE, note, look).await
            }
            Self::Stands(object) => stands(client, &object, note).await,
            Self::OnNode(line) => on_node(place, line).await,
        }
    }
}

async fn on_node(place: &Place<'_>, line: &str) -> Result<()> {
    nodes::exec(place.node.0, place.node.1, &["sh", "-c", line]).await.map(drop)
}

/// Another text under a key of a ConfigMap, which must be another one.
async fn edited(
    client: &Client,
    object: Value,
    key: &str,
    edit: impl FnOnce(&str) -> String,
    note: &Note,
) -> Result<Undo> {
    let before = read(client, &object).await?;
    let text = before["data"][key].as_str().unwrap_or_default();
    let edited = edit(text);
    if edited == text {
        let what = format!("nothing was to be changed in {key} of {}", named(&object));
        return Err(Error::new(Code::Usage, what));
    }
    merge(client, object, json!({ "data": { key: edited } }), note).await
}

fn named(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

async fn merge(client: &Client, object: Value, patch: Value, note: &Note) -> Result<Undo> {
    let before = read(client, &object).await?;
    let back = reverse(&patch, &before);
    merge_patch(client, &object, &patch, note).await?;
    Ok(Undo::Merge(object, back))
}

/// The object, with only what one would apply.
async fn read(client: &Client, object: &Value) -> Result<Value> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
    let api = dynamic(client, text("/apiVersion"), text("/kind"), namespace)?;
    let found = api.get(text("/metadata/name")).await;
    let found = found.or_fail(Code::KubeFailed, || format!("cannot read {}", text("/metadata/name")))?;
    let mut found =
        serde_json::to_value(found).or_fail(Code::Internal, || "an object is not JSON".to_owned())?;
    if let Some(metadata) = found["metadata"].as_object_mut() {
        metadata.retain(|key, _| ["name", "namespace", "labels", "annotations"].contains(&key.as_str()));
    }
    Ok(found)
}

async fn second_entry(place: &Place<'_>, second: Second) -> Result<Undo> {
    let id = "vouchsafe.tampered";
    let entries = proof::identity::entries_of(&spire::entries(place.near).await?)?;
    let first = entries.iter().find(|entry| entry.spiffe_id.path().ends_with("/sa/curl"));
    let first = first.ok_or_else(|| Error::new(Code::Usage, "curl has no entry"))?;
    let domain = place.domains.0;
    let (parent, other, selector) = match second {
        Second::OfTheSame => {
            (first.parent_id.to_string(), format!("spiffe://{domain}/second"), "k8s:sa:curl")
        }
        Second::OfAnotherNode => {
            let nobody = format!("spiffe://{domain}/spire/agent/k8s_psat/elsewhere/nobody");
            (nobody, first.spiffe_id.to_string(), "k8s:pod-label:tampered:yes")
        }
    };
    let federated: Vec<_> = first.federates_with.iter().map(|domain| format!("spiffe://{domain}")).collect();
    let words =
        ["entry", "create", "-entryID", id, "-parentID", &parent, "-spiffeID", &other, "-selector", selector];
    let federates = federated.iter().flat_map(|domain| ["-federatesWith", domain]);
    let words: Vec<_> = words.into_iter().chain(federates).collect();
    spire::command(place.near, &words).await?;
    Ok(Undo::Entry(id.to_owned()))
}

/// A token of an account that may nothing.
async fn token_without_rights(client: &Client) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "istio-test");
    let request = TokenRequest { spec: TokenRequestSpec::default(), ..Default::default() };
    let answer = accounts.create_token_request("default", &PostParams::default(), &request).await;
    let answer = answer.or_fail(Code::KubeFailed, || "cannot get a token".to_owned())?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}
