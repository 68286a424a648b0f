//! A CustomResourceDefinition, as far as anybody looks at it here: its schema is left out. Read whole, the definitions of
//! Istio and of the Gateway API alone are most of the memory that a set-up takes.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionCondition,
};
use kube::api::{Api, ApiResource};
use kube::{Client, core};
use serde::Deserialize;

/// As the API server has it, without its schema.
pub(super) type Definition = core::Object<Spec, Status>;

/// What it defines.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Spec {
    pub(super) group: String,
    pub(super) names: Names,
    pub(super) versions: Vec<Version>,
}

/// What its objects are called.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Names {
    pub(super) plural: String,
}

/// One of its versions.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) served: bool,
}

/// What the API server made of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub(super) conditions: Vec<CustomResourceDefinitionCondition>,
}

/// All of a cluster's.
pub(super) fn all(client: &Client) -> Api<Definition> {
    Api::all_with(client.clone(), &ApiResource::erase::<CustomResourceDefinition>(&()))
}
