//! What the API server or the way to it said, in one sentence, and whether asking again can help.
//!
//! kube's errors print their causes inside their own text and again as sources; here each is said once.

use std::error::Error as StdError;
use std::future::Future;

use kube::Error as Fault;
use kube::runtime::watcher;

use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Code, Error, Result, patience};

/// The server's own words, or what broke on the way to it.
pub(crate) fn words(fault: &Fault) -> String {
    match fault {
        // What a path of no known kind answers, as plain text.
        Fault::Api(status) if status.message.trim() == "404 page not found" => {
            String::from("the API server knows no such kind")
        }
        Fault::Api(status) if !status.message.is_empty() => status.message.trim().to_owned(),
        Fault::Api(status) => format!("{} (status {})", status.reason, status.code),
        Fault::Service(cause) => no_answer(&**cause),
        Fault::HyperError(cause) => no_answer(cause),
        Fault::ReadEvents(cause) => no_answer(cause),
        other => other.to_string(),
    }
}

/// The same for a watch.
pub(super) fn watch_words(fault: &watcher::Error) -> String {
    match fault {
        watcher::Error::InitialListFailed(f)
        | watcher::Error::WatchStartFailed(f)
        | watcher::Error::WatchFailed(f) => words(f),
        watcher::Error::WatchError(status) => status.message.clone(),
        watcher::Error::NoResourceVersion => fault.to_string(),
    }
}

/// An error of ours about `what` (a fragment such as "cannot list pods").
pub(crate) fn failed(what: impl Into<String>, fault: &Fault) -> Error {
    Error::new(Code::KubeFailed, what).because(words(fault))
}

/// Whether the same request may succeed a moment later: the server is not up, is busy, or a webhook is not
/// ready. What it has read and refused stays refused.
pub(super) fn passes(fault: &Fault) -> bool {
    match fault {
        // An unknown field or a wrong type in a server-side apply is a 500 as well (seen with 1.34), for ever.
        Fault::Api(status) if status.message.starts_with("failed to create typed") => false,
        // 409: somebody else wrote first. 429: throttled. 5xx: "failed calling webhook", etcd electing a leader.
        Fault::Api(status) => matches!(status.code, 409 | 429 | 500..=599),
        Fault::Service(_) | Fault::HyperError(_) => true,
        _ => false,
    }
}

/// The words in which the API server refused what it had read: a finding. What may be otherwise a moment later (a
/// webhook or a server that is not there, a conflict) is no refusal.
///
/// # Errors
/// [`Code::KubeFailed`] about `what` for every such fault.
pub fn refusal(what: &str, fault: &Fault) -> Result<String> {
    match fault {
        Fault::Api(status) if !passes(fault) => Ok(status.message.clone()),
        _ => Err(failed(what, fault)),
    }
}

/// Asks until the answer is final. Every reason to ask again is told to `note`.
pub(super) async fn persist<T, F, Fut>(what: &str, note: &Note, mut ask: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Fault>>,
{
    wait::eventually(what, patience::STEP, note, || {
        let answer = ask();
        async { look(what, answer.await) }
    })
    .await
}

/// What one answer comes to: whether to ask again.
pub(super) fn look<T>(what: &str, answer: Result<T, Fault>) -> Look<T> {
    match answer {
        Ok(value) => Look::Ready(value),
        Err(fault) if passes(&fault) => Look::NotYet(words(&fault)),
        Err(fault) => Look::Never(failed(format!("{what} was refused"), &fault)),
    }
}

fn no_answer(cause: &(dyn StdError + 'static)) -> String {
    let mut deepest = cause;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    format!("the API server does not answer: {deepest}")
}
