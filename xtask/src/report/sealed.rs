//! The manifest: what the report has, file by file, written when nothing else is to come. Only the log goes on, with the
//! command's last words.

use harness::{Error, Result, log};
use jiff::Timestamp;
use proof::evidence;
use proof::manifest::{self, Covered, Ended, Harness, Manifest};

use super::Report;
use crate::held;
use crate::stored::Stored;

impl Report {
    /// Writes it.
    ///
    /// # Errors
    /// [`harness::Code::Internal`], or that something lies in the folder that no run writes.
    pub(super) fn seal(&self, ended: &Result<()>) -> Result<()> {
        let cover = |(name, content): (&str, &[u8])| {
            let grows = name == log::FILE;
            (name.to_owned(), Covered { grows, ..Covered::of(content) })
        };
        let manifest = Manifest {
            version: manifest::VERSION,
            run: self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            began: self.at,
            closed: Timestamp::now(),
            harness: Harness {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                code: held::code(&self.layout).ok(),
            },
            evidence: evidence::VERSION,
            ended_by: ended
                .as_ref()
                .err()
                .map(|e| Ended { code: e.code().name().to_owned(), what: e.what().to_owned() }),
            files: Stored::folder(&self.dir)?.covered().map(cover).collect(),
        };
        let text = serde_json::to_string_pretty(&manifest);
        self.write(manifest::FILE, &text.map_err(|e| Error::internal(manifest::FILE).because(e))?)
    }
}
