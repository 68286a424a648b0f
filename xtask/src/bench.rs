//! `bench`: the honest rival and us, alternately on the same machine, from nothing to an answer of each other cluster.
//!
//! "Fast" means nothing without a rival, and a rival that nobody can run proves nothing. This one is a script that a
//! careful person would write after the published guides (`xtask/rival/serial.sh`), with the same engine, versions,
//! images and manifests. The README's table is what this command writes.

mod machine;
mod rival;
mod table;

use clap::ValueEnum;
use harness::component::Order;
use harness::engine::Record;
use harness::layout::Layout;
use harness::progress::Note;
use harness::setup::Setup;
use harness::{Error, Result, lifecycle, world};

use crate::show::{Show, say};
use crate::{args, down, interrupt};
use harness::clock::{Clock, Span};
use rival::Rival;
use table::{Conditions, Table};

/// The set-up that both make.
const SETUP: &str = "federated";

/// Flags of `bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    means: args::Means,
    /// How many times each of the two is run.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// Only one of the two.
    #[arg(long, value_enum)]
    only: Option<Side>,
    /// Puts the table into the README, in place of the one that is there.
    #[arg(long, conflicts_with = "only")]
    write: bool,
}

/// Who makes the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// The serial script.
    Rival,
    /// `cargo xtask up`.
    Ours,
}

pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let order = |defaults| {
        let setup = Setup::read(&layout.manifests(), &[SETUP], None, defaults)?.pop();
        args.means.order(setup.ok_or_else(|| Error::internal("one name is one set-up"))?)
    };
    let (ours, by_hand) = (order(false)?, order(true)?);
    if args.write {
        table::write_readme(&layout, None)?;
    }
    let claimed = world::claim(&layout)?;
    lifecycle::nothing_is_up(&layout)?;
    let show = Show::start(false);
    let bench = Bench { layout: &layout, ours, rival: Rival::new(&layout, by_hand), note: show.note() };
    let measured = interrupt::or_stop(bench.measure(args)).await;
    let left = down::unless(false, &measured, &layout, &bench.note).await;
    let cleared = bench.rival.clear();
    drop(bench);
    show.end().await;
    drop(claimed);
    let table = measured?.to_string();
    say!("{table}");
    left.and(cleared)?;
    if args.write { table::write_readme(&layout, Some(&table)) } else { Ok(()) }
}

struct Bench<'a> {
    layout: &'a Layout,
    ours: Order,
    rival: Rival<'a>,
    note: Note,
}

impl Bench<'_> {
    async fn measure(&self, args: &Args) -> Result<Table> {
        let mut table = Table::new(self.prepare(args.only).await?);
        for pair in 1..=args.pairs {
            // Who comes second finds a warmer machine, so they take turns.
            let turns = if pair % 2 == 1 { [Side::Rival, Side::Ours] } else { [Side::Ours, Side::Rival] };
            for side in turns.into_iter().filter(|side| args.only.is_none_or(|only| only == *side)) {
                match side {
                    Side::Rival => {
                        let (span, stages) = self.rival(pair).await?;
                        table.rival.push(span);
                        table.stages.push(stages);
                    }
                    Side::Ours => table.ours.push(self.ours().await?),
                }
            }
            self.note.tell(format!("pair {pair} of {}: {}", args.pairs, table.last_pair()));
        }
        Ok(table)
    }

    /// What neither is timed for: the node image in the engine, nodes prepared, Istio's manifests rendered.
    async fn prepare(&self, only: Option<Side>) -> Result<Conditions> {
        self.note.tell("both are made ready; the clock does not run yet");
        let (engine, source) = self.rival.prepare(&self.note).await?;
        lifecycle::down(self.layout, &self.note).await?;
        if only != Some(Side::Rival) {
            self.ours().await?;
        }
        let private = matches!(engine, Record::Private { .. });
        Ok(Conditions {
            machine: machine::describe(),
            busy_without_us: machine::busy_share().await?,
            commit: machine::commit(&self.layout.repo).await,
            source,
            engine: if private { "private" } else { "system" },
            prepared_nodes: private && !self.ours.fresh_nodes,
        })
    }

    async fn ours(&self) -> Result<Span> {
        let clock = Clock::start()?;
        lifecycle::up(self.ours.clone(), self.layout, &self.note).await?;
        let span = clock.read()?;
        lifecycle::down(self.layout, &self.note).await?;
        Ok(span)
    }

    async fn rival(&self, pair: u16) -> Result<(Span, rival::Stages)> {
        let clock = Clock::start()?;
        self.rival.make(pair, &self.note).await?;
        let span = clock.read()?;
        let stages = self.rival.stages()?;
        lifecycle::down(self.layout, &self.note).await?;
        Ok((span, stages))
    }
}
