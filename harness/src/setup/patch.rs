//! A change of one of our manifests: a merge as Kubernetes does it, or a JSON patch (RFC 6902), on the objects that it
//! selects.
//!
//! A merge is a strategic one where the API server would take one, for the kinds that Kubernetes itself has: lists of
//! containers, variables, volumes and the like are merged by the key that names an item. Of anything else lists are replaced
//! (RFC 7396), as `kubectl` and kustomize do with custom resources. `null` takes a field away, and `$patch: delete` an item.

use proof::topology::ClusterName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Context as _;
use crate::render::{self, Values};
use crate::{Code, Error, Result};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Where it is written: `setup.yaml:7:5`.
    pub at: String,
    /// The manifest, below `manifests/`.
    pub manifest: String,
    /// The kind of the objects that it changes; any where it does not say.
    pub kind: Option<String>,
    /// Their name; any where it does not say.
    pub name: Option<String>,
    /// In which clusters; in all where it names none.
    pub clusters: Vec<ClusterName>,
    /// What it does.
    pub change: Change,
}

/// What a patch does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Merges this into each object.
    Merge(Value),
    /// Does these operations of RFC 6902 on each object.
    Json(Value),
}

/// What came of a patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Objects that it selects.
    pub selected: usize,
    /// Those of them that are otherwise now.
    pub changed: usize,
}

impl Patch {
    /// Whether it is for that manifest in that cluster.
    pub fn is_for(&self, manifest: &str, cluster: &ClusterName) -> bool {
        self.manifest == manifest && (self.clusters.is_empty() || self.clusters.contains(cluster))
    }

    /// Changes those of the objects that it selects; it may name what the manifest may name.
    ///
    /// # Errors
    /// [`Code::Usage`] when an operation fails, or a name has no value.
    pub fn apply(&self, values: &Values, objects: &mut [Value]) -> Result<Met> {
        let name = self.name.as_ref().map(|name| render::fill(name, values, &self.at)).transpose()?;
        let selected = |object: &&mut Value| {
            let is = |wanted: &Option<String>, is: &Value| {
                wanted.as_deref().is_none_or(|one| is.as_str() == Some(one))
            };
            is(&self.kind, &object["kind"]) && is(&name, &object["metadata"]["name"])
        };
        let mut met = Met::default();
        for object in objects.iter_mut().filter(selected) {
            let before = object.clone();
            match &self.change {
                Change::Merge(with) => {
                    merge(object, &render::fill_all(with, values, &self.at)?, is_of_kubernetes(&before))
                }
                Change::Json(operations) => {
                    self.operate(object, render::fill_all(operations, values, &self.at)?)?
                }
            }
            met.selected += 1;
            met.changed += usize::from(*object != before);
        }
        Ok(met)
    }

    fn operate(&self, object: &mut Value, operations: Value) -> Result<()> {
        let what = || format!("{}: this JSON patch cannot be applied to {}", self.at, named(object));
        let fail = what();
        let operations: json_patch::Patch =
            serde_json::from_value(operations).or_fail(Code::Usage, || fail.clone())?;
        json_patch::patch(object, &operations).or_fail(Code::Usage, || fail)
    }

    /// What it changes, for a person: `Deployment helloworld of workloads/mesh.yaml in cluster1`.
    pub fn about(&self) -> String {
        let what: Vec<_> = self.kind.iter().chain(&self.name).map(String::as_str).collect();
        let what = if what.is_empty() { "everything".to_owned() } else { what.join(" ") };
        let names: Vec<_> = self.clusters.iter().map(|name| name.0.as_str()).collect();
        let place = if names.is_empty() { String::new() } else { format!(" in {}", names.join(", ")) };
        format!("{what} of {}{place}", self.manifest)
    }

    /// That it is no use: nothing of what it names is there, or is otherwise afterwards.
    pub fn meets_nothing(&self, why: impl std::fmt::Display) -> Error {
        Error::new(Code::Usage, format!("{}: this patch meets nothing: {why}", self.at))
            .next("correct it; nothing was touched")
    }
}

