//! The Kubernetes side against API servers made of a function: no cluster, no network.

use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::TryStreamExt as _;
use futures::stream::{self, BoxStream, StreamExt as _};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response};
use kube::Client;
use serde_json::{Value, json};

use crate::Code;

mod apply;
mod conditions;
mod pod;
mod snapshot;
mod sockets;
mod waits;

/// One request as the server saw it.
#[derive(Clone, Debug)]
struct Asked {
    /// "PATCH /api/v1/namespaces/x?…"
    line: String,
    content: String,
}

/// What the server does with it.
enum Answer {
    /// A status and a body.
    Is(u16, Value),
    /// Text, line by line, and then the end.
    Lines(Vec<String>),
    /// A watch: these events, and then silence.
    Watch(Vec<Value>),
    /// A watch: these events, and then the connection is reset.
    Reset(Vec<Value>),
    /// The connection breaks.
    Broken,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Answer::Is(200, body)
    }

    /// What an API server says when it refuses.
    fn refusal(code: u16, reason: &str, message: &str) -> Self {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": message});
        Answer::Is(code, status)
    }

    fn list(items: &[Value]) -> Self {
        Answer::ok(
            json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
        )
    }
}

type Log = Arc<Mutex<Vec<Asked>>>;

/// A client whose server answers with `answer`, and the record of what it was asked.
fn server(answer: impl FnMut(&Asked) -> Answer + Send + 'static) -> (Client, Log) {
    let log = Log::default();
    let (answer, record) = (Arc::new(Mutex::new(answer)), Arc::clone(&log));
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (answer, record) = (Arc::clone(&answer), Arc::clone(&record));
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let content = request.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
            request.into_body().collect().await.unwrap();
            let asked = Asked { line, content: content.unwrap_or_default() };
            record.lock().unwrap().push(asked.clone());
            let reset = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            let line = |event: Value| Ok(event.to_string() + "\n");
            let (status, frames): (u16, BoxStream<'static, std::io::Result<String>>) =
                match (answer.lock().unwrap())(&asked) {
                    Answer::Broken => {
                        return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
                    }
                    Answer::Is(status, body) => (status, stream::iter([Ok(body.to_string())]).boxed()),
                    Answer::Lines(lines) => (200, stream::iter(lines).map(|l| Ok(l + "\n")).boxed()),
                    Answer::Watch(events) => {
                        (200, stream::iter(events).map(line).chain(stream::pending()).boxed())
                    }
                    Answer::Reset(events) => {
                        let reset = stream::once(async move { Err(reset()) });
                        (200, stream::iter(events).map(line).chain(reset).boxed())
                    }
                };
            let body = StreamBody::new(frames.map_ok(|text| Frame::data(Bytes::from(text))));
            Ok(Response::builder().status(status).body(body).unwrap())
        }
    });
    (Client::new(service, "default"), log)
}

fn lines(log: &Log) -> Vec<String> {
    log.lock().unwrap().iter().map(|a| a.line.clone()).collect()
}

fn event(kind: &str, object: &Value) -> Value {
    json!({"type": kind, "object": object})
}

/// A server that takes a request and never answers: kube would wait for ever.
#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_has_an_end_and_is_named() {
    let silent = tower::service_fn(|_: Request<kube::client::Body>| async {
        std::future::pending::<Result<Response<kube::client::Body>, std::io::Error>>().await
    });
    let watched = tower::Layer::layer(&super::Asked { cluster: "c1".into() }, silent);
    let e = super::answers(&Client::new(watched, "default")).await.unwrap_err();
    assert!(e.to_string().contains("no answer to GET /api/v1/namespaces/kube-system in 75 s"), "{e}");
}

#[tokio::test]
async fn a_missing_kubeconfig_is_named() {
    let e = super::connect(Path::new("/nowhere/kubeconfig")).await.err().unwrap();
    assert_eq!(e.code(), Code::KubeFailed);
    assert!(e.to_string().starts_with("the kubeconfig /nowhere/kubeconfig cannot be used: "), "{e}");
}
