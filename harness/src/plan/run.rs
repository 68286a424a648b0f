//! Runs a plan as wide as its graph allows; the first failure stops the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{Plan, Step, Work};
use crate::progress::Note;
use crate::wait::Deadline;
use crate::{Code, Error, Result};

/// When a step began and ended, in seconds from the start of the plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// The step.
    pub id: String,
    /// Its lane.
    pub lane: String,
    /// Seconds.
    pub begin: f64,
    /// Seconds.
    pub end: f64,
}

impl<C: Clone + Send + 'static> Plan<C> {
    /// Runs every step once its needs are done. `last` holds the seconds each step took the time before, `before` knows
    /// the steps that an earlier run has done, and `done_now` hears of each that this one does.
    ///
    /// # Errors
    /// The first step's failure, as [`Code::SetupFailed`] or [`Code::TimedOut`] with the step's name; steps
    /// still running then are dropped, which kills their processes. `done_now`'s own.
    pub async fn run(
        self,
        cx: C,
        note: &Note,
        last: &BTreeMap<String, f64>,
        before: impl Fn(&str) -> bool,
        done_now: impl Fn(&str) -> Result<()>,
    ) -> Result<Vec<Timing>> {
        let graph = self.graph()?;
        note.planned(graph.steps.iter().map(|step| step.id.clone()).collect(), graph.longest(last));
        let zero = Instant::now();
        let (mut waiting, mut done, mut timings) = (self.steps, BTreeSet::new(), Vec::new());
        let mut running = Running::default();
        loop {
            let (ready, blocked): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|s| s.node.needs.iter().all(|n| done.contains(n)));
            waiting = blocked;
            for mut step in ready {
                if before(&step.node.id) {
                    step.work = step.again.take().unwrap_or_else(nothing);
                }
                let note = note.of(&step.node.id);
                note.started(&step.node.lane, &step.node.what, last.get(&step.node.id).copied());
                // What it asks of anybody is written down under its name.
                let span = tracing::debug_span!("step", message = %step.node.id);
                running.0.spawn(timed(step, cx.clone(), note, zero).instrument(span));
            }
            let Some(joined) = running.0.join_next().await else { return Ok(timings) };
            let timing = joined.unwrap_or_else(|e| Err(Error::internal(format!("a step panicked: {e}"))))?;
            if !before(&timing.id) {
                done_now(&timing.id)?;
            }
            done.insert(timing.id.clone());
            timings.push(timing);
        }
    }
}

/// What is left of a step that was done.
fn nothing<C>() -> Work<C> {
    Box::new(|_, note| {
        note.say("an earlier run has done it");
        Box::pin(std::future::ready(Ok(())))
    })
}

/// Steps at work. However their plan ends, they are told to stop; that they have stopped is [`all_ended`].
#[derive(Default)]
struct Running(JoinSet<Result<Timing>>);

/// Steps that were told to stop, and of which some may still be at their last await.
static STOPPED: Mutex<Vec<JoinSet<Result<Timing>>>> = Mutex::new(Vec::new());

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort_all();
        STOPPED.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.0));
    }
}

/// Waits until no step of a plan that has ended is at work any more.
pub async fn all_ended() {
    let stopped = std::mem::take(&mut *STOPPED.lock().unwrap_or_else(PoisonError::into_inner));
    for mut steps in stopped {
        steps.shutdown().await;
    }
}

