//! An image as one tar file: the OCI layout that containerd imports, with the `manifest.json` that
//! `docker load` reads. `docker save` writes the same two since version 25.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciImageManifest};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::reference::parse;
use crate::artifact::Origin;
use crate::artifact::cache::hex;
use crate::artifact::packages::oci;
use crate::error::Context as _;
use crate::{Code, Error, Result};

/// The layout's own version, which is part of the format and no pin of ours.
const LAYOUT: &str = concat!(r#"{"imageLayoutVersion":"1.0"#, r#".0"}"#);

/// The name and the manifest that an archive is written for.
pub(super) struct Descriptor {
    pub reference: String,
    pub manifest: Vec<u8>,
}

/// The name under which a blob lies in the work folder and in the archive.
///
/// # Errors
/// [`Code::ArtifactUnavailable`] for a digest that is none, before it becomes a file name.
pub(super) fn blob_name(digest: &str) -> Result<&str> {
    match digest.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(hex),
        _ => Err(Error::new(Code::ArtifactUnavailable, format!("`{digest}` is no SHA-256 digest"))),
    }
}

/// Who built it: the images of the packages source say so in their history, and keep saying so in the registry of
/// somebody who pushed them there.
pub(super) fn origin(blobs: &Path, image: &OciImageManifest) -> Result<Origin> {
    let path = blobs.join(blob_name(&image.config.digest)?);
    let unreadable = || format!("cannot read {}", path.display());
    let bytes = std::fs::read(&path).or_fail(Code::CacheUnusable, unreadable)?;
    let config: Value = serde_json::from_slice(&bytes).or_fail(Code::ArtifactUnavailable, unreadable)?;
    let ours =
        config["history"].as_array().is_some_and(|steps| steps.iter().any(|s| s["created_by"] == oci::MAKER));
    Ok(if ours { Origin::Packages } else { Origin::Upstream })
}

/// Writes `archive` from the blobs in `blobs`.
pub(super) fn write(
    archive: &Path,
    named: &Descriptor,
    image: &OciImageManifest,
    blobs: &Path,
) -> Result<()> {
    let fail = || format!("cannot write {}", archive.display());
    let parts = Parts::of(named, image)?;
    let write = || -> std::io::Result<()> {
        let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 20, File::create(archive)?));
        append(&mut tar, "oci-layout", LAYOUT.as_bytes(), LAYOUT.len() as u64)?;
        append(&mut tar, "index.json", parts.index.as_slice(), parts.index.len() as u64)?;
        append(&mut tar, "manifest.json", parts.docker.as_slice(), parts.docker.len() as u64)?;
        append(&mut tar, &parts.manifest, named.manifest.as_slice(), named.manifest.len() as u64)?;
        for blob in &parts.blobs {
            let file = File::open(blobs.join(blob))?;
            let size = file.metadata()?.len();
            append(&mut tar, &format!("blobs/sha256/{blob}"), file, size)?;
        }
        tar.into_inner()?.flush()
    };
    write().or_fail(Code::CacheUnusable, fail)
}

struct Parts {
    index: Vec<u8>,
    docker: Vec<u8>,
    manifest: String,
    /// A layer may occur twice in an image and is stored once.
    blobs: BTreeSet<String>,
}

impl Parts {
    fn of(named: &Descriptor, image: &OciImageManifest) -> Result<Self> {
        let path = |digest: &str| blob_name(digest).map(|hex| format!("blobs/sha256/{hex}"));
        let name = parse(&named.reference)?;
        let digest = hex(&Sha256::digest(&named.manifest));
        let index = json!({
            "schemaVersion": 2,
            "manifests": [{
                "mediaType": image.media_type.as_deref().unwrap_or(OCI_IMAGE_MEDIA_TYPE),
                "digest": format!("sha256:{digest}"),
                "size": named.manifest.len(),
                "annotations": {
                    "io.containerd.image.name": name.whole(),
                    "org.opencontainers.image.ref.name": name.tag(),
                },
            }],
        });
        let layers = image.layers.iter().map(|layer| path(&layer.digest)).collect::<Result<Vec<_>>>()?;
        let docker = json!([{
            "Config": path(&image.config.digest)?,
            "RepoTags": [named.reference],
            "Layers": layers,
        }]);
        let all = image.layers.iter().chain([&image.config]);
        Ok(Self {
            index: index.to_string().into_bytes(),
            docker: docker.to_string().into_bytes(),
            manifest: format!("blobs/sha256/{digest}"),
            blobs: all.map(|blob| blob_name(&blob.digest).map(str::to_owned)).collect::<Result<_>>()?,
        })
    }
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, data: impl Read, size: u64) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, path, data)
}
