//! `up`: makes a world and leaves it up.

use harness::layout::Layout;
use harness::{Result, lifecycle, world};

use crate::show::Show;
use crate::{args, down, interrupt};

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
    let layout = Layout::find()?;
    if args.setups.listed(&layout)? {
        return Ok(());
    }
    let order = args.means.order(args.setups.setup(&layout)?)?;
    let claimed = world::claim(&layout)?;
    let show = Show::start(args.json);
    let made = interrupt::or_stop(lifecycle::up(order, &layout, &show.note())).await;
    let kept = made.is_ok() || args.keep.keeps(&made);
    let left = down::unless(kept, &made, &layout, &show.note()).await;
    show.end().await;
    drop(claimed);
    made.and(left)?;
    eprintln!("up. next: cargo xtask verify, cargo xtask status, cargo xtask down");
    Ok(())
}
