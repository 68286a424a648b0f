//! Waiting: the only place that sleeps and that counts time down, and never silently.
//!
//! A wait says what it waits for, for how long, and what it last saw. Whatever can be watched is watched
//! (`crate::kube::conditions`); [`eventually`] is for what can only be asked again.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::patience::{self, Limit};
use crate::progress::Note;
use crate::{Code, Error, Result, log, notice};

/// The answer to one look.
#[derive(Debug)]
pub enum Look<T> {
    /// It happened.
    Ready(T),
    /// Not yet, and why: the reason is part of the error when time runs out.
    NotYet(String),
    /// It will never happen.
    Never(Error),
}

impl<T> Look<T> {
    /// An error that may well be gone at the next look, such as a server that does not answer yet.
    pub fn not_yet(error: impl std::fmt::Display) -> Self {
        Self::NotYet(error.to_string())
    }
}

/// Looks again until it is ready or time runs out; each look has its own limit, and none begins too late to be made.
///
/// # Errors
/// [`Code::TimedOut`] with what was last seen, or the error of [`Look::Never`].
pub async fn eventually<T, F, Fut>(what: &str, limit: Limit, note: &Note, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Look<T>>,
{
    let deadline = Deadline::after(limit);
    let mut seen = Seen::default();
    let mut pause = patience::PAUSE;
    let mut not_so = None;
    loop {
        let began = Instant::now();
        match deadline.bounds(glance(patience::ATTEMPT.stretched(), look())).await.flatten() {
            Some(Look::Ready(value)) => {
                let ms = log::ms(deadline.taken());
                let late = not_so.map(|at: Instant| at.elapsed());
                let late_ms = late.map(log::ms);
                tracing::debug!(ms, late_ms, "waited for {what}");
                late.into_iter().for_each(notice::late);
                return Ok(value);
            }
            Some(Look::Never(error)) => return Err(error),
            Some(Look::NotYet(why)) => {
                not_so = Some(began);
                seen.learn(why, what, note);
            }
            None => seen.missed(began.elapsed(), what, note),
        }
        pause_for(pause.min(deadline.left())).await;
        if deadline.passed() {
            return Err(deadline.timed_out(what, seen.told()));
        }
        // Quick for as long as things usually take so that nothing is noticed late, slower later so that waiting costs no core.
        if deadline.taken() > patience::SOON {
            pause = (pause * 5 / 4).min(patience::PAUSE * 5);
        }
    }
}

/// Looks until nothing is missing from what is seen, or time runs out; then what is seen. For what is judged rather
/// than waited for: the judgement is about the last look, which is made anew, with a limit of its own.
///
/// # Errors
/// The last look's own, or [`Code::TimedOut`] when it did not return.
pub async fn last_look<T, Fut>(
    what: &str,
    limit: Limit,
    note: &Note,
    mut look: impl FnMut() -> Fut,
    missing: impl Fn(&T) -> Option<String>,
) -> Result<T>
where
    Fut: Future<Output = Result<T>>,
{
    let missing = &missing;
    let found = eventually(what, limit, note, || {
        let look = look();
        async move {
            match look.await {
                Ok(seen) => match missing(&seen) {
                    None => Look::Ready(seen),
                    Some(words) => Look::NotYet(words),
                },
                Err(e) => Look::not_yet(e),
            }
        }
    })
    .await;
    match found {
        // No other error comes from a wait whose looks are all "not yet".
        Err(_) => within(&format!("a last look at {what}"), patience::ATTEMPT, look()).await,
        found => found,
    }
}

/// What the looks of a wait have seen.
#[derive(Default)]
struct Seen {
    /// What the last look that returned said.
    last: Option<String>,
    /// How long the one after it has not returned.
    silent: Option<Duration>,
}

impl Seen {
    fn learn(&mut self, why: String, what: &str, note: &Note) {
        if self.last.as_ref() != Some(&why) {
            note.say(format!("{what}: {why}"));
        }
        (self.last, self.silent) = (Some(why), None);
    }

    fn missed(&mut self, waited: Duration, what: &str, note: &Note) {
        self.silent = Some(waited);
        note.say(format!("{what}: {}", self.told()));
    }

    fn told(&self) -> String {
        // A look that the end cut short in its first second has nothing to say.
        let silent = self.silent.filter(|waited| waited.as_secs() > 0 || self.last.is_none());
        match (&self.last, silent) {
            (Some(last), None) => last.clone(),
            (Some(last), Some(waited)) => {
                format!("{last}; then a look got no answer in {} s", waited.as_secs())
            }
            (None, Some(waited)) => {
                format!("no look was answered, the last one not in {} s", waited.as_secs())
            }
            (None, None) => String::from("nothing yet"),
        }
    }
}

/// The end of a wait, stretched by `VOUCHSAFE_PATIENCE`.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    began: Instant,
    limit: Duration,
}

impl Deadline {
    /// That long from now.
    pub fn after(limit: Limit) -> Self {
        Self { began: Instant::now(), limit: limit.stretched() }
    }

    /// Whether time has run out.
    pub fn passed(&self) -> bool {
        self.left().is_zero()
    }

    /// What comes of `work` before time runs out.
    pub async fn bounds<F: Future>(&self, work: F) -> Option<F::Output> {
        glance(self.left(), work).await
    }

