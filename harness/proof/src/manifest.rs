//! What a run left, file by file: the last thing that it writes into its report.
//!
//! It says that a folder is what its run left, whole and unaltered. It does not say who made it: whoever alters a file
//! can write the manifest anew. A folder without one is that of a run that was killed, or is still at work.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Context;
use crate::{Code, Error, Result};

/// Its name in a report's folder.
pub const FILE: &str = "manifest.json";

/// The version of the manifest's form; grows with every change that an old reader would misread.
pub const VERSION: u32 = 1;

/// How many files an error names.
const TOLD: usize = 5;

/// The manifest of a report. It covers every file of the folder but itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`] when it was written.
    pub version: u32,
    /// The run's id, which is its folder's name.
    pub run: String,
    /// When the run began.
    pub began: Timestamp,
    /// When it wrote this.
    pub closed: Timestamp,
    /// Who wrote it.
    pub harness: Harness,
    /// Of which version its evidence documents are.
    pub evidence: u32,
    /// What ended the run, if not that all was well.
    pub ended_by: Option<Ended>,
    /// Every file by its path below the folder, with `/`.
    pub files: BTreeMap<String, Covered>,
}

/// The harness that wrote a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Harness {
    /// Its release.
    pub version: String,
    /// A hash of the code and the manifests that it judged with, where the checkout could be read.
    pub code: Option<String>,
}

/// What ended a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// The error's code, such as `claim-broken`: it decides the exit status.
    pub code: String,
    /// The error's sentence.
    pub what: String,
}

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Covered {
    /// SHA-256 of its first `bytes` bytes, in hex.
    pub sha256: String,
    /// How many there were.
    pub bytes: u64,
    /// Whether more may follow: of a log that the run's last words went into after this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grows: bool,
}

impl Covered {
    /// A file that stays as it is.
    pub fn of(content: &[u8]) -> Self {
        let sha256 = hex::encode(Sha256::digest(content));
        Self { sha256, bytes: content.len() as u64, grows: false }
    }

