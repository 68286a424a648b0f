//! Images in and out of the engine.

use std::path::Path;

use bollard::query_parameters::ImportImageOptionsBuilder;
use futures::StreamExt as _;
use tokio_util::io::ReaderStream;

use super::Engine;
use crate::error::Context as _;
use crate::{Code, Result};

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
}
