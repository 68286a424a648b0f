//! `cargo xtask completions SHELL`: what the shell needs to complete our commands.
//!
//! Shells complete programs, and `cargo xtask` is cargo's: so the script completes a function `xtask` that stands
//! for it, which the user defines beside it (the help says how).

use clap_complete::Shell;
use harness::Result;

use crate::called;

/// Prints a completion script for a shell.
///
/// Shells complete `cargo`, not what stands behind `cargo xtask`. Define a name for it and load the script:
///
///     xtask() { cargo xtask "$@"; }
///     source <(cargo xtask completions bash)
///
/// Then `xtask e2e --<Tab>` completes. In fish: `function xtask; cargo xtask $argv; end`.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

/// Writes the script to stdout; `command` is the whole command line as clap knows it.
///
/// # Errors
/// None: clap writes into memory first.
pub fn run(args: &Args, mut command: clap::Command) -> Result<()> {
    // What stands behind cargo is called by a function, as the help says; what was installed by its name.
    let name = called::called();
    let name = name.strip_prefix("cargo ").unwrap_or(&name);
    clap_complete::generate(args.shell, &mut command, name, &mut std::io::stdout());
    Ok(())
}
