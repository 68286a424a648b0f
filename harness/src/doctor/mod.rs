//! Is this machine fit for a run? Asked before anything is touched, and by `cargo xtask doctor`.
//!
//! Two halves that never mix: [`measure`] looks and judges nothing, [`judge`] is a pure function over what was
//! seen. A finding says what was measured, what is needed and what to paste into a shell. Every check comes from
//! a ticket of somebody who lost a day: kind's known issues, or a run of ours that failed.

pub mod judge;
pub mod measure;
pub mod measured;

use std::fmt;

use serde::Serialize;

use crate::artifact::source;
use crate::layout::Layout;
use crate::{Code, Error, Result, engine};
use proof::topology::Topology;

/// What the run is going to use: a check that does not concern it is left out.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The container engine.
    pub engine: engine::Choice,
    /// Where images and tools come from.
    pub source: source::Choice,
    /// The clusters: their names and subnets must be free.
    pub topology: Topology,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be, or Vouchsafe sees to it.
    Ok,
    /// A run may work; if it does not, look here first.
    Warn,
    /// A run cannot work.
    Fail,
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's stable name.
    pub check: &'static str,
    /// How much it matters.
    pub level: Level,
    /// A sentence for people.
    pub finding: String,
    /// The value that was found.
    pub measured: String,
    /// The value that a run needs.
    pub needed: String,
    /// What to paste into a shell, when there is something to cure.
    pub cure: Option<String>,
}

/// Looks at the machine and judges it; changes nothing.
pub async fn examine(wanted: &Wanted, layout: &Layout) -> Vec<Finding> {
    judge::judge(&measure::measure(layout).await, wanted)
}

/// Whether a run can be tried at all.
///
/// # Errors
/// Every check that fails is named, with the cure of the first, which also decides the code: [`Code::NotFit`], or the
/// one that a run would have met later.
pub fn verdict(findings: &[Finding]) -> Result<()> {
    let failing: Vec<_> = findings.iter().filter(|f| f.level == Level::Fail).collect();
    let Some(first) = failing.first() else { return Ok(()) };
    let one = |f: &&Finding| format!("{} ({}: {}, needed {})", f.finding, f.check, f.measured, f.needed);
    let list: Vec<_> = failing.iter().map(one).collect();
    let what = format!("this machine is not fit for a run: {}", list.join("; "));
    let next = first.cure.clone().unwrap_or_else(|| "cargo xtask doctor".to_owned());
    Err(Error::new(code_of(first), what).next(next))
}

fn code_of(finding: &Finding) -> Code {
    match finding.check {
        "engine" | "root" | "debian" => Code::EngineUnreachable,
        "cache" => Code::CacheUnusable,
        "names" => Code::ForeignCluster,
        _ => Code::NotFit,
    }
}

impl Finding {
    /// Everything on one line, for somebody who runs something else.
    pub fn line(&self) -> String {
        let Self { check, finding, measured, needed, .. } = self;
        let cure = self.cure.as_ref().map(|cure| format!("; cure: {cure}")).unwrap_or_default();
        format!("doctor warns of {check}: {finding} (measured {measured}, needed {needed}){cure}")
    }
}

impl fmt::Display for Finding {
    /// One line, and two more when there is something to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        write!(f, "{mark}  {:<18} {}", self.check, self.finding)?;
        if self.level == Level::Ok {
            return write!(f, " [{}]", self.measured);
        }
        write!(f, "\n{:24} measured {}, needed {}", "", self.measured, self.needed)?;
        match &self.cure {
            Some(cure) => write!(f, "\n{:24} cure: {cure}", ""),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(level: Level) -> Finding {
        Finding {
            check: "memory",
            level,
            finding: "too little memory".into(),
            measured: "1 GiB".into(),
            needed: "at least 4 GiB".into(),
            cure: Some("close something".into()),
        }
    }

    #[test]
    fn only_a_failing_check_stops_a_run() {
        verdict(&[finding(Level::Ok), finding(Level::Warn)]).unwrap();
        let e = verdict(&[finding(Level::Warn), finding(Level::Fail)]).unwrap_err();
        assert_eq!((e.code(), e.advice()), (Code::NotFit, Some("close something")));
        assert!(e.what().contains("too little memory (memory: 1 GiB, needed at least 4 GiB)"), "{e}");
    }

    #[test]
    fn whatever_fails_the_machine_is_to_blame() {
        for check in ["engine", "cache", "names", "memory"] {
            let e = verdict(&[Finding { check, ..finding(Level::Fail) }]).unwrap_err();
            assert_eq!(e.code().exit(), 3, "{e:?}");
        }
        let names = Finding { check: "names", ..finding(Level::Fail) };
        assert_eq!(verdict(&[names]).unwrap_err().code(), Code::ForeignCluster);
    }

    #[test]
    fn a_warning_is_told_on_one_line() {
        assert_eq!(
            finding(Level::Warn).line(),
            "doctor warns of memory: too little memory (measured 1 GiB, needed at least 4 GiB); cure: close something"
        );
    }

    #[test]
    fn a_cure_is_shown_where_there_is_something_to_cure() {
        assert_eq!(finding(Level::Ok).to_string(), "ok    memory             too little memory [1 GiB]");
        let shown = finding(Level::Fail).to_string();
        assert!(shown.contains("measured 1 GiB, needed at least 4 GiB\n"), "{shown}");
        assert!(shown.ends_with("cure: close something"), "{shown}");
    }
}
