//! `tamper`: breaks the world that is up, so that `verify` can be seen red.

use clap::ValueEnum;
use harness::layout::Layout;
use harness::world::{self, World};
use harness::{Result, attach, tamper};

use crate::interrupt;
use crate::show::Show;

/// Flags of `tamper`.
#[derive(clap::Args)]
pub struct Args {
    /// What to break.
    #[arg(value_enum)]
    fault: Fault,
}

/// Faults that still answer 200.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fault {
    /// A SPIRE server gets a new authority; proxies hold what the old one signed.
    WrongAuthority,
    /// istiod signs curl's certificate, under the same SPIFFE ID.
    IstiodIssued,
    /// One cluster's workloads are no longer told about the other trust domain.
    MissingTrustDomain,
    /// Traffic goes from pod to pod, around the gateway.
    AroundTheGateway,
}

pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let world = World::read(&layout)?;
    let claimed = world::claim(&layout)?;
    let fault = match args.fault {
        Fault::WrongAuthority => tamper::Fault::WrongAuthority,
        Fault::IstiodIssued => tamper::Fault::IstiodIssued,
        Fault::MissingTrustDomain => tamper::Fault::MissingTrustDomain,
        Fault::AroundTheGateway => tamper::Fault::AroundTheGateway,
    };
    let show = Show::start(false);
    let note = show.note();
    let broken = interrupt::or_stop(async {
        attach::attach(&world, &note).await?;
        tamper::tamper(&world, fault, &note).await
    })
    .await;
    drop(note);
    show.end().await;
    drop(claimed);
    broken?;
    eprintln!("broken. next: cargo xtask verify --filter 'not test(controls)', then cargo xtask down");
    Ok(())
}
