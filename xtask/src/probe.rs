//! `probe`: real handshakes between clusters that others run, by workloads that it brings in a namespace of its own and takes
//! away again. What is there is left as it is; a probe that was killed is cleaned up after by `--clean`.

use harness::existing::{self, Existing, Guests, Visit};
use harness::layout::Layout;
use harness::lock::Lock;
use harness::progress::Note;
use harness::world_id::WorldId;
use harness::{Code, Error, Result};
use kube::Client;
use proof::claim::{Claim, due};
use proof::evidence::Evidence;
use scenarios::existing::{Visited, met};

use crate::existing::{Which, by_looking, judge, owed, owing, told, topology};
use crate::report::Report;
use crate::show::{Show, say};
use crate::{interrupt, verify};

/// Flags of `probe`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// The image that asks: it has `curl` and `sleep`. That of the lock file by default.
    #[arg(long, value_name = "IMAGE")]
    curl: Option<String>,
    /// The image that answers: Istio's helloworld, of any version. That of the lock file by default.
    #[arg(long, value_name = "IMAGE")]
    helloworld: Option<String>,
    /// The injector's templates, where other workloads' annotations do not say them: `sidecar,spire`.
    #[arg(long, value_name = "TEMPLATES")]
    templates: Option<String>,
    /// Takes away what a killed probe left, and brings nothing.
    #[arg(long)]
    clean: bool,
    /// Prints the rights that a probe uses, as a ClusterRole, and asks nobody.
    #[arg(long)]
    rights: bool,
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args) -> Result<()> {
    if args.rights {
        say!("{}", existing::role_of_probe().trim_end());
        return Ok(());
    }
    let layout = Layout::find()?;
    let clusters = args.which.reached().await?;
    let named = |one: &Existing| (one.named.name.to_string(), one.client.clone());
    let clients: Vec<_> = clusters.iter().map(named).collect();
    if args.clean {
        let show = Show::start(args.json);
        let left = interrupt::or_stop(leave(&clients, None, &show.note())).await;
        show.end().await;
        return left.and_then(|()| existing::cleaned(&layout, &clusters));
    }
    let guests = args.guests(&layout)?;
    for one in &clusters {
        guests.may_come(one).await?;
    }
    let report = Report::begin(&layout)?;
    let visit = Visit::begin(&layout, &guests.id, &clusters)?;
    let show = Show::start(args.json);
    let note = show.note();
    let judged = interrupt::or_stop(Box::pin(judged(args, &guests, clusters, &report, &note))).await;
    let left = leave(&clients, Some(&guests.id), &note).await.and_then(|()| visit.end());
    drop(note);
    show.end().await;
    // A claim that is broken is the finding, whatever else went wrong; what is left behind is told first.
    let ended = match (judged, left) {
        (judged, Ok(())) => judged,
        (Ok(()), Err(left)) => Err(left),
        (Err(e), Err(left)) => Err(e.seen(left.to_string())),
    };
    report.close(&ended, None, false, args.json)?;
    ended
}

impl Args {
    fn guests(&self, layout: &Layout) -> Result<Guests> {
        let lock = Lock::read(&layout.manifests())?;
        let image = |given: &Option<String>, role: &str| match given {
            Some(image) => Ok(image.clone()),
            None => lock.image(role).map(|pin| pin.reference.clone()),
        };
        Ok(Guests {
            id: WorldId::random()?,
            curl: image(&self.curl, "curl")?,
            helloworld: image(&self.helloworld, "helloworld")?,
            templates: self.templates.clone(),
        })
    }
}

