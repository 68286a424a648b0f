//! `ablate`: one setting after the other is taken away from a world that is up, every claim is judged, what came is held
//! against what was predicted, and the setting is put back. What does something, and what is only copied, is a table then.

mod compare;
mod file;
mod table;

use std::path::PathBuf;

use futures::future::try_join_all;
use harness::kube::connect;
use harness::layout::Layout;
use harness::progress::Note;
use harness::setup::Setup;
use harness::tamper::written::{self, Written};
use harness::wait::{self, Look};
use harness::world::{self, World};
use harness::{Code, Error, Result, lifecycle, patience};
use kube::Client;
use scenarios::Baseline;

use self::compare::Seen;
use self::file::{Cell, Predicted};
use crate::cells::{Row, Table};
use crate::due::Due;
use crate::report::Report;
use crate::runner::Runner;
use crate::show::Show;
use crate::{args, diagnose, down, interrupt, verify};

/// The set-up whose settings these are.
const SETUP: &str = "federated";

/// Flags of `ablate`.
#[derive(clap::Args)]
pub struct Args {
    /// The settings: `cargo xtask schema ablations` prints the form. Ours, if left out.
    file: Option<PathBuf>,
    /// Only these settings; commas between several.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Write the lines of the settings that came as predicted into the table beside the file, as Markdown.
    #[arg(long, conflicts_with = "with")]
    write: bool,
    /// Versions that the world which is up must have, or is made with.
    #[command(flatten)]
    versions: args::Versions,
    #[command(flatten)]
    means: args::Means,
    /// One JSON object a line on stdout, for each setting, instead of the table.
    #[arg(long)]
    json: bool,
}

/// The form of the file.
pub use file::schema;

/// Takes all settings away, one after the other, and tells what came of each.
///
/// # Errors
/// [`Code::ClaimBroken`] when one is a surprise, [`Code::Evidence`] when one could not be judged; what cannot be read.
pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let ours = || layout.repo.join("scenarios/ablations.yaml");
    let file = args.file.clone().unwrap_or_else(ours);
    let mut setups = args::read(&layout, &[SETUP.to_owned()], None, false, &args.versions)?;
    let mut setup = setups.pop().ok_or_else(|| Error::internal("no main set-up"))?;
    // What changes the world by itself is not asked while a setting is away.
    setup.scenarios.changes.clear();
    let all = file::read(&file, &setup)?;
    let cells = file::chosen(&all, &args.only)?;
    let claimed = world::claim(&layout)?;
    let kept = world::is_kept(&layout);
    let show = Show::start(false);
    let note = show.note();
    let mut rows = Table::begin("ablate", &file);
    let at_work = At { layout: &layout, args, setup, note: &note };
    let judged = match interrupt::or_stop(at_work.ground(kept)).await {
        Ok((world, runner)) => at_work.all(&cells, &world, &runner, &mut rows).await,
        Err(e) => Err(e),
    };
    // A world that was up before is somebody's; one of our own has served.
    let left = if kept { Ok(()) } else { down::unless(false, &judged, &layout, &note).await };
    drop(note);
    show.end().await;
    drop(claimed);
    let line = |row: &Row| {
        let cell = cells.iter().find(|cell| cell.name == row.cell);
        cell.map(|cell| table::line(cell, Some(row))).unwrap_or_default()
    };
    let order: Vec<_> = all.iter().map(|cell| cell.name.clone()).collect();
    rows.tell((table::HEAD, line), &layout, args.json, args.write.then_some(order.as_slice()))?;
    judged.and(left).and_then(|()| rows.verdict())
}

/// What is at work.
struct At<'a> {
    layout: &'a Layout,
    args: &'a Args,
    setup: Setup,
    note: &'a Note,
}

