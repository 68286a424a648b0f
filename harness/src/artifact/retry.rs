//! Infrastructure is tried twice, and the second time is said.

use std::future::Future;

use crate::progress::Note;
use crate::{Code, Error, Result, patience, wait};

/// Why one attempt failed, and whether another could end differently.
#[derive(Debug)]
pub(super) enum Fault {
    /// The other side may be back in a moment: no answer, a broken connection, a server's own error.
    Passing(Error),
    /// The answer was understood and is no.
    Final(Error),
}

/// Runs `attempt`, and once more when its fault was a passing one.
///
/// # Errors
/// The final fault; or [`Code::ArtifactUnavailable`] with what both attempts met.
pub(super) async fn twice<T, F, Fut>(what: &str, next: &str, note: &Note, mut attempt: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Fault>>,
{
    let first = match attempt().await {
        Ok(value) => return Ok(value),
        Err(Fault::Final(e)) => return Err(e),
        Err(Fault::Passing(e)) => e,
    };
    note.say(format!("{what} failed, trying once more: {first}"));
    wait::pause_for(patience::SECOND_TRY).await;
    match attempt().await {
        Ok(value) => Ok(value),
        Err(Fault::Final(e)) => Err(e),
        Err(Fault::Passing(second)) => {
            Err(Error::new(Code::ArtifactUnavailable, format!("{what} failed twice"))
                .because(second)
                .seen(format!("at the first attempt: {first}"))
                .next(next))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(text: &str) -> Fault {
        Fault::Passing(Error::new(Code::ArtifactUnavailable, text))
    }

    #[tokio::test(start_paused = true)]
    async fn a_passing_fault_is_tried_once_more_and_both_are_told() {
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let mut attempts = 0;
        let e = twice::<(), _, _>("pulling it", "start it", &Note::new("it", sender), || {
            attempts += 1;
            std::future::ready(Err(passing(&format!("fault {attempts}"))))
        })
        .await
        .unwrap_err();
        assert_eq!(
            e.to_string(),
            "pulling it failed twice: fault 2\n  last seen: at the first attempt: fault 1\n  next: start it"
        );
        let told = format!("{:?}", events.recv().await);
        assert!(told.contains("pulling it failed, trying once more: fault 1"), "{told}");
    }

    #[tokio::test]
    async fn a_final_fault_is_not_tried_again() {
        let mut attempts = 0;
        let e = twice::<(), _, _>("pulling it", "", &Note::silent(), || {
            attempts += 1;
            std::future::ready(Err(Fault::Final(Error::new(Code::DigestMismatch, "altered"))))
        })
        .await
        .unwrap_err();
        assert_eq!((e.code(), attempts), (Code::DigestMismatch, 1));
    }
}