    /// The error of a wait that ran out of time.
    pub fn timed_out(&self, what: &str, seen: impl Into<String>) -> Error {
        let seen = seen.into();
        let limit = match self.limit {
            short if short < Duration::from_secs(1) => format!("{} ms", short.as_millis()),
            limit => format!("{} s", limit.as_secs()),
        };
        tracing::info!(what, limit, seen, "ran out of time");
        Error::new(Code::TimedOut, format!("{what} did not happen within {limit}")).seen(seen)
    }

    fn taken(&self) -> Duration {
        self.began.elapsed()
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.taken())
    }
}

/// Bounds a future that reports nothing by itself: one question to one server.
///
/// # Errors
/// [`Code::TimedOut`], or the future's own error.
pub async fn within<T>(what: &str, limit: Limit, work: impl Future<Output = Result<T>>) -> Result<T> {
    within_telling(what, limit, &Reached::new("no answer"), work).await
}

/// Bounds a future of several parts, which says what it has reached.
///
/// # Errors
/// [`Code::TimedOut`] with what was reached, or the future's own error.
pub async fn within_telling<T>(
    what: &str,
    limit: Limit,
    reached: &Reached,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let deadline = Deadline::after(limit);
    match deadline.bounds(work).await {
        Some(result) => result,
        None => Err(deadline.timed_out(what, reached.told())),
    }
}

/// What bounded work has reached, for the error of its time-out.
#[derive(Debug)]
pub struct Reached(Mutex<String>);

impl Reached {
    /// What is true before anything else is.
    pub fn new(first: impl Into<String>) -> Self {
        Self(Mutex::new(first.into()))
    }

    /// Now this is what was reached.
    pub fn now(&self, words: impl Into<String>) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = words.into();
    }

    fn told(&self) -> String {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// What comes of `work` in so short a time; none says only "not yet". No limit: those are [`Limit`]s.
#[expect(clippy::disallowed_methods, reason = "the one place that counts time down")]
pub async fn glance<F: Future>(time: Duration, work: F) -> Option<F::Output> {
    tokio::time::timeout(time, work).await.ok()
}

/// A pause between two looks at something that cannot be watched.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn pause_for(pause: Duration) {
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn wait<F: Future<Output = Look<()>>>(seconds: u64, look: impl FnMut() -> F) -> String {
        let e = eventually("the cake", Limit::seconds(seconds), &Note::silent(), look).await.unwrap_err();
        assert_eq!(e.code(), Code::TimedOut);
        e.to_string()
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_reason_is_the_error_word_for_word() {
        let mut looks = 0;
        let e = wait(2, || {
            looks += 1;
            let why = format!("look {looks}");
            async { Look::NotYet(why) }
        })
        .await;
        assert!(looks > 3);
        assert_eq!(e, format!("the cake did not happen within 2 s\n  last seen: look {looks}"));
    }

    /// The end mostly comes in the midst of a look: that says nothing, and what was seen before it says all.
    #[tokio::test(start_paused = true)]
    async fn a_look_that_the_end_cuts_short_does_not_hide_what_was_seen() {
        let slow = || async {
            pause_for(Duration::from_millis(700)).await;
            Look::NotYet("it is in the oven".to_owned())
        };
        assert_eq!(wait(3, slow).await, "the cake did not happen within 3 s\n  last seen: it is in the oven");
    }

    #[tokio::test(start_paused = true)]
    async fn looks_that_hang_do_not_hang_the_wait_and_are_told_once() {
        let mut looks = 0;
        let e = wait(50, || {
            looks += 1;
            let first = looks == 1;
            async move {
                if !first {
                    std::future::pending::<()>().await;
                }
                Look::NotYet("it is in the oven".to_owned())
            }
        })
        .await;
        let said = "last seen: it is in the oven; then a look got no answer in ";
        assert!(e.contains(said) && e.matches("no answer").count() == 1, "{e}");
        let e = wait(50, std::future::pending).await;
        assert!(e.contains("last seen: no look was answered, the last one not in "), "{e}");
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_runs_out_of_time_says_what_it_reached() {
        let reached = Reached::new("nobody opened");
        let work = async {
            reached.now("the door is open");
            std::future::pending::<Result<()>>().await
        };
        let e = within_telling("the visit", Limit::seconds(5), &reached, work).await.unwrap_err();
        assert_eq!(e.to_string(), "the visit did not happen within 5 s\n  last seen: the door is open");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_judged_is_the_last_look_or_its_own_error() {
        let seen = |until: u32| {
            let mut looks = 0;
            move || {
                looks += 1;
                let now = looks;
                std::future::ready(match now {
                    1 => Err(Error::new(Code::KubeFailed, "the server is not there")),
                    now => Ok(now.min(until)),
                })
            }
        };
        let silent = Note::silent();
        let missing = |n: &u32| (*n < 4).then(|| format!("{n} of 4"));
        let limit = Limit::seconds(3);
        assert_eq!(last_look("four", limit, &silent, seen(9), missing).await.unwrap(), 4);
        assert_eq!(last_look("four", limit, &silent, seen(2), missing).await.unwrap(), 2);
        let never = || std::future::ready(Err::<u32, _>(Error::new(Code::KubeFailed, "no server")));
        let e = last_look("four", limit, &silent, never, missing).await.unwrap_err();
        assert_eq!((e.code(), e.what()), (Code::KubeFailed, "no server"));
        // A last look that hangs has an end of its own.
        let hangs = || std::future::pending::<Result<u32>>();
        let e = last_look("four", limit, &silent, hangs, missing).await.unwrap_err();
        assert_eq!(e.to_string(), "a last look at four did not happen within 20 s\n  last seen: no answer");
    }
}
