//! Every request to an API server: written into the log, and given an end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use kube::client::Body;
use percent_encoding::percent_decode_str;
use tower::{BoxError, Layer, Service};

use crate::{log, patience, wait};

/// Watches the requests of one client.
#[derive(Clone)]
pub(super) struct Asked {
    /// Whose API server it is, for the log.
    pub(super) cluster: Arc<str>,
}

/// A service with its requests watched.
#[derive(Clone)]
pub(super) struct Watched<S> {
    inner: S,
    cluster: Arc<str>,
}

impl<S> Layer<S> for Asked {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, cluster: Arc::clone(&self.cluster) }
    }
}

impl<S, B> Service<hyper::Request<Body>> for Watched<S>
where
    S: Service<hyper::Request<Body>, Response = hyper::Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = hyper::Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: hyper::Request<Body>) -> Self::Future {
        let (method, cluster, began) = (request.method().clone(), Arc::clone(&self.cluster), Instant::now());
        let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let path = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let limit = patience::API_ANSWER.stretched();
            let answer = match wait::glance(limit, answer).await {
                Some(answer) => answer.map_err(Into::into),
                None => Err(format!("no answer to {method} {path} in {} s", limit.as_secs()).into()),
            };
            let ms = log::ms(began.elapsed());
            match &answer {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    tracing::debug!(cluster = &*cluster, status, ms, "{method} {path}");
                }
                Err(fault) => tracing::debug!(cluster = &*cluster, %fault, ms, "{method} {path}"),
            }
            answer
        })
    }
}
