//! `tamper`: breaks the world that is up, so that `verify` can be seen red, and `diagnose` to name the cause.

use clap::builder::PossibleValuesParser;
use harness::layout::Layout;
use harness::tamper::{self, Fault, causes};
use harness::world::{self, World};
use harness::{Result, attach};

use crate::interrupt;
use crate::show::Show;

/// Faults that still answer 200, and are no cause of a diagnosis.
const SILENT: [(&str, Fault); 4] = [
    ("wrong-authority", Fault::WrongAuthority),
    ("istiod-issued", Fault::IstiodIssued),
    ("missing-trust-domain", Fault::MissingTrustDomain),
    ("around-the-gateway", Fault::AroundTheGateway),
];

/// Flags of `tamper`.
#[derive(clap::Args)]
pub struct Args {
    /// What to break: a fault that still answers 200, or a cause of `cargo xtask explain causes` that can be provoked.
    #[arg(value_parser = PossibleValuesParser::new(SILENT.map(|(name, _)| name).into_iter().chain(causes::names())))]
    fault: String,
}

pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let world = World::read(&layout)?;
    let claimed = world::claim(&layout)?;
    let show = Show::start(false);
    let note = show.note();
    let broken = interrupt::or_stop(async {
        attach::attach(&world, &note).await?;
        match SILENT.iter().find(|(name, _)| *name == args.fault) {
            Some((_, fault)) => tamper::tamper(&world, *fault, &note).await,
            None => causes::provoke(&world, &args.fault, &note).await.map(drop),
        }
    })
    .await;
    drop(note);
    show.end().await;
    drop(claimed);
    broken?;
    eprintln!(
        "broken. next: cargo xtask verify --filter 'not test(controls)', or cargo xtask diagnose; then cargo xtask down"
    );
    Ok(())
}
