//! `schema`: the form of a file that a user writes, as a JSON Schema, for editors that check and complete while one types.

use harness::{Error, Result, setup};

/// Flags of `schema`.
#[derive(clap::Args)]
pub struct Args {
    /// Of what.
    #[arg(value_enum)]
    of: Of,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Of {
    /// A set-up of your own.
    Setup,
}

pub fn run(args: &Args) -> Result<()> {
    let schema = match args.of {
        Of::Setup => setup::schema(),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(|e| Error::internal("a schema").because(e))?;
    println!("{text}");
    Ok(())
}
