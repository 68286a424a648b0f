//! `matrix`: many worlds, one after the other, each with what is expected of it, and a table of what came. A world that
//! several cells ask for is made once. What holds or breaks otherwise than was written beforehand is a surprise, also when it
//! is better than expected.

mod file;
mod table;

use std::path::PathBuf;
use std::time::Instant;

use harness::artifact::cache::Inputs;
use harness::layout::Layout;
use harness::progress::Note;
use harness::world::{self, World};
use harness::{Code, Result, lifecycle};

use self::file::Cell;
use crate::cells::Table;
use crate::e2e::one_world;
use crate::report::Report;
use crate::runner::Runner;
use crate::show::Show;
use crate::{args, down, interrupt, verify};

/// Flags of `matrix`.
#[derive(clap::Args)]
pub struct Args {
    /// The cells: `cargo xtask schema matrix` prints the form, `scenarios/matrix.yaml` is one.
    file: PathBuf,
    /// Only these cells; commas between several.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Write the lines of the cells that came as expected into the table beside the file, as Markdown.
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    means: args::Means,
    /// One JSON object a line on stdout, for each cell, instead of the table.
    #[arg(long)]
    json: bool,
}

/// The form of a matrix' file.
pub use file::schema;

/// Runs all cells, and tells what came of each.
///
/// # Errors
/// [`Code::ClaimBroken`] when one is a surprise, [`Code::Evidence`] when one could not be judged; what cannot be read.
pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let cells = file::read(&layout, &args.file, &args.only)?;
    let order = file::names(&args.file)?;
    let worlds = by_world(cells, args, &layout)?;
    let claimed = world::claim(&layout)?;
    // It is somebody's. What a killed run left is taken down before the first world is made.
    if world::is_kept(&layout) {
        lifecycle::nothing_is_up(&layout)?;
    }
    let mut table = Table::begin("matrix", &args.file);
    let mut ended = Ok(());
    for cells in worlds {
        ended = one(cells, args, &layout, &mut table).await;
        if ended.is_err() {
            break;
        }
    }
    drop(claimed);
    let order = args.write.then_some(order.as_slice());
    table.tell((table::HEAD, table::line), &layout, args.json, order)?;
    ended.and_then(|()| table.verdict())
}

/// Cells of one world, in the order of the first of each.
fn by_world(cells: Vec<Cell>, args: &Args, layout: &Layout) -> Result<Vec<Vec<Cell>>> {
    let mut worlds: Vec<(Inputs, Vec<Cell>)> = Vec::new();
    for cell in cells {
        let inputs = args.means.order(cell.setup.clone())?.inputs(layout)?;
        match worlds.iter_mut().find(|(other, _)| *other == inputs) {
            // A world that does not come up shows nothing else.
            Some((_, cells)) if cell.fails.is_none() && cells.iter().all(|other| other.fails.is_none()) => {
                cells.push(cell);
            }
            _ => worlds.push((inputs, vec![cell])),
        }
    }
    Ok(worlds.into_iter().map(|(_, cells)| cells).collect())
}

/// Makes the world of these cells, judges it as each of them says, and takes it down.
///
/// # Errors
/// What leaves no ground for another world: a signal, or something that could not be taken away.
async fn one(cells: Vec<Cell>, args: &Args, layout: &Layout, all: &mut Table) -> Result<()> {
    let last = cells.len() - 1;
    let mut is_up = false;
    for (i, cell) in cells.into_iter().enumerate() {
        let show = Show::start(false);
        let note = show.note();
        note.tell(format!("cell {}: {}", cell.name, cell.about()));
        let report = Report::begin(layout)?;
        let run = verify::Run { layout, report: &report, filter: None, json: false };
        let order = args.means.order(cell.setup.clone())?;
        let judging = async {
            match is_up {
                true => again(&cell, &run, &note).await,
                false => one_world(order, cell.due.clone(), &run, &note).await,
            }
        };
        let judged = interrupt::or_stop(judging).await;
        if let Err(e) = &judged {
            report.collect(layout, e, &note).await;
        }
        is_up = judged.as_ref().err().is_none_or(|e| matches!(e.code(), Code::ClaimBroken | Code::Evidence));
        let (over, began) = (i == last || !is_up, Instant::now());
        let left = if over { down::unless(false, &judged, layout, &note).await } else { Ok(()) };
        drop(note);
        show.end().await;
        let row = table::row(&cell, &judged, &report.of_world(&cell.setup.world)?, &report.dir);
        report.close(&judged, over.then(|| began.elapsed()), false, false)?;
        all.rows.push(row);
        left?;
        if judged.as_ref().is_err_and(|e| e.code() == Code::Interrupted) {
            return judged;
        }
    }
    Ok(())
}

/// The world that is up, as another cell sees it.
async fn again(cell: &Cell, run: &verify::Run<'_>, note: &Note) -> Result<()> {
    let mut world = World::read(run.layout)?;
    world.judged_by(&cell.setup, run.layout)?;
    world.name.clone_from(&cell.setup.world);
    world.setup.clone_from(&cell.setup.name);
    world.scenarios.clone_from(&cell.setup.scenarios);
    world.write(run.layout)?;
    let _watching = run.report.watch(run.layout, &world.name, &world.topology)?;
    let runner = Runner::prepare(run.layout, note).await?;
    run.report.world(&world)?;
    verify::judge(&runner, &world, &cell.due, run, note).await
}
