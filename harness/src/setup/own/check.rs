//! Whether what a set-up changes is there to be changed, known from our manifests alone, before any cluster is.

use std::path::Path;

use serde_json::Value;

use super::super::Setup;
use super::super::otherwise::Document;
use super::super::patch::{Met, Patch};
use crate::artifact::cache::files_below;
use crate::error::Context as _;
use crate::kube::stands::KINDS;
use crate::render::{self, Values};
use crate::{Code, Error, Result};
use proof::topology::Cluster;

/// Folders of manifests that every world is made from.
const OF_ALL: [&str; 4] = ["spire", "istio", "gateway", "workloads"];
/// What is known of a cluster only once it is there.
const LATER: &str = "NODE_ADDRESS";

/// All of it.
pub(super) fn all(manifests: &Path, setup: &Setup) -> Result<()> {
    for patch in &setup.otherwise.patches {
        patch_meets(manifests, setup, patch)?;
    }
    for objects in &setup.otherwise.objects {
        let read = filled(setup, &objects.document, &objects.at)?;
        let whole = |one: &Value| {
            let text = |at: &str| one.pointer(at).is_some_and(Value::is_string);
            text("/apiVersion") && text("/kind") && text("/metadata/name")
        };
        if read.is_empty() || !read.iter().all(whole) {
            let what = format!(
                "{}: {} has an object without kind or name, or none",
                objects.at, objects.document.file
            );
            return Err(Error::new(Code::Usage, what).next("correct it; nothing was touched"));
        }
        if objects.ready && !read.iter().any(|one| KINDS.iter().any(|kind| one["kind"] == *kind)) {
            let what = format!("{}: nothing in {} is ever `ready`", objects.at, objects.document.file);
            return Err(Error::new(Code::Usage, what)
                .seen(format!("kinds that are: {}", KINDS.join(", ")))
                .next("leave `ready` out; nothing was touched"));
        }
    }
    for overlay in &setup.otherwise.overlays {
        filled(setup, overlay, &overlay.file)?;
    }
    Ok(())
}

/// The documents of the set-up's own, as the first cluster will have them.
fn filled(setup: &Setup, document: &Document, at: &str) -> Result<Vec<Value>> {
    let cluster = &setup.topology.clusters[0];
    let mut values = setup.values_of(cluster);
    values.insert(LATER.into(), "192.0.2.1".into());
    values.extend(names(&document.text).filter(|name| name.starts_with("IMAGE_")).map(stays));
    render::fill(&document.text, &values, &document.file)
        .and_then(|text| render::documents(&text, &document.file))
        .map_err(|e| {
            Error::new(Code::Usage, format!("{at}: {} cannot be used", document.file))
                .because(e)
                .next("correct it; nothing was touched")
        })
}

fn patch_meets(manifests: &Path, setup: &Setup, patch: &Patch) -> Result<()> {
    let named =
        |name: &&proof::topology::ClusterName| setup.topology.clusters.iter().any(|one| one.name == **name);
    if let Some(stranger) = patch.clusters.iter().find(|name| !named(name)) {
        return Err(patch.meets_nothing(format!("no cluster is called {stranger}")));
    }
    let known = patchable(manifests, setup)?;
    if !known.contains(&patch.manifest) {
        let why = format!("this set-up reads no manifest `{}`", patch.manifest);
        return Err(patch.meets_nothing(why).seen(format!("manifests: {}", known.join(", "))));
    }
    let path = manifests.join(&patch.manifest);
    let text = std::fs::read_to_string(&path)
        .or_fail(Code::Internal, || format!("cannot read {}", path.display()))?;
    let (mut met, mut kinds) = (Met::default(), Vec::new());
    for cluster in &setup.topology.clusters {
        let mut values: Values = names(&text).map(stays).collect();
        values.extend(setup.values_of(cluster));
        values.extend(as_peer(cluster));
        let mut objects =
            render::documents(&render::fill(&text, &values, &patch.manifest)?, &patch.manifest)?;
        for object in &objects {
            let about = |field: &Value| field.as_str().unwrap_or("…").to_owned();
            kinds.push(format!("{} {}", about(&object["kind"]), about(&object["metadata"]["name"])));
        }
        let now = patch
            .apply(&values, &mut objects)
            .map_err(|e| patch.meets_nothing("what it names is not there").because(e))?;
        met = Met { selected: met.selected + now.selected, changed: met.changed + now.changed };
    }
    kinds.sort();
    kinds.dedup();
    match met {
        Met { selected: 0, .. } => {
            let why = format!("{} has no such object", patch.manifest);
            Err(patch.meets_nothing(why).seen(format!("objects: {}", kinds.join(", "))))
        }
        Met { changed: 0, .. } => Err(patch.meets_nothing(format!("{} is so already", patch.about()))),
        _ => Ok(()),
    }
}

/// The manifests that a world of this set-up is made from, and those of its scenarios.
fn patchable(manifests: &Path, setup: &Setup) -> Result<Vec<String>> {
    let modules = setup.scenarios.reads.iter().chain(&setup.scenarios.changes);
    let modules: Vec<_> = modules.filter_map(|module| module.split("::").next()).collect();
    let read = |file: &Path| {
        let folder = file.iter().next().and_then(|folder| folder.to_str()).unwrap_or_default();
        (OF_ALL.contains(&folder) && is_applied(setup, &file.display().to_string()))
            || modules.contains(&folder)
    };
    let files =
        files_below(manifests).or_fail(Code::Internal, || format!("cannot read {}", manifests.display()))?;
    Ok(files.iter().filter(|file| read(file)).map(|file| file.display().to_string()).collect())
}

/// Of the manifests that every world is made from, those that only some are made from: a change of another would be as good
/// as none.
fn is_applied(setup: &Setup, file: &str) -> bool {
    let several = setup.topology.clusters.len() > 1;
    match file {
        "istio/operator.yaml" | "istio/upstream-envoy.yaml" => true,
        "spire/federation.yaml" | "spire/gateway-identity.yaml" | "gateway/east-west.yaml" => several,
        "spire/upstream-authority.yaml" => {
            setup.values.get("SPIRE_UPSTREAM_AUTHORITY").is_some_and(|plugin| !plugin.is_empty())
        }
        other => !other.starts_with("istio/") || setup.istio.iter().any(|more| more == other),
    }
}

/// The same of our own manifests, some of which are made for each peer: in turn each cluster is everybody's, so that every
/// object is seen under all its names.
fn as_peer(cluster: &Cluster) -> [(String, String); 2] {
    [("PEER".into(), cluster.name.to_string()), ("PEER_TRUST_DOMAIN".into(), cluster.trust_domain.clone())]
}

/// What is known later stays as it is written.
fn stays(name: &str) -> (String, String) {
    (name.to_owned(), format!("${{{name}}}"))
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}
