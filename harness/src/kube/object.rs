//! Objects as plain JSON: where one lives in the API, and when in a batch its turn is.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::core::TypeMeta;
use serde_json::Value;

use super::fault::persist;
use crate::progress::Note;
use crate::{Error, Result};

/// Where one object lives.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) api: Api<DynamicObject>,
    pub(super) name: String,
    pub(super) phase: Phase,
    /// "Deployment sample/curl", as people say it.
    pub(super) shown: String,
}

/// When in a batch an object's turn is. Each phase is complete before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Namespaces and definitions, which others need in order to exist at all.
    Foundation,
    /// Accounts, roles, configuration, services: what a pod needs at its first start.
    Configuration,
    /// What makes pods.
    Workload,
    /// Custom resources: the webhook that admits them may be one of the workloads.
    Custom,
}

impl Phase {
    pub(super) const ALL: [Phase; 4] =
        [Phase::Foundation, Phase::Configuration, Phase::Workload, Phase::Custom];

    fn of(group: &str, kind: &str) -> Self {
        // Groups below k8s.io belong to Kubernetes, except those of projects that live there as guests.
        let native = !group.contains('.') || group.ends_with(".k8s.io") && !group.starts_with("gateway.");
        match kind {
            "Namespace" | "CustomResourceDefinition" => Phase::Foundation,
            "Deployment" | "DaemonSet" | "StatefulSet" | "Job" | "CronJob" | "Pod" if native => {
                Phase::Workload
            }
            _ if native => Phase::Configuration,
            _ => Phase::Custom,
        }
    }
}

impl Target {
    /// Reads `apiVersion`, `kind` and `metadata`. An object with a namespace is namespaced, any other is not:
    /// nothing is looked up, so a definition and its first object may come in one batch.
    pub(super) fn of(client: &Client, object: &Value) -> Result<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (Some(api_version), Some(kind), Some(name)) =
            (text("/apiVersion"), text("/kind"), text("/metadata/name"))
        else {
            let seen: String = object.to_string().chars().take(120).collect();
            return Err(Error::internal("an object without apiVersion, kind or metadata.name").seen(seen));
        };
        let namespace = text("/metadata/namespace");
        let resource = resource(api_version, kind)?;
        let shown = match namespace {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        };
        Ok(Self {
            phase: Phase::of(&resource.group, kind),
            api: scoped(client, &resource, namespace),
            name: name.to_owned(),
            shown,
        })
    }
}

/// An API for objects of a kind that no Rust type describes, in one namespace or cluster-wide.
///
/// # Errors
/// An `api_version` that is not `version` or `group/version`.
pub fn dynamic(
    client: &Client,
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
) -> Result<Api<DynamicObject>> {
    Ok(scoped(client, &resource(api_version, kind)?, namespace))
}

/// Merges `patch` into the object that `object` names (`apiVersion`, `kind`, `metadata`).
///
/// # Errors
/// What the API server refuses, in its words.
pub async fn merge_patch(
    client: &Client,
    object: &Value,
    patch: &Value,
    note: &Note,
) -> Result<DynamicObject> {
    let target = Target::of(client, object)?;
    persist(&format!("patching {}", target.shown), note, || async {
        target.api.patch(&target.name, &ours(), &Patch::Merge(patch)).await
    })
    .await
}

/// Merges `patch`, an object with only what it changes, as `kubectl apply` and `kubectl patch` do: lists by their keys.
/// For kinds of Kubernetes' own.
///
/// # Errors
/// What the API server refuses, in its words.
pub async fn strategic_patch(client: &Client, patch: &Value, note: &Note) -> Result<DynamicObject> {
    let target = Target::of(client, patch)?;
    persist(&format!("patching {}", target.shown), note, || async {
        target.api.patch(&target.name, &ours(), &Patch::Strategic(patch)).await
    })
    .await
}

/// Like [`merge_patch`], for the status: `patch` is the whole object with only `status` in it.
///
/// # Errors
/// What the API server refuses, in its words.
pub async fn merge_patch_status(
    client: &Client,
    object: &Value,
    patch: &Value,
    note: &Note,
) -> Result<DynamicObject> {
    let target = Target::of(client, object)?;
    persist(&format!("patching the status of {}", target.shown), note, || async {
        target.api.patch_status(&target.name, &ours(), &Patch::Merge(patch)).await
    })
    .await
}

/// Merging under our own name, without force: a merge has no conflicts to overrule.
fn ours() -> PatchParams {
    PatchParams { field_manager: Some(super::FIELD_MANAGER.into()), ..Default::default() }
}

pub(super) fn resource(api_version: &str, kind: &str) -> Result<ApiResource> {
    let types = TypeMeta { api_version: api_version.into(), kind: kind.into() };
    let gvk = GroupVersionKind::try_from(types)
        .map_err(|e| Error::internal(format!("`{api_version}` is not an API version")).because(e))?;
    Ok(ApiResource::from_gvk(&gvk))
}

fn scoped(client: &Client, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_resources_come_after_the_workload_whose_webhook_admits_them() {
        assert_eq!(Phase::of("", "Namespace"), Phase::Foundation);
        assert_eq!(Phase::of("rbac.authorization.k8s.io", "ClusterRole"), Phase::Configuration);
        assert_eq!(Phase::of("apps", "StatefulSet"), Phase::Workload);
        assert_eq!(Phase::of("spire.spiffe.io", "ClusterSPIFFEID"), Phase::Custom);
        assert_eq!(Phase::of("gateway.networking.k8s.io", "Gateway"), Phase::Custom);
        assert!(Phase::ALL.is_sorted());
    }

    #[test]
    fn the_plurals_that_we_depend_on_are_guessed_right() {
        let plural = |group: &str, kind: &str| resource(&format!("{group}/v1"), kind).unwrap().plural;
        assert_eq!(plural("gateway.networking.k8s.io", "Gateway"), "gateways");
        assert_eq!(plural("spire.spiffe.io", "ClusterSPIFFEID"), "clusterspiffeids");
        assert_eq!(plural("spire.spiffe.io", "ClusterStaticEntry"), "clusterstaticentries");
        assert_eq!(plural("spire.spiffe.io", "ClusterFederatedTrustDomain"), "clusterfederatedtrustdomains");
        assert_eq!(plural("telemetry.istio.io", "Telemetry"), "telemetries");
        assert_eq!(plural("networking.istio.io", "ServiceEntry"), "serviceentries");
        assert_eq!(plural("storage.k8s.io", "CSIDriver"), "csidrivers");
        assert_eq!(plural("metallb.io", "IPAddressPool"), "ipaddresspools");
    }
}
