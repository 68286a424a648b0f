//! What the making of a world took, step by step, and which steps decided the total.

use std::collections::BTreeMap;

use harness::plan::Timing;
use harness::world::World;
use maud::{Markup, html};

use super::run::Shown;
use super::{Page, heading};

/// The steps of a world's making.
pub fn of(page: &Page<'_>, shown: &Shown) -> Markup {
    html! {
        section {
            (heading(page.level, "Timeline"))
            @match &shown.world {
                None => p { "This world was not made to its end, so its steps were not written down; " code { "log.txt" } " has them." },
                Some(world) => {
                    @if page.run.at.is_some_and(|began| world.made < began) {
                        p { "This run found the world up: it was made at " (world.made.strftime("%F %T UTC")) "." }
                    }
                    (table(world))
                }
            }
        }
    }
}

fn table(world: &World) -> Markup {
    let ends: BTreeMap<_, _> = world.timings.iter().map(|step| (step.id.clone(), step.end)).collect();
    let total = ends.values().copied().fold(0.0, f64::max);
    let critical = world.graph.critical_path(&ends);
    html! {
        p { "The set-up took " (seconds(total)) ". The marked steps are the chain that decided it." }
        div.wide tabindex="0" role="group" aria-label={ "Steps of the world " (world.name) } {
            table.steps {
                thead {
                    tr {
                        th scope="col" { "step" } th scope="col" { "began" } th scope="col" { "took" }
                        th scope="col" { "when" } th scope="col" { "waited last for" }
                    }
                }
                tbody {
                    @for step in &world.timings {
                        @let decides = critical.contains(&step.id);
                        tr.critical[decides] {
                            th scope="row" title=[what(world, step)] {
                                (step.id) @if decides { span.mark { " ● decided" } }
                            }
                            td.number { (seconds(step.begin)) }
                            td.number { (seconds(step.end - step.begin)) }
                            td.bar { span style=(placed(step, total)) {} }
                            td { (last_need(world, step, &ends).unwrap_or("–")) }
                        }
                    }
                }
            }
        }
    }
}

fn what<'a>(world: &'a World, step: &Timing) -> Option<&'a str> {
    world.graph.steps.iter().find(|node| node.id == step.id).map(|node| node.what.as_str())
}

/// The need that was done last.
fn last_need<'a>(world: &'a World, step: &Timing, ends: &BTreeMap<String, f64>) -> Option<&'a str> {
    let end = |id: &String| ends.get(id).copied().unwrap_or_default();
    let node = world.graph.steps.iter().find(|node| node.id == step.id)?;
    node.needs.iter().max_by(|a, b| end(a).total_cmp(&end(b))).map(String::as_str)
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

/// A bar from its beginning to its end, of all the time that there was.
fn placed(step: &Timing, total: f64) -> String {
    let share = |seconds: f64| 100.0 * seconds / total.max(f64::EPSILON);
    format!("margin-left:{:.2}%;width:{:.2}%", share(step.begin), share(step.end - step.begin).max(0.4))
}
