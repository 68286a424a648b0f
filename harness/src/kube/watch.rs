//! Waiting on one object by watching it: nothing is polled, and a server that restarts is watched again.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::conditions::Standing;
use super::fault::watch_words;
use crate::patience::Limit;
use crate::progress::Note;
use crate::wait::Deadline;
use crate::{Error, Result, patience};

/// What can be watched.
pub trait Watched: Resource + Clone + DeserializeOwned + Debug + Send + 'static {}
impl<K: Resource + Clone + DeserializeOwned + Debug + Send + 'static> Watched for K {}

/// Waits until the object exists and `standing` finds it ready; hands it back as it was then.
///
/// # Errors
/// [`crate::Code::TimedOut`] about `what`, with the last reason.
pub async fn until<K: Watched>(
    api: &Api<K>,
    name: &str,
    what: &str,
    limit: Limit,
    note: &Note,
    standing: impl Fn(&K) -> Standing,
) -> Result<K> {
    let judge = |object: Option<K>| match object {
        None => Err(String::from("it does not exist")),
        Some(object) => match standing(&object) {
            Standing::Ready => Ok(object),
            Standing::Not(why) => Err(why),
        },
    };
    follow(object(api.clone(), name), what, limit, note, judge).await
}

/// Waits until the object with this `uid` is gone. Another of the same name is not it.
///
/// # Errors
/// [`crate::Code::TimedOut`] about `what`, with the finalizers that hold it.
pub async fn gone<K: Watched>(
    api: &Api<K>,
    name: &str,
    uid: &str,
    what: &str,
    limit: Limit,
    note: &Note,
) -> Result<()> {
    let judge = |object: Option<K>| match object {
        Some(object) if object.uid().as_deref() == Some(uid) => Err(match object.finalizers() {
            [] => String::from("it is still there"),
            held => format!("it is still there, held by {}", held.join(", ")),
        }),
        _ => Ok(()),
    };
    follow(object(api.clone(), name), what, limit, note, judge).await
}

/// Looks at every state until `judge` accepts one; `Err` is the reason why not.
async fn follow<S, T>(
    states: impl Stream<Item = watcher::Result<S>>,
    what: &str,
    limit: Limit,
    note: &Note,
    mut judge: impl FnMut(S) -> std::result::Result<T, String>,
) -> Result<T> {
    let deadline = Deadline::after(limit);
    let mut states = pin!(states);
    let mut seen = Seen::new(what, note);
    loop {
        match deadline.bounds(states.next()).await {
            None => return Err(deadline.timed_out(what, seen.last)),
            Some(None) => return Err(Error::internal(format!("the watch of {what} ended"))),
            Some(Some(Err(fault))) => seen.learn(watch_words(&fault)),
            Some(Some(Ok(state))) => match judge(state) {
                Ok(found) => {
                    tracing::debug!("waited for {what}");
                    return Ok(found);
                }
                Err(why) => seen.learn(why),
            },
        }
    }
}

/// The last reason, told once when it changes.
pub(super) struct Seen<'a> {
    what: &'a str,
    note: &'a Note,
    pub(super) last: String,
}

impl<'a> Seen<'a> {
    pub(super) fn new(what: &'a str, note: &'a Note) -> Self {
        Self { what, note, last: String::from("the API server has not answered yet") }
    }

    pub(super) fn learn(&mut self, why: String) {
        if why != self.last {
            self.note.say(format!("{}: {why}", self.what));
            self.last = why;
        }
    }
}

/// Every state of one object, `None` while it does not exist.
pub(super) fn object<K: Watched>(
    api: Api<K>,
    name: &str,
) -> impl Stream<Item = watcher::Result<Option<K>>> + use<K> {
    let mut listed = false;
    events(api, watcher::Config::default().fields(&format!("metadata.name={name}"))).filter_map(
        move |event| {
            let state = match event {
                Ok(Event::Init) => {
                    listed = false;
                    None
                }
                Ok(Event::InitApply(object)) => {
                    listed = true;
                    Some(Ok(Some(object)))
                }
                Ok(Event::InitDone) => (!listed).then_some(Ok(None)),
                Ok(Event::Apply(object)) => Some(Ok(Some(object))),
                Ok(Event::Delete(_)) => Some(Ok(None)),
                Err(fault) => Some(Err(fault)),
            };
            std::future::ready(state)
        },
    )
}

/// Events of all objects that `config` selects, for ever: after an error it lists and watches again.
pub(crate) fn events<K: Watched>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<Event<K>>> + use<K> {
    // A connection that died without a word is noticed when the server's own limit is over, so keep it short.
    let limit = u32::try_from(patience::ATTEMPT.stretched().as_secs()).unwrap_or(u32::MAX);
    watcher(api, config.timeout(limit)).backoff(Steady).filter(|event| std::future::ready(!expired(event)))
}

/// A server that restarted has forgotten our place and says so. The watcher lists again by itself.
fn expired<K>(event: &watcher::Result<Event<K>>) -> bool {
    matches!(event, Err(watcher::Error::WatchError(status)) if status.code == 410)
}

/// The same short pause after every error. kube's default grows to 30 s, and an API server restarts in 5 s.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(patience::PAUSE * 3)
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}
