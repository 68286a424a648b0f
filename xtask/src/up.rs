//! `up`: makes a world and leaves it up; one that is up already, and is what would be made, is only attached to.

use std::time::Instant;

use harness::layout::Layout;
use harness::progress::Note;
use harness::{Code, Result, ledger, lifecycle, world};

use crate::report::Report;
use crate::show::Show;
use crate::{again, args, down, interrupt, verify};

/// Flags of `up`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    setups: args::Setups,
    #[command(flatten)]
    means: args::Means,
    /// Whether to leave a world that failed half-way.
    #[arg(long, env = "VOUCHSAFE_KEEP", value_enum, default_value_t = args::Keep::OnFailure)]
    keep: args::Keep,
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args) -> Result<()> {
    let began = Instant::now();
    let layout = Layout::find()?;
    if args.setups.listed(&layout)? {
        return Ok(());
    }
    let order = args.means.order(args.setups.setup(&layout)?)?;
    let claimed = world::claim(&layout)?;
    let show = Show::start(args.json);
    let note = show.note();
    let making = async {
        match again::kept(&order, &layout)? {
            Some(world) => {
                note.tell(again::is_up(&world));
                verify::whole(&layout, &world, &note).await
            }
            None => lifecycle::up(order, &layout, &note).await.map(drop),
        }
    };
    let made = interrupt::or_stop(making).await;
    let report = failed(&made, began, &layout, &note).await?;
    drop(note);
    let kept = made.is_ok() || args.keep.keeps(&made);
    let taking_down = Instant::now();
    let left = down::unless(kept, &made, &layout, &show.note()).await;
    let down = (!kept).then(|| taking_down.elapsed());
    show.end().await;
    drop(claimed);
    if let Some(report) = report {
        report.close(&made, down, kept, args.json)?;
    }
    made.and(left)?;
    eprintln!("up. next: cargo xtask verify, cargo xtask status, cargo xtask down");
    Ok(())
}

/// A report of a set-up that failed when something was there already; one that came to its end has nothing to tell that the
/// terminal did not.
async fn failed(made: &Result<()>, began: Instant, layout: &Layout, note: &Note) -> Result<Option<Report>> {
    let Err(e) = made else { return Ok(None) };
    if e.code() == Code::Busy || ledger::things(&layout.world())?.is_empty() {
        return Ok(None);
    }
    let report = Report::of_a_run_since(layout, began)?;
    report.collect(layout, e, note).await;
    Ok(Some(report))
}
