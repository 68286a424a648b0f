//! `cargo xtask doctor`: is this machine fit for a run? Nothing is touched.

use harness::Result;
use harness::doctor::{self, Finding, Level, Wanted};
use harness::layout::Layout;
use proof::scrub;

use crate::show::say;
use crate::{args, show};

/// Flags of `doctor`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    setups: args::Setups,
    #[command(flatten)]
    means: args::Means,
    /// One JSON object a finding, on stdout.
    #[arg(long)]
    json: bool,
}

/// Looks, judges, prints.
///
/// # Errors
/// [`harness::Code::NotFit`] when a needed check fails; bad flags and files as `e2e` refuses them.
pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?.with_manifests()?;
    let order = args.means.order(args.setups.setup(&layout)?)?;
    let wanted = Wanted { engine: order.engine, source: order.source, topology: order.setup.topology };
    let findings = doctor::examine(&wanted, &layout).await;
    if args.json {
        findings.iter().try_for_each(show::json)?;
    } else {
        findings.iter().for_each(|finding| say!("{}", scrub::text(&finding.to_string())));
        say!("\n{}", summary(&findings));
    }
    doctor::verdict(&findings)
}

fn summary(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|f| f.level == level).count();
    format!(
        "{} checks: {} ok, {} warned, {} failed",
        findings.len(),
        count(Level::Ok),
        count(Level::Warn),
        count(Level::Fail)
    )
}
