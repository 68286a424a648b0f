//! Every object that is no pod and no event, a file for each kind, called as `kubectl` calls them:
//! `gateways.networking.istio.io.json`.

use std::path::{Path, PathBuf};

use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, ResourceExt as _};
use proof::scrub;
use serde_json::Value;

use super::{all_of, bounded, write};
use crate::error::Context as _;
use crate::kube::fault;
use crate::kube::kinds::{Kind, listable};
use crate::{Code, Result};

/// Kept elsewhere (pods and events), without a word about a failure (leases, measurements), or long and the same
/// everywhere (definitions: that one is missing shows by its missing file).
const LEFT_OUT: [&str; 7] =
    ["ComponentStatus", "CustomResourceDefinition", "Event", "Lease", "NodeMetrics", "Pod", "PodMetrics"];

pub(super) async fn all(client: &Client, dir: &Path) -> Vec<String> {
    match bounded("the kinds that the cluster serves".into(), listable(client)).await {
        Ok(kinds) => {
            let kinds = kinds.into_iter().filter(|kind| !LEFT_OUT.contains(&kind.resource.kind.as_str()));
            all_of(kinds.map(|Kind { resource, api }| {
                let name = format!("{}.{}", resource.plural, resource.group);
                let name = name.trim_end_matches('.').to_owned();
                let file = dir.join(format!("{name}.json"));
                (name, one(api, resource.api_version, resource.kind, file))
            }))
            .await
        }
        Err(line) => vec![line],
    }
}

async fn one(api: Api<DynamicObject>, version: String, kind: String, file: PathBuf) -> Result<()> {
    let listed = api.list(&ListParams::default()).await.map_err(|f| fault::failed("cannot list", &f))?;
    if listed.items.is_empty() {
        return Ok(());
    }
    let values = listed.items.into_iter().map(|mut object| {
        // Who wrote which field is half of an object, and says nothing.
        object.managed_fields_mut().clear();
        let mut value = serde_json::to_value(object)?;
        // In a list the server leaves both to the list.
        value["apiVersion"] = Value::from(version.as_str());
        value["kind"] = Value::from(kind.as_str());
        Ok::<_, serde_json::Error>(value)
    });
    let values =
        values.collect::<Result<Vec<_>, _>>().or_fail(Code::Internal, || "an object is not JSON".into())?;
    write_objects(file, values).await
}

pub(super) async fn write_objects(file: PathBuf, mut values: Vec<Value>) -> Result<()> {
    values.iter_mut().for_each(scrub::object);
    let text =
        serde_json::to_string_pretty(&values).or_fail(Code::Internal, || "objects are not JSON".into())?;
    write(file, text).await
}
