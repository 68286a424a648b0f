//! The lanes on a terminal: drawn anew at each change and twice a second, below what has been said to stay. No colours, so
//! there is nothing for `NO_COLOR` to take away.

use std::time::Duration;

use harness::progress::Event;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Board;
use super::state::State;

/// Draws the lanes.
pub struct Lanes {
    all: MultiProgress,
    /// How many rows the terminal has now.
    rows: fn() -> usize,
    state: State,
    lines: Vec<ProgressBar>,
}

impl Lanes {
    /// On that terminal, of so many rows.
    pub fn on(all: MultiProgress, rows: fn() -> usize) -> Self {
        Self { all, rows, state: State::default(), lines: Vec::new() }
    }

    fn draw(&mut self) {
        // The cursor needs one.
        let told = self.state.lines((self.rows)().saturating_sub(1));
        while self.lines.len() > told.len() {
            if let Some(line) = self.lines.pop() {
                self.all.remove(&line);
            }
        }
        while self.lines.len() < told.len() {
            // It cuts off what the terminal is too narrow for.
            let style = ProgressStyle::with_template("{wide_msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            let line = ProgressBar::new_spinner().with_style(style);
            self.lines.push(self.all.add(line));
        }
        for (line, told) in self.lines.iter().zip(told) {
            if line.message() != told {
                line.set_message(told);
            }
        }
    }

    fn stays(&self, text: &str) {
        // A terminal that is gone is nobody's fault.
        let _ = self.all.println(text);
    }
}

impl Board for Lanes {
    fn event(&mut self, event: Event) -> bool {
        self.state.learn(&event);
        self.draw();
        match event {
            Event::Told { text } => self.stays(&text),
            Event::Finished { id, seconds } => self.stays(&format!("✓ {id:30} {seconds:6.1} s")),
            Event::Failed { id, .. } => self.stays(&format!("✗ {id}")),
            Event::Planned { .. } | Event::Started { .. } | Event::Note { .. } => {}
        }
        true
    }

    fn quiet(&self) -> Duration {
        Duration::from_millis(500)
    }

    fn silence(&mut self) {
        self.draw();
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        // What is said next begins where the lanes were.
        let _ = self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget};

    use super::*;

    fn started(id: &str, lane: &str) -> Event {
        let what = format!("{id}: the roll-out of deployment istio-system/istiod: 0 of 1 available");
        Event::Started { id: id.into(), lane: lane.into(), what, last: Some(7.0) }
    }

    /// Three clusters at work on terminals of any width, and much that is said to stay: each line stands once and whole, and
    /// below them all there is nothing but the lanes.
    #[tokio::test]
    async fn nothing_is_garbled() {
        for width in [20, 40, 80, 200] {
            let term = InMemoryTerm::new(60, width);
            let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 255);
            let mut lanes = Lanes::on(MultiProgress::with_draw_target(target), || 12);
            let mut said = Vec::new();
            let ids: Vec<_> = (0..5).map(|i| format!("step{i}")).collect();
            let clusters = ["cluster1", "cluster2", "cluster3"];
            let id = |cluster: &str, step: &str| format!("{cluster}/{step}");
            let steps = clusters.iter().flat_map(|c| ids.iter().map(move |step| id(c, step))).collect();
            lanes.event(Event::Planned { steps, last: Some(43.0) });
            for step in &ids {
                for cluster in clusters {
                    lanes.event(started(&id(cluster, step), cluster));
                }
                lanes.event(Event::Told { text: format!("told {step}") });
                said.push(format!("told {step}"));
                for cluster in &clusters[1..] {
                    lanes.event(Event::Finished { id: id(cluster, step), seconds: 1.0 });
                    said.push(format!("✓ {:30} {:6.1} s", id(cluster, step), 1.0));
                }
            }
            lanes.silence();
            let screen = term.contents();
            let shown: Vec<_> = screen.lines().collect();
            let wrapped = |text: &String| text.chars().count().div_ceil(usize::from(width));
            let above: usize = said.iter().map(wrapped).sum();
            assert_eq!(
                shown[..above].concat().replace(' ', ""),
                said.concat().replace(' ', ""),
                "{width}:\n{screen}"
            );
            let below = &shown[above..];
            assert_eq!(below.len(), 6, "all, and five steps of cluster1; {width}:\n{screen}");
            assert!(below[0].starts_with("all") && below[1].starts_with("cluster1"), "{width}:\n{screen}");
            assert!(
                below.iter().all(|line| line.chars().count() <= usize::from(width)),
                "{width}:\n{screen}"
            );
            drop(lanes);
            assert_eq!(
                term.contents().lines().count(),
                above,
                "the lanes are gone; {width}:\n{}",
                term.contents()
            );
        }
    }
}
