//! HTTP exchanges with a port inside a pod: Envoy's admin interface, istiod's debug pages.
//!
//! The port is reached on the pod's own loopback, so ports that listen on 127.0.0.1 only are reached too.

use futures::FutureExt as _;
use futures::future::{BoxFuture, Fuse};
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
    let request = request(method, path, body)?;
    let reached = Reached::new("the API server has not opened a way to the port");
    wait::within_telling(&what, patience::COMMAND, &reached, async {
        let mut connection = Connection::open(client, ns, pod, port).await?;
        reached.now("the way to the port is open, and nothing came through it");
        connection.body_of(request, &what, &reached).await
    })
    .await
}

/// A way to a port inside a pod that stays open between exchanges; closed when dropped.
pub(crate) struct Connection {
    forwarder: Portforwarder,
    sender: http1::SendRequest<Full<Bytes>>,
    /// What is between us and the port, for as long as it holds.
    transport: Fuse<BoxFuture<'static, hyper::Result<()>>>,
    /// The port's own refusal ("connection refused").
    refusal: Fuse<BoxFuture<'static, String>>,
}

impl Connection {
    /// Opens it; whether anybody listens there the first exchange tells.
    ///
    /// # Errors
    /// [`Code::KubeFailed`] when the API server opens no way.
    pub(crate) async fn open(client: &Client, ns: &str, pod: &str, port: u16) -> Result<Self> {
        let what = || format!("no way to port {port} of {ns}/{pod}");
        let api: Api<Pod> = Api::namespaced(client.clone(), ns);
        let mut forwarder =
            api.portforward(pod, &[port]).await.map_err(|fault| fault::failed(what(), &fault))?;
        let (Some(stream), Some(refused)) = (forwarder.take_stream(port), forwarder.take_error(port)) else {
            return Err(Error::new(Code::KubeFailed, what()).because("no stream was opened"));
        };
        let (sender, transport) =
            http1::handshake(TokioIo::new(stream)).await.or_fail(Code::KubeFailed, what)?;
        let refusal = async {
            // Without a message the channel ended with the transport, and the exchange says why.
            match refused.await {
                Some(message) => message.trim().to_owned(),
                None => std::future::pending().await,
            }
        };
        let (transport, refusal) = (transport.boxed().fuse(), refusal.boxed().fuse());
        Ok(Self { forwarder, sender, transport, refusal })
    }

    /// The body of a GET of what answers 2xx.
    ///
    /// # Errors
    /// [`Code::KubeFailed`] for anything else; then this connection is of no more use.
    pub(crate) async fn get(&mut self, path: &str) -> Result<String> {
        let (request, reached) = (request(Method::GET, path, Vec::new())?, Reached::new("no answer"));
        let what = format!("GET {path}");
        wait::within_telling(&what, patience::ATTEMPT, &reached, self.body_of(request, &what, &reached)).await
    }

    async fn body_of(
        &mut self,
        request: Request<Full<Bytes>>,
        what: &str,
        reached: &Reached,
    ) -> Result<String> {
        let sent = self.send(request, reached).await;
        match sent.map_err(|why| Error::new(Code::KubeFailed, format!("{what} failed")).because(why))? {
            (status, body) if status.is_success() => Ok(body),
            (status, body) => {
                Err(Error::new(Code::KubeFailed, format!("{what} answered {status}")).seen(cmd::tail(&body)))
            }
        }
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        reached: &Reached,
    ) -> Result<(StatusCode, String), String> {
        let Self { sender, transport, refusal, .. } = self;
        let reply = async {
            let response = sender.send_request(request).await.map_err(said)?;
            let status = response.status();
            reached.now(format!("it answered {status}, and its body has not ended"));
            let body = response.into_body().collect().await.map_err(said)?.to_bytes();
            String::from_utf8(body.into()).map(|body| (status, body)).map_err(said)
        };
        tokio::select! {
            // The port's own refusal says more than the broken exchange that it causes.
            biased;
            message = refusal => Err(message),
            reply = reply => reply,
            // Without an upgrade a connection ends only after its exchange, or before it in failure.
            Err(broken) = transport => Err(said(broken)),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

fn request(method: Method, path: &str, body: Vec<u8>) -> Result<Request<Full<Bytes>>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Full::new(Bytes::from(body)))
        .or_fail(Code::Internal, || format!("`{path}` is not a path"))
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
