//! `cargo xtask`: one file a command; what they do is in `harness`.
//!
//! Data goes to stdout, talk to stderr. Every flag has an environment name. Exit codes are in
//! `harness::Code`, one for each kind of failure.
#![warn(clippy::print_stdout, reason = "it panics where the reader has gone away: `show::say` does not")]

mod ablate;
mod again;
mod args;
mod audit;
mod bench;
mod called;
mod cells;
mod checklist;
mod completions;
mod diagnose;
mod doctor;
mod down;
mod due;
mod e2e;
mod existing;
mod explain;
mod figures;
mod files;
mod held;
mod images;
mod interrupt;
mod judge;
mod lock;
mod matrix;
mod pack;
mod plan;
mod probe;
mod report;
mod runner;
mod schema;
mod series;
mod show;
mod status;
mod stored;
mod tamper;
mod test;
mod up;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use harness::layout::Layout;
use harness::log::{self, Filter};
use harness::{Code, Error, Result};

/// The stack of a command, in bytes.
const STACK: usize = 32 << 20;

/// Real clusters, real SPIRE, real Istio, and proof of who issued each certificate.
///
/// `cargo xtask e2e` does everything: makes two clusters, federates them, judges every claim, takes all down.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 110)]
pub struct Cli {
    /// Show what is asked of whom: `-v` processes and downloads, `-vv` also each request and each wait.
    /// `VOUCHSAFE_LOG` takes a filter, such as `harness::kube=debug`. A report has all of it in `log.txt`.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything: up, verify, collect, down.
    E2e(e2e::Args),
    /// Makes a world and leaves it up.
    Up(up::Args),
    /// Judges every claim in the world that is up.
    Verify(verify::Args),
    /// Takes down whatever any run made; may be run at any time, also after SIGKILL.
    Down(down::Args),
    /// What is up, and how to reach it.
    Status(status::Args),
    /// Judges clusters that others run, by their contexts; reads, and changes nothing.
    Audit(audit::Args),
    /// Real handshakes between clusters that others run, by workloads that it brings and takes away again.
    Probe(probe::Args),
    /// Judges a stored report again, or single documents of evidence; needs no cluster.
    Judge(judge::Args),
    /// From the symptom to one cause, in the world that is up or in a failed run's folder; changes nothing.
    Diagnose(diagnose::Args),
    /// Makes one file of a report, to send it; `judge` reads it as it reads the folder.
    Pack(pack::Args),
    /// Writes the page of a stored report anew; needs no cluster.
    Report(report::anew::Args),
    /// What the source documents state and what settles each statement; writes the page of it.
    Checklist(checklist::Args),
    /// The set-up's steps; needs no engine and touches nothing.
    Plan(plan::Args),
    /// The form of a file that you write, for your editor, or of a document that a report keeps; as JSON Schema.
    Schema(schema::Args),
    /// Many worlds, one after the other, each with what is expected of it; a table of what came.
    Matrix(matrix::Args),
    /// One setting after the other taken away from a world: which do something, and which are only copied; a table of them.
    Ablate(ablate::Args),
    /// Whether this machine is fit for a run; touches nothing.
    Doctor(doctor::Args),
    /// Measures `up` against a serial script that makes the same world by hand, alternately.
    Bench(bench::Args),
    /// What a code of an error or a cause means; all codes without a name, `causes` for all causes.
    Explain(explain::Args),
    /// Obtains everything ahead of a run, carries it to another machine, lists what the cache holds.
    Images(images::Args),
    /// Checks the lock file, or pins what the servers have now.
    Lock(lock::Args),
    /// Breaks the world that is up in one named way, to see a claim go red.
    Tamper(tamper::Args),
    /// Everything that can be checked without a cluster.
    Test(test::Args),
    /// A completion script for a shell.
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let command = Cli::command().bin_name(called::called()).display_name(called::called());
    let cli = match command.try_get_matches().and_then(|found| Cli::from_arg_matches(&found)) {
        Ok(cli) => cli,
        // clap's own status for a bad command line is 2, as ours; help and version are 0.
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    match harness::patience::check().and_then(|()| Filter::read(cli.verbose)) {
        Ok(filter) => log::begin("xtask", filter),
        Err(e) => return ended(Err(e)),
    }
    let asked: Vec<_> = std::env::args().skip(1).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        "cargo xtask {}",
        asked.join(" ")
    );
    // One provider for kube and reqwest; with two in the tree rustls would refuse to choose.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A thread of its own: without optimisation the frames of a command's futures do not fit into the first one's stack.
    let thread = std::thread::Builder::new().name("command".to_owned()).stack_size(STACK);
    let ran = thread.spawn(move || at_work(cli.command)).map(std::thread::JoinHandle::join);
    match ran {
        Ok(Ok(outcome)) => ended(outcome),
        Ok(Err(_)) => ended(Err(Error::internal("the command panicked; its words are above"))),
        Err(e) => ended(Err(Error::internal("cannot start a thread").because(e))),
    }
}

