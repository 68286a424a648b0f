//! Where probes are: which clusters each came to, written down before it brings anything, so that `down` finds what a killed
//! one left. A probe holds the lock of its file while it lives; the kernel lets go of it when it dies.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::guests::leave;
use super::named::Named;
use super::reach::{Existing, OWN, reach};
use crate::error::Context as _;
use crate::layout::Layout;
use crate::progress::Note;
use crate::world_id::WorldId;
use crate::{Code, Error, Result};

/// A probe's stay: from before it brings anything until everything is taken away.
#[must_use = "without it nobody knows where the probe is"]
pub struct Visit {
    path: PathBuf,
    #[expect(dead_code, reason = "held, not read: it is locked")]
    file: File,
}

/// What is written down.
#[derive(Serialize, Deserialize)]
struct Record {
    /// The probe's id, which everything that it brings carries.
    probe: WorldId,
    clusters: Vec<Stop>,
}

/// A cluster that a probe came to.
#[derive(Serialize, Deserialize)]
struct Stop {
    named: Named,
    /// What tells the cluster from others: another may answer at its address by now.
    identity: String,
}

impl Visit {
    /// Writes down where the probe is about to come.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`]: then it must not come.
    pub fn begin(layout: &Layout, probe: &WorldId, clusters: &[Existing]) -> Result<Self> {
        let stops =
            clusters.iter().map(|one| Stop { named: one.named.clone(), identity: one.identity.clone() });
        let record = Record { probe: probe.clone(), clusters: stops.collect() };
        let path = folder(layout).join(format!("{probe}.json"));
        let file = record.write(&path)?;
        Ok(Self { path, file })
    }

    /// Everything is taken away.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`].
    pub fn end(self) -> Result<()> {
        forget(&self.path)
    }
}

/// Takes away what killed probes left, in every cluster that one of this cache came to.
///
/// # Errors
/// [`Code::LeftBehind`] naming each cluster in which something may be left, and the file that says so.
pub async fn leave_all(layout: &Layout, note: &Note) -> Result<()> {
    let mut left = Vec::new();
    for path in written(layout)? {
        let Some((record, _file)) = Record::abandoned(&path)? else {
            note.tell(format!(
                "a probe is at work ({}): it takes away itself what it brought",
                path.display()
            ));
            continue;
        };
        let mut stays = Vec::new();
        for stop in record.clusters.iter().filter(|stop| !stop.is_gone(layout)) {
            let name = &stop.named.name;
            match Box::pin(stop.leave(&record.probe, note)).await {
                Ok(true) => note.tell(format!("{name}: what a killed probe left is taken away")),
                Ok(false) => {}
                Err(e) => stays.push(format!("{name}: {e}")),
            }
        }
        if stays.is_empty() {
            forget(&path)?;
        } else {
            stays.push(format!("where such a cluster is gone for good, delete {}", path.display()));
            left.extend(stays);
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::LeftBehind, "what a killed probe brought may still be there")
        .seen(left.join("\n"))
        .next("cargo xtask down again, once its cluster answers"))
}

/// Strikes out the clusters that were cleaned by name.
///
/// # Errors
/// [`Code::CacheUnusable`].
pub fn cleaned(layout: &Layout, clusters: &[Existing]) -> Result<()> {
    for path in written(layout)? {
        let Some((mut record, _file)) = Record::abandoned(&path)? else { continue };
        record.clusters.retain(|stop| clusters.iter().all(|one| one.identity != stop.identity));
        if record.clusters.is_empty() {
            forget(&path)?;
        } else {
            record.write(&path)?;
        }
    }
    Ok(())
}

impl Stop {
    /// Whether its cluster was one of our own worlds, which has been taken down since.
    fn is_gone(&self, layout: &Layout) -> bool {
        let file = self.named.kubeconfig.as_ref();
        file.is_some_and(|file| file.starts_with(layout.world()) && !file.exists())
    }

