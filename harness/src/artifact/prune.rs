//! What newer pins have superseded is taken out of the cache, when somebody asks for it: never by itself, because
//! another checkout may still have the older pins.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::cache::{Cache, Cached};
use super::packages::Packages;
use super::registry::{Mirrors, Registry};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::{Result, lifecycle, world};

/// Removes each artifact in whose place this checkout uses another one, and says which they were. What this checkout
/// does not know, or has no successor for, stays.
///
/// # Errors
/// [`crate::Code::Busy`] while a run is at work or a world is up, for it may use them; what a cache that cannot be
/// written says.
pub fn prune(layout: &Layout, lock: &Lock) -> Result<Vec<Cached>> {
    let _claimed = world::claim(layout)?;
    lifecycle::nothing_is_up(layout)?;
    let mirrors = Mirrors::default();
    let mut used = Vec::new();
    // An image that is put together of two other versions has no lock of its own here; it is made again in seconds.
    for lock in std::iter::once(lock.clone()).chain(lock.each()?.into_iter().map(|(_, other)| other)) {
        let fetched = Registry::new(&lock, &mirrors, layout)?.listing();
        used.extend(fetched.into_iter().filter_map(|(_, entry)| entry));
        used.extend(Packages::new(layout, &lock).held()?);
    }
    superseded(&Cache::new(layout.artifacts()), &used)
}

/// Reads all of the cache and removes what is no longer as it was made, and says what that was.
///
/// # Errors
/// As [`prune`].
pub fn damaged(layout: &Layout) -> Result<Vec<Cached>> {
    let _claimed = world::claim(layout)?;
    lifecycle::nothing_is_up(layout)?;
    let cache = Cache::new(layout.artifacts());
    let gone = cache.damage();
    gone.iter().try_for_each(|entry| cache.remove(entry))?;
    Ok(gone)
}

fn superseded(cache: &Cache, used: &[Cached]) -> Result<Vec<Cached>> {
    let names: BTreeSet<&str> = used.iter().map(|entry| entry.stamp.name.as_str()).collect();
    let folders: BTreeSet<&PathBuf> = used.iter().map(|entry| &entry.dir).collect();
    let mut all = cache.entries();
    all.retain(|entry| names.contains(entry.stamp.name.as_str()) && !folders.contains(&entry.dir));
    all.sort_by(|one, other| one.dir.cmp(&other.dir));
    all.iter().try_for_each(|entry| cache.remove(entry))?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::artifact::cache::Inputs;

    fn make(cache: &Cache, name: &str, pin: &str) -> Cached {
        let draft = cache.begin(name, Inputs::default().with("pin", pin)).unwrap();
        std::fs::write(draft.dir.join("file"), pin).unwrap();
        draft.finish(Duration::ZERO, Value::Null).unwrap()
    }

    fn names(entries: &[Cached]) -> Vec<&Path> {
        entries.iter().map(|entry| entry.dir.as_path()).collect()
    }

    #[test]
    fn only_what_has_a_successor_in_use_goes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path());
        let (old, new) = (make(&cache, "spire", "1"), make(&cache, "spire", "2"));
        let unknown = make(&cache, "spire-next", "1");
        std::fs::create_dir(dir.path().join("logs")).unwrap();
        std::fs::create_dir(dir.path().join(".spire.making")).unwrap();
        let gone = superseded(&cache, std::slice::from_ref(&new)).unwrap();
        assert_eq!(names(&gone), [old.dir.as_path()]);
        assert!(!old.dir.exists() && new.dir.exists() && unknown.dir.exists());
        assert!(dir.path().join("logs").exists() && dir.path().join(".spire.making").exists());
    }

    #[test]
    fn without_a_successor_nothing_goes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path());
        let old = make(&cache, "spire", "1");
        assert!(superseded(&cache, &[]).unwrap().is_empty());
        assert!(old.dir.exists());
    }
}
