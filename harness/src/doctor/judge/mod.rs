//! Every check, as a pure function over what was measured.

mod addresses;
mod cache;
mod debian;
mod engine;
mod machine;
mod private;
mod source;
mod world;

use super::measured::{DockerEngine, Facts, Measured};
use super::{Finding, Level, Wanted};
use crate::engine::Choice;

/// All findings that concern a run as wanted, in the order in which they are best cured.
pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = machine::judge(m, wanted);
    findings.extend(engine::judge(m, wanted));
    findings.extend(cache::judge(m, wanted));
    findings.extend(source::judge(m, wanted));
    findings.extend(world::judge(m, wanted));
    findings
}

/// The engine that a run would use.
enum Used<'a> {
    /// One that is there already.
    System(&'a Facts),
    /// A private one.
    Private,
    /// The one that was asked for does not answer.
    None(&'a str),
}

fn used<'a>(m: &'a Measured, wanted: &Wanted) -> Used<'a> {
    // An engine that the user named and that is silent is a mistake to report, not one to work around.
    let named = m.variables.contains_key("DOCKER_HOST") || m.variables.contains_key("DOCKER_CONTEXT");
    match (&m.engine, wanted.engine) {
        (_, Choice::Private) => Used::Private,
        (DockerEngine::Answers(facts), _) => Used::System(facts),
        (DockerEngine::Silent { .. }, Choice::Auto) if !named => Used::Private,
        (DockerEngine::Silent { why, .. }, _) => Used::None(why),
    }
}

/// A check that has looked and not judged yet.
struct Check {
    name: &'static str,
    measured: String,
    needed: String,
}

impl Check {
    fn new(name: &'static str, measured: impl Into<String>, needed: impl Into<String>) -> Self {
        Self { name, measured: measured.into(), needed: needed.into() }
    }

    fn ok(self, finding: impl Into<String>) -> Finding {
        self.end(Level::Ok, finding.into(), None)
    }

    fn warn(self, finding: impl Into<String>, cure: impl Into<String>) -> Finding {
        self.end(Level::Warn, finding.into(), Some(cure.into()))
    }

    fn fail(self, finding: impl Into<String>, cure: impl Into<String>) -> Finding {
        self.end(Level::Fail, finding.into(), Some(cure.into()))
    }

    fn end(self, level: Level, finding: String, cure: Option<String>) -> Finding {
        Finding { check: self.name, level, finding, measured: self.measured, needed: self.needed, cure }
    }
}

/// What a line to paste begins with: root needs it not, and in a container often has it not.
fn sudo(m: &Measured) -> &'static str {
    if m.rights.root { "" } else { "sudo " }
}

const GIB: u64 = 1 << 30;

/// What an engine's folder grows to: a node image, and for each cluster its images and what it writes (1.7 and
/// 2.1 GiB, measured with three).
fn engine_data(wanted: &Wanted) -> u64 {
    2 * GIB + wanted.topology.clusters.len() as u64 * (21 * GIB / 10)
}

fn gib(bytes: u64) -> String {
    let tenths = bytes / (GIB / 10);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod fit;