    /// Whether that probe had left anything here, which is gone now.
    async fn leave(&self, probe: &WorldId, note: &Note) -> Result<bool> {
        let Some(one) = reach(vec![self.named.clone()], Some(OWN)).await?.pop() else { return Ok(false) };
        if one.identity != self.identity {
            let what = format!("another cluster answers as context {}", one.named.context);
            return Err(Error::new(Code::ForeignCluster, what)
                .seen(format!("{}; the probe came to {}", one.identity, self.identity)));
        }
        leave(&one.client, Some(probe), note).await
    }
}

impl Record {
    /// Writes it, whole or not at all, and locks it.
    fn write(&self, path: &Path) -> Result<File> {
        let fail = || format!("cannot write down where a probe is: {}", path.display());
        let text = serde_json::to_vec_pretty(self).or_fail(Code::Internal, fail)?;
        let part = path.with_extension("part");
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            let mut file = File::create(&part)?;
            file.try_lock()?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&part, path)?;
            Ok::<_, std::io::Error>(file)
        };
        write().or_fail(Code::CacheUnusable, fail)
    }

    /// That of a probe that is no more, locked; nothing where one is at work.
    fn abandoned(path: &Path) -> Result<Option<(Self, File)>> {
        let fail = || format!("cannot read {}, which says where a probe is", path.display());
        let file = File::open(path).or_fail(Code::CacheUnusable, fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(e).or_fail(Code::CacheUnusable, fail),
        }
        let record = serde_json::from_reader(&file).or_fail(Code::CacheUnusable, fail)?;
        Ok(Some((record, file)))
    }
}

/// What is written down, in the order of names.
fn written(layout: &Layout) -> Result<Vec<PathBuf>> {
    let folder = folder(layout);
    let fail = || format!("cannot read {}", folder.display());
    let entries = match std::fs::read_dir(&folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.or_fail(Code::CacheUnusable, fail)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.or_fail(Code::CacheUnusable, fail)?.path();
        // What was not written to its end names nothing that was brought.
        if path.extension().is_some_and(|ext| ext == "json") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

fn forget(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).or_fail(Code::CacheUnusable, || format!("cannot delete {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn folder(layout: &Layout) -> PathBuf {
    layout.cache.join("probes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(dir: &Path) -> Layout {
        Layout { cache: dir.join("cache"), repo: dir.join("clone") }
    }

    /// A probe that came to a cluster which does not answer.
    fn record(kubeconfig: PathBuf) -> (WorldId, Record) {
        let mut named: Named = "west=first".parse().unwrap();
        named.kubeconfig = Some(kubeconfig);
        let stop = Stop { named, identity: "namespace kube-system 1".into() };
        let probe = WorldId::random().unwrap();
        (probe.clone(), Record { probe, clusters: vec![stop] })
    }

    async fn down(layout: &Layout) -> (Result<()>, Vec<String>) {
        let (to, mut told) = tokio::sync::mpsc::unbounded_channel();
        let done = leave_all(layout, &Note::new("probes", to)).await;
        let mut words = vec![];
        while let Ok(event) = told.try_recv() {
            words.push(format!("{event:?}"));
        }
        (done, words)
    }

    #[tokio::test]
    async fn one_that_is_at_work_is_left_alone_and_a_killed_one_is_not_forgotten_while_its_cluster_is_silent()
    {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        down(&layout).await.0.unwrap();
        let (probe, record) = record(dir.path().join("kubeconfig"));
        let path = folder(&layout).join(format!("{probe}.json"));
        let file = record.write(&path).unwrap();
        let (done, told) = down(&layout).await;
        done.unwrap();
        assert!(told.len() == 1 && told[0].contains("a probe is at work"), "{told:?}");
        drop(file);
        let e = down(&layout).await.0.unwrap_err();
        assert_eq!(e.code(), Code::LeftBehind);
        let said = e.to_string();
        for part in ["west: cannot read the kubeconfig", "delete ", &path.display().to_string()] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(path.exists());
        cleaned(&layout, &[]).unwrap();
        assert!(path.exists(), "no cluster of it was cleaned");
    }

    #[tokio::test]
    async fn one_that_came_to_a_world_of_ours_went_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        let (probe, record) = record(layout.world().join("west.kubeconfig"));
        let path = folder(&layout).join(format!("{probe}.json"));
        drop(record.write(&path).unwrap());
        down(&layout).await.0.unwrap();
        assert!(!path.exists());
    }
}
