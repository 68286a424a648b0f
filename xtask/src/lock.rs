//! `lock`: whether `manifests/lock.yaml` fits together, and what the servers have now for what it names.

mod check;
mod pin;

use harness::artifact::registry::{Mirrors, Registry};
use harness::layout::Layout;
use harness::lock::Lock;
use harness::{Code, Error, Result};

use crate::args;
use crate::show::{Show, say};

/// Flags of `lock`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Says what contradicts itself, and what is not pinned by a digest. Makes no request.
    Check,
    /// Pins the digests that the registries and download servers have now for the versions in it.
    Update(Update),
}

/// Flags of `lock update`.
#[derive(clap::Args)]
struct Update {
    #[command(flatten)]
    mirrors: args::Mirrors,
}

/// Runs `lock check` or `lock update`.
///
/// # Errors
/// [`Code::Lock`] for what contradicts itself; what a server refuses.
pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    match &args.command {
        Command::Check => check(&layout),
        Command::Update(args) => update(&layout, args.mirrors.read()?).await,
    }
}

fn check(layout: &Layout) -> Result<()> {
    let lock = Lock::read(&layout.manifests())?;
    let found = check::all(&layout.manifests(), &lock)?;
    for line in check::unpinned(&lock) {
        say!("not pinned, recorded in each report: {line}");
    }
    if let Some(why) = &lock.packages.node_differs {
        say!("image node and packages.kubernetes differ: {why}");
    }
    if found.is_empty() {
        say!("manifests/lock.yaml fits together");
        return Ok(());
    }
    Err(Error::new(Code::Lock, "manifests/lock.yaml contradicts itself or the recipes")
        .seen(found.join("; "))
        .next("correct the one that is wrong"))
}

async fn update(layout: &Layout, mirrors: Mirrors) -> Result<()> {
    let lock = Lock::read(&layout.manifests())?;
    let work =
        tempfile::tempdir().map_err(|e| Error::new(Code::CacheUnusable, "no temporary folder").because(e))?;
    let show = Show::start(false);
    let registry = Registry::new(&lock, &mirrors, layout)?;
    let now = registry.now(work.path(), &show.note()).await;
    show.end().await;
    let changed = pin::write(&layout.manifests().join("lock.yaml"), &now?)?;
    changed.iter().for_each(|line| say!("{line}"));
    say!("{} pins changed", changed.len());
    Ok(())
}
