//! `audit`: who issued what, in clusters that others run. It reads, and changes nothing.
//!
//! What is due follows from the clusters that are named and from the workloads that are found in them, and is told before
//! any of them is asked. What could not be looked at is unjudged, by name.

use harness::Result;
use harness::existing::{self, Existing};
use harness::layout::Layout;
use harness::progress::Note;

use crate::existing::{Which, by_looking, judge, owed, owing, told};
use crate::report::Report;
use crate::show::{Show, say};
use crate::{interrupt, verify};

/// Flags of `audit`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Only the workloads of this namespace; may be given several times.
    #[arg(long, value_name = "NAME")]
    namespace: Vec<String>,
    /// At most so many pods of each namespace and service account: the newest, the oldest, the next newest, and so on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    /// Prints the rights that an audit uses, as a ClusterRole, and asks nobody.
    #[arg(long)]
    rights: bool,
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args) -> Result<()> {
    if args.rights {
        say!("{}", existing::cluster_role().trim_end());
        return Ok(());
    }
    let clusters = args.which.reached().await?;
    let layout = Layout::find()?;
    let report = Report::begin(&layout)?;
    let show = Show::start(args.json);
    let note = show.note();
    let judged = interrupt::or_stop(Box::pin(judged(args, clusters, &report, &note))).await;
    drop(note);
    show.end().await;
    report.close(&judged, None, false, args.json)?;
    judged
}

async fn judged(args: &Args, clusters: Vec<Existing>, report: &Report, note: &Note) -> Result<()> {
    let sample = args.sample.and_then(|most| usize::try_from(most).ok());
    let mut all = Vec::new();
    for existing in clusters {
        let found = Box::pin(existing::find(&existing, &args.namespace, sample)).await?;
        all.push((existing, found));
    }
    told(&all, report, note)?;
    let looks = owing("looks", by_looking(&all));
    let due = owed(vec![looks.clone()], report, note)?;
    let evidence = existing::look(all, note).await;
    judge(report, &looks, evidence, args.json)?;
    let lines = report.settle(&due, args.json)?;
    verify::outcome(&lines, true, &report.dir)
}
