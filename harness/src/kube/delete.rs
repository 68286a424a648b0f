//! Taking objects away, and knowing that they are gone.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::DeleteParams;
use kube::{Client, ResourceExt as _};
use serde_json::Value;

use super::object::{Phase, Target};
use super::{AT_ONCE, fault, watch};
use crate::progress::Note;
use crate::{Result, patience};

/// Deletes all of them, in the reverse order of [`super::apply::apply`], and waits until they are gone.
///
/// What is not there, or of a kind that is not there, is gone already.
///
/// # Errors
/// The first object that the API server refuses to delete, or that is still there when time runs out (a
/// finalizer that nobody serves, most often).
pub async fn delete(client: &Client, objects: &[Value], note: &Note) -> Result<()> {
    let all = objects.iter().map(|o| Target::of(client, o)).collect::<Result<Vec<_>>>()?;
    for phase in Phase::ALL.into_iter().rev() {
        let turn: Vec<_> = all.iter().filter(|t| t.phase == phase).map(|t| one(t, note)).collect();
        stream::iter(turn).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    }
    Ok(())
}

async fn one(target: &Target, note: &Note) -> Result<()> {
    let what = format!("deleting {}", target.shown);
    let answer = fault::persist(&what, note, || async {
        match target.api.delete(&target.name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    })
    .await?;
    // A status instead of the object means that it went at once.
    let Some(uid) = answer.and_then(|a| a.left()).and_then(|object| object.uid()) else { return Ok(()) };
    watch::gone(&target.api, &target.name, &uid, &what, patience::TAKE_DOWN, note).await
}
