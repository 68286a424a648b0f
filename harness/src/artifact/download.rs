//! Files by address: streamed to disk, hashed on the way, whole or not there at all.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::StatusCode;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::cache::hex;
use super::retry::{Fault, twice};
use crate::error::Context as _;
use crate::progress::Note;
use crate::{Code, Error, Result, patience};

/// A client for files and for the question whether a server is there.
///
/// # Errors
/// [`Code::Internal`] when this machine's trust store cannot be read.
pub fn client() -> Result<reqwest::Client> {
    with_provider();
    reqwest::Client::builder()
        .connect_timeout(patience::SILENCE.stretched())
        .read_timeout(patience::SILENCE.stretched())
        .user_agent(concat!("vouchsafe/", env!("CARGO_PKG_VERSION")))
        .build()
        .or_fail(Code::Internal, || "cannot set up a web client".to_owned())
}

/// Names the one provider of cryptography: the tree has only ring, and reqwest panics without a name.
pub(super) fn with_provider() {
    // An error says that it is named already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Downloads `url` to `file` and returns its SHA-256 as hex. A name of a file that exists is never half a file.
///
/// # Errors
/// [`Code::DigestMismatch`] when it is not what `sha256` says; [`Code::ArtifactUnavailable`] when the server
/// has it not, refuses it, or broke off twice; [`Code::CacheUnusable`] when it cannot be written.
pub async fn download(url: &str, file: &Path, sha256: Option<&str>, note: &Note) -> Result<String> {
    let client = client()?;
    let part = file.with_added_extension("part");
    let (client, part) = (&client, part.as_path());
    let next = "check the network and its proxy, then run the same command again";
    let found = twice(&format!("downloading {url}"), next, note, || attempt(client, url, part, note)).await;
    let found = match (found, sha256) {
        (Ok(found), Some(expected)) if found != expected.to_ascii_lowercase() => {
            Err(Error::new(Code::DigestMismatch, format!("{url} is not what manifests/lock.yaml pins"))
                .seen(format!("sha256 {found}, pinned {expected}"))
                .next("find out why it changed; `cargo xtask lock update` pins what is there now"))
        }
        (found, _) => found,
    };
    match found {
        Ok(found) => {
            tokio::fs::rename(part, file).await.or_fail(Code::CacheUnusable, || unwritten(file))?;
            Ok(found)
        }
        Err(e) => {
            // Its absence is what is wanted.
            let _ = tokio::fs::remove_file(part).await;
            Err(e)
        }
    }
}

async fn attempt(client: &reqwest::Client, url: &str, part: &Path, note: &Note) -> Result<String, Fault> {
    let answer = client.get(url).send().await.map_err(|e| broken(url, e))?;
    if !answer.status().is_success() {
        return Err(refused(url, answer.status()));
    }
    let meter = Meter::new(note, answer.content_length());
    let mut file = tokio::fs::File::create(part).await.map_err(|e| unwritable(part, e))?;
    let (mut hash, mut body) = (Sha256::new(), answer.bytes_stream());
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|e| broken(url, e))?;
        hash.update(&piece);
        file.write_all(&piece).await.map_err(|e| unwritable(part, e))?;
        meter.add(piece.len());
    }
    file.flush().await.map_err(|e| unwritable(part, e))?;
    let bytes = file.metadata().await.map_or(0, |found| found.len());
    tracing::info!(bytes, "downloaded {url}");
    Ok(hex(&hash.finalize()))
}

fn broken(url: &str, e: reqwest::Error) -> Fault {
    Fault::Passing(
        Error::new(Code::ArtifactUnavailable, format!("{url} could not be read")).because(e.without_url()),
    )
}

fn refused(url: &str, status: StatusCode) -> Fault {
    let error =
        |next: &str| Error::new(Code::ArtifactUnavailable, format!("{url} answered {status}")).next(next);
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            Fault::Final(error("correct its version and url in manifests/lock.yaml"))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Fault::Final(error("ask whoever runs that server, or use another source: --source packages"))
        }
        _ => Fault::Passing(error("try again later")),
    }
}

fn unwritten(file: &Path) -> String {
    format!("cannot write {}", file.display())
}

pub(super) fn unwritable(file: &Path, e: std::io::Error) -> Fault {
    Fault::Final(Error::new(Code::CacheUnusable, unwritten(file)).because(e))
}

/// Says how far a long download is, not oftener than people read; several streams may add to one.
pub(super) struct Meter<'a> {
    note: &'a Note,
    total: Option<u64>,
    seen: Mutex<(u64, Instant)>,
}

impl<'a> Meter<'a> {
    const EVERY: Duration = Duration::from_secs(2);

    pub(super) fn new(note: &'a Note, total: Option<u64>) -> Self {
        Self { note, total, seen: Mutex::new((0, Instant::now())) }
    }

    pub(super) fn add(&self, bytes: usize) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.0 += bytes as u64;
        if seen.1.elapsed() >= Self::EVERY {
            seen.1 = Instant::now();
            let of = self.total.map(|total| format!(" of {}", total >> 20)).unwrap_or_default();
            self.note.say(format!("{}{of} MiB", seen.0 >> 20));
        }
    }
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
