//! Exec and port-forward against a WebSocket server that speaks the kubelet's channels.

use futures::{SinkExt as _, StreamExt as _};
use kube::{Client, Config};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::super::exec::{exec, exec_fed};
use super::super::forward;
use super::*;

type Socket = WebSocketStream<TcpStream>;

/// Accepts one WebSocket and hands it to `serve`; the client that reaches it.
async fn kubelet<F>(serve: impl FnOnce(Socket) -> F + Send + 'static) -> Client
where
    F: Future<Output = ()> + Send,
{
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let choose = |request: &Request, mut response: Response| {
            assert!(request.uri().path().starts_with("/api/v1/namespaces/sample/pods/curl-7d/"));
            response.headers_mut().insert("sec-websocket-protocol", "v5.channel.k8s.io".parse().unwrap());
            Ok(response)
        };
        serve(tokio_tungstenite::accept_hdr_async(stream, choose).await.unwrap()).await;
    });
    Client::try_from(Config::new(format!("http://{address}").parse().unwrap())).unwrap()
}

async fn send(socket: &mut Socket, channel: u8, bytes: &[u8]) {
    let mut frame = vec![channel];
    frame.extend_from_slice(bytes);
    socket.send(Message::binary(frame)).await.unwrap();
}

async fn receive(socket: &mut Socket) -> Vec<u8> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => return bytes.to_vec(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return Vec::new(),
        }
    }
}

#[tokio::test]
async fn the_exit_status_and_both_outputs_come_back() {
    let client = kubelet(|mut socket| async move {
        send(&mut socket, 1, &b"x".repeat(300_000)).await;
        send(&mut socket, 2, b"curl: (56) recv failure").await;
        let status = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "exit code 56",
            "details": {"causes": [{"reason": "ExitCode", "message": "56"}]}});
        send(&mut socket, 3, status.to_string().as_bytes()).await;
    })
    .await;
    let out = exec(&client, "sample", "curl-7d", "curl", &["curl", "helloworld:5000"]).await.unwrap();
    assert_eq!((out.status, out.stdout.len(), out.stderr.as_str()), (56, 300_000, "curl: (56) recv failure"));
}

/// Time runs on by itself only when nothing else can happen; a socket is something else, so the clock is moved by hand.
#[tokio::test]
async fn a_program_that_does_not_end_is_told_by_what_it_said_last() {
    let client = kubelet(|mut socket| async move {
        send(&mut socket, 1, b"waiting for the database\n").await;
        std::future::pending().await
    })
    .await;
    let running = tokio::spawn(async move { exec(&client, "sample", "curl-7d", "curl", &["migrate"]).await });
    // Until its words are here.
    crate::wait::pause_for(std::time::Duration::from_millis(500)).await;
    tokio::time::pause();
    tokio::time::advance(crate::patience::COMMAND.stretched()).await;
    let e = running.await.unwrap().unwrap_err();
    assert_eq!(e.code(), Code::TimedOut);
    assert_eq!(
        e.to_string(),
        "`migrate` in sample/curl-7d (curl) did not happen within 120 s\n  last seen: it has not ended, and said \
         last\n  waiting for the database"
    );
}

#[tokio::test]
async fn input_arrives_whole_and_closed() {
    let client = kubelet(|mut socket| async move {
        let mut input = Vec::new();
        loop {
            let frame = receive(&mut socket).await;
            match frame.split_first() {
                Some((0, bytes)) => input.extend_from_slice(bytes),
                // Channel 255 closes the one that it names.
                Some((255, [0])) => break,
                other => panic!("{other:?}"),
            }
        }
        send(&mut socket, 1, &input).await;
        send(&mut socket, 3, json!({"status": "Success"}).to_string().as_bytes()).await;
    })
    .await;
    let bundle = "bundle ".repeat(1000);
    let argv = ["spire-server", "bundle", "set"];
    let out = exec_fed(&client, "sample", "curl-7d", "curl", &argv, bundle.as_bytes()).await.unwrap();
    assert_eq!((out.status, out.stdout), (0, bundle));
}

