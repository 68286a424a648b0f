//! Changes of a world that is up, as a file says them: made in every cluster at once, and put back.

use futures::future::join_all;
use proof::topology::Cluster;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::causes::Provoked;
use super::change::Change;
use super::client;
use super::faults::FAULTS;
use crate::kube::rollout::{Workload, rolled_out};
use crate::progress::Note;
use crate::render::{self, Values};
use crate::setup::{self, Patch};
use crate::world::World;
use crate::{Code, Error, Result, patience};

/// One change. An object is called as people say it: `ConfigMap istio-system/istio`, `ClusterSPIFFEID istio-test`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Written {
    /// Changes an object by a merge: strategic for Kubernetes' own kinds, by RFC 7396 for others.
    Merge {
        /// The object.
        of: String,
        /// What is merged into it.
        with: Value,
    },
    /// Changes the text under a key of a ConfigMap.
    Text {
        /// The ConfigMap.
        of: String,
        /// The key.
        key: String,
        /// A regular expression that is found in it.
        find: String,
        /// What stands there instead.
        #[serde(default)]
        put: String,
    },
    /// Takes an object away.
    Remove(String),
    /// Makes an object.
    Make(Value),
    /// New pods of a workload, which must be ready before the next change.
    Restart(String),
    /// A fault of `cargo xtask tamper`, by its name.
    Fault(String),
    /// New pods of a workload, which nobody waits for.
    #[serde(skip)]
    Renew(String),
}

/// Kinds that can be named without their version.
const KINDS: [(&str, &str); 12] = [
    ("ClusterFederatedTrustDomain", "spire.spiffe.io/v1alpha1"),
    ("ClusterSPIFFEID", "spire.spiffe.io/v1alpha1"),
    ("ConfigMap", "v1"),
    ("DaemonSet", "apps/v1"),
    ("Deployment", "apps/v1"),
    ("Gateway", "gateway.networking.k8s.io/v1"),
    ("Namespace", "v1"),
    ("PeerAuthentication", "security.istio.io/v1"),
    ("Secret", "v1"),
    ("Service", "v1"),
    ("ServiceAccount", "v1"),
    ("StatefulSet", "apps/v1"),
];

/// What was changed, in every cluster.
pub struct Made(Vec<Provoked>);

impl Written {
    /// Whether it can be made, without a world.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Merge { of, .. } | Self::Remove(of) | Self::Restart(of) | Self::Renew(of) => {
                object(of).map(drop)
            }
            Self::Text { of, find, .. } => {
                object(of)?;
                Regex::new(find).map(drop).map_err(|e| format!("`{find}` is no regular expression: {e}"))
            }
            Self::Make(object) if object["kind"].is_string() => Ok(()),
            Self::Make(_) => Err("an object that is to be made has no kind".to_owned()),
            Self::Fault(name) if FAULTS.iter().any(|(known, _)| known == name) => Ok(()),
            Self::Fault(name) => Err(format!("no fault is called `{name}`")),
        }
    }

    fn changes(&self, peer: &Cluster, values: &Values) -> Result<Vec<Change>> {
        let refused = |what: String| Error::new(Code::Usage, what);
        let named = |of: &str| {
            let of = render::fill(of, values, of)?;
            object(&of).map_err(refused)
        };
        Ok(match self {
            Self::Merge { of, with } => {
                let merge = setup::Change::Merge(render::fill_all(with, values, of)?);
                let patch = Patch { at: of.clone(), change: merge, ..everything() };
                vec![Change::Patch(named(of)?, patch)]
            }
            Self::Text { of, key, find, put } => {
                let found =
                    Regex::new(&render::fill(find, values, key)?).map_err(|e| refused(e.to_string()))?;
                vec![Change::Replace(named(of)?, key.clone(), found, render::fill(put, values, key)?)]
            }
            Self::Remove(of) => vec![Change::Remove(named(of)?)],
            Self::Make(object) => vec![Change::Make(render::fill_all(object, values, "an object")?)],
            Self::Restart(of) => vec![Change::Restart(named(of)?)],
            Self::Renew(of) => {
                let template = json!({ "metadata": { "annotations": { "renewed": "yes" } } });
                vec![Change::Merge(named(of)?, json!({ "spec": { "template": template } }))]
            }
            Self::Fault(name) => {
                let fault = FAULTS.iter().find(|(known, _)| known == name);
                fault.map(|(_, fault)| fault(peer)).ok_or_else(|| refused(format!("no fault `{name}`")))?
            }
        })
    }
}

