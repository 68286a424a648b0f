//! An image as one tar file: the OCI layout that containerd imports, with the `manifest.json` that
//! `docker load` reads. `docker save` writes the same two since version 25.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciImageManifest, OciManifest};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::reference::parse;
use crate::artifact::Origin;
use crate::artifact::cache::hex;
use crate::artifact::packages::oci;
use crate::artifact::print;
use crate::error::Context as _;
use crate::{Code, Error, Result};

/// The layout's own version, which is part of the format and no pin of ours.
const LAYOUT: &str = concat!(r#"{"imageLayoutVersion":"1.0"#, r#".0"}"#);

/// What the registry answered with for the name, beside the archive: its index, or the manifest where there is none. The
/// lock pins its digest, and it names everything else.
pub(in crate::artifact) const SERVED: &str = "served.json";

/// The name and the manifest that an archive is written for.
pub(in crate::artifact) struct Descriptor {
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
pub(in crate::artifact) fn write(
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

/// Whether `archive` is what [`write()`] would have written for the image that the registry called `digest`, of which
/// `served` is what it answered with: then every byte of it follows from that digest.
///
/// # Errors
/// A sentence fragment that says what is not.
pub(in crate::artifact) fn follows(
    archive: &Path,
    reference: &str,
    digest: &str,
    served: &[u8],
) -> std::result::Result<(), String> {
    let other = |what: &str| format!("{what} is not what {digest} names");
    if format!("sha256:{}", hex(&Sha256::digest(served))) != digest {
        return Err(other(SERVED));
    }
    let named = match serde_json::from_slice(served).map_err(|_| other(SERVED))? {
        OciManifest::Image(_) => vec![digest.to_owned()],
        OciManifest::ImageIndex(index) => index.manifests.into_iter().map(|entry| entry.digest).collect(),
    };
    let mut tar = tar::Archive::new(File::open(archive).map_err(|e| e.to_string())?);
    let (mut found, mut manifests) = (BTreeMap::new(), Vec::new());
    for entry in tar.entries().map_err(|e| e.to_string())? {
        let mut entry = entry.map_err(|e| e.to_string())?;
        let path = entry.path().map_err(|e| e.to_string())?.display().to_string();
        let is_named =
            named.iter().any(|digest| path.strip_prefix("blobs/sha256/") == digest.strip_prefix("sha256:"));
        let hash = if is_named {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            let hash = hex(&Sha256::digest(&bytes));
            manifests.push(bytes);
            hash
        } else {
            hex(&print::hash(&mut entry).map_err(|e| e.to_string())?)
        };
        if found.insert(path.clone(), hash).is_some() {
            return Err(format!("{path} is in it twice"));
        }
    }
    let [bytes] = <[Vec<u8>; 1]>::try_from(manifests).map_err(|_| other("its manifest"))?;
    let image: OciImageManifest = serde_json::from_slice(&bytes).map_err(|_| other("its manifest"))?;
    let parts = Parts::of(&Descriptor { reference: reference.to_owned(), manifest: bytes }, &image)
        .map_err(|e| e.to_string())?;
    let own =
        [("oci-layout", LAYOUT.as_bytes()), ("index.json", &parts.index), ("manifest.json", &parts.docker)];
    let mut expected: BTreeMap<String, String> =
        own.iter().map(|(name, bytes)| ((*name).to_owned(), hex(&Sha256::digest(bytes)))).collect();
    let blobs =
        parts.blobs.into_iter().chain(parts.manifest.strip_prefix("blobs/sha256/").map(str::to_owned));
    expected.extend(blobs.map(|blob| (format!("blobs/sha256/{blob}"), blob)));
    let odd = expected.iter().find(|(path, hash)| found.get(*path) != Some(hash)).map(|(path, _)| path);
    match odd.or_else(|| found.keys().find(|path| !expected.contains_key(*path))) {
        Some(path) => Err(other(path)),
        None => Ok(()),
    }
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
