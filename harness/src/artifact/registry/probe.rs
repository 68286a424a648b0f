//! Whether the registries are there, in seconds: what decides between pulling for a minute and building for half
//! an hour.

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::StatusCode;

use super::reference::{is_loopback, registry};
use super::{Mirrors, Registry};
use crate::artifact::download;
use crate::{Code, Error, Result, patience, wait};

impl Registry<'_> {
    /// Asks every registry, or the mirror that stands for them, side by side. Returns why they cannot be used,
    /// or nothing when all of them answer.
    ///
    /// # Errors
    /// Only what has nothing to do with them: no client for HTTP can be made.
    pub async fn silence(&self) -> Result<Option<String>> {
        let client = download::client()?;
        let mut places = BTreeSet::new();
        for pin in self.lock.images.values() {
            places.insert(base(&pin.reference, self.mirrors));
        }
        let answers = join_all(places.iter().map(|place| ask(&client, place))).await;
        Ok(answers.into_iter().find_map(Result::err))
    }
}

fn base(reference: &str, mirrors: &Mirrors) -> String {
    let (plain, host) = match &mirrors.images {
        Some(mirror) => (mirror.is_plain(), mirror.host().to_owned()),
        None => {
            let host = registry(reference);
            (is_loopback(&host), host)
        }
    };
    format!("{}://{host}/v2/", if plain { "http" } else { "https" })
}

/// A registry answers its base address with 200, or with 401 when it wants a token first. Whatever else answers
/// there, a filtering proxy or a login page, is no registry.
async fn ask(client: &reqwest::Client, place: &str) -> Result<(), String> {
    let limit = patience::REGISTRY_ANSWER.stretched();
    match wait::glance(limit, client.get(place).send()).await {
        Some(Ok(answer)) if matches!(answer.status(), StatusCode::OK | StatusCode::UNAUTHORIZED) => Ok(()),
        Some(Ok(answer)) => Err(format!("{place} answered {}", answer.status())),
        Some(Err(e)) => {
            let silent = Error::new(Code::ArtifactUnavailable, format!("{place} does not answer"));
            Err(silent.because(e.without_url()).to_string())
        }
        None => Err(format!("{place} did not answer within {} s", limit.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::layout::Layout;
    use crate::lock::Lock;

    /// What is thought of a mirror that answers like this; an empty answer never comes.
    async fn silence(answer: &'static str) -> Option<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                if answer.is_empty() {
                    tokio::spawn(async move {
                        wait::pause_for(Duration::from_secs(60)).await;
                        drop(stream)
                    });
                } else {
                    let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    let _ = stream.write_all(head.as_bytes()).await;
                }
            }
        });
        at(&host).await
    }

    async fn at(host: &str) -> Option<String> {
        let lock = Lock::read(Path::new("../manifests")).unwrap();
        let mirrors = Mirrors { images: Some(host.parse().unwrap()), downloads: None };
        let layout = Layout { cache: "/nowhere".into(), repo: "..".into() };
        Registry::new(&lock, &mirrors, &layout).unwrap().silence().await.unwrap()
    }

    #[tokio::test]
    async fn a_registry_answers_openly_or_asks_for_a_token() {
        assert_eq!(silence("200 OK").await, None);
        assert_eq!(silence("401 Unauthorized").await, None);
    }

    #[tokio::test]
    async fn whatever_else_answers_is_no_registry() {
        let why = silence("403 Forbidden").await.unwrap();
        assert!(why.ends_with("/v2/ answered 403 Forbidden"), "{why}");
        let why = at("127.0.0.1:1").await.unwrap();
        assert!(why.starts_with("http://127.0.0.1:1/v2/ does not answer"), "{why}");
        assert!(why.contains("Connection refused"), "{why}");
    }

    #[tokio::test]
    async fn nobody_waits_long_for_silence() {
        let began = std::time::Instant::now();
        let why = silence("").await.unwrap();
        assert!(why.ends_with("did not answer within 3 s"), "{why}");
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