#[tokio::test]
async fn a_program_that_does_not_start_is_an_error_and_not_a_status() {
    let client = kubelet(|mut socket| async move {
        let status = json!({"status": "Failure", "reason": "InternalError",
            "message": "exec: \"openssl\": executable file not found in $PATH"});
        send(&mut socket, 3, status.to_string().as_bytes()).await;
    })
    .await;
    let e = exec(&client, "sample", "curl-7d", "curl", &["openssl"]).await.unwrap_err();
    assert_eq!(
        e.to_string(),
        "cannot run `openssl` in sample/curl-7d (curl): exec: \"openssl\": executable file not found in $PATH"
    );
}

#[tokio::test]
async fn a_connection_that_breaks_is_not_an_exit_status() {
    let client = kubelet(|mut socket| async move { send(&mut socket, 1, b"half").await }).await;
    let e = exec(&client, "sample", "curl-7d", "curl", &["true"]).await.unwrap_err();
    assert!(e.to_string().ends_with("the connection ended before the program did"), "{e}");
}

#[tokio::test]
async fn a_program_that_does_not_read_its_input_may_end() {
    let client = kubelet(|mut socket| async move {
        send(&mut socket, 3, json!({"status": "Success"}).to_string().as_bytes()).await;
    })
    .await;
    let input = vec![0; 1 << 20];
    let out = exec_fed(&client, "sample", "curl-7d", "curl", &["true"], &input).await.unwrap();
    assert_eq!(out.status, 0);
}

/// Opens both channels of one port, reads the request and answers it.
async fn admin(mut socket: Socket, answer: String) {
    send(&mut socket, 0, &15000u16.to_le_bytes()).await;
    send(&mut socket, 1, &15000u16.to_le_bytes()).await;
    let request = receive(&mut socket).await;
    assert!(request[1..].starts_with(b"GET /config_dump HTTP/1.1\r\nhost: localhost\r\n"));
    for part in answer.as_bytes().chunks(32 << 10) {
        send(&mut socket, 0, part).await;
    }
    receive(&mut socket).await;
}

#[tokio::test]
async fn a_large_body_comes_through_the_forwarded_port() {
    let dump = "d".repeat(5 << 20);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{dump}", dump.len());
    let client = kubelet(|socket| admin(socket, answer)).await;
    let got = forward::get(&client, "sample", "curl-7d", 15000, "/config_dump").await.unwrap();
    assert_eq!(got.len(), dump.len());
}

#[tokio::test]
async fn a_refusing_page_is_an_error_with_its_words() {
    let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 15\r\n\r\nno such command".to_owned();
    let client = kubelet(|socket| admin(socket, answer)).await;
    let e = forward::get(&client, "sample", "curl-7d", 15000, "/config_dump").await.unwrap_err();
    assert_eq!(
        e.to_string(),
        "GET /config_dump from port 15000 of sample/curl-7d answered 404 Not Found\n  last seen:   no such command"
    );
}

#[tokio::test]
async fn a_port_where_nothing_listens_says_so() {
    let client = kubelet(|mut socket| async move {
        send(&mut socket, 0, &15000u16.to_le_bytes()).await;
        send(&mut socket, 1, &15000u16.to_le_bytes()).await;
        send(&mut socket, 1, b"an error occurred forwarding 15000: connection refused\n").await;
        receive(&mut socket).await;
    })
    .await;
    let e = forward::get(&client, "sample", "curl-7d", 15000, "/config_dump").await.unwrap_err();
    assert!(e.to_string().ends_with("failed: an error occurred forwarding 15000: connection refused"), "{e}");
}

#[tokio::test]
async fn half_a_body_is_an_error() {
    let client = kubelet(|mut socket| async move {
        send(&mut socket, 0, &15000u16.to_le_bytes()).await;
        send(&mut socket, 1, &15000u16.to_le_bytes()).await;
        receive(&mut socket).await;
        send(&mut socket, 0, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    })
    .await;
    let e = forward::get(&client, "sample", "curl-7d", 15000, "/config_dump").await.unwrap_err();
    assert_eq!(e.code(), Code::KubeFailed);
}
