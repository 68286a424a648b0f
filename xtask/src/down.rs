//! `down`: everything that any run made is taken away, and what a killed probe left in clusters that others run.

use std::time::Instant;

use harness::layout::Layout;
use harness::progress::Note;
use harness::{Code, Result, existing, lifecycle, world};

use crate::interrupt;
use crate::show::Show;

/// Flags of `down`.
#[derive(clap::Args)]
pub struct Args {
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let claimed = world::claim(&layout)?;
    interrupt::in_order();
    let show = Show::start(args.json);
    let note = show.note();
    // First: its cluster may be one of the world that is taken down.
    let left = existing::leave_all(&layout, &note.of("probes")).await;
    let result = take_down(&layout, &note).await;
    drop(note);
    show.end().await;
    drop(claimed);
    match (result, left) {
        (Err(e), Err(left)) => Err(e.seen(left.to_string())),
        (result, left) => result.and(left),
    }
}

/// Ends what a run made: what is kept is marked so, all else is taken down. The world that a run was refused for is
/// not its own, and stays as it is.
pub async fn unless<T>(kept: bool, made: &Result<T>, layout: &Layout, note: &Note) -> Result<()> {
    match made {
        Err(e) if e.code() == Code::Busy => Ok(()),
        _ if kept => world::keep(layout),
        _ => take_down(layout, note).await,
    }
}

/// As a step that is shown.
async fn take_down(layout: &Layout, note: &Note) -> Result<()> {
    let (note, began) = (note.of("down"), Instant::now());
    note.started("", "take everything down", None);
    let result = lifecycle::down(layout, &note).await;
    match &result {
        Ok(()) => note.finished(began.elapsed()),
        Err(e) => note.failed(e),
    }
    result
}
