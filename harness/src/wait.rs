//! Waiting: the only place that sleeps, and never silently.
//!
//! A wait says what it waits for, for how long, and what it last saw. Whatever can be watched is watched
//! (`crate::kube::conditions`); [`eventually`] is for what can only be asked again.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::progress::Note;
use crate::{Code, Error, Result, patience};

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

/// Looks again until it is ready or `deadline` has passed; each look has its own limit.
///
/// # Errors
/// [`Code::TimedOut`] with what was last seen, or the error of [`Look::Never`].
pub async fn eventually<T, F, Fut>(what: &str, deadline: Duration, note: &Note, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Look<T>>,
{
    let began = Instant::now();
    let deadline = patience::stretched(deadline);
    let mut seen = String::from("nothing yet");
    let mut pause = patience::PAUSE;
    loop {
        let left = deadline.saturating_sub(began.elapsed());
        match tokio::time::timeout(left.min(patience::ATTEMPT), look()).await {
            Ok(Look::Ready(value)) => return Ok(value),
            Ok(Look::Never(error)) => return Err(error),
            Ok(Look::NotYet(why)) => {
                if why != seen {
                    note.say(format!("{what}: {why}"));
                }
                seen = why;
            }
            Err(_) => seen = format!("a look did not return in time (before that: {seen})"),
        }
        if began.elapsed() >= deadline {
            return Err(timed_out(what, deadline, seen));
        }
        pause_for(pause.min(deadline.saturating_sub(began.elapsed()))).await;
        // Quick at first so that nothing is noticed late, slower later so that waiting costs no core.
        pause = (pause * 5 / 4).min(patience::PAUSE * 5);
    }
}

/// The error of every wait that ran out of time.
pub fn timed_out(what: &str, deadline: Duration, seen: impl Into<String>) -> Error {
    Error::new(Code::TimedOut, format!("{what} did not happen within {} s", deadline.as_secs())).seen(seen)
}

/// Bounds a future that reports nothing by itself.
///
/// # Errors
/// [`Code::TimedOut`], or the future's own error.
pub async fn within<T>(what: &str, deadline: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let deadline = patience::stretched(deadline);
    match tokio::time::timeout(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(timed_out(what, deadline, "no answer")),
    }
}

/// A pause between two looks at something that cannot be watched.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn pause_for(pause: Duration) {
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_reason_is_part_of_the_error() {
        let mut looks = 0;
        let e = eventually::<(), _, _>("the cake", Duration::from_secs(2), &Note::silent(), || {
            looks += 1;
            let why = format!("look {looks}");
            async { Look::NotYet(why) }
        })
        .await
        .unwrap_err();
        assert_eq!(e.code(), Code::TimedOut);
        assert!(e.to_string().starts_with("the cake did not happen within 2 s\n  last seen: look "), "{e}");
        assert!(looks > 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_does_not_hang_the_wait() {
        let e = eventually::<(), _, _>(
            "an answer",
            Duration::from_secs(30),
            &Note::silent(),
            std::future::pending,
        )
        .await
        .unwrap_err();
        assert!(e.to_string().contains("did not return in time"), "{e}");
    }
}
