//! Manifests that others wrote, a megabyte of YAML for each cluster and the same in every run: kept in the cache as JSON.
//! Read as YAML they are a tenth of all that a set-up asks of a core.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::Context as _;
use crate::layout::Layout;
use crate::{Code, Result};

/// Where it is kept, by everything that it is made from.
pub(super) fn place<'a>(layout: &Layout, what: &str, from: impl IntoIterator<Item = &'a [u8]>) -> PathBuf {
    let mut hash = Sha256::new();
    from.into_iter().for_each(|part| hash.update(part));
    let key: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    layout.cache.join(format!("rendered/{what}-{key}.json"))
}

/// What is kept there.
///
/// # Errors
/// [`Code::CacheUnusable`].
pub(super) fn read(kept: &Path) -> Result<Vec<Value>> {
    let fail = || format!("cannot read {}", kept.display());
    serde_json::from_slice(&std::fs::read(kept).or_fail(Code::CacheUnusable, fail)?)
        .or_fail(Code::CacheUnusable, fail)
}

/// Keeps it there, whole or not at all.
///
/// # Errors
/// [`Code::CacheUnusable`].
pub(super) fn keep(kept: &Path, objects: &[Value]) -> Result<()> {
    let fail = || format!("cannot write {}", kept.display());
    let dir = kept.parent().unwrap_or(kept);
    std::fs::create_dir_all(dir).or_fail(Code::CacheUnusable, fail)?;
    let scratch = tempfile::tempdir_in(dir).or_fail(Code::CacheUnusable, fail)?;
    let whole = scratch.path().join("whole");
    let text = serde_json::to_vec(objects).or_fail(Code::Internal, fail)?;
    std::fs::write(&whole, text)
        .and_then(|()| std::fs::rename(&whole, kept))
        .or_fail(Code::CacheUnusable, fail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_what_was_made_and_half_of_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().into(), repo: dir.path().into() };
        let kept = place(&layout, "istio", [b"a".as_slice(), b"b"]);
        assert_ne!(kept, place(&layout, "istio", [b"a".as_slice(), b"c"]));
        let objects = [json!({"kind": "Namespace"}), json!({"on": true, "port": 15443})];
        keep(&kept, &objects).unwrap();
        assert_eq!(read(&kept).unwrap(), objects);
        assert_eq!(std::fs::read_dir(kept.parent().unwrap()).unwrap().count(), 1);
        std::fs::write(&kept, "[{\"kind\":").unwrap();
        assert_eq!(read(&kept).unwrap_err().code(), Code::CacheUnusable);
    }
}
