//! The form of a user's set-up file, as it is read; `cargo xtask schema setup` prints it as a JSON Schema.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::render::Spanned;

/// A set-up of your own: one of Vouchsafe's, and what is otherwise.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A set-up for Vouchsafe")]
pub struct Form {
    /// The set-up that it is made from, by name; `cargo xtask plan --setup list` tells them.
    #[schemars(with = "String")]
    pub extends: Spanned<String>,
    /// One sentence, for people.
    #[serde(default)]
    pub about: Option<String>,
    /// A file with other clusters, beside this one.
    #[serde(default)]
    #[schemars(with = "Option<PathBuf>")]
    pub topology: Option<Spanned<PathBuf>>,
    /// Other versions, each `COMPONENT=VERSION`, or `CLUSTER:COMPONENT=VERSION` for one cluster.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub with: Vec<Spanned<String>>,
    /// Other values of those in `manifests/tuning.yaml`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub values: BTreeMap<String, Spanned<String>>,
    /// Files beside this one, each an `IstioOperator` for istioctl, which has the last word.
    #[serde(default)]
    #[schemars(with = "Vec<PathBuf>")]
    pub overlays: Vec<Spanned<PathBuf>>,
    /// Changes of Vouchsafe's own manifests, in this order.
    #[serde(default)]
    #[schemars(with = "Vec<PatchForm>")]
    pub patches: Vec<Spanned<PatchForm>>,
    /// Objects that are brought beside Vouchsafe's own.
    #[serde(default)]
    #[schemars(with = "Vec<ObjectsForm>")]
    pub objects: Vec<Spanned<ObjectsForm>>,
    /// Which SPIFFE ID a workload must have: by namespace, or by `namespace/service_account`. Where nothing is said,
    /// `spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub identities: BTreeMap<String, Spanned<String>>,
    /// Claims that must break. Every other one that is due must hold.
    #[serde(default)]
    #[schemars(with = "Vec<ExpectForm>")]
    pub expect: Vec<Spanned<ExpectForm>>,
}

/// A change of one manifest: either `merge` or `json`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchForm {
    /// The manifest below `manifests/`, such as `workloads/mesh.yaml`.
    #[schemars(with = "String")]
    pub manifest: Spanned<String>,
    /// The kind of the objects that are meant; all where it is left out.
    #[serde(default)]
    pub kind: Option<String>,
    /// Their name; all where it is left out.
    #[serde(default)]
    pub name: Option<String>,
    /// The clusters that are meant; all where it is left out.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub clusters: Vec<Spanned<String>>,
    /// Merged into each object: strategically for Kubernetes' own kinds, by RFC 7396 for others.
    #[serde(default)]
    pub merge: Option<Value>,
    /// A JSON patch (RFC 6902) for each object.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Value>>")]
    pub json: Option<Value>,
}

/// Objects, and either `before` or `after`: a step that `cargo xtask plan` lists, of one cluster (`cluster1/istiod`) or of
/// each (`istiod`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectsForm {
    /// A file beside this one; it may name the values that manifests may name, `${TRUST_DOMAIN}` among them.
    #[schemars(with = "PathBuf")]
    pub file: Spanned<PathBuf>,
    /// The step that waits for them.
    #[serde(default)]
    pub before: Option<String>,
    /// The step that they wait for.
    #[serde(default)]
    pub after: Option<String>,
    /// Whether it is waited for what they make: workloads rolled out, jobs come to their end.
    #[serde(default)]
    pub ready: bool,
}

/// Claims that must break.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectForm {
    /// The id of a claim that is due; `*` stands for any characters, so that `peer-bundle-fetched/*` is of every way.
    pub broken: String,
    /// A regular expression that is found in what is observed.
    pub because: String,
}
