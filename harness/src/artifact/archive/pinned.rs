//! Whether the images and files of an archive are those that the lock pins. That they are whole says only that nobody
//! touched them since whoever made the archive; this says who that can have been.

use std::path::Path;

use super::refuse;
use crate::artifact::registry::{files, layout};
use crate::artifact::{Artifacts, Image, Origin};
use crate::lock::Lock;
use crate::{Code, Result};

/// Every byte of an image follows from its digest, and a file has its hash. What was built from packages is pinned
/// by nothing but its sources.
///
/// # Errors
/// [`Code::DigestMismatch`] naming the first that is another one.
pub(super) fn check(artifacts: &Artifacts, lock: &Lock) -> Result<()> {
    if artifacts.origin == Origin::Packages {
        return Ok(());
    }
    // It may have been made of other versions than the lock's first.
    let named = |role: &str| match role {
        "node" => Some(artifacts.node.reference.as_str()),
        _ => artifacts.images.get(role).map(|image| image.reference.as_str()),
    };
    let lock = &lock.of_images(named)?;
    let images = artifacts
        .images
        .iter()
        .map(|(role, image)| (role.as_str(), image))
        .chain([("node", &artifacts.node)]);
    for (role, image) in images {
        let Some(digest) = lock.images.get(role).and_then(|pin| pin.digest.as_deref()) else { continue };
        follows(image, digest).map_err(|why| other(&format!("image {role}"), why))?;
    }
    for (name, place) in artifacts.tools.iter().chain(&artifacts.manifests) {
        let Some(pin) = lock.downloads.get(name) else { continue };
        let dir = place.parent().unwrap_or(place);
        match files::is_pinned(name, pin, dir) {
            Ok(true) => {}
            Ok(false) => return Err(other(&format!("download {name}"), "it has another sha256".to_owned())),
            Err(e) => return Err(other(&format!("download {name}"), e.to_string())),
        }
    }
    Ok(())
}

fn follows(image: &Image, digest: &str) -> Result<(), String> {
    let served = image.archive.with_file_name(layout::SERVED);
    let served = std::fs::read(&served).map_err(|e| format!("{} cannot be read: {e}", shown(&served)))?;
    layout::follows(&image.archive, &image.reference, digest, &served)
}

fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().display().to_string()
}

fn other(what: &str, why: String) -> crate::Error {
    refuse(Code::DigestMismatch, format!("the archive's {what} is not what manifests/lock.yaml pins"))
        .seen(why)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use serde_json::{Value, json};
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::artifact::cache::hex;

    fn digest(bytes: &[u8]) -> String {
        format!("sha256:{}", hex(&Sha256::digest(bytes)))
    }

    /// An image of one layer as the registry source leaves it in `dir`, behind an index; and the index' digest.
    fn image(dir: &Path, layer: &str) -> (Image, String) {
        let config = json!({"architecture": "amd64", "os": "linux"}).to_string();
        let blob = |media: &str, bytes: &str| {
            std::fs::write(dir.join(&digest(bytes.as_bytes())[7..]), bytes).unwrap();
            json!({"mediaType": media, "digest": digest(bytes.as_bytes()), "size": bytes.len()})
        };
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("application/vnd.oci.image.config.v1+json", &config),
            "layers": [blob("application/vnd.oci.image.layer.v1.tar", layer)]});
        let bytes = manifest.to_string().into_bytes();
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{"mediaType": manifest["mediaType"], "digest": digest(&bytes), "size": bytes.len()}]});
        let index = index.to_string();
        std::fs::write(dir.join(layout::SERVED), &index).unwrap();
        let (reference, archive) = ("host.example/node:v1".to_owned(), dir.join("image.tar"));
        let named = layout::Descriptor { reference: reference.clone(), manifest: bytes };
        layout::write(&archive, &named, &serde_json::from_value(manifest).unwrap(), dir).unwrap();
        (Image { reference, archive, id: digest(config.as_bytes()) }, digest(index.as_bytes()))
    }

    fn artifacts(node: Image, kind: &Path) -> Artifacts {
        let tools = [("kind".to_owned(), kind.to_owned())].into();
        Artifacts { origin: Origin::Upstream, node, images: [].into(), tools, manifests: [].into() }
    }

    /// The lock with those pins, and no other.
    fn lock(node: &str, kind: &[u8]) -> Lock {
        let mut lock = Lock::read(Path::new("../manifests")).unwrap();
        lock.images.get_mut("node").unwrap().digest = Some(node.to_owned());
        let hash = Some(hex(&Sha256::digest(kind)));
        lock.downloads.get_mut("kind").unwrap().sha256.values_mut().for_each(|pin| pin.clone_from(&hash));
        lock
    }

    /// Writes the tar file anew, after a change of its members.
    fn forge(archive: &Path, change: impl Fn(&mut Vec<(String, Vec<u8>)>)) {
        let mut tar = tar::Archive::new(File::open(archive).unwrap());
        let mut members: Vec<_> = tar
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
                (path, bytes)
            })
            .collect();
        change(&mut members);
        let mut tar = tar::Builder::new(File::create(archive).unwrap());
        for (path, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path, bytes.as_slice()).unwrap();
        }
        tar.into_inner().unwrap().flush().unwrap();
    }

    #[test]
    fn what_the_lock_pins_is_taken_and_every_other_byte_is_refused() {
        let make = || {
            let dir = tempfile::tempdir().unwrap();
            let (node, digest) = image(dir.path(), "a layer");
            let kind = dir.path().join("kind");
            std::fs::write(&kind, "a program").unwrap();
            (lock(&digest, b"a program"), artifacts(node, &kind), dir)
        };
        let (pins, good, _dir) = make();
        check(&good, &pins).unwrap();

        type Change = fn(&mut Vec<(String, Vec<u8>)>);
        let forged: [(&str, Change); 5] = [
            ("another layer", |members| members.last_mut().unwrap().1 = b"no layer".to_vec()),
            ("one more blob", |members| members.push(("blobs/sha256/00".into(), Vec::new()))),
            ("one less", |members| drop(members.pop())),
            ("a layer twice", |members| members.push(members.last().unwrap().clone())),
            ("another name for docker load", |members| {
                let (_, docker) = members.iter_mut().find(|(path, _)| path == "manifest.json").unwrap();
                let mut value: Value = serde_json::from_slice(docker).unwrap();
                value[0]["RepoTags"] = json!(["host.example/other:v1"]);
                *docker = value.to_string().into_bytes();
            }),
        ];
        for (what, change) in forged {
            let (pins, artifacts, _dir) = make();
            forge(&artifacts.node.archive, change);
            let e = check(&artifacts, &pins).unwrap_err();
            let text = format!("{e:?}");
            assert!(
                text.starts_with("[digest-mismatch] the archive's image node is not what"),
                "{what}: {text}"
            );
        }
        // Another image, whole in itself.
        let (pins, mut artifacts, dir) = make();
        let elsewhere = dir.path().join("other");
        std::fs::create_dir(&elsewhere).unwrap();
        artifacts.node = image(&elsewhere, "theirs").0;
        let text = check(&artifacts, &pins).unwrap_err().to_string();
        assert!(text.contains("last seen: served.json is not what sha256:"), "{text}");
        // Another program.
        let (pins, artifacts, dir) = make();
        std::fs::write(dir.path().join("kind"), "b program").unwrap();
        let text = check(&artifacts, &pins).unwrap_err().to_string();
        assert!(text.contains("the archive's download kind is not what"), "{text}");
        // Ours are pinned by their sources alone.
        check(&Artifacts { origin: Origin::Packages, ..artifacts }, &pins).unwrap();
    }
}
