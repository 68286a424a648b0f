//! What is going on as lines of text: how far the whole is, then a lane for what all clusters share and one for each cluster.
//! In a lane stands what is being waited for, for how long, how long the same took the time before, and why it is not there
//! yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use harness::progress::Event;
use tokio::time::Instant;

/// Everything that was begun and has not ended, and the plan that it is of.
#[derive(Default)]
pub struct State {
    plan: Option<Plan>,
    running: BTreeMap<String, Running>,
}

/// A whole of many steps.
struct Plan {
    steps: usize,
    /// Those that are not done; other work is told of meanwhile, such as the build of an image.
    left: BTreeSet<String>,
    began: Instant,
    last: Option<f64>,
}

struct Running {
    lane: String,
    what: String,
    began: Instant,
    last: Option<f64>,
}

impl State {
    /// Learns what happened.
    pub fn learn(&mut self, event: &Event) {
        match event {
            Event::Planned { steps, last } => {
                let left = steps.iter().cloned().collect();
                self.plan = Some(Plan { steps: steps.len(), left, began: Instant::now(), last: *last });
            }
            Event::Started { id, lane, what, last } => {
                let (lane, what) = (lane.clone(), plain(what));
                let running = Running { lane, what, began: Instant::now(), last: *last };
                self.running.insert(id.clone(), running);
            }
            Event::Note { id, text } => {
                if let Some(running) = self.running.get_mut(id) {
                    running.what = plain(text);
                }
            }
            Event::Finished { id, .. } => {
                self.running.remove(id);
                if let Some(plan) = &mut self.plan {
                    plan.left.remove(id);
                }
                self.plan.take_if(|plan| plan.left.is_empty());
            }
            Event::Failed { id, .. } => drop(self.running.remove(id)),
            Event::Told { .. } => {}
        }
    }

    /// How far the whole is: `12 of 41 steps, 14 s of 43 s last time`; nothing where no plan runs.
    pub fn whole(&self) -> Option<String> {
        let Plan { steps, left, began, last } = self.plan.as_ref()?;
        let done = steps - left.len();
        Some(format!("{done} of {steps} steps, {}", against(began.elapsed(), *last)))
    }

    /// A line for each thing that is waited for, as a log tells it.
    pub fn waits(&self) -> impl Iterator<Item = String> {
        self.running
            .iter()
            .map(|(id, one)| format!("{id}  {}: {}", against(one.began.elapsed(), one.last), one.what))
    }

    /// All lanes, in `rows` lines at most. Where they are too many, each lane has its oldest wait alone.
    pub fn lines(&self, rows: usize) -> Vec<String> {
        let mut lanes: BTreeMap<&str, Vec<(&str, &Running)>> = BTreeMap::new();
        for (id, one) in &self.running {
            let short = id.strip_prefix(&*one.lane).and_then(|rest| rest.strip_prefix('/')).unwrap_or(id);
            lanes.entry(&one.lane).or_default().push((short, one));
        }
        let width = lanes.keys().map(|lane| named(lane).chars().count()).max().unwrap_or_default();
        let whole: Vec<_> =
            self.whole().map(|whole| format!("{:width$}  {whole}", "all")).into_iter().collect();
        let room = rows.saturating_sub(whole.len());
        let brief = self.running.len() > room;
        let mut lines = Vec::new();
        for (lane, mut waits) in lanes {
            waits.sort_by_key(|(_, one)| one.began);
            let more = waits.len() - 1;
            for (i, (id, one)) in waits.iter().take(if brief { 1 } else { waits.len() }).enumerate() {
                let label = if i == 0 { named(lane) } else { "" };
                let others = if brief && more > 0 { format!(" (+{more})") } else { String::new() };
                let time = against(one.began.elapsed(), one.last);
                lines.push(format!("{label:width$}  {id}{others}  {time}: {}", one.what));
            }
        }
        if lines.len() > room {
            let left = lines.len() - room.saturating_sub(1);
            lines.truncate(room.saturating_sub(1));
            lines.push(format!("{:width$}  and {left} lanes more", ""));
        }
        whole.into_iter().chain(lines).collect()
    }
}

