//! What containers wrote, and waiting for a line of it.

use std::time::Duration;

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, LogParams};
use tokio::time::{Instant, timeout_at};

use super::fault;
use crate::progress::Note;
use crate::{Error, Result, patience, wait};

/// The log of one container, as much of it as `params` ask for (`previous`, `tail_lines`, `since_seconds` …).
///
/// # Errors
/// [`crate::Code::KubeFailed`] with the kubelet's words, for instance when there is no previous container.
pub async fn logs(client: &Client, ns: &str, pod: &str, params: &LogParams) -> Result<String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), ns);
    let container = params.container.as_deref().unwrap_or("its container");
    api.logs(pod, params)
        .await
        .map_err(|fault| fault::failed(format!("cannot read the log of {ns}/{pod} ({container})"), &fault))
}

/// Where to look for a line.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The pod.
    pub pod: &'a str,
    /// The container.
    pub container: &'a str,
}

/// The first line of which `pick` makes something: lines of the last `back` first, then those to come.
///
/// When the stream breaks it is opened again from the same moment, so `pick` may see a line twice.
///
/// # Errors
/// [`crate::Code::TimedOut`] about `what`, with how many lines there were and the last of them.
pub async fn first_line<T>(
    client: &Client,
    of: Container<'_>,
    back: Duration,
    what: &str,
    deadline: Duration,
    note: &Note,
    mut pick: impl FnMut(&str) -> Option<T>,
) -> Result<T> {
    let began = Instant::now();
    let end = began + patience::stretched(deadline);
    let mut seen = Tally::default();
    let reading = async {
        loop {
            // Seconds are all that the API takes: one more, so that rounding loses no line.
            let since = (back + began.elapsed()).as_secs() + 1;
            match read(client, of, since, &mut seen, &mut pick).await {
                Ok(Some(found)) => return found,
                Ok(None) => {}
                Err(error) => seen.trouble(error, what, note),
            }
            wait::pause_for(patience::PAUSE).await;
        }
    };
    match timeout_at(end, reading).await {
        Ok(found) => Ok(found),
        Err(_) => Err(wait::timed_out(what, patience::stretched(deadline), seen.told(of))),
    }
}

async fn read<T>(
    client: &Client,
    of: Container<'_>,
    since: u64,
    seen: &mut Tally,
    pick: &mut impl FnMut(&str) -> Option<T>,
) -> Result<Option<T>> {
    let Container { namespace, pod, container } = of;
    let params = LogParams {
        container: Some(container.to_owned()),
        follow: true,
        since_seconds: i64::try_from(since).ok(),
        ..LogParams::default()
    };
    let cannot = || format!("cannot follow the log of {namespace}/{pod} ({container})");
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let stream = api.log_stream(pod, &params).await.map_err(|fault| fault::failed(cannot(), &fault))?;
    let mut lines = stream.lines();
    while let Some(line) =
        lines.try_next().await.map_err(|e| Error::new(crate::Code::KubeFailed, cannot()).because(e))?
    {
        if let Some(found) = pick(&line) {
            return Ok(Some(found));
        }
        seen.lines += 1;
        seen.last = line;
    }
    Ok(None)
}

/// What was read so far, for the error.
#[derive(Default)]
struct Tally {
    lines: usize,
    last: String,
    trouble: Option<String>,
}

impl Tally {
    fn trouble(&mut self, error: Error, what: &str, note: &Note) {
        let words = error.to_string();
        if self.trouble.as_ref() != Some(&words) {
            note.say(format!("{what}: {words}"));
            self.trouble = Some(words);
        }
    }

    fn told(self, of: Container<'_>) -> String {
        let Container { namespace, pod, container } = of;
        let last: String = self.last.chars().take(300).collect();
        match (self.lines, self.trouble) {
            (0, Some(trouble)) => trouble,
            (0, None) => format!("no line at all in the log of {namespace}/{pod} ({container})"),
            (n, _) => {
                format!("{n} lines of {namespace}/{pod} ({container}), none of them it; the last: {last}")
            }
        }
    }
}
