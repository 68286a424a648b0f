//! Running a program in a container, over the API server's WebSocket.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Client;
use kube::api::{Api, AttachParams, AttachedProcess};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::fault;
use crate::cmd::Output;
use crate::wait::{self, Reached};
use crate::{Code, Error, Result, cmd, patience};

/// Runs `argv` and hands back whatever it said and returned: an exit status other than 0 is not an error here.
///
/// # Errors
/// [`Code::KubeFailed`] when there is no such pod, container or program; [`Code::TimedOut`] after
/// [`patience::COMMAND`].
pub async fn exec(client: &Client, ns: &str, pod: &str, container: &str, argv: &[&str]) -> Result<Output> {
    run(client, ns, pod, container, argv, None).await
}

/// Like [`exec`], with `stdin` fed to the program and closed.
///
/// # Errors
/// As [`exec`].
pub async fn exec_fed(
    client: &Client,
    ns: &str,
    pod: &str,
    container: &str,
    argv: &[&str],
    stdin: &[u8],
) -> Result<Output> {
    run(client, ns, pod, container, argv, Some(stdin)).await
}

async fn run(
    client: &Client,
    ns: &str,
    pod: &str,
    container: &str,
    argv: &[&str],
    stdin: Option<&[u8]>,
) -> Result<Output> {
    let what = format!("`{}` in {ns}/{pod} ({container})", argv.join(" "));
    // The default of 1 KiB makes a long reply crawl.
    let params =
        AttachParams::default().container(container).stdin(stdin.is_some()).max_stdout_buf_size(256 << 10);
    let api: Api<Pod> = Api::namespaced(client.clone(), ns);
    let reached = Reached::new("the API server has not opened a way to it");
    wait::within_telling(&what, patience::COMMAND, &reached, async {
        let process = api
            .exec(pod, argv.iter().copied(), &params)
            .await
            .map_err(|fault| fault::failed(format!("cannot run {what}"), &fault))?;
        reached.now("it was started, and has neither said anything nor ended");
        transcript(process, stdin, &reached)
            .await
            .map_err(|why| Error::new(Code::KubeFailed, format!("cannot run {what}")).because(why))
    })
    .await
}

/// Reads both outputs and writes the input at the same time, for neither may block the others.
///
/// The status decides when it is over. kube's pipes do not end when the connection breaks, and the one for
/// input does not end when the program has: whoever waits for those alone waits for ever.
async fn transcript(
    mut process: AttachedProcess,
    input: Option<&[u8]>,
    reached: &Reached,
) -> Result<Output, String> {
    let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
    let status = process.take_status();
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A program that does not read all of its input is free to end.
            let _ = stdin.write_all(input).await;
            let _ = stdin.shutdown().await;
        }
        std::future::pending().await
    };
    let status = async {
        match status {
            Some(status) => exit_of(status.await),
            None => exit_of(None),
        }
    };
    let (stdout, stderr, status) = tokio::select! {
        ended = async { tokio::try_join!(all_of(stdout, reached), all_of(stderr, reached), status) } => ended?,
        never = feed => never,
    };
    Ok(Output { status, stdout, stderr })
}

async fn all_of(reader: Option<impl AsyncRead + Unpin>, reached: &Reached) -> Result<String, String> {
    let mut bytes = Vec::new();
    if let Some(mut reader) = reader {
        // An in-memory pipe: it ends, it does not fail.
        while let Ok(1..) = reader.read_buf(&mut bytes).await {
            let end = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(1000)..]);
            reached.now(format!("it has not ended, and said last\n{}", cmd::tail(&end)));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The exit status from what the status channel said; anything else that it says is a failure to run at all.
pub(super) fn exit_of(status: Option<Status>) -> Result<i32, String> {
    let Some(status) = status else {
        return Err(String::from("the connection ended before the program did"));
    };
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.into_iter().flat_map(|d| d.causes.unwrap_or_default());
    let mut codes = causes.filter(|c| c.reason.as_deref() == Some("ExitCode")).filter_map(|c| c.message);
    match codes.next().and_then(|code| code.parse().ok()) {
        Some(code) => Ok(code),
        None => Err(status.message.unwrap_or_else(|| String::from("no reason given"))),
    }
}
