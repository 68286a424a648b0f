//! `plan`: the set-up's steps and the claims that it will prove, without an engine.

use harness::layout::Layout;
use harness::{Result, component};

use serde_json::json;

use crate::due::Due;
use crate::{args, show};

/// Flags of `plan`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    setups: args::Setups,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    if args.setups.listed(&layout)? {
        return Ok(());
    }
    for setup in args.setups.setups(&layout)? {
        let due = Due::of(&setup.world, &setup.scenarios, &setup.topology)?;
        let graph = component::plan(&setup).graph()?;
        if args.json {
            show::json(
                &json!({ "world": setup.world, "setup": setup.name, "steps": graph, "claims": due.claims() }),
            )?;
        } else {
            println!("{} (world {})", setup.name, setup.world);
            for (name, value) in &setup.otherwise {
                println!("  with {name} = {value}");
            }
            println!("\n{}\n{}", graph.text(), due.text());
        }
    }
    Ok(())
}
