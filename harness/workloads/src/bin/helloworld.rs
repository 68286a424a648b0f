//! Istio's helloworld sample: `GET /hello` answers which version and which pod replied.
//!
//! Same port, path and wording as `samples/helloworld` of Istio, so that one manifest serves both sources.

use std::convert::Infallible;
use std::env;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", 5000)).await?;
    let mut stop = signal(SignalKind::terminate())?;
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = stop.recv() => return Ok(()),
        };
        tokio::spawn(async move {
            // A client that hangs up half-way is its own affair.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match request.uri().path() {
        "/hello" => (StatusCode::OK, greeting(&variable("SERVICE_VERSION"), &variable("HOSTNAME"))),
        "/health" => (StatusCode::OK, "Helloworld is healthy".to_owned()),
        _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    Ok(response)
}

fn greeting(version: &str, instance: &str) -> String {
    format!("Hello version: {version}, instance: {instance}\n")
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_greets_in_the_words_of_the_sample() {
        assert_eq!(super::greeting("v1", "pod-a"), "Hello version: v1, instance: pod-a\n");
    }
}
