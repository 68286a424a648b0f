//! Applying objects: server-side, in phases, each phase as wide as a small control plane likes.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::fault::{self, persist};
use super::object::{Phase, Target};
use super::{AT_ONCE, FIELD_MANAGER, conditions, watch};
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Error, Result, patience};

/// Applies all of them; our fields win over whoever else manages them.
///
/// Namespaces and definitions come first, and definitions are *served* before the rest begins; then what pods
/// need, then what makes pods, then custom resources. A server that does not answer yet, a conflict and a
/// webhook that is not ready are asked again, and `note` says so.
///
/// # Errors
/// The first object that the API server refuses, by kind and name, with the server's words.
pub async fn apply(client: &Client, objects: &[Value], note: &Note) -> Result<()> {
    let all = objects.iter().map(|o| Ok((Target::of(client, o)?, o))).collect::<Result<Vec<_>>>()?;
    for phase in Phase::ALL {
        let turn = all.iter().filter(|(target, _)| target.phase == phase);
        let requests: Vec<_> = turn.map(|(target, object)| one(target, object, note)).collect();
        let applied: Vec<_> = stream::iter(requests).buffer_unordered(AT_ONCE).try_collect().await?;
        if phase == Phase::Foundation {
            definitions(client, &applied, note).await?;
        }
    }
    Ok(())
}

/// Waits until the API server would take an object, and the webhooks that it asks about it answer; nothing is made.
///
/// # Errors
/// As [`apply`].
pub async fn would_apply(client: &Client, object: &Value, note: &Note) -> Result<()> {
    let target = Target::of(client, object)?;
    let params = PatchParams::apply(FIELD_MANAGER).dry_run();
    let (what, limit) = (format!("asking for {}", target.shown), patience::WEBHOOK.stretched());
    let asked = wait::eventually(&what, patience::STEP, note, || async {
        let patch = Patch::Apply(object);
        match wait::glance(limit, target.api.patch(&target.name, &params, &patch)).await {
            Some(answer) => fault::look(&what, answer),
            None => Look::NotYet(format!("no answer within {} s", limit.as_secs())),
        }
    });
    asked.await.map(drop)
}

async fn one(target: &Target, object: &Value, note: &Note) -> Result<DynamicObject> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    persist(&format!("applying {}", target.shown), note, || async {
        target.api.patch(&target.name, &params, &Patch::Apply(object)).await
    })
    .await
}

/// Waits until every definition that is new is served. Those that were there before are known by their answer.
async fn definitions(client: &Client, applied: &[DynamicObject], note: &Note) -> Result<()> {
    let is_definition =
        |o: &&DynamicObject| o.types.as_ref().is_some_and(|t| t.kind == "CustomResourceDefinition");
    let established = |o: &DynamicObject| {
        let conditions = o.data.pointer("/status/conditions").and_then(Value::as_array);
        conditions.into_iter().flatten().any(|c| c["type"] == "Established" && c["status"] == "True")
    };
    let new: Vec<_> =
        applied.iter().filter(is_definition).filter(|o| !established(o)).map(ResourceExt::name_any).collect();
    let waits: Vec<_> = new.iter().map(|name| served(client, name)).collect();
    let mut waits = stream::iter(waits).buffer_unordered(AT_ONCE);
    for done in 0..new.len() {
        note.say(format!("{done} of {} new definitions are served", new.len()));
        waits.try_next().await?;
    }
    Ok(())
}

/// Waits until objects of a definition can be made. "Established" alone comes a moment too early.
async fn served(client: &Client, name: &str) -> Result<()> {
    // Told as a count by whoever waits for all of them.
    let note = &Note::silent();
    let what = format!("CustomResourceDefinition {name}");
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd = watch::until(&api, name, &what, patience::STEP, note, conditions::crd).await?;
    let Some(version) = crd.spec.versions.iter().find(|v| v.served) else { return Ok(()) };
    let path = format!("/apis/{}/{}/{}?limit=1", crd.spec.group, version.name, crd.spec.names.plural);
    wait::eventually(&what, patience::STEP, note, || async {
        let Ok(request) = hyper::Request::get(&path).body(Vec::new()) else {
            return Look::Never(Error::internal(format!("`{path}` is not a path")));
        };
        match client.request_text(request).await {
            Ok(_) => Look::Ready(()),
            Err(fault) => Look::NotYet(fault::words(&fault)),
        }
    })
    .await
}
