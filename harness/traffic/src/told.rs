//! What is written down of each request: a line of JSON, as soon as it is answered.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

/// How much of an answer is kept: an error's cause stands at the end of a line of about this length.
const KEPT: usize = 600;

/// One request, and what came of it.
#[derive(Debug)]
pub struct Told {
    /// When it was sent.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Of the answer; 0 when nobody answered.
    pub status: u16,
    /// The answer, or why there is none.
    pub said: String,
}

impl Told {
    /// One that was not sent, because so many others are on their way.
    pub fn unsent(others: usize) -> Self {
        let said = format!("not sent: {others} others are on their way");
        Self { at: SystemTime::now(), took: Duration::ZERO, status: 0, said }
    }

    fn line(&self) -> String {
        let at = self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let said: String = self.said.chars().take(KEPT).collect();
        let line = json!({
            "at_us": u64::try_from(at).unwrap_or(u64::MAX),
            "took_us": u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            "status": self.status,
            "said": said,
        });
        format!("{line}\n")
    }
}

/// Writes each down until there are no more, or nobody reads them.
pub fn write(mut told: UnboundedReceiver<Told>) {
    let mut out = std::io::stdout().lock();
    while let Some(one) = told.blocking_recv() {
        if out.write_all(one.line().as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line that `proof::motion` reads; its test has the same.
    #[test]
    fn a_line_is_what_the_proof_reads() {
        let told = Told {
            at: UNIX_EPOCH + Duration::from_micros(1_764_171_000_250_000),
            took: Duration::from_micros(4_200),
            status: 200,
            said: "Hello version: v2, instance: a".into(),
        };
        let line = r#"{"at_us":1764171000250000,"said":"Hello version: v2, instance: a","status":200,"took_us":4200}"#;
        assert_eq!(told.line(), format!("{line}\n"));
    }
}
