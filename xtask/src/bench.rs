//! `bench`: the honest rival and us, alternately on the same machine, from nothing to an answer of each other cluster.
//!
//! "Fast" means nothing without a rival, and a rival that nobody can run proves nothing. This one is a script that a
//! careful person would write after the published guides (`xtask/rival/serial.sh`), with the same engine, versions,
//! images and manifests. The README's tables are what this command writes.

mod growth;
mod machine;
mod rival;
mod table;

use clap::ValueEnum;
use harness::component::Order;
use harness::engine::Record;
use harness::error::Context as _;
use harness::layout::Layout;
use harness::progress::Note;
use harness::setup::Setup;
use harness::{Code, Error, Result, lifecycle, world};
use proof::topology::Topology;

use crate::show::{Show, say};
use crate::{args, down, interrupt};
use growth::{Growth, Row};
use harness::clock::{Clock, Span};
use rival::Rival;
use table::{Block, Conditions, Table};

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
    /// Instead: worlds of two, three and more clusters, up to N; what each cluster more takes.
    #[arg(long, value_name = "N", conflicts_with_all = ["only", "pairs"], value_parser = clap::value_parser!(u8).range(3..=9))]
    growth: Option<u8>,
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
    let block = if args.growth.is_some() { Block::Growth } else { Block::Bench };
    if args.write {
        table::write_readme(&layout, block, None)?;
    }
    let claimed = world::claim(&layout)?;
    lifecycle::nothing_is_up(&layout)?;
    let show = Show::start(false);
    let bench = Bench { layout: &layout, ours, rival: Rival::new(&layout, by_hand), note: show.note() };
    let measured = interrupt::or_stop(async {
        Ok(match args.growth {
            Some(most) => bench.growth(most).await?.to_string(),
            None => bench.pairs(args).await?.to_string(),
        })
    });
    let measured = measured.await;
    let left = down::unless(false, &measured, &layout, &bench.note).await;
    let cleared = bench.rival.clear();
    drop(bench);
    show.end().await;
    drop(claimed);
    let table = measured?;
    say!("{table}");
    left.and(cleared)?;
    if args.write { table::write_readme(&layout, block, Some(&table)) } else { Ok(()) }
}

struct Bench<'a> {
    layout: &'a Layout,
    ours: Order,
    rival: Rival<'a>,
    note: Note,
}

impl Bench<'_> {
    async fn pairs(&self, args: &Args) -> Result<Table> {
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
                    Side::Ours => table.ours.push(self.ours(self.ours.clone()).await?.0),
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
            self.ours(self.ours.clone()).await?;
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

    /// Makes the world of `order`: what it took, and how many bytes of memory were gone then.
    async fn ours(&self, order: Order) -> Result<(Span, f64)> {
        let (clock, before) = (Clock::start()?, machine::available());
        lifecycle::up(order, self.layout, &self.note).await?;
        let (span, memory) = (clock.read()?, before - machine::available());
        lifecycle::down(self.layout, &self.note).await?;
        Ok((span, memory))
    }

    async fn growth(&self, most: u8) -> Result<Growth> {
        let mut growth = Growth { conditions: self.prepare(Some(Side::Ours)).await?, rows: Vec::new() };
        for clusters in 2..=most {
            let file = tempfile::NamedTempFile::new()
                .or_fail(Code::Usage, || "cannot write a topology".to_owned())?;
            let topology = serde_json::to_string(&Topology::of_size(clusters)?);
            let topology = topology.or_fail(Code::Internal, || "a topology is not JSON".to_owned())?;
            std::fs::write(file.path(), topology)
                .or_fail(Code::Usage, || "cannot write a topology".to_owned())?;
            let setup = Setup::read(&self.layout.manifests(), &[SETUP], Some(file.path()), false)?.pop();
            let setup = setup.ok_or_else(|| Error::internal("one name is one set-up"))?;
            let order = Order { setup, ..self.ours.clone() };
            // Nodes are prepared for each number of them; those of the first were.
            if clusters > 2 && !order.fresh_nodes {
                self.ours(order.clone()).await?;
            }
            let (span, memory) = self.ours(order).await?;
            self.note.tell(format!("{clusters} clusters: {:.1} s", span.seconds));
            growth.rows.push(Row { clusters, span, memory });
        }
        Ok(growth)
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
