//! Where things lie: the checkout and the per-user cache. Nothing is written anywhere else, but for reports
//! below the checkout's `target/`. Outside of the checkout that the program was built from they lie in the cache.

use std::path::{Path, PathBuf};

use crate::error::Context as _;
use crate::{Code, Error, Result, embedded};

/// The two roots.
#[derive(Clone, Debug)]
pub struct Layout {
    /// `$VOUCHSAFE_CACHE`, else `$XDG_CACHE_HOME/vouchsafe`, else `~/.cache/vouchsafe`.
    pub cache: PathBuf,
    /// The checkout.
    pub repo: PathBuf,
}

impl Layout {
    /// Finds both; creates nothing.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`] when neither variable nor `HOME` says where the cache is.
    pub fn find() -> Result<Self> {
        let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let cache = set("VOUCHSAFE_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("vouchsafe")))
            .or_else(|| set("HOME").map(|dir| dir.join(".cache/vouchsafe")))
            .ok_or_else(|| {
                Error::new(Code::CacheUnusable, "no home folder, so no place for the cache")
                    .next("set VOUCHSAFE_CACHE")
            })?;
        let cache = std::path::absolute(&cache)
            .or_fail(Code::CacheUnusable, || format!("{} is no path", cache.display()))?;
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf();
        Ok(Self { cache, repo })
    }

    /// Whether the checkout that this program was built from is there: one that was installed may be alone.
    pub fn in_checkout(&self) -> bool {
        self.repo.join("Cargo.toml").is_file() && self.manifests().join(crate::lock::FILE).is_file()
    }

    /// The same, with our manifests in any case: without a checkout those that are in the program, written to the cache.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`].
    pub fn with_manifests(mut self) -> Result<Self> {
        if !self.in_checkout() {
            self.repo = self.cache.join("program").join(embedded::key());
            embedded::unpack(&self.manifests())?;
        }
        Ok(self)
    }

    /// Our own manifests, with `lock.yaml`.
    pub fn manifests(&self) -> PathBuf {
        self.repo.join("manifests")
    }

    /// Everything that was built or downloaded, keyed by content.
    pub fn artifacts(&self) -> PathBuf {
        self.cache.join("artifacts")
    }

    /// The state of the world that is up, if any: ledger, kubeconfigs, world file.
    pub fn world(&self) -> PathBuf {
        self.cache.join("world")
    }

    /// The private engine's state.
    pub fn engine(&self) -> PathBuf {
        self.cache.join("engine")
    }

    /// Reports of runs, a folder each.
    pub fn reports(&self) -> PathBuf {
        if self.in_checkout() { self.repo.join("target/vouchsafe") } else { self.cache.join("reports") }
    }

    /// Proves that the cache can be written, by writing.
    ///
    /// # Errors
    /// [`Code::CacheUnusable`] with the reason.
    pub fn probe(&self) -> Result<()> {
        let probe = self.cache.join(".probe");
        std::fs::create_dir_all(&self.cache)
            .and_then(|()| std::fs::write(&probe, b"probe"))
            .and_then(|()| std::fs::remove_file(&probe))
            .or_fail(Code::CacheUnusable, || format!("cannot write to the cache {}", self.cache.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_its_checkout_has_its_manifests_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().join("cache"), repo: dir.path().join("gone") };
        assert!(!layout.in_checkout());
        assert_eq!(layout.reports(), dir.path().join("cache/reports"));
        let layout = layout.with_manifests().unwrap();
        crate::lock::Lock::read(&layout.manifests()).unwrap();
        assert!(!layout.in_checkout(), "what was unpacked is no checkout");
        assert!(Layout::find().unwrap().in_checkout());
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let layout = Layout { cache: file.join("cache"), repo: dir.path().into() };
        let e = layout.probe().unwrap_err();
        assert_eq!(e.code(), Code::CacheUnusable);
        assert!(e.to_string().contains("Not a directory"), "{e}");
    }
}
