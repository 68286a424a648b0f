//! `e2e`: make a world, judge every claim, collect, take all down; once, or again and again.

use std::time::{Duration, Instant};

use harness::artifact::source;
use harness::component::Order;
use harness::layout::Layout;
use harness::progress::Note;
use harness::setup::Setup;
use harness::{Code, Error, Result, kept, lifecycle, world};
use jiff::Timestamp;

use crate::due::Due;
use crate::report::Report;
use crate::runner::{self, Runner};
use crate::series::{Ran, Repeats, Series};
use crate::show::{self, Show};
use crate::{again, args, checklist, down, interrupt, verify};

/// Flags of `e2e`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    setups: args::Setups,
    #[command(flatten)]
    means: args::Means,
    /// Whether to leave the world up afterwards.
    #[arg(long, env = "VOUCHSAFE_KEEP", value_enum, default_value_t = args::Keep::Never)]
    keep: args::Keep,
    /// A nextest filter over scenarios, such as `test(handshake)`.
    #[arg(long, env = "VOUCHSAFE_FILTER", value_name = "EXPRESSION")]
    filter: Option<String>,
    #[command(flatten)]
    series: Repeats,
    /// One JSON object a line on stdout: progress, then a line for each claim; of a series also a line for each run.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    if args.setups.listed(&layout)? {
        return Ok(());
    }
    match args.series.series()? {
        Some(series) => again_and_again(args, series, &layout).await,
        None => once(args, &layout, &mut None).await,
    }
}