    /// Whether the content is what was covered.
    pub fn covers(&self, content: &[u8]) -> bool {
        let end = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let Some(first) = content.get(..end) else { return false };
        (self.grows || first.len() == content.len()) && hex::encode(Sha256::digest(first)) == self.sha256
    }
}

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it is something else, or of a version that this release does not read.
    pub fn read(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let what = || format!("{FILE} is not the manifest of a report");
        let Versioned { version } = serde_json::from_slice(json).or_fail(Code::Evidence, what)?;
        if !(1..=VERSION).contains(&version) {
            let what = format!("{FILE} has version {version}, and this release reads 1 to {VERSION}");
            return Err(Error::new(Code::Evidence, what).next("judge it with the release that wrote it"));
        }
        serde_json::from_slice(json).or_fail(Code::Evidence, what)
    }

    /// Whether these files, the manifest left out, are what the run left.
    ///
    /// # Errors
    /// [`Code::Evidence`] naming each that is missing, altered, or none of the run's.
    pub fn check<'a>(&self, files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<()> {
        let mut missing: BTreeMap<_, _> = self.files.iter().collect();
        let mut wrong = Vec::new();
        for (name, content) in files {
            match missing.remove(&name.to_owned()) {
                Some(covered) if covered.covers(content) => {}
                Some(_) => wrong.push(format!("{name} is not what the run wrote")),
                None => wrong.push(format!("{name} is none of the run's files")),
            }
        }
        wrong.extend(missing.keys().map(|name| format!("{name} is missing")));
        if wrong.is_empty() {
            return Ok(());
        }
        let more = wrong.len().saturating_sub(TOLD);
        wrong.truncate(TOLD);
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        Err(Error::new(Code::Evidence, format!("{}{more}", wrong.join(", "))))
    }

    /// What ended the run, as an error.
    ///
    /// # Errors
    /// That of the run; [`Code::Evidence`] for a code that this release does not know.
    pub fn outcome(&self) -> Result<()> {
        let Some(Ended { code, what }) = &self.ended_by else { return Ok(()) };
        let known = Code::ALL.iter().find(|known| known.name() == code);
        let what = format!("the run ended by [{code}] {what}");
        Err(Error::new(known.copied().unwrap_or(Code::Evidence), what).next("read log.txt of the report"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &[u8]); 3] =
        [("evidence/a.json", b"{}"), ("log.txt", b"one\n"), ("report.md", b"all held")];

    fn manifest() -> Manifest {
        let mut files: BTreeMap<_, _> =
            FILES.iter().map(|(name, content)| ((*name).to_owned(), Covered::of(content))).collect();
        files.get_mut("log.txt").unwrap().grows = true;
        let at = Timestamp::UNIX_EPOCH;
        let harness = Harness { version: "1".into(), code: None };
        let run = "a-run".to_owned();
        Manifest { version: VERSION, run, began: at, closed: at, harness, evidence: 3, ended_by: None, files }
    }

    /// What is said of the folder after a change of it.
    fn said(change: impl FnOnce(&mut BTreeMap<&str, Vec<u8>>)) -> String {
        let mut files = FILES.iter().map(|(name, content)| (*name, content.to_vec())).collect();
        change(&mut files);
        let checked = manifest().check(files.iter().map(|(name, content)| (*name, content.as_slice())));
        checked.map_err(|e| (e.code(), e.what().to_owned())).map_or_else(
            |(code, what)| {
                assert_eq!(code, Code::Evidence);
                what
            },
            |()| "whole".to_owned(),
        )
    }

    #[test]
    fn each_byte_and_each_file_is_covered() {
        assert_eq!(said(|_| ()), "whole");
        for (name, content) in FILES {
            for (i, bit) in (0..content.len()).flat_map(|i| [(i, 1), (i, 0x80)]) {
                let flipped = said(|files| files.get_mut(name).unwrap()[i] ^= bit);
                assert_eq!(flipped, format!("{name} is not what the run wrote"));
            }
            let cut = said(|files| files.get_mut(name).unwrap().truncate(content.len() - 1));
            assert_eq!(cut, format!("{name} is not what the run wrote"));
            assert_eq!(said(|files| assert!(files.remove(name).is_some())), format!("{name} is missing"));
            let longer = said(|files| files.get_mut(name).unwrap().push(b'\n'));
            let grown =
                if name == "log.txt" { "whole".into() } else { format!("{name} is not what the run wrote") };
            assert_eq!(longer, grown, "only the log goes on");
        }
        let more = said(|files| assert!(files.insert("evidence/b.json", vec![]).is_none()));
        assert_eq!(more, "evidence/b.json is none of the run's files");
    }

    #[test]
    fn it_reads_back_and_another_version_is_refused_by_a_sentence() {
        let json = serde_json::to_string(&manifest()).unwrap();
        assert_eq!(Manifest::read(json.as_bytes()).unwrap(), manifest());
        let later = json.replace("\"version\":1", "\"version\":2");
        let e = Manifest::read(later.as_bytes()).unwrap_err();
        assert_eq!(e.what(), "manifest.json has version 2, and this release reads 1 to 1");
        for text in ["", "[]", "{\"version\":1}"] {
            let e = Manifest::read(text.as_bytes()).unwrap_err();
            assert_eq!(
                (e.code(), e.what()),
                (Code::Evidence, "manifest.json is not the manifest of a report")
            );
        }
    }

    /// Hashes are no secrets: what is kept goes through [`crate::scrub`].
    #[test]
    fn nothing_of_it_is_taken_for_a_secret() {
        let json = serde_json::to_string_pretty(&manifest()).unwrap();
        assert_eq!(crate::scrub::text(&json), json);
    }

    #[test]
    fn a_run_that_ended_otherwise_says_how() {
        let mut manifest = manifest();
        manifest.outcome().unwrap();
        for code in Code::ALL {
            manifest.ended_by = Some(Ended { code: code.name().to_owned(), what: "so".into() });
            let e = manifest.outcome().unwrap_err();
            assert_eq!(
                (e.code(), e.advice()),
                (*code, Some("read log.txt of the report")),
                "and no cure of this machine"
            );
        }
        manifest.ended_by = Some(Ended { code: "unheard-of".into(), what: "so".into() });
        let e = manifest.outcome().unwrap_err();
        assert_eq!((e.code(), e.what()), (Code::Evidence, "the run ended by [unheard-of] so"));
    }
}