fn named(lane: &str) -> &str {
    if lane.is_empty() { "shared" } else { lane }
}

fn against(elapsed: Duration, last: Option<f64>) -> String {
    let elapsed = elapsed.as_secs();
    match last {
        Some(last) => format!("{elapsed} s of {last:.0} s last time"),
        None => format!("{elapsed} s"),
    }
}

/// The first line, without what would move a terminal's cursor: words of programs and servers are among it.
fn plain(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    first.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(id: &str, lane: &str, last: Option<f64>) -> Event {
        Event::Started { id: id.into(), lane: lane.into(), what: format!("{id} ready"), last }
    }

    fn three_clusters() -> State {
        let mut state = State::default();
        let steps = ["artifacts", "cluster1/bundle", "cluster2/bundle", "cluster3/bundle", "cluster2/csi"];
        state.learn(&Event::Planned { steps: steps.map(str::to_owned).into(), last: Some(43.2) });
        state.learn(&started("artifacts", "", None));
        for cluster in ["cluster1", "cluster2", "cluster3"] {
            state.learn(&started(&format!("{cluster}/bundle"), cluster, Some(7.2)));
        }
        state.learn(&started("cluster2/csi", "cluster2", None));
        state
    }

    #[tokio::test(start_paused = true)]
    async fn each_lane_has_what_it_waits_for_and_the_whole_is_above() {
        let mut state = three_clusters();
        tokio::time::advance(Duration::from_secs(3)).await;
        let text = "the roll-out:\t0 of 1\x1b[31m available\nand more";
        state.learn(&Event::Note { id: "cluster3/bundle".into(), text: text.into() });
        state.learn(&Event::Finished { id: "artifacts".into(), seconds: 3.0 });
        let lines = [
            "all       1 of 5 steps, 3 s of 43 s last time",
            "cluster1  bundle  3 s of 7 s last time: cluster1/bundle ready",
            "cluster2  bundle  3 s of 7 s last time: cluster2/bundle ready",
            "          csi  3 s: cluster2/csi ready",
            "cluster3  bundle  3 s of 7 s last time: the roll-out: 0 of 1 [31m available",
        ];
        assert_eq!(state.lines(24), lines);
        assert_eq!(
            state.waits().nth(1).unwrap(),
            "cluster2/bundle  3 s of 7 s last time: cluster2/bundle ready"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_counted() {
        let state = three_clusters();
        let brief = [
            "all       0 of 5 steps, 0 s of 43 s last time",
            "shared    artifacts  0 s: artifacts ready",
            "cluster1  bundle  0 s of 7 s last time: cluster1/bundle ready",
            "cluster2  bundle (+1)  0 s of 7 s last time: cluster2/bundle ready",
            "cluster3  bundle  0 s of 7 s last time: cluster3/bundle ready",
        ];
        assert_eq!(state.lines(5), brief);
        assert_eq!(state.lines(3), [brief[0], brief[1], "          and 3 lanes more"]);
        assert_eq!(state.lines(1).len(), 2, "a terminal of one row shows nothing in full anyway");
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_that_is_done_is_not_told_any_more() {
        let mut state = State::default();
        state.learn(&Event::Planned { steps: vec!["a".into()], last: None });
        state.learn(&started("a", "", None));
        state.learn(&started("build envoy", "", None));
        state.learn(&Event::Finished { id: "build envoy".into(), seconds: 0.0 });
        assert_eq!(state.whole().unwrap(), "0 of 1 steps, 0 s", "a build is no step of the plan");
        state.learn(&Event::Finished { id: "a".into(), seconds: 0.0 });
        assert_eq!((state.whole(), state.lines(24).len()), (None, 0));
    }
}
