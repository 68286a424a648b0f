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
    let setup = args.world.setup(&Layout::find()?)?;
    let graph = component::plan(&setup).graph()?;
    if args.json {
        return show::json(&graph);
    }
    println!("{}\n{}\n\n{}", setup.name, setup.about, graph.text());
    Ok(())
}
