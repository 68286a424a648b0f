//! Asking across the mesh as a user would: curl, in its pod, with a request id of ours.

use kube::{Client, ResourceExt as _};

use crate::kube::exec::exec;
use crate::kube::pods::one_ready_pod;
use crate::{Code, Error, Result};
use proof::evidence::Reply;

/// Asks `http://<service>.istio-test:5000/hello` once, from the mesh's curl.
///
/// # Errors
/// [`Code::Evidence`] when curl could not be run at all; a refused request is a reply.
pub async fn ask(client: &Client, service: &str, request: &str) -> Result<Reply> {
    ask_from(client, "istio-test", "app=curl", service, request).await
}

/// As [`ask`], from a pod outside the mesh.
///
/// # Errors
/// As [`ask`].
pub async fn ask_from_outside(client: &Client, service: &str, request: &str) -> Result<Reply> {
    ask_from(client, "outside", "app=outsider", service, request).await
}

async fn ask_from(client: &Client, ns: &str, selector: &str, service: &str, request: &str) -> Result<Reply> {
    ask_url(client, (ns, selector, "curl"), &format!("http://{service}.istio-test:5000/hello"), request).await
}

/// Asks any address, from a container of a ready pod: namespace, labels, container.
///
/// # Errors
/// As [`ask`].
pub async fn ask_url(
    client: &Client,
    (ns, selector, container): (&str, &str, &str),
    url: &str,
    request: &str,
) -> Result<Reply> {
    let pod = one_ready_pod(client, ns, selector).await?.name_any();
    let header = format!("x-request-id: {request}");
    let argv = ["curl", "-sS", "-m", "10", "-w", "\n%{http_code}", "-H", &header, url];
    let said = exec(client, ns, &pod, container, &argv).await?;
    let (body, status) = said.stdout.rsplit_once('\n').unwrap_or((&said.stdout, "0"));
    let Ok(status) = status.trim().parse() else {
        let what = format!("curl in {ns}/{pod} printed no status for {url}");
        return Err(Error::new(Code::Evidence, what).seen(format!(
            "{} {}",
            said.stdout.trim(),
            said.stderr.trim()
        )));
    };
    let words = if body.is_empty() { said.stderr.trim() } else { body };
    Ok(Reply { request: request.to_owned(), status, body: words.to_owned(), exit: said.status })
}
