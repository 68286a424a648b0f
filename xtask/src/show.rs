//! Showing what is going on: two lanes of running steps on a terminal, a line for each change elsewhere, JSON for
//! machines. Talk goes to stderr; only JSON goes to stdout.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use harness::progress::{Event, Events, Note};
use harness::{Error, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// After so much silence the log says what is still being waited for.
const SILENCE: Duration = Duration::from_secs(15);

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
        } else if std::io::stderr().is_terminal() && std::env::var_os("CI").is_none() {
            Box::new(Lanes::default())
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
        let _ = tokio::time::timeout(Duration::from_millis(300), self.task).await;
    }
}

/// Prints one JSON object on one line of stdout.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|e| Error::internal("cannot write JSON").because(e))?;
    // A reader that has gone away is no fault of ours.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(())
}

trait Board: Send {
    fn event(&mut self, event: Event);
    fn silence(&mut self) {}
}

async fn show(mut events: Events, mut board: Box<dyn Board>) {
    loop {
        match tokio::time::timeout(SILENCE, events.recv()).await {
            Ok(Some(event)) => board.event(event),
            Ok(None) => return,
            Err(_) => board.silence(),
        }
    }
}

/// JSON.
struct Lines;

impl Board for Lines {
    fn event(&mut self, event: Event) {
        let _ = json(&event);
    }
}

/// A line for each step's end, and what is waited for when nothing happens. What belongs to no step is said at once.
#[derive(Default)]
struct Log {
    running: BTreeMap<String, (String, Instant)>,
}

impl Board for Log {
    fn event(&mut self, event: Event) {
        match event {
            Event::Started { id, what, .. } => {
                self.running.insert(id, (what, Instant::now()));
            }
            Event::Told { text } => eprintln!("  {text}"),
            Event::Note { id, text } => {
                if let Some((known, _)) = self.running.get_mut(&id) {
                    *known = text;
                }
            }
            Event::Finished { id, seconds } => {
                self.running.remove(&id);
                eprintln!("  ok    {id}  {seconds:.1} s");
            }
            Event::Failed { id, .. } => {
                self.running.remove(&id);
                eprintln!("  FAIL  {id}");
            }
        }
    }

    fn silence(&mut self) {
        for (id, (what, since)) in &self.running {
            eprintln!("  wait  {id}  {:.0} s: {what}", since.elapsed().as_secs_f64());
        }
    }
}

/// A line for each running step, in its cluster's lane.
#[derive(Default)]
struct Lanes {
    all: MultiProgress,
    running: BTreeMap<String, Lane>,
}

struct Lane {
    bar: ProgressBar,
    what: String,
}

impl Board for Lanes {
    fn event(&mut self, event: Event) {
        match event {
            Event::Started { id, lane, what, last } => {
                let expected = last.map(|s| format!(" of {s:.0} s last time")).unwrap_or_default();
                let template = format!("{{spinner}} {{prefix:24}} {{elapsed}}{expected}  {{wide_msg}}");
                let style = ProgressStyle::with_template(&template)
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                // Lanes stay together: a step is put after the last one of its lane that runs.
                let after = self.running.iter().rfind(|(other, _)| other.starts_with(&lane));
                let bar = match after {
                    Some((_, neighbour)) => self.all.insert_after(&neighbour.bar, ProgressBar::new_spinner()),
                    None => self.all.add(ProgressBar::new_spinner()),
                };
                bar.set_style(style);
                bar.set_prefix(id.clone());
                bar.set_message(what.clone());
                bar.enable_steady_tick(Duration::from_millis(500));
                self.running.insert(id, Lane { bar, what });
            }
            Event::Told { text } => {
                let _ = self.all.println(text);
            }
            Event::Note { id, text } => {
                if let Some(lane) = self.running.get(&id) {
                    lane.bar.set_message(format!(
                        "{} · {}",
                        lane.what,
                        text.lines().next().unwrap_or_default()
                    ));
                }
            }
            Event::Finished { id, seconds } => {
                if let Some(lane) = self.running.remove(&id) {
                    lane.bar.finish_and_clear();
                    let _ = self.all.println(format!("✓ {id:30} {seconds:6.1} s"));
                }
            }
            Event::Failed { id, .. } => {
                if let Some(lane) = self.running.remove(&id) {
                    lane.bar.finish_and_clear();
                    let _ = self.all.println(format!("✗ {id}"));
                }
            }
        }
    }
}
