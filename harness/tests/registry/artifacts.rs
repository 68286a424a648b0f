//! What the packages source made, served as a mirror serves it: images from a real registry, downloads from a file
//! server.

use std::path::Path;

use futures::TryStreamExt as _;
use harness::artifact::{Artifacts, Image};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest, OciManifest};
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::made::{client, digest, serve};
use super::real::Registry;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Pushes every image, the node's under the name that the lock has for upstream's.
pub async fn push(registry: &Registry, artifacts: &Artifacts, node: &str) {
    let node = Image { reference: node.to_owned(), ..artifacts.node.clone() };
    for image in artifacts.images.values().chain([&node]) {
        let upstream: oci_client::Reference = image.reference.parse().unwrap();
        let name = format!("{}/{}:{}", upstream.registry(), upstream.repository(), upstream.tag().unwrap());
        push_one(registry, &name, &image.archive).await;
    }
}

/// A server that has the lock's downloads, made of the artifacts's tools and manifests. Returns its base address.
pub async fn downloads(artifacts: &Artifacts) -> String {
    let tool = |name: &str| std::fs::read(artifacts.tool(name).unwrap()).unwrap();
    let (kind, istioctl) = (tool("kind"), tgz([("istioctl".to_owned(), tool("istioctl"))]));
    let files = |name: &str| {
        let files =
            std::fs::read_dir(artifacts.manifest(name).unwrap()).unwrap().map(|file| file.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|e| e == "yaml")).collect::<Vec<_>>()
    };
    let inside = |file: &Path| format!("manager-1/config/crd/bases/{}", file.file_name().unwrap().display());
    let spire = tgz(files("spire-crds").iter().map(|file| (inside(file), std::fs::read(file).unwrap())));
    let gateway: Vec<_> =
        files("gateway-api-crds").iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let gateway = gateway.join("\n---\n").into_bytes();
    serve(move |path| match path {
        path if path.contains("kind-linux") => kind.clone(),
        path if path.contains("istioctl") => istioctl.clone(),
        path if path.contains("spire-controller-manager") => spire.clone(),
        _ => gateway.clone(),
    })
    .await
}

async fn push_one(registry: &Registry, name: &str, archive: &Path) {
    let unpacked = tempfile::tempdir().unwrap();
    tar::Archive::new(std::fs::File::open(archive).unwrap()).unpack(unpacked.path()).unwrap();
    let list: Value =
        serde_json::from_slice(&std::fs::read(unpacked.path().join("manifest.json")).unwrap()).unwrap();
    let file = |name: &Value| unpacked.path().join(name.as_str().unwrap());
    let config = std::fs::read(file(&list[0]["Config"])).unwrap();
    let about: Value = serde_json::from_slice(&config).unwrap();
    let (client, place) = client(registry, name).await;
    let described = |media: &str, digest: &str, size: u64| OciDescriptor {
        media_type: media.into(),
        digest: digest.into(),
        size: size.try_into().unwrap(),
        ..OciDescriptor::default()
    };
    let mut layers = Vec::new();
    let paths = list[0]["Layers"].as_array().unwrap();
    for (path, digest) in paths.iter().zip(about["rootfs"]["diff_ids"].as_array().unwrap()) {
        let (path, digest) = (file(path), digest.as_str().unwrap());
        layers.push(described(LAYER, digest, path.metadata().unwrap().len()));
        if !client.blob_exists(&place, digest).await.unwrap_or_default() {
            let open = tokio::fs::File::open(&path).await.unwrap();
            let bytes = ReaderStream::with_capacity(open, 1 << 20)
                .map_err(oci_client::errors::OciDistributionError::from);
            client.push_blob_stream(&place, bytes, digest, None).await.unwrap();
        }
    }
    let described = described(CONFIG, &digest(&config), config.len() as u64);
    client.push_blob(&place, config, &described.digest).await.unwrap();
    let manifest = OciImageManifest {
        schema_version: 2,
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.into()),
        config: described,
        layers,
        ..OciImageManifest::default()
    };
    client.push_manifest(&place, &OciManifest::Image(manifest)).await.unwrap();
}

fn tgz(members: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}
