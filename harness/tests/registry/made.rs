//! Small images and files to serve, made here.

use std::io::Write as _;
use std::path::Path;

use harness::artifact::cache::hex;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::manifest::{
    IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OciDescriptor, OciImageIndex, OciImageManifest,
    OciManifest,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::real::Registry;

/// An image of one layer.
pub struct Made {
    pub config: String,
    pub layer: String,
    pub manifest: OciImageManifest,
    blobs: [Vec<u8>; 2],
}

/// An image with one file of that many bytes that do not compress.
pub fn image(name: &[u8], size: usize) -> Made {
    let mut file = Vec::with_capacity(size);
    let mut block = Sha256::digest(name);
    while file.len() < size {
        file.extend_from_slice(&block);
        block = Sha256::digest(block);
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(file.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "file", file.as_slice()).unwrap();
    let tar = tar.into_inner().unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).unwrap();
    let layer = gz.finish().unwrap();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/file"] },
        "rootfs": { "type": "layers", "diff_ids": [digest(&tar)] },
    });
    let config = config.to_string().into_bytes();
    let descriptor = |media: &str, blob: &[u8]| OciDescriptor {
        media_type: format!("application/vnd.docker.{media}"),
        digest: digest(blob),
        size: blob.len().try_into().unwrap(),
        ..OciDescriptor::default()
    };
    let manifest = OciImageManifest {
        schema_version: 2,
        media_type: Some(IMAGE_MANIFEST_MEDIA_TYPE.into()),
        config: descriptor("container.image.v1+json", &config),
        layers: vec![descriptor("image.rootfs.diff.tar.gzip", &layer)],
        ..OciImageManifest::default()
    };
    Made { config: digest(&config), layer: digest(&layer), manifest, blobs: [config, layer] }
}

/// Pushes it under `name` and returns the digest that the registry gives it.
pub async fn push(registry: &Registry, name: &str, image: &Made) -> String {
    let (client, place) = client(registry, name).await;
    for blob in &image.blobs {
        client.push_blob(&place, blob.clone(), &digest(blob)).await.unwrap();
    }
    client.push_manifest(&place, &OciManifest::Image(image.manifest.clone())).await.unwrap();
    client.fetch_manifest_digest(&place, &RegistryAuth::Anonymous).await.unwrap()
}

/// Pushes an index of a foreign machine's image and one of ours.
pub async fn index(registry: &Registry, name: &str, foreign: &Made, ours: &Made) -> String {
    let mut manifests = Vec::new();
    for (architecture, image) in
        [("s390x", foreign), (if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }, ours)]
    {
        let digest = push(registry, name, image).await;
        let size = serde_json::to_vec(&image.manifest).unwrap().len();
        manifests.push(json!({
            "mediaType": IMAGE_MANIFEST_MEDIA_TYPE, "digest": digest, "size": size,
            "platform": { "architecture": architecture, "os": "linux" },
        }));
    }
    let index =
        json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE, "manifests": manifests });
    let index: OciImageIndex = serde_json::from_value(index).unwrap();
    let (client, place) = client(registry, name).await;
    client.push_manifest(&place, &OciManifest::ImageIndex(index)).await.unwrap();
    client.fetch_manifest_digest(&place, &RegistryAuth::Anonymous).await.unwrap()
}

/// The names that `docker load` and `ctr images import` read out of an archive.
pub fn names(archive: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in tar::Archive::new(std::fs::File::open(archive).unwrap()).entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        if path == "manifest.json" || path == "index.json" {
            let value: Value = serde_json::from_reader(entry).unwrap();
            let docker = value[0]["RepoTags"][0].as_str();
            let containerd = value["manifests"][0]["annotations"]["io.containerd.image.name"].as_str();
            names.extend(docker.or(containerd).map(str::to_owned));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// A file server that has everything: a `.tar.gz` with what is taken out of one, else the path's last part.
pub async fn files() -> String {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for member in ["istioctl", "manager-1/config/crd/bases/ids.yaml"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(member.len() as u64);
        tar.append_data(&mut header, member, member.as_bytes()).unwrap();
    }
    let archive = tar.into_inner().unwrap().finish().unwrap();
    serve(move |path| {
        if path.ends_with(".tar.gz") {
            archive.clone()
        } else {
            path.rsplit('/').next().unwrap_or_default().into()
        }
    })
    .await
}

/// Serves what `body` has for a path, and returns the base address.
pub async fn serve(body: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/files", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or_default();
            let path =
                String::from_utf8_lossy(&request[..read]).split(' ').nth(1).unwrap_or_default().to_owned();
            let body = body(&path);
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
    });
    base
}

pub async fn client(registry: &Registry, name: &str) -> (Client, Reference) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    let place: Reference = format!("{}/{name}", registry.address).parse().unwrap();
    client.auth(&place, &RegistryAuth::Anonymous, RegistryOperation::Push).await.unwrap();
    (client, place)
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}
