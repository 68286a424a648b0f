//! Taking away what a private engine left, from nothing but its state folder.
//!
//! It works after SIGKILL and power loss, whether the daemon lives or not, and as often as one likes. Most is
//! the kernel's doing: with the first process of the namespaces everything inside them goes.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::marks::{Marks, data, socket};
use super::{cgroups, link, processes};
use crate::error::Context as _;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Code, Error, Result, patience};

/// Stops whatever runs and removes every trace but the images of an engine that was stopped in order.
///
/// # Errors
/// [`Code::LeftBehind`] naming everything that is still there; all the rest is gone.
pub async fn sweep(state: &Path, note: &Note) -> Result<()> {
    let marks = Marks::of(state);
    let mut trouble = Vec::new();
    let gone = wait::eventually(
        "the end of the private engine's processes",
        patience::ENGINE_STOP,
        note,
        || async {
            let alive = processes::of(state);
            alive.iter().for_each(|process| processes::signal(process, Signal::KILL));
            if alive.is_empty() { Look::Ready(()) } else { Look::NotYet(names(&alive)) }
        },
    );
    trouble.extend(gone.await.err());
    trouble.extend(link::remove(&marks.link).await.err());
    // A group can be removed only after the kernel has buried its last process.
    let emptied = wait::eventually(
        "the removal of the engine's control groups",
        patience::ENGINE_STOP,
        note,
        || async {
            let failed: Vec<_> = cgroups::named(&marks.cgroup)
                .iter()
                .filter_map(|g| Some((g.clone(), cgroups::remove(g).err()?)))
                .collect();
            match failed.first() {
                None => Look::Ready(()),
                Some((group, e)) => Look::NotYet(format!("{}: {e}", group.display())),
            }
        },
    );
    trouble.extend(emptied.await.err());
    trouble.extend(remove_files(state).err());
    let left = leftovers(state);
    if left.is_empty() {
        return Ok(());
    }
    let what = format!("a private engine left {} things behind:\n  {}", left.len(), left.join("\n  "));
    let error = Error::new(Code::LeftBehind, what).next("cargo xtask down, once more");
    Err(trouble.into_iter().fold(error, Error::because))
}

/// Everything that a private engine in `state` has in this machine now, a sentence each. A running one has plenty.
pub fn leftovers(state: &Path) -> Vec<String> {
    let marks = Marks::of(state);
    let mut left: Vec<String> =
        processes::of(state).iter().map(|p| format!("process {} ({})", p.pid, p.name)).collect();
    left.extend(link::is_laid(&marks.link).then(|| format!("network interface {}", marks.link)));
    left.extend(cgroups::named(&marks.cgroup).iter().map(|g| format!("control group {}", g.display())));
    left.extend(socket(state).exists().then(|| format!("socket {}", socket(state).display())));
    left.extend(is_unclean(state).then(|| format!("containers and volumes in {}", data(state).display())));
    left
}

/// From now on the data holds more than images, until [`clean`].
pub(super) fn unclean(state: &Path) -> Result<()> {
    remove_if_there(&mark(state))
}

/// The engine was emptied and has ended in order: its data holds images only.
pub(super) fn clean(state: &Path) -> Result<()> {
    std::fs::write(mark(state), "")
        .or_fail(Code::CacheUnusable, || format!("cannot write {}", mark(state).display()))
}

fn is_unclean(state: &Path) -> bool {
    let holds_something = std::fs::read_dir(data(state)).is_ok_and(|mut entries| entries.next().is_some());
    holds_something && !mark(state).exists()
}

fn mark(state: &Path) -> PathBuf {
    state.join("only-images")
}

fn remove_files(state: &Path) -> Result<()> {
    remove_if_there(&socket(state))?;
    // The containers' layers of a killed engine cannot be told from images without the daemon's own books,
    // and a daemon started on them would start the containers again: all of it goes.
    if is_unclean(state) { empty(&data(state)) } else { Ok(()) }
}

/// Removes what is in the folder, which may be a disk that somebody mounted there on purpose. The engine's own mounts were
/// in a namespace that is gone: one that is seen from here, below the folder, is somebody else's, and is left.
fn empty(folder: &Path) -> Result<()> {
    let fail = || format!("cannot empty {}", folder.display());
    let mounts = mounts(folder);
    for entry in std::fs::read_dir(folder).or_fail(Code::LeftBehind, fail)? {
        let entry = entry.or_fail(Code::LeftBehind, fail)?;
        let path = entry.path();
        if let Some(mount) = mounts.iter().find(|mount| mount.starts_with(&path)) {
            let what = format!("{} is a mount that no engine of ours made", mount.display());
            return Err(Error::new(Code::LeftBehind, what)
                .next(format!("umount {}, then cargo xtask down", mount.display())));
        }
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.or_fail(Code::LeftBehind, || format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

fn remove_if_there(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).or_fail(Code::LeftBehind, || format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// What is mounted below `folder` in our own mount namespace.
fn mounts(folder: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = table.lines().filter_map(|line| line.split(' ').nth(1));
    // Spaces in paths are written in octal: proc_mounts(5).
    let places = places.map(|path| PathBuf::from(path.replace("\\040", " ")));
    places.filter(|path| path.starts_with(folder) && path != folder).collect()
}

fn names(processes: &[processes::Process]) -> String {
    processes.iter().map(|p| format!("{} {}", p.name, p.pid)).collect::<Vec<_>>().join(", ")
}
