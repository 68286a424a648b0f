//! One image from a registry into one archive, every byte checked against the digest that names it.
//!
//! The registry's own manifest and layers go into the archive as they came, so that a node knows the image by
//! the same digest as the registry does.

use std::path::Path;

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::manifest::{OciDescriptor, OciImageManifest, OciManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::faults::fault;
use super::layout::{self, Descriptor};
use super::reference::{Mirror, is_loopback, parse, registry};
use crate::artifact::Origin;
use crate::artifact::cache::hex;
use crate::artifact::download::{Meter, unwritable, with_provider};
use crate::artifact::retry::{Fault, twice};
use crate::error::Context as _;
use crate::lock::{ImagePin, Lock};
use crate::progress::Note;
use crate::{Code, Error, Result, patience};

/// Layers of one image that are fetched side by side; images are, too.
const LAYERS: usize = 3;

/// The upstream registries, or the mirror that stands before them.
pub struct Registries {
    client: Client,
    mirror: Option<Mirror>,
}

/// An image that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// What the registry calls it: the digest of its index, or of its manifest when there is no index.
    pub digest: String,
    /// The digest of its configuration.
    pub id: String,
    /// Who built it.
    pub origin: Origin,
}

impl Registries {
    /// A client for every registry that the lock names. No request is made yet.
    pub fn new(lock: &Lock, mirror: Option<Mirror>) -> Self {
        with_provider();
        let mut plain: Vec<String> =
            mirror.iter().filter(|m| m.is_plain()).map(|m| m.host().to_owned()).collect();
        for pin in lock.images.values() {
            let host = registry(&pin.reference);
            plain.extend(is_loopback(&host).then_some(host));
        }
        let silence = Some(patience::SILENCE.stretched());
        let client = Client::new(ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain),
            connect_timeout: silence,
            read_timeout: silence,
            user_agent: concat!("vouchsafe/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        });
        Self { client, mirror }
    }

    /// The digest that the registry has for the tag now.
    ///
    /// # Errors
    /// [`Code::ArtifactUnavailable`].
    pub async fn digest(&self, pin: &ImagePin, note: &Note) -> Result<String> {
        let from = self.place(&pin.reference)?;
        let what = from.whole();
        self.log_in(&from).await?;
        let ask = || async {
            let found = self.client.fetch_manifest_digest(&from, &RegistryAuth::Anonymous).await;
            found.map_err(|e| fault(&what, e))
        };
        twice(&format!("asking for {what}"), NEXT, note, ask).await
    }

    /// Pulls an image for this machine's architecture into the file `archive`; `work` is a folder of its own.
    ///
    /// # Errors
    /// [`Code::DigestMismatch`] when it is not what the lock pins; [`Code::ArtifactUnavailable`] when the
    /// registry has it not, refuses it, or broke off twice.
    pub async fn pull(&self, pin: &ImagePin, work: &Path, archive: &Path, note: &Note) -> Result<Pulled> {
        let tagged = self.place(&pin.reference)?;
        let from =
            pin.digest.as_ref().map_or(tagged.clone(), |digest| tagged.clone_with_digest(digest.clone()));
        self.log_in(&from).await?;
        let top = match self.manifest(&from, note).await {
            Err(e) if pin.digest.is_some() => return Err(self.explain(pin, e, note).await),
            top => top?,
        };
        let digest = top.digest.clone();
        let served = archive.with_file_name(layout::SERVED);
        std::fs::write(&served, &top.bytes)
            .or_fail(Code::CacheUnusable, || format!("cannot write {}", served.display()))?;
        let (bytes, manifest) = self.for_this_machine(&from, top, note).await?;
        let blobs: Vec<&OciDescriptor> = std::iter::once(&manifest.config).chain(&manifest.layers).collect();
        let meter = Meter::new(note, u64::try_from(blobs.iter().map(|blob| blob.size).sum::<i64>()).ok());
        // Made before the stream is, so that the compiler need not prove the closure for every lifetime.
        let fetches: Vec<_> =
            blobs.into_iter().map(|blob| self.blob(&from, blob, work, &meter, note).boxed()).collect();
        stream::iter(fetches).buffer_unordered(LAYERS).try_collect::<()>().await?;
        let named = Descriptor { reference: pin.reference.clone(), manifest: bytes };
        let (work, archive) = (work.to_owned(), archive.to_owned());
        let id = manifest.config.digest.clone();
        let writing = move || {
            let origin = layout::origin(&work, &manifest)?;
            layout::write(&archive, &named, &manifest, &work).map(|()| origin)
        };
        let written = tokio::task::spawn_blocking(writing).await;
        let origin = written.or_fail(Code::Internal, || "writing an image archive".to_owned())??;
        Ok(Pulled { digest, id, origin })
    }

    fn place(&self, reference: &str) -> Result<Reference> {
        let upstream = parse(reference)?;
        self.mirror.as_ref().map_or(Ok(upstream.clone()), |mirror| mirror.fetched_from(&upstream))
    }

    /// Uses what `docker login` left, if it left anything for this registry.
    async fn log_in(&self, from: &Reference) -> Result<()> {
        let host = match from.registry() {
            // Where the docker CLI keeps Docker Hub's.
            "docker.io" => "https://index.docker.io/v1/".to_owned(),
            other => other.to_owned(),
        };
        // It may run the credential helper that the user's docker configuration names.
        let found = tokio::task::spawn_blocking(move || docker_credential::get_credential(&host));
        let found = found.await.or_fail(Code::Internal, || "looking for a docker login".to_owned())?;
        if let Ok(docker_credential::DockerCredential::UsernamePassword(user, password)) = found {
            let auth = RegistryAuth::Basic(user, password);
            // A refusal is told by the request that needs it.
            let _ = self.client.auth(from, &auth, RegistryOperation::Pull).await;
        }
        Ok(())
    }

    async fn manifest(&self, from: &Reference, note: &Note) -> Result<Manifest> {
        const ACCEPTED: &[&str] = &[
            oci_client::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE,
            oci_client::manifest::IMAGE_MANIFEST_LIST_MEDIA_TYPE,
            oci_client::manifest::OCI_IMAGE_MEDIA_TYPE,
            oci_client::manifest::IMAGE_MANIFEST_MEDIA_TYPE,
        ];
        let what = from.whole();
        let ask = || async {
            let raw = self.client.pull_manifest_raw(from, &RegistryAuth::Anonymous, ACCEPTED).await;
            raw.map_err(|e| fault(&what, e))
        };
        let (bytes, _) = twice(&format!("asking for {what}"), NEXT, note, ask).await?;
        let digest = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
        let parsed = serde_json::from_slice(&bytes).or_fail(Code::ArtifactUnavailable, || {
            format!("{what} is no image that this program understands")
        })?;
        Ok(Manifest { bytes: bytes.to_vec(), digest, parsed })
    }

    /// Follows an index to the manifest for this machine.
    async fn for_this_machine(
        &self,
        from: &Reference,
        top: Manifest,
        note: &Note,
    ) -> Result<(Vec<u8>, OciImageManifest)> {
        let missing = || {
            let architecture = super::architecture();
            Error::new(
                Code::ArtifactUnavailable,
                format!("{} is not made for linux/{architecture}", from.whole()),
            )
            .next("use --source packages, which builds for this machine")
        };
        let index = match top.parsed {
            OciManifest::Image(image) => return Ok((top.bytes, image)),
            OciManifest::ImageIndex(index) => index,
        };
        let fits = oci_client::client::current_platform_resolver(&index.manifests).ok_or_else(missing)?;
        let inner = self.manifest(&from.clone_with_digest(fits), note).await?;
        match inner.parsed {
            OciManifest::Image(image) => Ok((inner.bytes, image)),
            OciManifest::ImageIndex(_) => Err(missing()),
        }
    }

    async fn blob(
        &self,
        from: &Reference,
        blob: &OciDescriptor,
        work: &Path,
        meter: &Meter<'_>,
        note: &Note,
    ) -> Result<()> {
        let what = format!("{} ({})", from.whole(), blob.digest);
        let file = &work.join(layout::blob_name(&blob.digest)?);
        let fetch = || async {
            let mut body = self.client.pull_blob_stream(from, blob).await.map_err(|e| fault(&what, e))?;
            let mut out = tokio::fs::File::create(file).await.map_err(|e| unwritable(file, e))?;
            // The stream's last item is an error when the bytes are not those that the digest names.
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(|e| fault(&what, e.into()))?;
                out.write_all(&piece).await.map_err(|e| unwritable(file, e))?;
                meter.add(piece.len());
            }
            out.flush().await.map_err(|e| unwritable(file, e))?;
            Ok::<_, Fault>(())
        };
        twice(&format!("pulling {what}"), NEXT, note, fetch).await
    }

    /// A pinned digest that cannot be had: does the registry have the tag with another one?
    async fn explain(&self, pin: &ImagePin, e: Error, note: &Note) -> Error {
        let pinned = pin.digest.as_deref().unwrap_or_default();
        match self.digest(pin, note).await {
            Ok(found) if found != pinned => {
                Error::new(Code::DigestMismatch, format!("the registry has another {}", pin.reference))
                    .seen(format!("{found}, pinned {pinned}"))
                    .next("if the change is wanted: cargo xtask lock update; a mirror that converts images must keep digests")
            }
            _ => e,
        }
    }
}

const NEXT: &str = "see whether the registry runs and is reached (proxy, VPN), then run the same command again; \
                    what was pulled whole is kept. Or: --mirror HOST, --source packages";

struct Manifest {
    bytes: Vec<u8>,
    digest: String,
    parsed: OciManifest,
}
