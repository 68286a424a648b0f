//! Writes container images without a container engine: a tar archive that `docker load` and
//! `ctr images import` both read (the docker-archive form; engines before 25 know no other).
//!
//! Layers are not compressed, so nobody unpacks them at import. Entries are sorted and dated 1970, so the same
//! files give the same digests on every machine, and everything belongs to root unless it says otherwise.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use crate::artifact::cache::hex;

/// The files of one layer, by their path in the image, without a leading slash.
#[derive(Clone, Debug, Default)]
pub struct Tree(BTreeMap<PathBuf, TarEntry>);

#[derive(Clone, Debug)]
struct TarEntry {
    node: Node,
    mode: u32,
    owner: u64,
}

#[derive(Clone, Debug)]
enum Node {
    Folder,
    Copy(PathBuf),
    Text(Vec<u8>),
    Link(PathBuf),
}

/// A layer that has been written to a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// The tar file.
    pub path: PathBuf,
    /// Its SHA-256, in hex.
    pub digest: String,
}

/// How a container of the image starts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    /// The program and its fixed arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Arguments that a manifest may replace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// `uid:gid`; empty for root.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Where it starts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// What stops it, if not SIGTERM.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
}

impl Tree {
    /// A folder.
    pub fn folder(&mut self, path: impl Into<PathBuf>, mode: u32, owner: u64) {
        self.put(path, Node::Folder, mode, owner);
    }

    /// A file with this content.
    pub fn text(&mut self, path: impl Into<PathBuf>, text: impl Into<Vec<u8>>, mode: u32) {
        self.put(path, Node::Text(text.into()), mode, 0);
    }

    /// A copy of a file of this machine.
    pub fn copy(&mut self, path: impl Into<PathBuf>, from: impl Into<PathBuf>, mode: u32) {
        self.put(path, Node::Copy(from.into()), mode, 0);
    }

    /// A symlink.
    pub fn link(&mut self, path: impl Into<PathBuf>, target: impl Into<PathBuf>) {
        self.put(path, Node::Link(target.into()), 0o777, 0);
    }

    /// Everything below a folder of this machine, put below `at`, where `keep` says so; modes stay.
    pub fn below(&mut self, at: &Path, from: &Path, keep: &dyn Fn(&Path) -> bool) -> io::Result<()> {
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            for found in std::fs::read_dir(from.join(&folder))? {
                let found = found?;
                let path = folder.join(found.file_name());
                if !keep(&path) {
                    continue;
                }
                let (kind, mode) = (found.file_type()?, found.metadata()?.permissions().mode() & 0o7777);
                if kind.is_dir() {
                    self.folder(at.join(&path), mode, 0);
                    folders.push(path);
                } else if kind.is_symlink() {
                    self.link(at.join(path), std::fs::read_link(found.path())?);
                } else if kind.is_file() {
                    self.copy(at.join(path), found.path(), mode);
                }
            }
        }
        Ok(())
    }

    /// The path of every entry.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// Takes one entry away.
    pub fn remove(&mut self, path: &Path) {
        self.0.remove(path);
    }

    fn put(&mut self, path: impl Into<PathBuf>, node: Node, mode: u32, owner: u64) {
        let path = path.into();
        // An engine makes missing folders by itself, but with rights of its own choice.
        for folder in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            let missing = TarEntry { node: Node::Folder, mode: 0o755, owner: 0 };
            self.0.entry(folder.to_path_buf()).or_insert(missing);
        }
        self.0.insert(path, TarEntry { node, mode, owner });
    }

    /// Writes the layer.
    pub fn write(&self, to: &Path) -> io::Result<Layer> {
        let mut hashing =
            Hashing { inner: BufWriter::with_capacity(1 << 20, File::create(to)?), hash: Sha256::new() };
        let mut tar = tar::Builder::new(&mut hashing);
        for (path, entry) in &self.0 {
            entry.append(path, &mut tar)?;
        }
        tar.finish()?;
        drop(tar);
        hashing.flush()?;
        Ok(Layer { path: to.to_path_buf(), digest: hex(&hashing.hash.finalize()) })
    }
}

impl TarEntry {
    fn append(&self, path: &Path, tar: &mut tar::Builder<impl Write>) -> io::Result<()> {
        let mut header = header(self.mode);
        header.set_uid(self.owner);
        header.set_gid(self.owner);
        match &self.node {
            Node::Folder => {
                header.set_entry_type(EntryType::Directory);
                tar.append_data(&mut header, path, io::empty())
            }
            Node::Copy(from) => {
                let file = File::open(from)
                    .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", from.display())))?;
                header.set_size(file.metadata()?.len());
                tar.append_data(&mut header, path, BufReader::with_capacity(1 << 20, file))
            }
            Node::Text(text) => {
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, path, text.as_slice())
            }
            Node::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                tar.append_link(&mut header, path, target)
            }
        }
    }
}

/// What the history of our images says, by which they are known wherever they come from.
pub const MAKER: &str = "vouchsafe";

/// Writes the archive of one image under one or several names and returns its id, `sha256:…`.
pub fn write_archive(to: &Path, names: &[&str], layers: &[&Layer], config: &Config) -> io::Result<String> {
    let description = serde_json::to_vec(&json!({
        "architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z", "config": config,
        "rootfs": {
            "type": "layers",
            "diff_ids": layers.iter().map(|l| format!("sha256:{}", l.digest)).collect::<Vec<_>>(),
        },
        "history": layers.iter().map(|_| json!({"created": "1970-01-01T00:00:00Z", "created_by": MAKER}))
            .collect::<Vec<_>>(),
    }))?;
    let id = hex(&Sha256::digest(&description));
    let manifest = serde_json::to_vec(&json!([{
        "Config": format!("{id}.json"), "RepoTags": names,
        "Layers": layers.iter().map(|l| format!("{}.tar", l.digest)).collect::<Vec<_>>(),
    }]))?;

    let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 20, File::create(to)?));
    // The small files first: a reader that streams knows what is coming.
    for (name, bytes) in [("manifest.json".to_owned(), manifest), (format!("{id}.json"), description)] {
        let mut header = header(0o644);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes.as_slice())?;
    }
    for layer in layers {
        let file = File::open(&layer.path)?;
        let mut header = header(0o644);
        header.set_size(file.metadata()?.len());
        tar.append_data(&mut header, format!("{}.tar", layer.digest), file)?;
    }
    tar.into_inner()?.flush()?;
    Ok(format!("sha256:{id}"))
}

fn header(mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

struct Hashing<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The SHA-256 of a file, in hex.
pub fn digest_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
#[path = "oci_tests.rs"]
mod tests;
