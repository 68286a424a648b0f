//! `schema`: the form of a file that a user writes, for editors that check and complete while one types, or of a document
//! that a report keeps; as JSON Schema.

use harness::{Error, Result, setup};
use proof::schema;

use crate::show::say;
use crate::{ablate, matrix};

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
    /// A file of `matrix`.
    Matrix,
    /// A file of `ablate`.
    Ablations,
    /// A document below `evidence/`.
    Evidence,
    /// A line of `verdicts.jsonl`.
    Verdict,
    /// `manifest.json`.
    Manifest,
}

/// Prints it.
///
/// # Errors
/// [`harness::Code::Internal`].
pub fn run(args: &Args) -> Result<()> {
    let schema = match args.of {
        Of::Setup => setup::schema(),
        Of::Matrix => matrix::schema(),
        Of::Ablations => ablate::schema(),
        Of::Evidence => schema::evidence(),
        Of::Verdict => schema::verdict(),
        Of::Manifest => schema::manifest(),
    };
    let text = serde_json::to_string_pretty(&schema);
    say!("{}", text.map_err(|e| Error::internal("a schema cannot be written").because(e))?);
    Ok(())
}
