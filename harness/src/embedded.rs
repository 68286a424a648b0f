//! Our own manifests within the program, for where there is no checkout.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::Context as _;
use crate::{Code, Result};

/// Their paths below `manifests/`, and what is in them.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/manifests.rs"));

/// What tells them from those of another program.
pub fn key() -> String {
    let mut hash = Sha256::new();
    for (name, content) in FILES {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    hex::encode(&hash.finalize()[..8])
}

/// Writes them below the folder, which is there as a whole or not at all.
///
/// # Errors
/// [`Code::CacheUnusable`].
pub fn unpack(to: &Path) -> Result<()> {
    if to.is_dir() {
        return Ok(());
    }
    let fail = || format!("cannot write the manifests to {}", to.display());
    let above = to.parent().unwrap_or(to);
    std::fs::create_dir_all(above).or_fail(Code::CacheUnusable, fail)?;
    let part = tempfile::tempdir_in(above).or_fail(Code::CacheUnusable, fail)?;
    for (name, content) in FILES {
        let path = part.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(part.path())).or_fail(Code::CacheUnusable, fail)?;
        std::fs::write(&path, content).or_fail(Code::CacheUnusable, fail)?;
    }
    match std::fs::rename(part.path(), to) {
        // Somebody else was faster, with the same.
        Err(_) if to.is_dir() => Ok(()),
        moved => moved.or_fail(Code::CacheUnusable, fail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unpacked_is_what_the_checkout_has() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("cache/manifests");
        unpack(&to).unwrap();
        unpack(&to).unwrap();
        crate::lock::Lock::read(&to).unwrap();
        let setups = crate::setup::Setup::read(&to, &["federated"], None, false).unwrap();
        assert_eq!(setups.len(), 1);
        assert_eq!(std::fs::read_dir(to.parent().unwrap()).unwrap().count(), 1, "nothing else is left there");
    }
}
