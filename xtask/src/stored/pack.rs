//! A report as one file to send: a compressed tar file with the report's folder in it. The same files make the same
//! bytes, whoever packs them and when.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write as _};
use std::path::{Component, Path};

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use harness::{Code, Error, Result};
use tar::EntryType;

use super::{LIMIT, Stored, strange, too_large};

/// How every gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

impl Stored {
    /// All of it as one file, below a folder of that name.
    ///
    /// # Errors
    /// [`Code::Internal`]: it is written into memory.
    pub fn pack(&self, folder: &str) -> Result<Vec<u8>> {
        let pack = || -> std::io::Result<Vec<u8>> {
            // Without a time and a name of its own.
            let to = GzBuilder::new().write(Vec::new(), Compression::default());
            let mut tar = tar::Builder::new(to);
            for (name, content) in &self.files {
                let mut header = tar::Header::new_gnu();
                header.set_size(content.len() as u64);
                header.set_mode(0o644);
                header.set_mtime(0);
                tar.append_data(&mut header, format!("{folder}/{name}"), content.as_slice())?;
            }
            let mut to = tar.into_inner()?;
            to.flush()?;
            to.finish()
        };
        pack().map_err(|e| Error::internal(format!("cannot pack {}", self.name)).because(e))
    }

    /// Reads a packed report; nothing when it is no gzip file.
    pub(super) fn packed(path: &Path) -> Result<Option<Self>> {
        let name = path.display().to_string();
        let fail = |e| Error::new(Code::Usage, format!("cannot read {name}")).because(e);
        let mut from = BufReader::new(
            File::open(path)
                .map_err(|e| fail(e).next("name a report's folder, or a document below evidence/"))?,
        );
        let mut first = Vec::new();
        from.by_ref().take(2).read_to_end(&mut first).map_err(fail)?;
        if first != GZIP {
            return Ok(None);
        }
        unpacked(&name, first.as_slice().chain(from), LIMIT).map(Some)
    }
}

/// Into memory: whatever the archive says of sizes, no more than twice the limit is ever unpacked, and no more than that
/// kept.
pub(super) fn unpacked(name: &str, from: impl Read, limit: u64) -> Result<Stored> {
    let damaged = |e: std::io::Error| {
        Error::new(Code::Evidence, format!("{name} is no packed report, or it is truncated")).because(e)
    };
    let mut tar = tar::Archive::new(GzDecoder::new(from).take(2 * limit));
    let (mut folder, mut files, mut all) = (None, BTreeMap::new(), 0_u64);
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let told = path.display().to_string();
        match entry.header().entry_type() {
            EntryType::Regular => {}
            // Another tar writes them, too.
            EntryType::Directory => continue,
            _ => return Err(strange(name, &told, "it is no plain file")),
        }
        all = all.saturating_add(entry.size());
        if all > limit {
            return Err(too_large(name, limit));
        }
        let Some((above, file)) = split(&path) else {
            return Err(strange(name, &told, "its path leads out of the report's folder"));
        };
        if folder.get_or_insert_with(|| above.clone()) != &above {
            return Err(strange(name, &told, "it lies in another folder than the files before it"));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(damaged)?;
        if files.insert(file, content).is_some() {
            return Err(strange(name, &told, "it is there twice"));
        }
    }
    // Its own checksum comes last.
    std::io::copy(&mut tar.into_inner(), &mut std::io::sink()).map_err(damaged)?;
    Ok(Stored { name: name.to_owned(), files })
}

/// A member's folder, and its path below it. Only plain names: nothing leads out.
fn split(path: &Path) -> Option<(String, String)> {
    let mut names = path.components().map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let folder = names.next()??.to_owned();
    let names: Vec<&str> = names.collect::<Option<_>>()?;
    (!names.is_empty()).then(|| (folder, names.join("/")))
}
