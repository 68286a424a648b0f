//! What the servers have now for every version of the lock: the digests that it could pin.

use std::collections::BTreeMap;
use std::path::Path;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{AT_ONCE, Registry, files};
use crate::Result;
use crate::artifact::download::download;
use crate::progress::Note;

/// Digests and hashes as they are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// `sha256:…` of each image by its role.
    pub images: BTreeMap<String, String>,
    /// SHA-256 of each download by its name and then by architecture, or `any`.
    pub downloads: BTreeMap<String, BTreeMap<String, String>>,
}

impl Registry<'_> {
    /// Asks for each image's digest and downloads each file into `work` to hash it; the cache is left alone.
    ///
    /// # Errors
    /// The first thing that could not be had.
    pub async fn now(&self, work: &Path, note: &Note) -> Result<Now> {
        let images = stream::iter(&self.lock.images).map(async |(role, pin)| {
            let digest = self.registries.digest(pin, note).await?;
            note.say(format!("{} is {digest}", pin.reference));
            Ok((role.clone(), digest))
        });
        let images = images.buffer_unordered(AT_ONCE).try_collect().await?;
        let mut downloads: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (name, pin) in &self.lock.downloads {
            for architecture in pin.sha256.keys() {
                let url = files::address(pin, architecture, self.mirrors);
                let file = work.join(format!("{name}-{architecture}"));
                let sha256 = download(&url, &file, None, note).await?;
                // Only its hash was wanted, and some are large.
                let _ = tokio::fs::remove_file(&file).await;
                note.say(format!("{url} is {sha256}"));
                downloads.entry(name.clone()).or_default().insert(architecture.clone(), sha256);
            }
        }
        Ok(Now { images, downloads })
    }
}
