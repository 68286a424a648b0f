//! One HTTP exchange with a port inside a pod: Envoy's admin interface, istiod's debug pages.
//!
//! The port is reached on the pod's own loopback, so ports that listen on 127.0.0.1 only are reached too.

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, Portforwarder};

use super::fault;
use crate::error::Context as _;
use crate::wait::{self, Reached};
use crate::{Code, Error, Result, cmd, patience};

/// The body of a GET.
///
/// # Errors
/// [`Code::KubeFailed`] when nothing listens there, or for any status other than 2xx, with the body's end.
pub async fn get(client: &Client, ns: &str, pod: &str, port: u16, path: &str) -> Result<String> {
    exchange(client, ns, pod, port, Method::GET, path, Vec::new()).await
}

/// The body of the answer to a POST.
///
/// # Errors
/// As [`get`].
pub async fn post(
    client: &Client,
    ns: &str,
    pod: &str,
    port: u16,
    path: &str,
    body: impl Into<Vec<u8>>,
) -> Result<String> {
    exchange(client, ns, pod, port, Method::POST, path, body.into()).await
}

async fn exchange(
    client: &Client,
    ns: &str,
    pod: &str,
    port: u16,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<String> {
    let what = format!("{method} {path} from port {port} of {ns}/{pod}");
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Full::new(Bytes::from(body)))
        .or_fail(Code::Internal, || format!("`{path}` is not a path"))?;
    let reached = Reached::new("the API server has not opened a way to the port");
    wait::within_telling(&what, patience::COMMAND, &reached, async {
        let api: Api<Pod> = Api::namespaced(client.clone(), ns);
        let forwarder = api
            .portforward(pod, &[port])
            .await
            .map_err(|fault| fault::failed(format!("no way to port {port} of {ns}/{pod}"), &fault))?;
        reached.now("the way to the port is open, and nothing came through it");
        let (status, body) = through(forwarder, port, request, &reached)
            .await
            .map_err(|why| Error::new(Code::KubeFailed, format!("{what} failed")).because(why))?;
        if status.is_success() {
            return Ok(body);
        }
        Err(Error::new(Code::KubeFailed, format!("{what} answered {status}")).seen(cmd::tail(&body)))
    })
    .await
}

async fn through(
    mut forwarder: Portforwarder,
    port: u16,
    request: Request<Full<Bytes>>,
    reached: &Reached,
) -> Result<(StatusCode, String), String> {
    let (Some(stream), Some(refused)) = (forwarder.take_stream(port), forwarder.take_error(port)) else {
        return Err(String::from("no stream was opened"));
    };
    let answer = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
        let reply = async {
            let response = sender.send_request(request).await.map_err(said)?;
            let status = response.status();
            reached.now(format!("it answered {status}, and its body has not ended"));
            let body = response.into_body().collect().await.map_err(said)?.to_bytes();
            String::from_utf8(body.into()).map(|body| (status, body)).map_err(said)
        };
        tokio::select! {
            reply = reply => reply,
            // Without an upgrade a connection ends only after its exchange, or before it in failure.
            Err(broken) = connection => Err(said(broken)),
        }
    };
    let refusal = async {
        // Without a message the channel ended with the connection, and the exchange says why.
        match refused.await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        // The port's own refusal ("connection refused") says more than the broken exchange it causes.
        biased;
        message = refusal => Err(message.trim().to_owned()),
        answer = answer => answer,
    };
    forwarder.abort();
    outcome
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