/// Makes the changes, one after the other, in all clusters side by side.
///
/// # Errors
/// [`Code::Usage`] for a world of other than two clusters; what Kubernetes or SPIRE refuses, after all was put back.
pub async fn make(world: &World, changes: &[Written], note: &Note) -> Result<Made> {
    let [one, other] = world.topology.clusters.as_slice() else {
        return Err(Error::new(Code::Usage, "settings are taken away in a world of two clusters"));
    };
    let in_each = [(one, other), (other, one)].map(async |(near, far)| {
        let values = values(world, near, far)?;
        let all = changes.iter().map(|change| change.changes(far, &values)).collect::<Result<Vec<_>>>()?;
        Provoked::by(world, (near, far), all.concat(), note).await
    });
    let mut made = Vec::new();
    let mut failed = None;
    for done in join_all(in_each).await {
        match done {
            Ok(one) => made.push(one),
            Err(e) => failed = Some(e),
        }
    }
    match failed {
        None => Ok(Made(made)),
        Some(e) => {
            Made(made).put_back(note).await?;
            Err(e)
        }
    }
}

/// In each cluster, why the new pods of that workload are not ready after the time that any needs; nothing where they are.
///
/// # Errors
/// [`Code::Usage`] for what is no workload; what Kubernetes refuses.
pub async fn unready(world: &World, of: &str, note: &Note) -> Result<Vec<Option<String>>> {
    let named = object(of).map_err(|what| Error::new(Code::Usage, what))?;
    let text = |field: &str| named["metadata"][field].as_str().unwrap_or_default();
    let workload =
        Workload::of(&named).ok_or_else(|| Error::new(Code::Usage, format!("{of} is no workload")))?;
    let in_each = world.topology.clusters.iter().map(async |cluster| {
        let client = client(world, &cluster.name).await?;
        let rolled =
            rolled_out(&client, workload, text("namespace"), text("name"), patience::START, note).await;
        Ok(rolled.err().map(|e| e.one_line()))
    });
    join_all(in_each).await.into_iter().collect()
}

impl Made {
    /// Puts everything back, and waits for what was restarted.
    ///
    /// # Errors
    /// What Kubernetes or SPIRE refuses.
    pub async fn put_back(self, note: &Note) -> Result<()> {
        let all = join_all(self.0.into_iter().map(|one| one.put_back(note))).await;
        all.into_iter().collect()
    }
}

/// What manifests may name, and the peer.
fn values(world: &World, near: &Cluster, far: &Cluster) -> Result<Values> {
    let place = |cluster: &Cluster| {
        world.sites.get(&cluster.name).ok_or_else(|| Error::internal("a cluster without a place"))
    };
    let mut values = place(near)?.values.clone();
    values.insert("PEER".into(), far.name.to_string());
    values.insert("PEER_NETWORK".into(), far.network.clone());
    values.insert("PEER_TRUST_DOMAIN".into(), far.trust_domain.clone());
    values.insert("PEER_ADDRESS".into(), place(far)?.address.to_string());
    Ok(values)
}

/// A patch of whatever object it is given.
fn everything() -> Patch {
    let change = setup::Change::Merge(Value::Null);
    Patch { at: String::new(), manifest: String::new(), kind: None, name: None, clusters: Vec::new(), change }
}

/// `Kind namespace/name` or `Kind name`, as an object without anything in it.
fn object(called: &str) -> Result<Value, String> {
    let shape = || format!("`{called}` is not `KIND NAMESPACE/NAME`, or `KIND NAME`");
    let (kind, name) = called.split_once(' ').ok_or_else(shape)?;
    let version = KINDS.iter().find(|(known, _)| *known == kind).map(|(_, version)| version);
    let version = version.ok_or_else(|| {
        let known: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
        format!("`{called}`: the kind is none of {}", known.join(", "))
    })?;
    let metadata = match name.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            json!({ "name": name, "namespace": namespace })
        }
        None if !name.is_empty() => json!({ "name": name }),
        _ => return Err(shape()),
    };
    Ok(json!({ "apiVersion": version, "kind": kind, "metadata": metadata }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_called_as_people_call_it() {
        let named = object("ConfigMap istio-system/istio").unwrap();
        let wanted = json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "istio", "namespace": "istio-system" } });
        assert_eq!(named, wanted);
        assert_eq!(object("ClusterSPIFFEID a").unwrap()["metadata"], json!({ "name": "a" }));
        for odd in ["ConfigMap", "ConfigMap ", "ConfigMap /a", "ConfigMap a/", "Configmap a/b"] {
            assert!(object(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_could_not_be_made_is_said_before() {
        let of = || "ConfigMap a/b".to_owned();
        let text =
            |find: &str| Written::Text { of: of(), key: "k".into(), find: find.into(), put: String::new() };
        text("a+").check().unwrap();
        assert!(text("(").check().unwrap_err().contains("no regular expression"));
        Written::Fault("agent-down".into()).check().unwrap();
        assert!(Written::Fault("agent".into()).check().unwrap_err().contains("no fault"));
        assert!(Written::Make(json!({})).check().is_err());
    }
}
