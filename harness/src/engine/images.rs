//! Images in and out of the engine.

use std::path::Path;

use bollard::query_parameters::{ImportImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder};
use futures::StreamExt as _;
use tokio_util::io::ReaderStream;

use super::Engine;
use crate::error::Context as _;
use crate::{Code, Result};

/// What became of an image that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// It is gone, or had gone before.
    Gone,
    /// A container uses it.
    InUse,
}

impl Engine {
    /// The id (the digest of the configuration) under which the engine has this image, if it has it.
    ///
    /// # Errors
    /// [`Code::EngineFailed`].
    pub async fn image_id(&self, reference: &str) -> Result<Option<String>> {
        match self.docker().inspect_image(reference).await {
            Ok(image) => Ok(image.id),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(e) => Err(e).or_fail(Code::EngineFailed, || format!("cannot look for the image {reference}")),
        }
    }

    /// Loads every image of an archive.
    ///
    /// # Errors
    /// [`Code::EngineFailed`].
    pub async fn load(&self, archive: &Path) -> Result<()> {
        let fail = || format!("cannot load {} into the engine", archive.display());
        let file = tokio::fs::File::open(archive).await.or_fail(Code::EngineFailed, fail)?;
        // Large pieces: the archive is hundreds of megabytes and each piece is a round through the client.
        let bytes = ReaderStream::with_capacity(file, 1 << 20);
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let mut answers = Box::pin(self.docker().import_image_stream(options, bytes, None));
        while let Some(answer) = answers.next().await {
            answer.or_fail(Code::EngineFailed, fail)?;
        }
        Ok(())
    }

    /// Takes away an image that we loaded, and gives its name back to what had it before.
    ///
    /// # Errors
    /// [`Code::LeftBehind`].
    pub async fn forget_image(&self, reference: &str, id: &str, before: Option<&str>) -> Result<Forgotten> {
        use bollard::errors::Error::DockerResponseServerError as Refused;
        let fail = || format!("cannot remove the image {reference}");
        // Somebody has loaded another one under that name since, or removed it.
        if self.image_id(reference).await?.as_deref() != Some(id) {
            return Ok(Forgotten::Gone);
        }
        match self.docker().remove_image(reference, None::<RemoveImageOptions>, None).await {
            Err(Refused { status_code: 409, .. }) => return Ok(Forgotten::InUse),
            Ok(_) | Err(Refused { status_code: 404, .. }) => {}
            Err(e) => return Err(e).or_fail(Code::LeftBehind, fail),
        }
        if let (Some(before), Some((name, tag))) = (before, reference.rsplit_once(':')) {
            let options = TagImageOptionsBuilder::default().repo(name).tag(tag).build();
            self.docker().tag_image(before, Some(options)).await.or_fail(Code::LeftBehind, fail)?;
        }
        Ok(Forgotten::Gone)
    }
}
