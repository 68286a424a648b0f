//! Whether a folder is what it was: a hash over its content, and what can be compared without reading it.

use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What is written beside an artifact.
pub(super) const STAMP: &str = "stamp.json";

/// A folder as it was made, without its stamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// SHA-256 over the path, the sort and the content of every file, and the target of every link.
    pub content: String,
    /// SHA-256 over what the file system says of them: size, time of the last write, inode.
    pub seen: String,
}

/// How much lies in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Files and symlinks.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What is there, without reading it.
///
/// # Errors
/// The file system's.
pub fn look(dir: &Path) -> std::io::Result<(Size, String)> {
    let (mut size, mut seen) = (Size::default(), Sha256::new());
    for file in files(dir)? {
        let found = std::fs::symlink_metadata(dir.join(&file))?;
        size.files += 1;
        size.bytes += found.len();
        seen.update(file.as_os_str().as_bytes());
        let told =
            [found.len(), found.ino(), found.mtime().cast_unsigned(), found.mtime_nsec().cast_unsigned()];
        told.iter().for_each(|number| seen.update(number.to_be_bytes()));
        seen.update(found.mode().to_be_bytes());
    }
    Ok((size, hex(&seen.finalize())))
}

/// What sort of file it is, and whether its owner may run it; the rest is up to who unpacked it, and with which umask.
const KIND_AND_RUN: u32 = 0o170_100;

/// The hash over all that is there.
///
/// # Errors
/// The file system's.
pub fn content(dir: &Path) -> std::io::Result<String> {
    let mut all = Sha256::new();
    for file in files(dir)? {
        let path = dir.join(&file);
        let found = std::fs::symlink_metadata(&path)?;
        all.update(file.as_os_str().as_bytes());
        all.update((found.mode() & KIND_AND_RUN).to_be_bytes());
        match found.file_type() {
            kind if kind.is_symlink() => all.update(std::fs::read_link(&path)?.as_os_str().as_bytes()),
            kind if kind.is_file() => all.update(hash(std::fs::File::open(&path)?)?),
            // Devices and sockets of a node's state: their mode has the kind.
            _ => {}
        }
    }
    Ok(hex(&all.finalize()))
}

/// SHA-256 of what a reader has.
///
/// # Errors
/// The reader's.
pub fn hash(mut from: impl Read) -> std::io::Result<[u8; 32]> {
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&piece[..read]),
        }
    }
}

/// Every file and symlink below `dir`, relative to it, in order.
pub fn files_below(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(dir.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// Bytes as hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn files(dir: &Path) -> std::io::Result<impl Iterator<Item = PathBuf>> {
    Ok(files_below(dir)?.into_iter().filter(|file| file != Path::new(STAMP)))
}
