//! Asking across the mesh as a user would: curl, in its pod, with a request id of ours.

use kube::{Client, ResourceExt as _};

use crate::cmd::Output;
use crate::kube::exec::exec;
use crate::kube::pods::one_ready_pod;
use crate::{Code, Error, Result};
use proof::evidence::Reply;

/// Envoy's admin port, on loopback inside the pod.
pub const ENVOY_ADMIN: u16 = 15000;

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
    reply(request, &said).ok_or_else(|| {
        Error::new(Code::Evidence, format!("curl in {ns}/{pod} printed no status for {url}")).seen(format!(
            "exit status {}: {} {}",
            said.status,
            said.stdout.trim(),
            said.stderr.trim()
        ))
    })
}

/// What curl brought back. It prints a status at the end of every request, 000 when nobody answered; without one it did
/// not come to that end, and nothing was refused.
fn reply(request: &str, said: &Output) -> Option<Reply> {
    let (body, status) = said.stdout.rsplit_once('\n')?;
    let status = status.trim().parse().ok()?;
    let words = if body.is_empty() { said.stderr.trim() } else { body };
    Some(Reply { request: request.to_owned(), status, body: words.to_owned(), exit: said.status })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: i32, stdout: &str, stderr: &str) -> Output {
        Output { status, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
    }

    #[test]
    fn a_curl_that_was_ended_is_no_refusal() {
        assert!(reply("r", &said(137, "", "")).is_none());
        assert!(reply("r", &said(127, "", "curl: not found")).is_none());
        let refused = reply("r", &said(7, "\n000", "curl: (7) Failed to connect\n")).unwrap();
        assert_eq!((refused.status, refused.exit, &*refused.body), (0, 7, "curl: (7) Failed to connect"));
        let answered = reply("r", &said(0, "Hello version: v1\n\n200", "")).unwrap();
        assert_eq!((answered.status, &*answered.body), (200, "Hello version: v1\n"));
    }
}
