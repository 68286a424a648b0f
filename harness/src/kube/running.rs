//! A program in a container that goes on while its lines are read, until it is told to end: it hears that as the end of
//! its input.

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, AttachParams};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::exec::exit_of;
use super::fault;
use crate::patience::Limit;
use crate::{Code, Error, Result, wait};

/// A program at work.
#[must_use = "it ends when this is dropped"]
pub struct Running {
    what: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::result::Result<i32, String>>,
}

impl Running {
    /// Starts `argv`; each line that it writes is handed to `line`, as it comes.
    ///
    /// # Errors
    /// [`Code::KubeFailed`] when there is no such pod, container or program.
    pub async fn start(
        client: &Client,
        (namespace, pod, container): (&str, &str, &str),
        argv: &[&str],
        mut line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Self> {
        let what = format!("`{}` in {namespace}/{pod} ({container})", argv.join(" "));
        let params = AttachParams::default().container(container).stdin(true).max_stdout_buf_size(256 << 10);
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let process = api.exec(pod, argv.iter().copied(), &params).await;
        let mut process = process.map_err(|fault| fault::failed(format!("cannot run {what}"), &fault))?;
        let (stop, mut stopped) = oneshot::channel();
        let ended = tokio::spawn(async move {
            let (mut stdin, stdout) = (process.stdin(), process.stdout());
            let mut lines = stdout.map(|stdout| BufReader::new(stdout).lines());
            // kube's pipes do not end when the connection breaks: the status decides when it is over.
            let status = process.take_status();
            let mut status = std::pin::pin!(async {
                match status {
                    Some(status) => exit_of(status.await),
                    None => exit_of(None),
                }
            });
            loop {
                let next = async {
                    match &mut lines {
                        Some(lines) => lines.next_line().await.ok().flatten(),
                        None => None,
                    }
                };
                tokio::select! {
                    // What it wrote came before its end.
                    biased;
                    Some(told) = next => line(&told),
                    _ = &mut stopped, if stdin.is_some() => {
                        if let Some(mut stdin) = stdin.take() {
                            let _ = stdin.shutdown().await;
                        }
                    }
                    status = &mut status => return status,
                }
            }
        });
        Ok(Self { what, stop, ended })
    }

    /// Tells it to end, and waits for that.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it had ended by itself, or does not end: what it wrote is not all that there was to write.
    pub async fn stop(self, limit: Limit) -> Result<()> {
        let Self { what, stop, ended } = self;
        let early = ended.is_finished();
        let _ = stop.send(());
        let waited = format!("the end of {what}");
        let status = wait::within(&waited, limit, async {
            ended.await.map_err(|e| Error::internal(format!("reading {what}")).because(e))
        })
        .await?;
        match status {
            Ok(0) if !early => Ok(()),
            Ok(status) => {
                Err(Error::new(Code::Evidence, format!("{what} ended by itself, with status {status}")))
            }
            Err(why) => Err(Error::new(Code::Evidence, format!("{what} was cut off")).because(why)),
        }
    }
}
