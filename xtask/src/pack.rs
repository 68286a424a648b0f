//! `pack`: a report as one file to send. It has what is in the folder and nothing else; a run that was interrupted can be
//! sent as well, and is not judged as a whole.

use std::path::{Path, PathBuf};

use harness::layout::Layout;
use harness::{Code, Error, Result};

use crate::show::say;
use crate::stored::Stored;

/// Flags of `pack`.
#[derive(clap::Args)]
pub struct Args {
    /// The report's folder; that of the latest run when left out.
    folder: Option<PathBuf>,
}

/// Writes the file beside the folder, and its name to stdout.
///
/// # Errors
/// [`Code::Usage`] when there is no such report, [`Code::Evidence`] when something in it has no place in one.
pub fn run(args: &Args) -> Result<()> {
    let latest = || Ok(Layout::find()?.reports().join("latest"));
    let folder = args.folder.clone().map_or_else(latest, Ok)?;
    let file = packed(&folder)?;
    say!("{}", file.display());
    Ok(())
}

fn packed(folder: &Path) -> Result<PathBuf> {
    let no_report = |why: String| Error::new(Code::Usage, why).next("name a report's folder");
    // Under its own name, and not as `latest`.
    let dir = folder
        .canonicalize()
        .map_err(|e| no_report(format!("there is no report {}", folder.display())).because(e))?;
    if !dir.join("log.txt").exists() || !dir.join("evidence").is_dir() {
        return Err(no_report(format!("{} is no report of a run", dir.display())));
    }
    let report = Stored::folder(&dir)?;
    if let Err(e) = report.whole() {
        eprintln!("packed as it is; it cannot be judged as a whole: {}", e.what());
    }
    let run = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = report.pack(&run)?;
    let file = dir.with_added_extension("tar.gz");
    let part = dir.with_added_extension("tar.gz.part");
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, &file));
    written.map_err(|e| Error::new(Code::Usage, format!("cannot write {}", file.display())).because(e))?;
    Ok(file)
}
