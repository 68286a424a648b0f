//! `e2e`: make a world, judge every claim, collect, take all down.

use harness::artifact::source;
use harness::layout::Layout;
use harness::{Code, Result, lifecycle, world};

use crate::report::Report;
use crate::show::Show;
use crate::verify::{self, Runner};
use crate::{args, down, interrupt};

/// Flags of `e2e`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    world: args::World,
    #[command(flatten)]
    means: args::Means,
    /// Whether to leave the world up afterwards.
    #[arg(long, env = "VOUCHSAFE_KEEP", value_enum, default_value_t = args::Keep::Never)]
    keep: args::Keep,
    /// A nextest filter over scenarios, such as `test(bundles)`.
    #[arg(long, env = "VOUCHSAFE_FILTER", value_name = "EXPRESSION")]
    filter: Option<String>,
    /// One JSON object a line on stdout: progress, then a line for each claim.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let order = args.means.order(args.world.setup(&layout)?)?;
    // What an archive brings must not be looked for before it is there.
    let brings_runner = matches!(order.source, source::Choice::Archive(_));
    let claimed = world::claim(&layout)?;
    let report = Report::begin(&layout)?;
    let show = Show::start(args.json);
    let note = show.note();

    let work = async {
        let made = async { lifecycle::up(order, &layout, &note).await };
        let (world, runner) = if brings_runner {
            (made.await?, Runner::prepare(&layout, &note).await?)
        } else {
            // The scenarios are compiled while the nodes boot.
            tokio::try_join!(made, Runner::prepare(&layout, &note))?
        };
        report.world(&world)?;
        verify::judge(&runner, &layout, &report, args.filter.as_deref(), args.json, &note).await
    };
    let judged = interrupt::or_stop(work).await;
    let busy = judged.as_ref().is_err_and(|e| e.code() == Code::Busy);
    if let Err(e) = &judged {
        report.failure(&layout, e, &note).await;
    }
    let keep = match args.keep {
        args::Keep::Never => false,
        args::Keep::OnFailure => judged.is_err(),
        args::Keep::Always => true,
    };
    let left = if keep || busy { Ok(()) } else { down::take_down(&layout, &note).await };
    drop(note);
    show.end().await;
    drop(claimed);
    report.close(&judged, keep, args.json)?;
    judged.and(left)
}
