//! Files that a run leaves, by their ending: what a report and a diagnosis both look for.

use std::path::{Path, PathBuf};

/// The files of a folder with that ending, by name.
pub fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(dir).into_iter().flatten();
    let mut files: Vec<_> = listing
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|x| x == ending))
        .collect();
    files.sort();
    files
}
