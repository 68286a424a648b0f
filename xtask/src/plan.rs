//! `plan`: the set-up's steps, without an engine.

use harness::layout::Layout;
use harness::{Result, component};

use crate::{args, show};

/// Flags of `plan`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    world: args::World,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    if args.world.listed(&layout)? {
        return Ok(());
    }
    for setup in args.world.setups(&layout)? {
        let graph = component::plan(&setup).graph()?;
        if args.json {
            show::json(&graph)?;
        } else {
            println!("{} (world {})\n\n{}", setup.name, setup.world, graph.text());
        }
    }
    Ok(())
}