async fn judged(
    args: &Args,
    guests: &Guests,
    clusters: Vec<Existing>,
    report: &Report,
    note: &Note,
) -> Result<()> {
    let mut all = Vec::new();
    for existing in clusters {
        let found = Box::pin(existing::find(&existing, &[existing::NAMESPACE.to_owned()], None)).await?;
        all.push((existing, found));
    }
    name_versions(&mut all);
    told(&all, report, note)?;
    let (domains, versions): (Vec<_>, Vec<_>) = all
        .iter()
        .map(|(_, found)| (found.cluster.trust_domain.clone(), found.cluster.version.clone()))
        .unzip();
    let comes = all.iter().map(|(existing, found)| {
        let own = &found.cluster.trust_domain;
        let peers: Vec<_> = domains.iter().filter(|domain| *domain != own).cloned().collect();
        let (versions, note) = (&versions, note.of(&format!("{}/guests", existing.named.name)));
        async move {
            let began = std::time::Instant::now();
            note.started(&existing.named.name.0, "bring curl and helloworld", None);
            guests.come((existing, found), versions, &peers, &note).await?;
            note.finished(began.elapsed());
            Ok(())
        }
    });
    futures::future::try_join_all(comes.map(Box::pin)).await?;
    // They are there now.
    for (existing, found) in &mut all {
        *found = Box::pin(existing::find(existing, &[existing::NAMESPACE.to_owned()], None)).await?;
    }
    name_versions(&mut all);
    let (looks, meets) = (owing("looks", by_looking(&all)), owing("handshakes", by_meeting(&all)));
    let due = owed(vec![looks.clone(), meets.clone()], report, note)?;
    let visited: Vec<_> = all
        .iter()
        .map(|(existing, found)| Visited {
            name: existing.named.name.clone(),
            client: existing.client.clone(),
            crossing: found.crossing.clone(),
        })
        .collect();
    let mut seen = Evidence::of(&topology(&all).clusters, jiff::Timestamp::now());
    let missed = met(&visited, &mut seen).await;
    if !missed.is_empty() {
        let words: Vec<_> = missed.iter().map(ToString::to_string).collect();
        seen.ended_early = Some(words.join("; ").replace('\n', " "));
    }
    // Last, so that records are judged against what is published now.
    let looked = existing::look(all, note).await;
    (seen.collected_at, seen.as_registered) = (looked.collected_at, looked.as_registered);
    for (one, known) in seen.clusters.iter_mut().zip(&looked.clusters) {
        let proxies = std::mem::take(&mut one.proxies);
        *one = known.clone();
        one.proxies = proxies;
    }
    judge(report, &looks, looked, args.json)?;
    judge(report, &meets, seen, args.json)?;
    let lines = report.settle(&due, args.json)?;
    verify::outcome(&lines, true, &report.dir)
}

/// Each cluster's helloworld says by its version where it is.
fn name_versions(all: &mut [(Existing, existing::Found)]) {
    for (i, (_, found)) in all.iter_mut().enumerate() {
        found.cluster.version = format!("v{}", i + 1);
    }
}

/// What meeting owes; a client that is alone reaches every cluster there is.
fn by_meeting(all: &[(Existing, existing::Found)]) -> Vec<Claim> {
    let topology = topology(all);
    let asking = topology.clusters.iter().filter(|_| topology.clusters.len() > 1);
    let meeting = topology.ways();
    asking.flat_map(|one| due::replies(&one.name)).chain(meeting.iter().flat_map(due::handshake)).collect()
}

/// Takes away what that probe brought, or whichever was there.
async fn leave(clients: &[(String, Client)], probe: Option<&WorldId>, note: &Note) -> Result<()> {
    let mut left = Vec::new();
    let leaving = clients
        .iter()
        .map(|(name, client)| async move { (name, existing::leave(client, probe, note).await) });
    for (name, gone) in futures::future::join_all(leaving.map(Box::pin)).await {
        match gone {
            Ok(true) => note.tell(format!("{name}: what the probe brought is taken away")),
            Ok(false) => note.tell(format!("{name}: nothing of a probe is there")),
            Err(e) => left.push(format!("{name}: {e}")),
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    let what =
        format!("what the probe brought is still there in {} of {} clusters", left.len(), clients.len());
    Err(Error::new(Code::LeftBehind, what)
        .seen(left.join("\n"))
        .next("cargo xtask down, or cargo xtask probe --clean with the same flags"))
}
