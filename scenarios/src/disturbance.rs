//! What a scenario changes is written down before it is changed: one that is killed, or cannot put everything back, is undone
//! by the next scenario or the next command, or the world says that it is not to be trusted.
//!
//! The file lies beside the world's, and goes when everything was put back. Each entry can be undone twice: what is gone is
//! gone, what is back is back.

use std::path::{Path, PathBuf};

use futures::future::try_join_all;
use harness::lines::{Head, Lines};
use harness::world::World;
use harness::{Code, Error, Result};
use proof::topology::ClusterName;
use serde::{Deserialize, Serialize};

use crate::Mesh;
use crate::undo::Undo;

/// Where a world's disturbances are written down.
pub(crate) struct Journal {
    lines: Lines,
    head: Head,
}

/// One thing that a scenario is about to change.
#[derive(Debug, Serialize, Deserialize)]
struct Disturbance {
    scenario: String,
    cluster: ClusterName,
    undo: Undo,
}

impl Journal {
    /// That of the world whose file is `world`.
    pub(crate) fn of(world: &World, file: &Path) -> Self {
        Self { lines: lines(file), head: Head::of(&world.id) }
    }

    /// Writes down how to undo what is about to be changed.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`]: then it must not be changed.
    pub(crate) fn will_undo(&self, scenario: &str, cluster: &ClusterName, undo: &Undo) -> Result<()> {
        let entry = Disturbance { scenario: scenario.into(), cluster: cluster.clone(), undo: undo.clone() };
        self.lines.add(&self.head, &entry)
    }

    /// Everything is as it was.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`].
    pub(crate) fn close(&self) -> Result<()> {
        self.lines.remove()
    }
}

/// The scenario that was in the midst of a change when it was killed, if there is one in the world whose file is `world`.
///
/// # Errors
/// [`Code::CacheUnusable`].
pub fn left_by(world: &Path) -> Result<Option<String>> {
    let (_, left) = lines(world).read::<Disturbance>()?;
    Ok(left.into_iter().next_back().map(|disturbance| disturbance.scenario))
}

/// Puts back what a killed scenario had changed in the world whose file is `world`, and waits until the mesh has noticed.
///
/// # Errors
/// [`Code::Evidence`] naming the scenario, and what could not be put back.
pub async fn put_back(world: &Path) -> Result<()> {
    put_back_in(&Mesh::of(world).await?).await
}

/// As [`put_back`], in a world that is visited already.
pub(crate) async fn put_back_in(mesh: &Mesh) -> Result<()> {
    let journal = mesh.journal();
    let (_, left) = journal.lines.read::<Disturbance>()?;
    let Some(scenario) = left.last().map(|last| last.scenario.clone()) else { return Ok(()) };
    let not_whole = |what: String, why: Error| {
        Error::new(
            Code::Evidence,
            format!("the scenario {scenario} was killed in the midst of a change, and {what}"),
        )
        .because(why)
        .next("cargo xtask down: this world is not to be trusted")
    };
    // Backwards, but for what reads at its start what is only now put back.
    let (restarts, others): (Vec<_>, Vec<_>) =
        left.into_iter().rev().partition(|disturbance| matches!(disturbance.undo, Undo::Restart(..)));
    for Disturbance { cluster, undo, .. } in others.into_iter().chain(restarts) {
        let what = format!("{undo} in {cluster}");
        undo.run(mesh, &cluster)
            .await
            .map_err(|e| not_whole(format!("this could not be put back: {what}"), e))?;
    }
    settled(mesh)
        .await
        .map_err(|e| not_whole("the mesh is not as it was, although all was put back".to_owned(), e))?;
    journal.close()
}

/// Waits until the world whose file is `world` is at rest after its nodes were started anew.
///
/// # Errors
/// [`Code::TimedOut`] with what is not as it was.
pub async fn at_rest(world: &Path) -> Result<()> {
    settled(&Mesh::of(world).await?).await
}

/// Trust and traffic are as they were, wherever there are any between clusters.
async fn settled(mesh: &Mesh) -> Result<()> {
    if mesh.clusters().len() < 2 {
        return Ok(());
    }
    mesh.sidecars_believe_in(mesh.clusters().len()).await?;
    let ways = mesh.ways();
    try_join_all(ways.iter().map(|way| mesh.answers_again(way))).await.map(drop)
}

fn lines(world: &Path) -> Lines {
    let file: PathBuf = world.with_file_name("disturbances.jsonl");
    Lines::at(file, "list of what scenarios changed")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_down_is_read_by_whoever_comes_next() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("world.json");
        let head = Head::of(&harness::world_id::WorldId::random().unwrap());
        let journal = Journal { lines: lines(&file), head };
        assert_eq!(left_by(&file).unwrap(), None);
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        journal.will_undo("bundle-taken-away", &"cluster1".into(), &Undo::Apply(object.clone())).unwrap();
        assert_eq!(left_by(&file).unwrap().as_deref(), Some("bundle-taken-away"));
        let (_, left) = journal.lines.read::<Disturbance>().unwrap();
        assert!(matches!(&left[0].undo, Undo::Apply(read) if *read == object));
        assert_eq!(left[0].undo.to_string(), "ConfigMap a");
        journal.close().unwrap();
        assert_eq!(left_by(&file).unwrap(), None);
    }
}