async fn timed<C>(step: Step<C>, cx: C, note: Note, zero: Instant) -> Result<Timing> {
    let began = Instant::now();
    let id = step.node.id;
    let deadline = Deadline::after(step.limit);
    let result = match deadline.bounds((step.work)(cx, note.clone())).await {
        Some(result) => result,
        None => {
            Err(deadline.timed_out(&step.node.what, note.last().unwrap_or("the step said nothing".into())))
        }
    };
    match result {
        Ok(()) => {
            note.finished(began.elapsed());
            let begin = began.duration_since(zero).as_secs_f64();
            Ok(Timing { id, lane: step.node.lane, begin, end: zero.elapsed().as_secs_f64() })
        }
        Err(error) => {
            note.failed(&error);
            // A machine or time fault keeps its own exit code; anything else is a failed set-up.
            let code = if error.code().exit() == Code::SetupFailed.exit() {
                Code::SetupFailed
            } else {
                error.code()
            };
            Err(Error::new(code, format!("step {id} failed")).because(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::Limit;
    use crate::wait;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    type Log = Arc<Mutex<Vec<String>>>;

    fn step(id: &'static str, needs: &[&str], takes: u64) -> Step<Log> {
        Step::new(id, "", id, move |log: Log, _| async move {
            wait::pause_for(Duration::from_secs(takes)).await;
            log.lock().unwrap().push(id.into());
            Ok(())
        })
        .needs(needs.iter().copied())
    }

    fn fails(id: &'static str) -> Step<Log> {
        Step::new(id, "", id, |_, _| async { Err(Error::new(Code::KubeFailed, "it broke").next("look")) })
    }

    async fn run(steps: Vec<Step<Log>>) -> (Result<Vec<Timing>>, Vec<String>) {
        let log = Log::default();
        let mut plan = Plan::default();
        steps.into_iter().for_each(|s| plan.add(s));
        let result = plan.run(log.clone(), &Note::silent(), &BTreeMap::new(), |_| false, |_| Ok(())).await;
        let seen = log.lock().unwrap().clone();
        (result, seen)
    }

    #[tokio::test(start_paused = true)]
    async fn independent_steps_run_side_by_side() {
        let (result, seen) =
            run(vec![step("slow", &[], 5), step("quick", &[], 1), step("last", &["slow", "quick"], 1)]).await;
        assert_eq!(result.unwrap().len(), 3);
        assert_eq!(seen, ["quick", "slow", "last"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_names_its_step_and_stops_the_rest() {
        let (result, seen) =
            run(vec![step("slow", &[], 500), fails("bad"), step("after", &["bad"], 1)]).await;
        let e = result.unwrap_err();
        assert_eq!(e.code(), Code::SetupFailed);
        assert_eq!(e.to_string(), "step bad failed: it broke\n  next: look");
        assert!(seen.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_earlier_run_did_is_only_found_again() {
        let (log, told) = (Log::default(), Log::default());
        let mut plan = Plan::default();
        plan.add(step("engine", &[], 1).again(|log: Log, _| async move {
            log.lock().unwrap().push("engine found".to_owned());
            Ok(())
        }));
        plan.add(step("crds", &["engine"], 1));
        plan.add(step("spire", &["crds"], 1));
        let before = |id: &str| id != "spire";
        let tell = |id: &str| {
            told.lock().unwrap().push(id.to_owned());
            Ok(())
        };
        let timings = plan.run(log.clone(), &Note::silent(), &BTreeMap::new(), before, tell).await.unwrap();
        assert_eq!(timings.len(), 3);
        assert_eq!(*log.lock().unwrap(), ["engine found", "spire"]);
        assert_eq!(*told.lock().unwrap(), ["spire"]);
    }

    #[tokio::test]
    async fn when_a_stopped_plan_has_ended_no_step_does_anything_more() {
        let log = Log::default();
        let mut plan = Plan::default();
        plan.add(Step::new("works", "", "works", |log: Log, _| async move {
            log.lock().unwrap().push("begun".to_owned());
            std::future::pending().await
        }));
        let (note, last) = (Note::silent(), BTreeMap::new());
        let run = plan.run(log.clone(), &note, &last, |_| false, |_| Ok(()));
        tokio::select! {
            _ = run => panic!("it never ends"),
            () = wait::pause_for(Duration::from_millis(50)) => {}
        }
        assert_eq!(*log.lock().unwrap(), ["begun"]);
        all_ended().await;
        assert_eq!(Arc::strong_count(&log), 1, "a step still has what it works on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_past_its_limit_tells_what_it_said_last() {
        let slow = Step::new("slow", "", "slow", |_: Log, note: Note| async move {
            note.say("it waits for the oven");
            std::future::pending().await
        });
        let (result, _) = run(vec![slow.limit(Limit::seconds(3))]).await;
        let e = result.unwrap_err();
        assert_eq!(e.code(), Code::TimedOut);
        let told = "step slow failed: slow did not happen within 3 s\n  last seen: it waits for the oven";
        assert!(e.to_string().contains(told), "{e}");
    }
}
