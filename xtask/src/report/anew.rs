//! `report`: writes the page of a stored report anew, beside its folder, which stays as its run left it; needs no cluster, no
//! engine and no network.

use std::path::PathBuf;

use harness::{Code, Error, Result, kept};

use super::html;

use crate::show::say;

/// Flags of `report`.
#[derive(clap::Args)]
pub struct Args {
    /// A report's folder, such as `target/vouchsafe/latest`.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes the page, and says where it is.
///
/// # Errors
/// [`Code::Usage`] when it is no report's folder, or nothing can be written beside it.
pub fn run(args: &Args) -> Result<()> {
    let page = html::page(&args.folder)?;
    // Under its own name, and not as `latest`.
    let dir = args.folder.canonicalize().unwrap_or_else(|_| args.folder.clone());
    let file = dir.with_added_extension("html");
    let fail = |e| Error::new(Code::Usage, format!("cannot write {}", file.display())).because(e);
    kept::write(&file, &page).map_err(fail)?;
    say!("{}", file.display());
    Ok(())
}
