//! `plan`: the set-up's steps and the claims that it will prove, without an engine.

use harness::layout::Layout;
use harness::setup::versions;
use harness::{Result, component};

use serde_json::json;

use crate::due::Due;
use crate::show::say;
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
        let due = Due::of_setup(&setup)?;
        let graph = component::plan(&setup)?.graph()?;
        if args.json {
            show::json(&json!({
                "world": setup.world, "setup": setup.name, "otherwise": setup.otherwise,
                "versions": setup.versions, "identities": setup.identities, "expect": setup.expect,
                "steps": graph, "claims": due.claims(),
            }))?;
        } else {
            say!("{} (world {})", setup.name, setup.world);
            for line in setup.about.lines() {
                say!("  {line}");
            }
            for line in versions::lines(&setup.versions) {
                say!("  {line}");
            }
            for line in setup.otherwise.lines() {
                say!("  {line}");
            }
            for (who, id) in &setup.identities.0 {
                say!("  with {id} as the identity in {who}");
            }
            say!("\n{}\n{}", graph.text(), due.text(&setup.expect));
        }
    }
    Ok(())
}
