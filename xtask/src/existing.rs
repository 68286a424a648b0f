//! What `audit` and `probe` share: which clusters, what is owed of them, and how a judged document is kept.

use std::path::PathBuf;

use harness::existing::{self, Existing, Found, Named};
use harness::progress::Note;
use harness::{Code, Error, Result};
use proof::claim::{Claim, due};
use proof::evidence::Evidence;
use proof::topology::Topology;
use proof::verdict::Line;
use scenarios::Owed;

use crate::due::{Due, Owing};
use crate::report::Report;

/// What reports call clusters that others run.
const WORLD: &str = "existing";

/// Which clusters, and how to find what is in them.
#[derive(clap::Args)]
pub struct Which {
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
}

impl Which {
    /// Reaches all of them.
    ///
    /// # Errors
    /// [`Code::Usage`], [`Code::ClusterUnreachable`]; nothing was touched.
    pub async fn reached(&self) -> Result<Vec<Existing>> {
        let file = self.clusters.as_deref().map(existing::read).transpose()?;
        let mut all: Vec<_> = file.unwrap_or_default();
        all.extend(self.context.iter().cloned());
        for one in &mut all {
            one.spire_server = one.spire_server.take().or_else(|| self.spire_server.clone());
            one.spire_socket = one.spire_socket.take().or_else(|| self.spire_socket.clone());
            one.istiod = one.istiod.take().or_else(|| self.istiod.clone());
        }
        existing::reach(all, self.kubeconfig.as_deref()).await
    }
}

/// Tells what was found, keeps it, and refuses clusters of one trust domain.
///
/// # Errors
/// [`Code::Usage`]; [`Code::Internal`] when it cannot be kept.
pub fn told(all: &[(Existing, Found)], report: &Report, note: &Note) -> Result<()> {
    let mut told = String::new();
    for (existing, found) in all {
        let (name, context) = (&existing.named.name, &existing.named.context);
        for line in
            std::iter::once(found.told()).chain(found.notes.iter().map(|line| format!("note: {line}")))
        {
            told += &format!("{name} (context {context}): {line}\n");
        }
    }
    told.lines().for_each(|line| note.tell(line));
    report.write("found.txt", &told)?;
    apart(all)
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

/// The clusters as data.
pub fn topology(all: &[(Existing, Found)]) -> Topology {
    Topology { clusters: all.iter().map(|(_, found)| found.cluster.clone()).collect() }
}

/// What looking at these clusters owes.
pub fn by_looking(all: &[(Existing, Found)]) -> Vec<Claim> {
    let workloads: Vec<_> = all
        .iter()
        .flat_map(|(_, found)| {
            let name = &found.cluster.name;
            found.workloads().into_iter().map(move |(namespace, account)| (name.clone(), namespace, account))
        })
        .collect();
    due::by_looking(&topology(all), &workloads)
}

/// A trial of these claims.
pub fn owing(trial: &str, claims: Vec<Claim>) -> Owing {
    let claims = claims.into_iter().map(Owed::from).collect();
    Owing { name: trial.to_owned(), scenario: trial.to_owned(), claims }
}

/// Tells what is due, and keeps it, before anybody is asked.
///
/// # Errors
/// [`Code::Internal`] when it cannot be kept.
pub fn owed(trials: Vec<Owing>, report: &Report, note: &Note) -> Result<Due> {
    let due = Due { world: WORLD.to_owned(), trials, left_out: 0 };
    note.tell(format!("{} claims are due", due.count()));
    report.write("due.txt", &due.text(&[]))?;
    Ok(due)
}

/// Judges what a trial saw: keeps the document and its verdicts, and tells them.
///
/// # Errors
/// [`Code::Internal`] when they cannot be kept.
pub fn judge(report: &Report, owing: &Owing, mut evidence: Evidence, json: bool) -> Result<()> {
    evidence.due = owing.claims.iter().map(|owed| owed.claim.clone()).collect();
    if evidence.ended_early.is_none() {
        evidence.completed.push(owing.scenario.clone());
    }
    let document = evidence.to_json()?;
    report.write(&Line::document(WORLD, &owing.scenario), &document)?;
    report.add(&Line::all_of(WORLD, &owing.scenario, &document)?, json)
}
