//! Applying objects: server-side, in phases, each phase as wide as a small control plane likes.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;

use super::fault::{self, persist};
use super::object::{Phase, Target};
use super::{AT_ONCE, FIELD_MANAGER, conditions, definition, watch};
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
        let requests: Vec<_> = turn.map(|(target, object)| one(client, target, object, note)).collect();
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

/// What of the answer is looked at. It has the whole object again, and a definition's schema is large.
#[derive(Deserialize)]
struct Applied {
    kind: Option<String>,
    metadata: Named,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

async fn one(client: &Client, target: &Target, object: &Value, note: &Note) -> Result<Applied> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let at = Request::new(target.api.resource_url());
    persist(&format!("applying {}", target.shown), note, || async {
        let patch = at.patch(&target.name, &params, &Patch::Apply(object));
        client.request(patch.map_err(kube::Error::BuildRequest)?).await
    })
    .await
}

/// Waits until every definition that is new is served. Those that were there before are known by their answer.
async fn definitions(client: &Client, applied: &[Applied], note: &Note) -> Result<()> {
    let is_definition = |o: &&Applied| o.kind.as_deref() == Some("CustomResourceDefinition");
    let established = |o: &Applied| {
        let conditions = o.status.get("conditions").and_then(Value::as_array);
        conditions.into_iter().flatten().any(|c| c["type"] == "Established" && c["status"] == "True")
    };
    let new: Vec<_> = applied.iter().filter(is_definition).filter(|o| !established(o)).collect();
    let waits: Vec<_> = new.iter().map(|o| served(client, &o.metadata.name)).collect();
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
    let crd =
        watch::until(&definition::all(client), name, &what, patience::STEP, note, conditions::crd).await?;
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
