//! `cargo xtask test`: everything that needs no cluster and no container engine. CI runs the same.
//!
//! Each check writes a log below `target/vouchsafe/test/`; a failing one is shown whole. The last line of stdout
//! counts: every test is one, and so is every other check.

use std::path::{Path, PathBuf};
use std::time::Instant;

use harness::artifact::packages::Packages;
use harness::cmd::Cmd;
use harness::layout::Layout;
use harness::lock::Lock;
use harness::{Error, Result, patience};
use quick_junit::{Report, TestCaseStatus};

use crate::interrupt;
use crate::runner::cargo;
use crate::show::{Show, say};

/// Flags of `test`.
#[derive(clap::Args)]
pub struct Args {
    /// Also the tests that need root and a container engine.
    #[arg(long, env = "VOUCHSAFE_WITH_ENGINE")]
    with_engine: bool,
}

/// A check, the tests it consists of if it is nextest's, and what it says when it could not look.
struct Check {
    name: &'static str,
    command: Cmd,
    junit: Option<PathBuf>,
    blind: Option<Blind>,
}

/// A check that needs what not every machine reaches. What was not looked at is said, and counts neither way.
struct Blind {
    /// In the log, when it could not look.
    says: &'static str,
    /// For a person.
    because: &'static str,
}

/// How many checks and tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// Runs all checks, also after one has failed, and prints the count.
///
/// # Errors
/// [`harness::Code::Internal`] when a check failed: the checkout is not in order.
pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let sum = interrupt::or_stop(all(args, &layout)).await?;
    say!("{} passed, {} failed", sum.passed, sum.failed);
    match sum.failed {
        0 => Ok(()),
        failed => Err(Error::internal(format!("{failed} checks of this checkout failed"))
            .next("read the output above; the logs are below target/vouchsafe/test")),
    }
}

async fn all(args: &Args, layout: &Layout) -> Result<Tally> {
    let (nextest, [deny, shear]) = programs(layout).await?;
    let mut checks = vec![
        fmt(),
        clippy(),
        tests(&nextest, layout),
        docs(),
        unused(&shear),
        dependencies(&deny),
        advisories(&deny),
    ];
    if args.with_engine {
        checks.push(engine_tests(&nextest, layout));
    }
    let mut sum = Tally::default();
    for check in checks {
        let tally = check.run(layout).await?;
        sum = Tally { passed: sum.passed + tally.passed, failed: sum.failed + tally.failed };
    }
    Ok(sum)
}

/// The pinned test runner and what looks at the dependencies: from the cache, fetched or built the first time.
async fn programs(layout: &Layout) -> Result<(PathBuf, [PathBuf; 2])> {
    let show = Show::start(false);
    let packages = Packages::new(layout, &Lock::read(&layout.manifests())?);
    let note = show.note();
    let obtained =
        async { Ok((packages.obtain_nextest(&note).await?, packages.obtain_auditors(&note).await?)) };
    let obtained = obtained.await;
    drop(note);
    show.end().await;
    obtained
}

fn fmt() -> Check {
    Check {
        name: "format",
        command: cargo().args(["fmt", "--all", "--", "--check", "--files-with-diff"]),
        junit: None,
        blind: None,
    }
}

fn clippy() -> Check {
    let args = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    Check { name: "lints", command: cargo().args(args), junit: None, blind: None }
}

fn tests(nextest: &Path, layout: &Layout) -> Check {
    let command = Cmd::new(nextest).args(["nextest", "run", "--workspace", "--locked", "--cargo-quiet"]);
    // They say how long a limit is; those that need a cluster or an engine are not among them.
    let command = command.env_remove("VOUCHSAFE_PATIENCE");
    Check { name: "tests", command, junit: Some(junit(layout, "default")), blind: None }
}

fn engine_tests(nextest: &Path, layout: &Layout) -> Check {
    let args = [
        "nextest",
        "run",
        "--package",
        "harness",
        "--profile",
        "engine",
        "--run-ignored",
        "only",
        "--cargo-quiet",
    ];
    Check {
        name: "engine",
        command: Cmd::new(nextest).args(args),
        junit: Some(junit(layout, "engine")),
        blind: None,
    }
}

fn docs() -> Check {
    // Documentation of a program is for its developers: private items are in it, and links to them are fine.
    let flags = "-D warnings -A rustdoc::private-intra-doc-links";
    let command =
        cargo().args(["doc", "--workspace", "--no-deps", "--document-private-items", "--locked", "--quiet"]);
    Check { name: "documentation", command: command.env("RUSTDOCFLAGS", flags), junit: None, blind: None }
}

/// Dependencies that nobody uses.
fn unused(shear: &Path) -> Check {
    let command = Cmd::new(shear).args(["shear", "--locked", "--color", "never"]);
    Check { name: "unused", command, junit: None, blind: None }
}

/// Licences, crates that are there twice, and where they are from: `.config/deny.toml`.
fn dependencies(deny: &Path) -> Check {
    let words = ["--hide-inclusion-graph", "-D", "unmatched-skip", "licenses", "bans", "sources"];
    Check { name: "dependencies", command: denied(deny).args(words), junit: None, blind: None }
}

