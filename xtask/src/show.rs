//! Showing what is going on: a lane for each cluster on a terminal, a line for each change elsewhere, JSON for machines.
//! Talk goes to stderr; only JSON goes to stdout.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use harness::progress::{Event, Events, Note};
use harness::{Error, Result, log, wait};
use indicatif::MultiProgress;
use lanes::Lanes;
use proof::scrub;
use proof::verdict::{Came, Line, Outcome};
use serde::Serialize;
use state::State;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

mod lanes;
mod state;

/// After so long without a line the log says what is still being waited for.
const SILENCE: Duration = Duration::from_secs(15);
/// For a terminal that does not say how high it is.
const LEAST_ROWS: usize = 8;

/// Shows events until [`Show::end`].
pub struct Show {
    to: UnboundedSender<Event>,
    task: JoinHandle<()>,
}

impl Show {
    /// Chooses by what stdout and stderr are; `json` writes each event as a line of stdout.
    pub fn start(json: bool) -> Self {
        let (to, events) = unbounded_channel();
        let board: Box<dyn Board> = if json {
            Box::new(Lines)
        } else if has_lanes() {
            let all = MultiProgress::new();
            let printed = all.clone();
            log::printed_by(Some(Box::new(move |line| {
                let _ = printed.println(line);
            })));
            Box::new(Lanes::on(all, rows))
        } else {
            Box::new(Log::default())
        };
        Self { to, task: tokio::spawn(show(events, board)) }
    }

    /// The end that work speaks to.
    pub fn note(&self) -> Note {
        Note::new("", self.to.clone())
    }

    /// Shows what was said last, and stops.
    pub async fn end(self) {
        drop(self.to);
        // Steps that were stopped may hold a sender for a moment; what they say no longer matters.
        let mut task = self.task;
        if wait::glance(Duration::from_millis(300), &mut task).await.is_none() {
            task.abort();
            let _ = task.await;
        }
        log::printed_by(None);
    }
}

/// Whether the terminal can draw what is below the last line anew.
fn has_lanes() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    std::io::stderr().is_terminal() && std::env::var_os("CI").is_none() && !is_dumb
}

fn rows() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.map_or(0, |size| usize::from(size.ws_row)).max(LEAST_ROWS)
}

/// A line of stdout, as `println!` takes it. A reader that has gone away (`cargo xtask plan | head`) is no fault of ours.
macro_rules! say {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($what)*);
    }};
}
pub(crate) use say;

/// Prints one JSON object on one line of stdout.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|e| Error::internal("cannot write JSON").because(e))?;
    // A reader that has gone away is no fault of ours.
    let _ = writeln!(std::io::stdout(), "{}", scrub::text(&text));
    Ok(())
}

/// As [`word`], where the set-up may expect that the claim breaks.
pub fn came(line: &Line) -> &'static str {
    match line.came() {
        Some(Came::AsExpected) => "expected",
        Some(Came::Surprise(_)) => "SURPRISE",
        None => word(line.verdict.verdict),
    }
}

/// What came of a claim, as a person is told: what must not be overlooked is in capitals.
pub fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Held => "held",
        Outcome::Broken => "BROKEN",
        Outcome::Unjudged => "UNJUDGED",
    }
}

trait Board: Send {
    /// Whether anything new is to be seen after it.
    fn event(&mut self, event: Event) -> bool;
    /// After so long without anything new [`Board::silence`] is called.
    fn quiet(&self) -> Duration {
        SILENCE
    }
    fn silence(&mut self) {}
}

async fn show(mut events: Events, mut board: Box<dyn Board>) {
    let mut spoke = Instant::now();
    loop {
        match wait::glance(board.quiet().saturating_sub(spoke.elapsed()), events.recv()).await {
            Some(Some(event)) => {
                if board.event(event) {
                    spoke = Instant::now();
                }
            }
            Some(None) => return,
            None => {
                board.silence();
                spoke = Instant::now();
            }
        }
    }
}

/// JSON.
struct Lines;

impl Board for Lines {
    fn event(&mut self, event: Event) -> bool {
        json(&event).is_ok()
    }
}

/// A line for each step's end, and what is waited for when nothing happens. What belongs to no step is said at once.
#[derive(Default)]
struct Log(State);

impl Board for Log {
    fn event(&mut self, event: Event) -> bool {
        self.0.learn(&event);
        match event {
            Event::Planned { .. } | Event::Started { .. } | Event::Note { .. } => return false,
            Event::Told { text } => eprintln!("  {text}"),
            Event::Finished { id, seconds } => {
                let whole = self.0.whole().map(|whole| format!("  ({whole})")).unwrap_or_default();
                eprintln!("  ok    {id}  {seconds:.1} s{whole}");
            }
            Event::Failed { id, .. } => eprintln!("  FAIL  {id}"),
        }
        true
    }

    fn silence(&mut self) {
        for wait in self.0.waits() {
            eprintln!("  wait  {wait}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Shows only what is told, as the log does with notes.
    struct Quiet(Arc<AtomicUsize>);

    impl Board for Quiet {
        fn event(&mut self, event: Event) -> bool {
            matches!(event, Event::Told { .. })
        }

        fn silence(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_sees_does_not_break_the_silence() {
        let (to, events) = unbounded_channel();
        let silences = Arc::new(AtomicUsize::new(0));
        let shown = tokio::spawn(show(events, Box::new(Quiet(silences.clone()))));
        let note = Note::new("", to);
        tokio::task::yield_now().await;
        // A note every five seconds for a minute: four times fifteen seconds without a line.
        for second in (0..60).step_by(5) {
            note.say(format!("still there after {second} s"));
            tokio::time::advance(Duration::from_secs(5)).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(silences.load(Ordering::Relaxed), 4);
        note.tell("seen");
        tokio::time::advance(Duration::from_secs(14)).await;
        assert_eq!(silences.load(Ordering::Relaxed), 4, "what was told is a line");
        drop(note);
        shown.await.unwrap();
    }
}
