//! `checklist`: what the source documents state, and what settles each statement. Writes `scenarios/CHECKLIST.md`,
//! and compares the list with what a run judged.

mod data;
mod fill;
mod page;
mod registry;
mod run;
mod sentence;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use harness::layout::Layout;
use harness::{Code, Error, Result};

use data::Checklist;
use registry::Registry;
use run::{Run, Wrong};

use crate::show::say;

/// Flags of `checklist`.
#[derive(clap::Args)]
pub struct Args {
    /// Only say whether the page is as the list makes it.
    #[arg(long)]
    check: bool,
    /// Say whether that run judged every claim that settles something, and all of them held.
    #[arg(long, value_name = "REPORT", conflicts_with = "check")]
    run: Option<PathBuf>,
    /// Settle open statements by the tags of what held in that run.
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["check", "run"])]
    fill: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    if let Some(report) = &args.run {
        say!("{}", settled(&layout, report)?);
        return Ok(());
    }
    if let Some(report) = &args.fill {
        for line in fill(&layout, report)? {
            say!("{line}");
        }
    }
    let registry = Registry::read(&layout)?;
    let page = page::of(&Checklist::read(&layout, &registry)?, &registry);
    let file = layout.repo.join(page::FILE);
    let now = std::fs::read_to_string(&file).unwrap_or_default();
    if page == now {
        say!("{} is up to date", page::FILE);
        return Ok(());
    }
    if args.check {
        return Err(Error::new(Code::Usage, format!("{} is not what {} makes", page::FILE, data::FILE))
            .next("cargo xtask checklist"));
    }
    write(&file, &page)?;
    say!("{} written", page::FILE);
    Ok(())
}

/// Whether the run in that report folder judged every claim that the checklist has for its set-ups, and all of them
/// held: a line that says how many statements that settled.
///
/// # Errors
/// [`Code::ClaimBroken`] when a claim of one did not hold, else [`Code::Evidence`]; with every statement that the run
/// does not settle.
pub fn settled(layout: &Layout, report: &Path) -> Result<String> {
    let list = Checklist::read(layout, &Registry::read(layout)?)?;
    let (all, unsettled) = Run::read(report)?.unsettled(&list);
    outcome(all, unsettled)
}

fn outcome(all: usize, unsettled: Vec<(String, Wrong)>) -> Result<String> {
    if unsettled.is_empty() {
        return Ok(format!("checklist: {all} of {all} items settled by this run"));
    }
    let what = format!("{} of {all} items of the checklist are not settled by this run", unsettled.len());
    let broken = unsettled.iter().any(|(_, wrong)| matches!(wrong, Wrong::Broken(_)));
    let told: Vec<_> = unsettled.iter().map(|(item, wrong)| format!("{item}: {wrong}")).collect();
    Err(Error::new(if broken { Code::ClaimBroken } else { Code::Evidence }, what)
        .seen(told.join("\n    "))
        .next(format!("correct the scenario that should say so, or {}", data::FILE)))
}

/// What was settled, a line each.
fn fill(layout: &Layout, report: &Path) -> Result<Vec<String>> {
    let registry = Registry::read(layout)?;
    let list = Checklist::read(layout, &registry)?;
    let file = layout.repo.join(data::FILE);
    let text = std::fs::read_to_string(&file)
        .map_err(|e| Error::new(Code::Usage, format!("cannot read {}", data::FILE)).because(e))?;
    let (text, lines) = fill::fill(&text, &list, &Run::read(report)?, &registry)?;
    write(&file, &text)?;
    Ok(lines)
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text)
        .map_err(|e| Error::new(Code::Usage, format!("cannot write {}", file.display())).because(e))
}