fn named(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("…").to_owned();
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Kinds for which the API server has merge keys: not those that definitions bring.
fn is_of_kubernetes(object: &Value) -> bool {
    object["apiVersion"].as_str().is_some_and(|version| ["v1", "apps/v1", "batch/v1"].contains(&version))
}

fn merge(into: &mut Value, patch: &Value, by_key: bool) {
    let Value::Object(fields) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(there) = into else { return };
    for (name, value) in fields {
        match value {
            Value::Null => drop(there.remove(name)),
            Value::Array(items) if by_key && key_of(name, items).is_some() => {
                let key = key_of(name, items).unwrap_or_default();
                let list = there.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                merge_list(list, items, key);
            }
            _ => merge(there.entry(name).or_insert(Value::Null), value, by_key),
        }
    }
}

fn merge_list(list: &mut Value, items: &[Value], key: &str) {
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    let Value::Array(there) = list else { return };
    for item in items {
        let at = there.iter().position(|one| one[key] == item[key]);
        match (at, item["$patch"] == "delete") {
            (Some(at), true) => drop(there.remove(at)),
            (None, true) => {}
            (Some(at), false) => merge(&mut there[at], item, true),
            (None, false) => {
                let mut new = Value::Null;
                merge(&mut new, item, true);
                there.push(new);
            }
        }
    }
}

/// By what the items of a list are told apart, where all of these have it. (`patchMergeKey` in Kubernetes' API.)
fn key_of(field: &str, items: &[Value]) -> Option<&'static str> {
    let keys: &[&str] = match field {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => {
            &["name"]
        }
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "topologySpreadConstraints" => &["topologyKey"],
        "hostAliases" => &["ip"],
        // Of a container, and of a Service.
        "ports" => &["containerPort", "port"],
        _ => &[],
    };
    keys.iter().copied().find(|key| !items.is_empty() && items.iter().all(|item| !item[*key].is_null()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(change: Change) -> Patch {
        let (at, manifest) = ("setup.yaml:7:5".to_owned(), "a.yaml".to_owned());
        Patch { at, manifest, kind: Some("Deployment".into()), name: None, clusters: Vec::new(), change }
    }

    fn deployment() -> Value {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a", "labels": { "x": "1" } },
            "spec": { "replicas": 1, "containers": [
                { "name": "one", "args": ["a", "b"], "env": [{ "name": "E", "value": "1" }] },
                { "name": "two", "args": ["c"] } ] } })
    }

    fn merged(with: Value) -> Value {
        let mut all = vec![deployment(), json!({ "kind": "Service" })];
        let met = patch(Change::Merge(with)).apply(&Values::new(), &mut all).unwrap();
        assert_eq!((met.selected, &all[1]), (1, &json!({ "kind": "Service" })));
        all.remove(0)
    }

    #[test]
    fn a_merge_goes_by_names_where_kubernetes_does() {
        let seen =
            merged(json!({ "metadata": { "labels": { "x": null, "y": "2" } }, "spec": { "containers": [
            { "name": "one", "args": ["z"], "env": [{ "name": "F", "value": "2" }] },
            { "name": "two", "$patch": "delete" }, { "name": "three" } ] } }));
        assert_eq!(seen["metadata"]["labels"], json!({ "y": "2" }));
        assert_eq!(
            seen["spec"],
            json!({ "replicas": 1, "containers": [
                { "name": "one", "args": ["z"], "env": [{ "name": "E", "value": "1" }, { "name": "F", "value": "2" }] },
                { "name": "three" } ] })
        );
    }

    #[test]
    fn of_a_custom_resource_lists_are_replaced() {
        let mut all =
            vec![json!({ "apiVersion": "x.io/v1", "kind": "Deployment", "env": [{ "name": "E" }] })];
        let with = Change::Merge(json!({ "env": [{ "name": "F" }] }));
        patch(with).apply(&Values::new(), &mut all).unwrap();
        assert_eq!(all[0]["env"], json!([{ "name": "F" }]));
    }

    #[test]
    fn operations_are_those_of_rfc_6902_and_may_name_values() {
        let operations = json!([
            { "op": "test", "path": "/spec/replicas", "value": 1 },
            { "op": "add", "path": "/spec/containers/1/args/-", "value": "${CLUSTER}" },
            { "op": "remove", "path": "/metadata/labels/x" },
        ]);
        let values = Values::from([("CLUSTER".to_owned(), "c1".to_owned())]);
        let mut all = vec![deployment()];
        let met = patch(Change::Json(operations)).apply(&values, &mut all).unwrap();
        assert_eq!(met, Met { selected: 1, changed: 1 });
        assert_eq!(all[0]["spec"]["containers"][1]["args"], json!(["c", "c1"]));
        let missing = json!([{ "op": "replace", "path": "/spec/replica", "value": 2 }]);
        let e = patch(Change::Json(missing)).apply(&values, &mut all).unwrap_err();
        let told = "setup.yaml:7:5: this JSON patch cannot be applied to Deployment a: operation '/0' failed at path '/spec/replica'";
        assert!(e.code() == Code::Usage && e.to_string().starts_with(told), "{e}");
    }

    #[test]
    fn a_merge_that_changes_nothing_is_counted_as_such() {
        let mut all = vec![deployment()];
        let same = Change::Merge(json!({ "spec": { "replicas": 1 } }));
        let met = patch(same).apply(&Values::new(), &mut all).unwrap();
        assert_eq!(met, Met { selected: 1, changed: 0 });
    }
}