/// What is known against them. It is known at GitHub.
fn advisories(deny: &Path) -> Check {
    let blind = Blind {
        says: "failed to fetch advisory database",
        because: "github.com/RustSec/advisory-db could not be fetched, so no crate was compared with it",
    };
    let command = denied(deny).args(["--hide-inclusion-graph", "advisories"]);
    Check { name: "advisories", command, junit: None, blind: Some(blind) }
}

fn denied(deny: &Path) -> Cmd {
    Cmd::new(deny).args(["--locked", "--color", "never", "--config", ".config/deny.toml", "check"])
}

impl Check {
    async fn run(self, layout: &Layout) -> Result<Tally> {
        let log = layout.reports().join("test").join(format!("{}.log", self.name));
        let began = Instant::now();
        if let Some(junit) = &self.junit {
            // An old one must not be counted if the tests do not even compile; none is there the first time.
            let _ = std::fs::remove_file(junit);
        }
        eprintln!("{:<14} …", self.name);
        // A failed test says what it saw; whoever wants to know where asks that one test again.
        let command = self.command.env("RUST_BACKTRACE", "0");
        let command = command.dir(&layout.repo).limit(patience::BUILD);
        let passed = command.log_to(&log).output().await?.status == 0;
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        if let Some(blind) = self.blind.filter(|blind| !passed && said.contains(blind.says)) {
            eprintln!("{:<14} NOT LOOKED AT: {}", self.name, blind.because);
            return Ok(Tally::default());
        }
        let tally = self.junit.as_deref().and_then(count).unwrap_or_default().with(passed);
        let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
        eprintln!(
            "{:<14} {verdict}, {:.1} s ({} passed, {} failed)",
            self.name,
            began.elapsed().as_secs_f64(),
            tally.passed,
            tally.failed
        );
        if tally.failed > 0 {
            eprintln!("{said}");
        }
        Ok(tally)
    }
}

impl Tally {
    /// Adds the verdict of the program itself, where its tests do not already say the same.
    fn with(self, passed: bool) -> Self {
        match (passed, self) {
            (true, Self { passed: 0, failed: 0 }) => Self { passed: 1, failed: 0 },
            (false, Self { failed: 0, .. }) => Self { failed: 1, ..self },
            _ => self,
        }
    }
}

/// The tests in a JUnit file; `None` when there is none, because nothing was run.
fn count(junit: &Path) -> Option<Tally> {
    let report = Report::deserialize_from_str(&std::fs::read_to_string(junit).ok()?).ok()?;
    let mut tally = Tally::default();
    for case in report.test_suites.iter().flat_map(|suite| &suite.test_cases) {
        match case.status {
            TestCaseStatus::Success { .. } => tally.passed += 1,
            TestCaseStatus::NonSuccess { .. } => tally.failed += 1,
            TestCaseStatus::Skipped { .. } => (),
        }
    }
    Some(tally)
}

/// Where nextest writes: its store is below the checkout wherever the build goes.
fn junit(layout: &Layout, profile: &str) -> PathBuf {
    layout.repo.join("target/nextest").join(profile).join("junit.xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_one_by_one_and_other_checks_as_one() {
        let none = Tally::default();
        assert_eq!(none.with(true), Tally { passed: 1, failed: 0 });
        assert_eq!(none.with(false), Tally { passed: 0, failed: 1 });
        let some = Tally { passed: 7, failed: 0 };
        assert_eq!(some.with(true), some);
        // The runner itself failed although no test did, by a leak for instance.
        assert_eq!(some.with(false), Tally { passed: 7, failed: 1 });
        assert_eq!(Tally { passed: 7, failed: 2 }.with(false), Tally { passed: 7, failed: 2 });
    }

    #[tokio::test]
    async fn what_could_not_be_looked_at_counts_neither_way() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().into(), repo: dir.path().into() };
        let told = async |script: &str| {
            let blind = Blind { says: "failed to fetch", because: "it is far away" };
            let command = Cmd::new("sh").args(["-c", script]);
            Check { name: "far", command, junit: None, blind: Some(blind) }.run(&layout).await.unwrap()
        };
        assert_eq!(told("echo 'failed to fetch it'; exit 1").await, Tally::default());
        assert_eq!(told("echo 'RUSTSEC-1'; exit 1").await, Tally { passed: 0, failed: 1 });
        assert_eq!(told("echo 'it once failed to fetch'").await, Tally { passed: 1, failed: 0 });
    }

    #[test]
    fn a_junit_file_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("junit.xml");
        assert_eq!(count(&file), None);
        std::fs::write(
            &file,
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="nextest-run" tests="3" failures="1" errors="0">
              <testsuite name="harness" tests="3" disabled="0" errors="0" failures="1">
                <testcase name="a" classname="harness" time="0.1"></testcase>
                <testcase name="b" classname="harness" time="0.1"><failure type="test failure">no</failure></testcase>
                <testcase name="c" classname="harness" time="0.1"></testcase>
              </testsuite>
            </testsuites>"#,
        )
        .unwrap();
        assert_eq!(count(&file), Some(Tally { passed: 2, failed: 1 }));
    }
}
