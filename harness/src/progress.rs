//! What is going on right now, told to whoever shows it.
//!
//! Work never prints: it says what it is waiting for to a [`Note`], and the command decides how a terminal,
//! a log or a machine reads it. No secret is told: each text goes through [`scrub`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proof::scrub;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::log;

/// Something happened to a step of the set-up, or to the build of an artifact.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A whole of several steps begins, of which each is told when it starts.
    Planned {
        /// Their ids.
        steps: Vec<String>,
        /// How long all of it took the time before, in seconds, if known.
        last: Option<f64>,
    },
    /// Work began. `last` is how long the same work took the time before, in seconds, if known.
    Started {
        /// The step or artifact.
        id: String,
        /// Whose lane it is shown in: a cluster's name, or empty for both.
        lane: String,
        /// One line for people.
        what: String,
        /// Seconds, last time.
        last: Option<f64>,
    },
    /// Something that whoever sits there should know whatever runs: what was changed, chosen or found.
    Told {
        /// One line for people.
        text: String,
    },
    /// What it is waiting for, or has just learned.
    Note {
        /// The step or artifact.
        id: String,
        /// One line for people.
        text: String,
    },
    /// It is done.
    Finished {
        /// The step or artifact.
        id: String,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// It failed.
    Failed {
        /// The step or artifact.
        id: String,
        /// The error, as it is printed.
        error: String,
    },
}

/// The receiving end of a whole run's events.
pub type Events = tokio::sync::mpsc::UnboundedReceiver<Event>;

/// Speaks for one step; cheap to clone.
#[derive(Clone, Debug)]
pub struct Note {
    id: Arc<str>,
    to: Option<UnboundedSender<Event>>,
    /// What it said last, for the error of a step that runs out of time.
    last: Arc<Mutex<Option<String>>>,
}

impl Note {
    /// Speaks for `id` to `to`.
    pub fn new(id: &str, to: UnboundedSender<Event>) -> Self {
        Self { id: id.into(), to: Some(to), last: Arc::default() }
    }

    /// Says nothing: for tests and for visits whose progress nobody watches.
    pub fn silent() -> Self {
        Self { id: "".into(), to: None, last: Arc::default() }
    }

    /// Whose note it is.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Speaks for another step to the same listener.
    pub fn of(&self, id: &str) -> Self {
        Self { id: id.into(), to: self.to.clone(), last: Arc::default() }
    }

    /// Tells the person, now and to stay; [`Note::say`] is for what the next word may replace.
    pub fn tell(&self, text: impl Into<String>) {
        let text = scrub::text(&text.into());
        tracing::info!(step = &*self.id, "{text}");
        self.send(Event::Told { text });
    }

    /// What is being waited for, or has just been learned.
    pub fn say(&self, text: impl Into<String>) {
        let text = scrub::text(&text.into());
        tracing::debug!(step = &*self.id, "{text}");
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
        self.send(Event::Note { id: self.id.to_string(), text });
    }

    /// What was said last, by this note or one cloned from it.
    pub fn last(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A whole of several steps begins.
    pub fn planned(&self, steps: Vec<String>, last: Option<f64>) {
        self.send(Event::Planned { steps, last });
    }

    /// The work began.
    pub fn started(&self, lane: &str, what: &str, last: Option<f64>) {
        let what = scrub::text(what);
        tracing::info!(step = &*self.id, "begins: {what}");
        self.send(Event::Started { id: self.id.to_string(), lane: lane.into(), what, last });
    }

    /// The work is done.
    pub fn finished(&self, took: Duration) {
        let ms = log::ms(took);
        tracing::info!(step = &*self.id, ms, "ends");
        self.send(Event::Finished { id: self.id.to_string(), seconds: took.as_secs_f64() });
    }

    /// The work failed.
    pub fn failed(&self, error: &crate::Error) {
        tracing::error!(step = &*self.id, "{error}");
        self.send(Event::Failed { id: self.id.to_string(), error: error.to_string() });
    }

    fn send(&self, event: Event) {
        if let Some(to) = &self.to {
            // Nobody listening any more is no reason to stop working.
            let _ = to.send(event);
        }
    }
}