fn at_work(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::internal("cannot start").because(e))?;
    let outcome = interrupt::listen().and_then(|()| runtime.block_on(run(command)));
    // Steps that were stopped may still wait in a blocking call for a process that is already being killed.
    runtime.shutdown_background();
    outcome
}

/// Tells how it ended, and with which status.
fn ended(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let (code, told) = (e.code().name(), called::told(&e.to_string()));
            tracing::error!(code, "{told}");
            eprintln!("error[{code}]: {told}");
            if !told.contains("\n  next: ") {
                eprintln!("  next: {} explain {code}", called::called());
            }
            ExitCode::from(e.code().exit())
        }
    }
}

impl Command {
    /// Whether it builds from the checkout, or reads or writes files of it.
    fn needs_checkout(&self) -> bool {
        use Command::{Ablate, Bench, Checklist, E2e, Images, Lock, Matrix, Plan, Test, Up, Verify};
        match self {
            Ablate(_) | Bench(_) | Checklist(_) | E2e(_) | Images(_) | Lock(_) | Matrix(_) => true,
            _ => matches!(self, Plan(_) | Test(_) | Up(_) | Verify(_)),
        }
    }
}

/// What needs the checkout is refused where there is none, before anything is touched.
fn at_home(layout: &Layout) -> Result<()> {
    if layout.in_checkout() {
        return Ok(());
    }
    let what = "this command needs the checkout that the program was built from, and it is not there";
    Err(Error::new(Code::Usage, what)
        .next("clone the repository, and type the command there, as its README does"))
}

async fn run(command: Command) -> Result<()> {
    if command.needs_checkout() {
        at_home(&Layout::find()?)?;
    }
    match command {
        Command::E2e(args) => e2e::run(&args).await,
        Command::Up(args) => up::run(&args).await,
        Command::Verify(args) => verify::run(&args).await,
        Command::Matrix(args) => matrix::run(&args).await,
        Command::Ablate(args) => ablate::run(&args).await,
        Command::Down(args) => down::run(&args).await,
        Command::Status(args) => status::run(&args).await,
        Command::Audit(args) => audit::run(&args).await,
        Command::Probe(args) => probe::run(&args).await,
        Command::Judge(args) => judge::run(&args),
        Command::Diagnose(args) => diagnose::run(&args).await,
        Command::Pack(args) => pack::run(&args),
        Command::Report(args) => report::anew::run(&args),
        Command::Checklist(args) => checklist::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Bench(args) => bench::run(&args).await,
        Command::Explain(args) => explain::run(&args),
        Command::Images(args) => images::run(&args).await,
        Command::Lock(args) => lock::run(&args).await,
        Command::Tamper(args) => tamper::run(&args).await,
        Command::Test(args) => test::run(&args).await,
        Command::Completions(args) => completions::run(&args, Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_checkout_what_needs_one_is_refused_in_a_sentence_and_the_rest_is_not() {
        let layout = Layout { cache: "/nowhere".into(), repo: "/no/checkout".into() };
        let e = at_home(&layout).unwrap_err();
        assert_eq!((e.code().exit(), e.what().lines().count()), (2, 1), "{e}");
        at_home(&Layout::find().unwrap()).unwrap();
        let needs = |line: &[&str]| Cli::try_parse_from(line).unwrap().command.needs_checkout();
        for line in [
            &["x", "e2e"][..],
            &["x", "up"],
            &["x", "verify"],
            &["x", "plan"],
            &["x", "test"],
            &["x", "lock", "check"],
            &["x", "matrix", "f"],
            &["x", "ablate"],
        ] {
            assert!(needs(line), "{line:?}");
        }
        for line in [
            &["x", "judge", "--gather"][..],
            &["x", "doctor"],
            &["x", "explain"],
            &["x", "down"],
            &["x", "schema", "setup"],
            &["x", "diagnose", "f"],
            &["x", "pack", "f"],
        ] {
            assert!(!needs(line), "{line:?}");
        }
    }
}
