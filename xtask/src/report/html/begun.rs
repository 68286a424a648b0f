//! The steps of a run by its log: what is known of a set-up that failed, for a world is written down when it is made.

use jiff::Timestamp;
use maud::{Markup, html};

use super::heading;

/// A step that began.
#[derive(Clone, Debug, PartialEq)]
pub struct Begun {
    /// Its id.
    pub id: String,
    /// What it was to do.
    pub what: String,
    /// Seconds after the log's first line.
    pub begin: f64,
    /// How long it took; nothing where it failed, or was stopped.
    pub took: Option<f64>,
}

/// Those that the command's own lines tell of (`harness::progress` writes them).
pub fn all_in(log: &str) -> Vec<Begun> {
    let Some(first) = moment(log) else { return Vec::new() };
    let mut all: Vec<Begun> = Vec::new();
    for line in log.lines() {
        let Some((_, said)) = line.split_once(" harness::progress: ") else { continue };
        let Some((words, fields)) = said.rsplit_once(" step=\"") else { continue };
        let Some((id, rest)) = fields.split_once('"') else { continue };
        if let (Some(what), Some(at)) = (words.strip_prefix("begins: "), moment(line)) {
            let begin = (at - first).total(jiff::Unit::Second).unwrap_or_default();
            all.push(Begun { id: id.to_owned(), what: what.to_owned(), begin, took: None });
        } else if let Some(ms) = rest.strip_prefix(" ms=").and_then(|ms| ms.trim().parse::<f64>().ok())
            && let Some(step) = all.iter_mut().rfind(|step| step.id == id)
        {
            step.took = Some(ms / 1000.0);
        }
    }
    all
}

/// When a line was written.
pub fn moment(line: &str) -> Option<Timestamp> {
    line.split(' ').next()?.parse().ok()
}

/// A row for each; those that never ended are what to read about in the log.
pub fn of(begun: &[Begun]) -> Markup {
    if begun.is_empty() {
        return Markup::default();
    }
    html! {
        section {
            (heading(2, "Steps that began"))
            div.wide tabindex="0" role="group" aria-label="Steps that began" {
                table.steps {
                    thead { tr { th scope="col" { "step" } th scope="col" { "began" } th scope="col" { "took" } th scope="col" { "what" } } }
                    tbody {
                        @for step in begun {
                            tr.critical[step.took.is_none()] {
                                th scope="row" { (step.id) }
                                td.number { (format!("{:.1} s", step.begin)) }
                                @match step.took {
                                    Some(took) => td.number { (format!("{took:.1} s")) },
                                    None => td { "did not end" },
                                }
                                td { (step.what) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_never_ended_is_told_from_one_that_did() {
        let log = "2026-11-26T12:28:45.000Z xtask INFO  xtask: cargo xtask e2e version=\"0\" pid=1\n\
                   2026-11-26T12:28:45.500Z xtask INFO  harness::progress: begins: container engine answers step=\"engine\"\n\
                   2026-11-26T12:28:45.600Z xtask DEBUG harness::progress: [engine] not there yet step=\"engine\"\n\
                   2026-11-26T12:28:46.131Z xtask INFO  harness::progress: [engine] ends step=\"engine\" ms=631\n\
                   2026-11-26T12:28:47.000Z xtask INFO  harness::progress: begins: kind cluster step=\"c1/cluster\"\n";
        let step =
            |id: &str, what: &str, begin, took| Begun { id: id.into(), what: what.into(), begin, took };
        let all = all_in(log);
        assert_eq!(
            all,
            [
                step("engine", "container engine answers", 0.5, Some(0.631)),
                step("c1/cluster", "kind cluster", 2.0, None)
            ]
        );
        assert_eq!(of(&all).into_string().matches("did not end").count(), 1);
    }
}
