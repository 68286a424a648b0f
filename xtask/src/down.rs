//! `down`: everything that any run made is taken away.

use std::time::Instant;

use harness::layout::Layout;
use harness::progress::Note;
use harness::{Result, lifecycle, world};

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
    let show = Show::start(args.json);
    let result = take_down(&layout, &show.note()).await;
    show.end().await;
    drop(claimed);
    result
}

/// Takes down, as a step that is shown.
pub async fn take_down(layout: &Layout, note: &Note) -> Result<()> {
    let (note, began) = (note.of("down"), Instant::now());
    note.started("", "take everything down", None);
    let result = lifecycle::down(layout, &note).await;
    match &result {
        Ok(()) => note.finished(began.elapsed()),
        Err(e) => note.failed(e),
    }
    result
}
