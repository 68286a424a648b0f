//! nextest, which runs the scenarios: found or built, with the scenarios compiled.

use std::path::{Path, PathBuf};
use std::time::Instant;

use harness::artifact::packages::Packages;
use harness::cmd::Cmd;
use harness::layout::Layout;
use harness::lock::Lock;
use harness::progress::Note;
use harness::setup::Scenarios;
use harness::{Code, Error, Result, patience, world};

use proof::topology::Topology;
use tempfile::TempDir;

use crate::due::Due;
use crate::report::Report;

/// The test runner, with the scenarios compiled.
pub struct Runner {
    program: PathBuf,
    /// What cargo said of them, for a runner that is to ask cargo no more: it takes a second beside booting nodes.
    said: TempDir,
}

const BINARIES: &str = "binaries.json";
const METADATA: &str = "metadata.json";

impl Runner {
    /// Finds or builds nextest, and compiles the scenarios.
    ///
    /// # Errors
    /// The compiler's words.
    pub async fn prepare(layout: &Layout, note: &Note) -> Result<Self> {
        let note = note.of("scenarios");
        let began = Instant::now();
        note.started("", "scenarios compiled", None);
        let packages = Packages::new(layout, &Lock::read(&layout.manifests())?);
        let program = packages.obtain_nextest(&note).await?;
        let said = tempfile::tempdir().map_err(|e| Error::internal("no temporary folder").because(e))?;
        let compiled = Cmd::new(&program)
            .args(["nextest", "list", "--package", "scenarios", "--cargo-quiet"])
            .args(["--list-type", "binaries-only", "--message-format", "json"]);
        let metadata = cargo().args(["metadata", "--format-version", "1", "--no-deps", "--locked"]);
        for (asked, name) in [(compiled, BINARIES), (metadata, METADATA)] {
            let out = asked.dir(&layout.repo).limit(patience::BUILD).run().await?;
            let fail = |e| Error::internal(format!("cannot write {name}")).because(e);
            std::fs::write(said.path().join(name), out.stdout).map_err(fail)?;
        }
        let runner = Self { program, said };
        note.finished(began.elapsed());
        Ok(runner)
    }

    /// Of what is due in that topology, what `filter` leaves.
    ///
    /// # Errors
    /// [`Code::Usage`] when it is no filter, with nextest's words.
    pub async fn narrowed(
        &self,
        layout: &Layout,
        due: Due,
        of: &Scenarios,
        topology: &Topology,
        filter: &str,
    ) -> Result<Due> {
        let modules = [of.reads.as_slice(), &of.changes].concat();
        let topology =
            serde_json::to_string(topology).map_err(|e| Error::internal("a topology").because(e))?;
        let out = self
            .command(layout, "list")
            .args(["--message-format", "oneline", "-E", &expression(&modules, Some(filter))])
            .env(scenarios::CLUSTERS, topology)
            .env_remove(scenarios::WORLD)
            .limit(patience::BUILD)
            .output()
            .await?;
        match out.status {
            // `scenarios::it handshake::cluster1→cluster2`
            0 => Ok(due.only(
                &out.stdout.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect(),
            )),
            _ => Err(Error::new(Code::Usage, format!("`{filter}` is no filter over scenarios"))
                .seen(harness::cmd::tail(&out.stderr))
                .next("nextest's filters are such as test(handshake); nothing was touched")),
        }
    }

    fn command(&self, layout: &Layout, what: &str) -> Cmd {
        Cmd::new(&self.program)
            .args(["nextest", what, "--profile", "e2e"])
            .arg("--binaries-metadata")
            .arg(self.said.path().join(BINARIES))
            .arg("--cargo-metadata")
            .arg(self.said.path().join(METADATA))
            .dir(&layout.repo)
    }

    /// Runs the scenarios that `filter` selects; whether all passed.
    pub async fn scenarios(
        &self,
        layout: &Layout,
        report: &Report,
        filter: &str,
        width: &[&str],
        log: &Path,
    ) -> Result<bool> {
        let out = self
            .command(layout, "run")
            .args(["-E", filter, "--no-tests=pass"])
            .args(width.iter().copied())
            .env(scenarios::WORLD, world::file(layout))
            .env("VOUCHSAFE_REPORT", &report.dir)
            .limit(patience::SCENARIOS)
            .log_to(log)
            .output()
            .await?;
        match out.status {
            0 => Ok(true),
            // nextest's documented status for failed tests.
            100 => Ok(false),
            status => Err(Error::new(Code::CommandFailed, format!("nextest exited with {status}"))
                .seen(harness::cmd::tail(&std::fs::read_to_string(log).unwrap_or_default()))),
        }
    }
}

/// The cargo that runs us.
pub fn cargo() -> Cmd {
    Cmd::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Those of the modules that `filter` leaves, in nextest's words.
pub fn expression(modules: &[String], filter: Option<&str>) -> String {
    let chosen = filter.map(|filter| format!(" and ({filter})")).unwrap_or_default();
    format!("test(/^({})::/){chosen}", modules.join("|"))
}

/// What to say when a filter leaves nothing.
pub fn selects_nothing(filter: &str, setups: &str) -> Error {
    Error::new(Code::Usage, format!("the filter `{filter}` selects no scenario of {setups}"))
        .next("nextest's filters are such as test(handshake); nothing was touched")
}
