//! `images`: obtain everything ahead of a run, carry it to another machine, see what the cache holds, and tidy it.

mod list;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use harness::artifact::packages::Packages;
use harness::artifact::prune;
use harness::artifact::registry::Mirrors;
use harness::artifact::source::{self, Obtained};
use harness::artifact::{Origin, archive};
use harness::layout::Layout;
use harness::lock::Lock;
use harness::progress::Note;
use harness::{Code, Error, Result};
use serde::Serialize;

use crate::show::say;
use crate::show::{self, Show};
use crate::{args, interrupt};

/// Flags of `images`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Obtains every image, tool and upstream manifest, so that a later run finds them in the cache.
    Build(Build),
    /// Obtains everything and writes it to one file, for a machine that reaches nothing.
    Export(Export),
    /// Checks such a file and puts what is in it into this machine's cache.
    Import(Import),
    /// What the cache holds, source by source. Makes no request.
    List(List),
    /// Reads everything that the cache holds, and removes what is no longer as it was made.
    Verify,
    /// Removes from the cache what newer pins of this checkout have superseded.
    Prune,
}

/// Whose images.
#[derive(clap::Args)]
struct Needs {
    /// Set-ups whose own images are wanted beside those that all have; commas between several, or `all`.
    #[arg(
        long,
        env = "VOUCHSAFE_SETUP",
        default_value = "federated",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    setup: Vec<String>,
    #[command(flatten)]
    versions: args::Versions,
}

impl Needs {
    /// A lock for each choice of versions.
    fn locks(&self, layout: &Layout) -> Result<Vec<Lock>> {
        let setups = args::read(layout, &self.setup, None, false, &self.versions)?;
        let roles: Vec<_> = setups.iter().flat_map(|setup| setup.images.clone()).collect();
        let lock = Lock::read(&layout.manifests())?.with_extras(&roles)?;
        let mut locks = Vec::new();
        for versions in setups.iter().flat_map(|setup| setup.versions.values()) {
            let chosen = lock.with(versions)?;
            if !locks.contains(&chosen) {
                locks.push(chosen);
            }
        }
        Ok(locks)
    }

    /// The lock where there is one choice: an archive holds no two.
    fn lock(&self, layout: &Layout) -> Result<Lock> {
        let mut locks = self.locks(layout)?;
        match (locks.pop(), locks.is_empty()) {
            (Some(lock), true) => Ok(lock),
            _ => Err(Error::new(Code::Usage, "an archive is of one set of versions")
                .next("leave clusters out of --with; nothing was touched")),
        }
    }
}

#[derive(clap::Args)]
struct Build {
    #[command(flatten)]
    needs: Needs,
    #[command(flatten)]
    sources: args::Sources,
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Export {
    /// The file to write.
    file: PathBuf,
    #[command(flatten)]
    needs: Needs,
    #[command(flatten)]
    sources: args::Sources,
}

#[derive(clap::Args)]
struct Import {
    /// The file to read.
    file: PathBuf,
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    needs: Needs,
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
}

type From = (source::Choice, Mirrors);

/// Runs one of them.
///
/// # Errors
/// The source's, the archive's.
pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    match &args.command {
        Command::Build(build) => {
            let locks = build.needs.locks(&layout)?;
            let from = build.sources.read()?;
            let work = async |note| obtain(&from, &layout, &locks, &note).await;
            summary(&shown(build.json, "obtain everything", work).await?, build.json)
        }
        Command::Export(to) => {
            let lock = to.needs.lock(&layout)?;
            let from = to.sources.read()?;
            let work = async |note| export(&to.file, &from, &layout, &lock, &note).await;
            let size = shown(false, "export everything", work).await?;
            say!("{}: {} files, {} MiB", to.file.display(), size.members, size.bytes >> 20);
            say!("next, on the other machine: cargo xtask e2e --source archive --archive FILE");
            Ok(())
        }
        Command::Import(from) => {
            let work = async |note| archive::import(&from.file, &layout, &note).await;
            let (_, size) = shown(false, "check and import", work).await?;
            let (file, mib) = (from.file.display(), size.bytes >> 20);
            say!("{file}: {} files, {mib} MiB, all as they were", size.members);
            Ok(())
        }
        Command::List(list) => {
            let locks = list.needs.locks(&layout)?;
            locks.iter().try_for_each(|lock| list::tell(&layout, lock, list.json))
        }
        Command::Verify => {
            let damaged = prune::damaged(&layout)?;
            damaged.iter().for_each(|entry| say!("{:36} was not as it was made", entry.stamp.name));
            say!("{} damaged artifacts removed; whoever needs one makes it again", damaged.len());
            Ok(())
        }
        Command::Prune => {
            let gone = prune::prune(&layout, &Lock::read(&layout.manifests())?)?;
            for entry in &gone {
                say!("{:36} {:5} MiB", entry.stamp.name, entry.stamp.size.bytes >> 20);
            }
            let bytes: u64 = gone.iter().map(|entry| entry.stamp.size.bytes).sum();
            say!("{} superseded artifacts removed, {} MiB", gone.len(), bytes >> 20);
            Ok(())
        }
    }
}

/// Runs `work` as one step that is shown, until it ends or a signal comes.
async fn shown<T>(json: bool, what: &str, work: impl AsyncFnOnce(Note) -> Result<T>) -> Result<T> {
    let (show, began) = (Show::start(json), Instant::now());
    let note = show.note().of("images");
    note.started("", what, None);
    let result = interrupt::or_stop(work(note.clone())).await;
    match &result {
        Ok(_) => note.finished(began.elapsed()),
        Err(e) => note.failed(e),
    }
    drop(note);
    show.end().await;
    result
}

async fn obtain(from: &From, layout: &Layout, locks: &[Lock], note: &Note) -> Result<Obtained> {
    layout.probe()?;
    source::obtain(&from.0, &from.1, layout, locks, note).await
}

async fn export(
    file: &Path,
    from: &From,
    layout: &Layout,
    lock: &Lock,
    note: &Note,
) -> Result<archive::Size> {
    let mut obtained = obtain(from, layout, std::slice::from_ref(lock), note).await?;
    let delivery = obtained.deliveries.pop().ok_or_else(|| Error::internal("nothing was obtained"))?;
    let packages = Packages::new(layout, lock);
    // Who has no registry has no Docker engine to expect either.
    if delivery.artifacts.origin == Origin::Packages {
        packages.obtain_engine(note).await?;
        packages.obtain_workloads(note).await?;
    }
    archive::export(file, &delivery, &packages.extras()?, layout, note).await
}

fn summary(obtained: &Obtained, json: bool) -> Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        source: &'a str,
        why: &'a str,
        name: &'a str,
        digest: &'a str,
    }
    let all: BTreeSet<_> = obtained.deliveries.iter().flat_map(|delivery| &delivery.digests).collect();
    for (name, digest) in all {
        let line = Line { source: obtained.from, why: &obtained.why, name, digest };
        match json {
            true => show::json(&line)?,
            false => say!("{name:28} {digest}"),
        }
    }
    if !json {
        say!("source: {} ({})", obtained.from, obtained.why);
    }
    Ok(())
}
