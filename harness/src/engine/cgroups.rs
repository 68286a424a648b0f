//! The control groups of a private engine's containers: they outlive a kill, so they are removed by hand.

use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";

/// Every hierarchy's group of that name: one on cgroup v2, one per controller on v1.
pub fn named(name: &str) -> Vec<PathBuf> {
    let controllers = std::fs::read_dir(ROOT).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(PathBuf::from(ROOT))
        .chain(controllers)
        .map(|hierarchy| hierarchy.join(name))
        .filter(|group| group.is_dir())
        .collect()
}

/// Removes a group with its children; a group that holds a process stays and is the error.
pub fn remove(group: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(group)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path())?;
        }
    }
    std::fs::remove_dir(group)
}