/// Runs until the series ends. The report of a green run goes when another run follows: each takes megabytes, and says the
/// same.
async fn again_and_again(args: &Args, mut series: Series, layout: &Layout) -> Result<()> {
    let name = format!("runs-{}.jsonl", Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
    let file = layout.reports().join(name);
    let mut first = None;
    loop {
        let (number, began, clock) = (series.next(), Timestamp::now(), Instant::now());
        let mut begun = None;
        let outcome = once(args, layout, &mut begun).await;
        // What was refused was no run.
        if number == 1 && outcome.as_ref().is_err_and(|e| matches!(e.code().exit(), 2..=3)) {
            return outcome;
        }
        let ran = told(begun.as_ref(), (number, began, clock.elapsed()), &outcome);
        let fail = |e| Error::internal(format!("cannot write {}", file.display())).because(e);
        let line = serde_json::to_string(&ran).map_err(|e| Error::internal("a run").because(e))?;
        kept::append(&file, &format!("{line}\n")).map_err(fail)?;
        if args.json {
            show::json(&ran)?;
        }
        // The next run would need the place of a world that stays.
        let stays = args.keep == args::Keep::OnFailure && outcome.is_err();
        let goes_on = series.goes_on(ran, &outcome) && !stays;
        if let (Some(report), true, Ok(())) = (&begun, goes_on, &outcome) {
            std::fs::remove_dir_all(&report.dir).map_err(fail)?;
        }
        first = first.or(outcome.err());
        if !goes_on {
            break;
        }
    }
    eprintln!("\n{}each run: {}", series.told(), file.display());
    series.outcome(first)
}

fn told(report: Option<&Report>, run: (u32, Timestamp, Duration), outcome: &Result<()>) -> Ran {
    let lines = report.and_then(|report| report.verdicts().ok()).unwrap_or_default();
    let worlds = report.map(Report::worlds).unwrap_or_default();
    Ran::of(run, outcome, &lines, &worlds, report.map(|report| report.dir.display().to_string()))
}

/// One run; `begun` is its report from when there is one.
async fn once(args: &Args, layout: &Layout, begun: &mut Option<Report>) -> Result<()> {
    let setups = args.setups.setups(layout)?;
    let own = setups.iter().any(Setup::is_own);
    let orders = setups.into_iter().map(|setup| owing(args, setup)).collect::<Result<Vec<_>>>()?;
    if args.keep == args::Keep::Always && orders.len() > 1 {
        return Err(Error::new(Code::Usage, "of several worlds only one can be kept")
            .next("name set-ups of one world with --keep always; nothing was touched"));
    }
    let claimed = world::claim(layout)?;
    let mut kept_before = match orders.as_slice() {
        [(order, _)] if args.keep != args::Keep::Never => again::kept(order, layout)?,
        // It is somebody's, and would be taken down at the end.
        _ if world::is_kept(layout) => lifecycle::nothing_is_up(layout).map(|()| None)?,
        _ => None,
    };
    let show = Show::start(args.json);
    let note = show.note();
    let fit = async {
        let orders = selected(args, orders, layout, &note).await?;
        if orders.len() > 1 {
            lifecycle::check(orders.iter().map(|(order, _)| order), layout, &note).await?;
        }
        Ok(orders)
    };
    let orders = match interrupt::or_stop(fit).await {
        Ok(orders) => orders,
        Err(e) => {
            drop(note);
            show.end().await;
            return Err(e);
        }
    };
    let report = &*begun.insert(Report::begin(layout)?);

    let mut outcome = Ok(());
    let (mut kept, mut left_out) = (false, args.filter.is_some());
    let mut downs = Vec::new();
    let several = orders.len() > 1;
    for (order, due) in orders {
        let without = match due.left_out {
            0 => String::new(),
            some => format!("; the filter leaves out {some}"),
        };
        note.tell(format!("{} claims are due in {}{without}", due.count(), due.world));
        if several {
            note.tell(format!("world {}, which shows {}", order.setup.world, order.setup.name));
        }
        let run = verify::Run { layout, report, filter: args.filter.as_deref(), json: args.json };
        let one = async {
            match kept_before.take() {
                Some(world) => again::judge(world, due, &run, &note).await,
                None => one_world(order, due, &run, &note).await.map(|()| true),
            }
        };
        let judged = interrupt::or_stop(one).await.map(|all| left_out |= !all);
        if let Err(e) = &judged {
            report.collect(layout, e, &note).await;
        }
        kept = args.keep.keeps(&judged);
        let began = Instant::now();
        let left = down::unless(kept, &judged, layout, &note).await;
        if !kept {
            downs.push(began.elapsed());
        }
        // A claim that is false in one world says nothing about the next; infrastructure that broke does.
        let goes_on = left.is_ok()
            && !kept
            && judged.as_ref().err().is_none_or(|e| matches!(e.code(), Code::ClaimBroken | Code::Evidence));
        outcome = outcome.and(judged).and(left);
        if !goes_on {
            break;
        }
    }
    // What was left out on purpose was not forgotten, and of a user's own set-up no document says anything.
    let whole = !left_out && !own && args.setups.topology.is_none();
    if outcome.is_ok() && whole {
        outcome = checklist::settled(layout, &report.dir).map(|line| note.tell(line));
    }
    drop(note);
    show.end().await;
    drop(claimed);
    report.close(&outcome, downs.into_iter().max(), kept, args.json)?;
    outcome
}

/// An order, and what is owed when it is made: a topology in which a scenario would prove less than it says is refused
/// here.
fn owing(args: &Args, setup: Setup) -> Result<(Order, Due)> {
    let due = Due::of_setup(&setup)?;
    Ok((args.means.order(setup)?, due))
}

/// The worlds in which the filter leaves something to judge, known before anything is made.
async fn selected(
    args: &Args,
    orders: Vec<(Order, Due)>,
    layout: &Layout,
    note: &Note,
) -> Result<Vec<(Order, Due)>> {
    let Some(filter) = &args.filter else { return Ok(orders) };
    if orders.iter().any(|(order, _)| brings_runner(order)) {
        return Ok(orders);
    }
    let runner = Runner::prepare(layout, note).await?;
    let names: Vec<_> = orders.iter().map(|(order, _)| order.setup.name.clone()).collect();
    let mut left = Vec::new();
    for (order, due) in orders {
        let due = runner.narrowed(layout, due, &order.setup.scenarios, &order.setup.topology, filter).await?;
        if !due.trials.is_empty() {
            left.push((order, due));
        }
    }
    if left.is_empty() { Err(runner::selects_nothing(filter, &names.join(","))) } else { Ok(left) }
}

/// What an archive brings must not be looked for before it is there.
fn brings_runner(order: &Order) -> bool {
    matches!(order.source, source::Choice::Archive(_))
}

/// Makes a world and judges it.
///
/// # Errors
/// As [`lifecycle::up`] and [`verify::judge`].
pub async fn one_world(order: Order, due: Due, run: &verify::Run<'_>, note: &Note) -> Result<()> {
    let verify::Run { layout, report, filter, .. } = *run;
    let brings_runner = brings_runner(&order);
    let _watching = report.watch(layout, &order.setup.world, &order.setup.topology)?;
    let made = async { lifecycle::up(order, layout, note).await };
    let (world, runner, due) = if brings_runner {
        let (world, runner) = (made.await?, Runner::prepare(layout, note).await?);
        let due = match filter {
            Some(filter) => runner.narrowed(layout, due, &world.scenarios, &world.topology, filter).await?,
            None => due,
        };
        (world, runner, due)
    } else {
        // The scenarios are compiled while the nodes boot.
        let (world, runner) = tokio::try_join!(made, Runner::prepare(layout, note))?;
        (world, runner, due)
    };
    report.world(&world)?;
    verify::judge(&runner, &world, &due, run, note).await
}
