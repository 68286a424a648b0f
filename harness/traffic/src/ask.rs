//! One request, on a connection of its own or on one that stays.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::told::Told;

/// Longer than a sidecar waits for a connection (10 s, Istio's default), so that its own words are heard.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether a connection is made for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// For each.
    New,
    /// One stays as long as it can, and is used again.
    Kept,
}

/// Whoever asks.
pub struct Client {
    address: SocketAddr,
    host: String,
    connection: Connection,
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Client {
    /// One that asks `http://<host>/hello` at that address: it looks up no name, which could fail for reasons of its own.
    pub fn of(address: SocketAddr, host: String, connection: Connection) -> Self {
        Self { address, host, connection, idle: Mutex::default() }
    }

    /// Asks once; what came of it.
    #[expect(clippy::disallowed_methods, reason = "it runs in a pod, where there is no harness::wait")]
    pub async fn ask(&self) -> Told {
        let (at, began) = (SystemTime::now(), Instant::now());
        let answer = match timeout(PATIENCE, self.answer()).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs()).into()),
        };
        let took = began.elapsed();
        match answer {
            Ok((status, said)) => Told { at, took, status, said },
            Err(why) => Told { at, took, status: 0, said: why.to_string() },
        }
    }

    async fn answer(&self) -> Result<(u16, String), Failure> {
        let mut sender = match self.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let request = Request::get("/hello").header("host", &self.host).body(Empty::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        if self.connection == Connection::Kept && sender.ready().await.is_ok() {
            self.idle().push(sender);
        }
        Ok((status, String::from_utf8_lossy(&body).trim().to_owned()))
    }

    /// A connection that is at rest, and not closed by the other end meanwhile.
    fn take(&self) -> Option<SendRequest<Empty<Bytes>>> {
        let mut idle = self.idle();
        while let Some(sender) = idle.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Empty<Bytes>>>> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, Failure> {
        let (sender, connection) = handshake(TokioIo::new(TcpStream::connect(self.address).await?)).await?;
        // Its end is seen by whoever sends on it.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers with how many connections it had.
    async fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for connection in 1.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut read = [0; 1024];
                    while let Ok(1..) = stream.read(&mut read).await {
                        let said = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{connection}");
                        stream.write_all(said.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn answers(connection: Connection) -> Vec<String> {
        let client = Client::of(server().await, "hello".into(), connection);
        let mut said = Vec::new();
        for _ in 0..3 {
            said.push(client.ask().await.said);
        }
        said
    }

    #[tokio::test]
    async fn a_connection_is_new_for_each_request_or_stays() {
        assert_eq!(answers(Connection::New).await, ["1", "2", "3"]);
        assert_eq!(answers(Connection::Kept).await, ["1", "1", "1"]);
    }

    #[tokio::test]
    async fn nobody_there_is_an_answer_of_its_own() {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let told = Client::of(nobody, "hello".into(), Connection::Kept).ask().await;
        assert_eq!(told.status, 0);
        assert!(told.said.contains("refused"), "{}", told.said);
    }
}
