//! The set-up as a value: steps with needs, printable and checkable without an engine, run as wide as it allows.

mod graph;
mod run;

pub use graph::{Graph, Node};
pub use run::{Timing, all_ended};

use std::future::Future;
use std::pin::Pin;

use crate::patience::Limit;
use crate::progress::Note;
use crate::{Result, patience};

type Work<C> = Box<dyn FnOnce(C, Note) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send>;

/// A step: what it is called, what must be done before it, and what it does with the context `C`.
pub struct Step<C> {
    node: Node,
    limit: Limit,
    work: Work<C>,
    again: Option<Work<C>>,
}

impl<C> Step<C> {
    /// A step of one cluster's `lane` (empty: of all clusters). `what` is one line for people.
    pub fn new<F, Fut>(
        id: impl Into<String>,
        lane: impl Into<String>,
        what: impl Into<String>,
        work: F,
    ) -> Self
    where
        F: FnOnce(C, Note) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let node = Node { id: id.into(), lane: lane.into(), what: what.into(), needs: Vec::new() };
        let work: Work<C> = Box::new(move |cx, note| Box::pin(work(cx, note)));
        Self { node, limit: patience::STEP, work, again: None }
    }

    /// What is left to do where an earlier run has done it: to find again what it leaves for the others. Nothing, unless
    /// said here.
    #[must_use]
    pub fn again<F, Fut>(mut self, work: F) -> Self
    where
        F: FnOnce(C, Note) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.again = Some(Box::new(move |cx, note| Box::pin(work(cx, note))));
        self
    }

    /// Steps that must be done first, by id.
    #[must_use]
    pub fn needs<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.node.needs.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Another limit than [`patience::STEP`].
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = limit;
        self
    }
}

/// Steps that form a graph.
pub struct Plan<C> {
    steps: Vec<Step<C>>,
}

impl<C> Default for Plan<C> {
    fn default() -> Self {
        Self { steps: Vec::new() }
    }
}

impl<C> Plan<C> {
    /// Adds a step.
    pub fn add(&mut self, step: Step<C>) {
        self.steps.push(step);
    }

    /// The steps without their work, in the order in which they were added.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.steps.iter().map(|step| &step.node)
    }

    /// Lets a step that is there wait for one more.
    pub fn wait(&mut self, id: &str, need: String) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.node.id == id) {
            step.node.needs.push(need);
        }
    }

    /// Whether `later` waits for `earlier`, directly or through others.
    pub fn comes_after(&self, later: &str, earlier: &str) -> bool {
        let needs =
            self.nodes().find(|node| node.id == later).map(|node| node.needs.as_slice()).unwrap_or_default();
        needs.iter().any(|need| need == earlier || self.comes_after(need, earlier))
    }

    /// The graph alone, for printing and checking.
    ///
    /// # Errors
    /// [`crate::Code::Internal`] when a step needs one that does not exist, or needs go round in a circle.
    pub fn graph(&self) -> Result<Graph> {
        Graph::new(self.steps.iter().map(|s| s.node.clone()).collect())
    }
}
