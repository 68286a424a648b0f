//! `report.html`: all of a run on one page that loads nothing, for whoever gets the folder and has none of our tools. It
//! is made from the folder alone ([`run`]), so `cargo xtask report` makes the same page again.

mod begun;
mod by_hand;
mod claims;
mod handshakes;
mod head;
mod looked;
mod mermaid;
mod picture;
mod run;
mod seen;
#[cfg(test)]
mod tests;
mod timeline;
mod versions;
mod watched;
mod words;

use std::path::Path;

use harness::{Code, Error, Result, kept};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use begun::{Begun, moment};
use looked::Looked;
use run::{Run, Shown};
use seen::Scene;

use crate::report::Tally;

/// The page's name in a report's folder.
pub const FILE: &str = "report.html";
const STYLE: &str = include_str!("style.css");
/// Not even a page that somebody else wrote into ours loads anything.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
/// A page longer than this says less of handshakes, and where the rest is: it goes into tickets, of which most take
/// 3 MB at least.
const LONGEST: usize = 3_000_000;

/// How much of each handshake is on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handshakes {
    /// All of it.
    Whole,
    /// All but what both sidecars recorded.
    WithoutRecords,
    /// That it was, and where it is kept.
    Named,
}

/// One page in the making.
struct Page<'a> {
    run: &'a Run,
    /// What it looked at when it failed.
    looked: &'a Looked,
    /// What was seen, world by world.
    scenes: &'a [Option<Scene>],
    /// Of the headings within a world.
    level: u8,
    handshakes: Handshakes,
}

/// Writes the page, and each world's picture as SVG and as Mermaid's text.
///
/// # Errors
/// [`Code::Usage`] when it is no report's folder; [`Code::Evidence`] when its verdicts cannot be read;
/// [`Code::Internal`] when it cannot be written.
pub fn write(dir: &Path) -> Result<()> {
    let run = Run::read(dir)?;
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        kept::write(&path, text)
            .map_err(|e| Error::new(Code::Internal, format!("cannot write {}", path.display())).because(e))
    };
    let scenes = scenes(&run);
    for (shown, scene) in run.worlds.iter().zip(&scenes) {
        if let Some(scene) = scene {
            let about = picture::about(scene, &shown.name);
            write(&format!("picture-{}.svg", shown.name), &picture::alone(scene, &about))?;
            write(&format!("picture-{}.mmd", shown.name), &mermaid::of(scene))?;
        }
    }
    write(FILE, &within(LONGEST, &run, &Looked::read(dir), &scenes))
}

/// When the run of a report's folder began, and its steps, by the log.
pub fn steps_begun(dir: &Path) -> (Option<Timestamp>, Vec<Begun>) {
    let log = std::fs::read_to_string(dir.join(harness::log::FILE)).unwrap_or_default();
    (log.lines().find_map(moment), begun::all_in(&log))
}

/// The page of a stored report.
///
/// # Errors
/// As [`write()`], but for writing.
pub fn page(dir: &Path) -> Result<String> {
    let run = Run::read(dir)?;
    let scenes = scenes(&run);
    Ok(within(LONGEST, &run, &Looked::read(dir), &scenes))
}

fn scenes(run: &Run) -> Vec<Option<Scene>> {
    run.worlds.iter().map(Scene::of).collect()
}

/// The page, with as much of each handshake as goes into so many bytes.
fn within(most: usize, run: &Run, looked: &Looked, scenes: &[Option<Scene>]) -> String {
    let level = if run.worlds.len() > 1 { 3 } else { 2 };
    let told = |handshakes| Page { run, looked, scenes, level, handshakes }.markup().into_string();
    let mut longer = [Handshakes::Whole, Handshakes::WithoutRecords].into_iter().map(told);
    longer.find(|page| page.len() <= most).unwrap_or_else(|| told(Handshakes::Named))
}

impl Page<'_> {
    fn markup(&self) -> Markup {
        let verdict = head::verdict(self.run);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    // Without one a browser asks the server for it.
                    link rel="icon" href="data:,";
                    title { "Vouchsafe: " (verdict) }
                    style { (PreEscaped(picture::STYLE)) (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#main" { "To the findings" }
                    header { (head::of(self.run, &verdict)) }
                    main #main tabindex="-1" {
                        (self.looked.causes())
                        @if self.run.worlds.is_empty() { (self.looked.picture()) }
                        @for (shown, scene) in self.run.worlds.iter().zip(self.scenes) { (self.world(shown, scene.as_ref())) }
                        @if self.run.broke() { (begun::of(&self.run.begun)) }
                        (self.measures())
                    }
                }
            }
        }
    }

    fn world(&self, shown: &Shown, scene: Option<&Scene>) -> Markup {
        html! {
            section id={ "world-" (shown.name) } {
                @if self.run.worlds.len() > 1 { h2 { "World " (shown.name) ": " (Tally::of(&shown.lines)) } }
                (self.picture(shown, scene))
                (claims::of(self, shown))
                (handshakes::of(self, shown))
                (watched::of(self, shown))
                (timeline::of(self, shown))
                (versions::of(self, shown))
            }
        }
    }

    fn picture(&self, shown: &Shown, scene: Option<&Scene>) -> Markup {
        let Some(scene) = scene else {
            return html! { section { (heading(self.level, "What was seen")) p { "Nothing was observed of this world." } } };
        };
        html! {
            section {
                (heading(self.level, "What was seen"))
                div.wide tabindex="0" role="group" aria-label={ "Picture of the world " (shown.name) } {
                    (picture::inline(scene, &picture::about(scene, &shown.name)))
                }
                @if scene.not_held().next().is_some() {
                    ul.marks {
                        @for (what, mark) in scene.not_held() {
                            li.(mark.class()) {
                                (mark.sign()) (what) ": "
                                @if let Some(line) = mark.line { a href={ "#" (claims::anchor(shown, line)) } { (mark.why().unwrap_or_default()) } }
                            }
                        }
                    }
                }
                @if scene.undrawn.all() > 0 {
                    p { "Beside the picture, of scenarios and of what a source document says: " (scene.undrawn) "." }
                }
                details {
                    summary { "The picture as Mermaid text" }
                    pre tabindex="0" { (mermaid::of(scene)) }
                }
            }
        }
    }

    /// What the run measured of itself, as `report.md` has it.
    fn measures(&self) -> Markup {
        let measures = self.run.told.as_ref().map(|told| told.measures.as_slice()).unwrap_or_default();
        html! {
            @if !measures.is_empty() {
                section {
                    h2 { "What it took" }
                    ul { @for line in measures { li { (line) } } }
                }
            }
        }
    }
}

fn heading(level: u8, text: &str) -> Markup {
    html! {
        @match level {
            2 => h2 { (text) },
            3 => h3 { (text) },
            4 => h4 { (text) },
            _ => h5 { (text) },
        }
    }
}
