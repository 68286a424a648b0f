//! `audit`: who issued what, in clusters that others run. It reads, and changes nothing.
//!
//! What is due follows from the clusters that are named and from the workloads that are found in them, and is told before
//! any of them is asked. What could not be looked at is unjudged, by name.

use std::path::PathBuf;

use harness::existing::{self, Existing, Found, Named};
use harness::layout::Layout;
use harness::progress::Note;
use harness::{Code, Error, Result, kept};
use proof::claim::due;
use proof::topology::Topology;
use proof::verdict::Line;
use scenarios::Owed;

use crate::due::{Due, Owing};
use crate::report::Report;
use crate::show::{self, Show, say};
use crate::{interrupt, verify};

/// What reports call clusters that others run, and the looks at them.
const WORLD: &str = "existing";
const TRIAL: &str = "looks";

/// Which clusters, and what of them.
#[derive(clap::Args)]
pub struct Args {
    /// A cluster: what to call it, and its context; once for each.
    #[arg(long, value_name = "NAME=CONTEXT")]
    context: Vec<Named>,
    /// The file with the contexts; `default` for your own, which is read for no other word.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<String>,
    /// A file of clusters: `clusters`, each with `name`, `context` and, as needed, `kubeconfig`, `trust_domain`,
    /// `spire_server`, `spire_socket`, `istiod`.
    #[arg(long, value_name = "FILE")]
    clusters: Option<PathBuf>,
    /// Labels of the SPIRE server's pods, where they are not found.
    #[arg(long, value_name = "LABELS")]
    spire_server: Option<String>,
    /// The socket of the SPIRE server's API, where its configuration does not say it.
    #[arg(long, value_name = "PATH")]
    spire_socket: Option<String>,
    /// Labels of istiod's pods, where they are not found.
    #[arg(long, value_name = "LABELS")]
    istiod: Option<String>,
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
    let clusters = existing::reach(args.named()?, args.kubeconfig.as_deref()).await?;
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

impl Args {
    /// All clusters that are named, each with what was said for all.
    fn named(&self) -> Result<Vec<Named>> {
        let file = self.clusters.as_deref().map(existing::read).transpose()?;
        let mut all: Vec<_> = file.unwrap_or_default();
        all.extend(self.context.iter().cloned());
        for one in &mut all {
            one.spire_server = one.spire_server.take().or_else(|| self.spire_server.clone());
            one.spire_socket = one.spire_socket.take().or_else(|| self.spire_socket.clone());
            one.istiod = one.istiod.take().or_else(|| self.istiod.clone());
        }
        Ok(all)
    }
}

async fn judged(args: &Args, clusters: Vec<Existing>, report: &Report, note: &Note) -> Result<()> {
    let sample = args.sample.and_then(|most| usize::try_from(most).ok());
    let mut all = Vec::new();
    let mut told = String::new();
    for existing in clusters {
        let found = Box::pin(existing::find(&existing, &args.namespace, sample)).await?;
        let (name, context) = (&existing.named.name, &existing.named.context);
        for line in
            std::iter::once(found.told()).chain(found.notes.iter().map(|line| format!("note: {line}")))
        {
            told += &format!("{name} (context {context}): {line}\n");
        }
        all.push((existing, found));
    }
    told.lines().for_each(|line| note.tell(line));
    keep(report, "found.txt", &told)?;
    apart(&all)?;
    let due = owed(&all);
    note.tell(format!("{} claims are due", due.count()));
    let mut evidence = existing::look(all, note).await;
    evidence.due = due.claims().into_iter().cloned().collect();
    evidence.completed.push(TRIAL.to_owned());
    let document = evidence.to_json()?;
    keep(report, &Line::document(WORLD, TRIAL), &document)?;
    let lines = Line::all_of(WORLD, TRIAL, &document)?;
    let mut text = String::new();
    for line in &lines {
        text += &format!("{}\n", line.text()?);
        if args.json {
            show::json(line)?;
        }
    }
    keep(report, "verdicts.jsonl", &text)?;
    let lines = report.settle(&due, args.json)?;
    verify::outcome(&lines, true, &report.dir)
}

/// Clusters of one trust domain are judged as such only if that is said: else somebody forgot to change it.
fn apart(all: &[(Existing, Found)]) -> Result<()> {
    let said = |existing: &Existing| existing.named.trust_domain.is_some();
    for (i, (one, found)) in all.iter().enumerate() {
        let domain = &found.cluster.trust_domain;
        let same =
            |(_, other): &&(Existing, Found)| !domain.is_empty() && other.cluster.trust_domain == *domain;
        let Some((other, _)) = all[..i].iter().find(same) else { continue };
        if !(said(one) && said(other)) {
            let what = format!("{} and {} have one trust domain, {domain}", other.named.name, one.named.name);
            return Err(Error::new(Code::Usage, what).next(
                "where that is meant, give both `trust_domain` in --clusters FILE: then nothing is asked of a federation \
                 between them",
            ));
        }
    }
    Ok(())
}

/// What looking at these clusters owes.
fn owed(all: &[(Existing, Found)]) -> Due {
    let topology = Topology { clusters: all.iter().map(|(_, found)| found.cluster.clone()).collect() };
    let workloads: Vec<_> = all
        .iter()
        .flat_map(|(_, found)| {
            let name = &found.cluster.name;
            found.workloads().into_iter().map(move |(namespace, account)| (name.clone(), namespace, account))
        })
        .collect();
    let claims = due::by_looking(&topology, &workloads).into_iter().map(Owed::from).collect();
    let looks = Owing { name: TRIAL.to_owned(), scenario: TRIAL.to_owned(), claims };
    Due { world: WORLD.to_owned(), trials: vec![looks], left_out: 0 }
}

fn keep(report: &Report, name: &str, text: &str) -> Result<()> {
    let path = report.dir.join(name);
    kept::write(&path, text)
        .map_err(|e| Error::internal(format!("cannot write {}", path.display())).because(e))
}