impl At<'_> {
    /// The world that is up, or one of our own, with what judges it.
    async fn ground(&self, kept: bool) -> Result<(World, Runner)> {
        let Self { layout, args, note, .. } = self;
        if !kept {
            let order = args.means.order(self.setup.clone())?;
            let made = lifecycle::up(order, layout, note);
            return tokio::try_join!(made, Runner::prepare(layout, note));
        }
        let mut world = World::read(layout)?;
        if world.name != self.setup.world || !world.expect.is_empty() {
            let what = format!("settings are taken away from the world {}, and {} is up", SETUP, world.name);
            return Err(Error::new(Code::Busy, what).next("cargo xtask down, then this again"));
        }
        verify::has_versions(layout, &world, &args.versions)?;
        world.scenarios.clone_from(&self.setup.scenarios);
        let whole = verify::whole(layout, &world, note);
        let (runner, ()) = tokio::try_join!(Runner::prepare(layout, note), whole)?;
        Ok((world, runner))
    }

    /// One setting after the other, until one leaves no ground for the next.
    async fn all(&self, cells: &[&Cell], world: &World, runner: &Runner, table: &mut Table) -> Result<()> {
        for (number, cell) in cells.iter().enumerate() {
            self.note.tell(format!("{} of {}: {}: {}", number + 1, cells.len(), cell.name, cell.setting));
            let report = Report::begin(self.layout)?;
            let before = interrupt::or_stop(baselines(world)).await?;
            let (seen, put_back) = Box::pin(self.one(cell, world, runner, &report)).await;
            let stopped = seen.as_ref().is_err_and(|e| e.code() == Code::Interrupted);
            let row = compare::row(cell, &seen, &report.dir);
            let why: String = row.why.iter().map(|why| format!("; {why}")).collect();
            self.note.tell(format!("{}: {}{why}", cell.name, row.outcome));
            table.rows.push(row);
            let ended = seen.and_then(|seen| seen.ended);
            report.close(&ended, None, false, true)?;
            put_back?;
            if stopped {
                return ended;
            }
            interrupt::or_stop(self.as_before(&before, world)).await?;
        }
        Ok(())
    }

    /// Takes the setting away, looks, and puts it back, whatever was seen.
    async fn one(
        &self,
        cell: &Cell,
        world: &World,
        runner: &Runner,
        report: &Report,
    ) -> (Result<Seen>, Result<()>) {
        let mut changes = cell.changes.clone();
        if let Predicted::Unready { workload, .. } = &cell.predicted {
            changes.push(Written::Renew(workload.clone()));
        }
        // Not to be stopped in its midst: what is changed half is put back by nobody.
        let made = match Box::pin(written::make(world, &changes, self.note)).await {
            Ok(made) => made,
            Err(e) => return (Err(e), Ok(())),
        };
        let seen = interrupt::or_stop(self.seen(cell, world, runner, report)).await;
        let put_back = made.put_back(self.note).await;
        (seen, put_back.map_err(|e| e.next("cargo xtask down: something of this setting is still away")))
    }

    async fn seen(&self, cell: &Cell, world: &World, runner: &Runner, report: &Report) -> Result<Seen> {
        let mut seen = Seen::nothing();
        if let Predicted::Unready { workload, .. } = &cell.predicted {
            seen.unready = written::unready(world, workload, self.note).await?;
        } else {
            wait::pause_for(patience::TAKEN_IN).await;
            let due = Due::of(&world.name, &world.scenarios, &world.topology)?;
            report.world(world)?;
            let _watching = report.watch(self.layout, &world.name, &world.topology)?;
            let run = verify::Run { layout: self.layout, report, filter: None, json: false };
            seen.ended = verify::judge(runner, world, &due, &run, self.note).await;
            seen.lines = report.of_world(&world.name)?;
        }
        if !matches!(cell.predicted, Predicted::Inert) {
            seen.causes = causes(world, diagnose::symptoms(&report.dir, Some(&world.name))).await?;
        }
        Ok(seen)
    }

    /// Every object and every registration entry is back, and a diagnosis names nothing.
    async fn as_before(&self, before: &[(Client, Baseline)], world: &World) -> Result<()> {
        for (client, baseline) in before {
            let left = baseline.left_over(client).await?;
            if left != Baseline::SAME {
                return Err(Error::new(Code::LeftBehind, "what was taken away is not back")
                    .seen(left)
                    .next("cargo xtask down"));
            }
        }
        let look = || async {
            match causes(world, Vec::new()).await {
                Ok(causes) if causes.is_empty() => Look::Ready(()),
                Ok(causes) => Look::NotYet(format!("diagnosed: {}", causes.join(", "))),
                Err(e) => Look::not_yet(e),
            }
        };
        wait::eventually("the mesh as before", patience::SETTLE, self.note, look).await
    }
}

async fn baselines(world: &World) -> Result<Vec<(Client, Baseline)>> {
    let of_each = world.sites.values().map(async |site| {
        let client = connect(&site.kubeconfig).await?;
        let baseline = Baseline::of(&client).await?;
        Ok((client, baseline))
    });
    try_join_all(of_each).await
}

/// The names of the causes that a diagnosis finds now.
async fn causes(world: &World, symptoms: Vec<String>) -> Result<Vec<String>> {
    let kubeconfigs: Vec<_> = world.sites.values().map(|site| site.kubeconfig.clone()).collect();
    let (observed, missing) = harness::diagnose::observe(&kubeconfigs, symptoms).await;
    if !missing.is_empty() {
        return Err(Error::new(Code::Evidence, "a cluster could not be looked at").seen(missing.join("; ")));
    }
    let mut names: Vec<_> =
        proof::diagnosis::diagnose(&observed).causes.iter().map(|cause| cause.name.to_owned()).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
