//! `status`: what is up, and the command that reaches it.

use harness::layout::Layout;
use harness::setup::versions;
use harness::world::{self, World};
use harness::{Result, attach};

use crate::show;
use crate::show::say;

/// Flags of `status`.
#[derive(clap::Args)]
pub struct Args {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let world = World::read(&layout)?;
    if args.json {
        return show::json(&world);
    }
    say!("{} is up since {}, in {}", world.setup, world.made.strftime("%F %T UTC"), world.engine.host());
    for line in versions::lines(&world.versions) {
        say!("  {line}");
    }
    for (name, place) in &world.sites {
        say!(
            "  {name}  node {}  kubectl --kubeconfig {} get pods -A",
            place.address,
            place.kubeconfig.display()
        );
    }
    for changed in attach::changed(&world).await? {
        say!("{changed}; verify mends it first");
    }
    if let Some(scenario) = scenarios::left_by(&world::file(&layout))? {
        say!("the scenario {scenario} was killed in the midst of a change; verify puts it back first");
    }
    say!("next: cargo xtask verify, or cargo xtask down");
    Ok(())
}
