//! Downloads against a local server: broken off, tried again, refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::*;

/// `sha256` of "hello", from `printf hello | sha256sum`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// A server that answers the first connection with the first text and so on, the last one for ever.
async fn server(answers: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/tool", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answers[count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
const BROKEN_OFF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhel";
const ABSENT: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("tool")
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(self.0.path()).unwrap().next().is_none()
    }
}

#[tokio::test]
async fn a_whole_file_is_kept_and_its_hash_told() {
    let (url, _) = server(&[WHOLE]).await;
    let folder = Folder::new();
    assert_eq!(download(&url, &folder.file(), None, &Note::silent()).await.unwrap(), HELLO);
    download(&url, &folder.file(), Some(&HELLO.to_uppercase()), &Note::silent()).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.file()).unwrap(), "hello");
}

#[tokio::test]
async fn another_file_than_the_pinned_one_is_refused_without_a_second_try() {
    let (url, asked) = server(&[WHOLE]).await;
    let folder = Folder::new();
    let pinned = "0".repeat(64);
    let e = download(&url, &folder.file(), Some(&pinned), &Note::silent()).await.unwrap_err();
    assert_eq!(e.code(), Code::DigestMismatch);
    assert!(e.to_string().contains(&format!("sha256 {HELLO}, pinned {pinned}")), "{e}");
    assert!(folder.is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_broken_connection_is_tried_once_more() {
    let (url, _) = server(&[BROKEN_OFF, WHOLE]).await;
    let folder = Folder::new();
    assert_eq!(download(&url, &folder.file(), Some(HELLO), &Note::silent()).await.unwrap(), HELLO);
}

#[tokio::test]
async fn a_server_that_breaks_off_twice_leaves_no_half_file() {
    let (url, asked) = server(&[BROKEN_OFF]).await;
    let folder = Folder::new();
    let e = download(&url, &folder.file(), Some(HELLO), &Note::silent()).await.unwrap_err();
    assert_eq!(e.code(), Code::ArtifactUnavailable);
    assert!(e.to_string().contains("failed twice"), "{e}");
    assert!(folder.is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_not_there_or_refused_is_said_at_once() {
    for (answer, words) in [
        (&[ABSENT], "answered 404 Not Found\n  next: correct its version and url"),
        (&[REFUSED], "answered 403 Forbidden\n  next: ask whoever runs that server"),
    ] {
        let (url, asked) = server(answer).await;
        let e = download(&url, &Folder::new().file(), None, &Note::silent()).await.unwrap_err();
        assert_eq!(e.code(), Code::ArtifactUnavailable);
        assert!(e.to_string().contains(words), "{e}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
