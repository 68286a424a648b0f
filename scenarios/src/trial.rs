//! A trial: what it is called, what it owes, and how it looks. `nextest` runs each in a process of its own.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use futures::future::try_join_all;
use harness::wait::Reached;
use harness::{Error, Result, patience, wait};
use proof::claim::{Claim, Kind, Subject, due};
use proof::evidence::{Evidence, Fact, Must};
use proof::topology::Topology;

use crate::baseline::Baseline;
use crate::disturbance::put_back_in;
use crate::fixture::Fixture;
use crate::judging::{Outcome, failed, observe_and_judge};
use crate::owed::Owed;
use crate::shows::Shows;
use crate::{Mesh, snapshot};

/// The stack of a trial, in bytes: without optimisation the frames of one deep future do not fit into a thread's usual
/// 2 MiB.
const STACK: usize = 32 << 20;

/// One question, asked of one way, one cluster or the whole mesh.
pub struct Trial {
    /// As `--filter` and nextest have it: `handshake::cluster1→cluster2`.
    pub name: String,
    /// What a report calls it.
    pub scenario: String,
    /// The claims that get a verdict, whatever it sees.
    pub owes: Vec<Owed>,
    run: Run,
}

type Run = Box<dyn FnOnce(String, Vec<Owed>) -> Pin<Box<dyn Future<Output = Outcome>>> + Send>;

/// A scenario: it changes the world, and all of that is undone at its end. Made by [`scenarios!`](crate::scenarios).
pub struct Scenario {
    /// What a report calls it.
    pub name: &'static str,
    /// The module, for the trial's name.
    pub module: &'static str,
    /// The function, likewise.
    pub function: &'static str,
    /// The claims that it owes beside its facts; none when facts are all that it shows.
    pub owes: &'static [fn(&Topology) -> Vec<Claim>],
    /// What it shows: each of these is due before it begins.
    pub facts: &'static [Shows],
    /// How it goes.
    pub run: Steps,
}

/// A scenario's function, as a table can hold it.
type Steps = for<'a, 'b> fn(&'a mut Fixture<'b>) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// The scenarios of a module, in a table at its top: what each is called, the function that runs it, and the facts that it
/// owes, by name and sentence.
///
/// ```text
/// scenarios! {
///     "reached" => the_gateway_is_reached_from_the_other_cluster {
///         GATEWAY_REACHED each way: "[S4-1] port 15443 of {to} is reached from {from}",
///         NO_OTHER_BUNDLE each cluster: "[S4-39] the SPIRE server of {cluster} holds no other bundle",
///         NEXT_PORT_REFUSED: "[S4-1] the next port is refused",
///     },
///     "bundle-taken-away", owes bundle => without_the_bundle_the_call_is_refused {},
/// }
/// ```
///
/// The scenario shows each of them, whatever it sees: `fixture.shows(NEXT_PORT_REFUSED, must, seen)`,
/// `fixture.shows(GATEWAY_REACHED.on(&way), …)`, `fixture.shows(NO_OTHER_BUNDLE.of(&cluster.name), …)`. What it does not show
/// is unjudged, by name: `fact/reached/next-port-refused`.
///
/// `each way` and `each cluster` are owed for every one of the topology; `{from}`, `{to}` and `{cluster}` are its names,
/// and there is no other blank in a sentence. `[S4-1]` names the statements of the checklist that the fact settles; the
/// checklist names it `reached/gateway-reached`. `owes` adds claims that are no facts. What varies over a list has a
/// constant for each, in the list; a helper that several scenarios share takes the constant, a `Shows`.
#[macro_export]
macro_rules! scenarios {
    ($($name:literal $(, owes $owes:path)? => $function:ident {
        $($fact:ident $(each $each:ident)?: $says:literal,)*
    },)+) => {
        $($(const $fact: $crate::shows::Shows = $crate::shows::Shows {
            name: stringify!($fact),
            each: $crate::each!($($each)?),
            says: $says,
        };)*)+

        pub(super) const SCENARIOS: &[$crate::trial::Scenario] = &[$($crate::trial::Scenario {
            name: $name,
            module: module_path!(),
            function: stringify!($function),
            owes: &[$($owes)?],
            facts: &[$($fact,)*],
            run: |fixture| Box::pin($function(fixture)),
        },)+];
    };
}

impl Trial {
    /// One that only looks. `name` begins with its module's.
    pub fn looks(
        name: impl Into<String>,
        owes: Vec<Claim>,
        look: impl AsyncFnOnce(&Mesh, &mut Evidence) -> Result<()> + Send + 'static,
    ) -> Self {
        let name = name.into();
        let scenario = name.replace("::", "-").replace('→', "-");
        Self {
            name,
            scenario,
            owes: owes.into_iter().map(Owed::from).collect(),
            run: Box::new(|scenario, owes| {
                Box::pin(async move { observe_and_judge(&scenario, &owes, look).await })
            }),
        }
    }

    /// A scenario in that topology.
    pub fn of(scenario: &'static Scenario, topology: &Topology) -> Self {
        let mut claims: Vec<_> = scenario.owes.iter().flat_map(|owes| owes(topology)).collect();
        if claims.is_empty() {
            claims.push(Claim::of(Kind::ScenarioCompleted, Subject::Scenario(scenario.name.to_owned())));
        }
        let mut owes: Vec<_> = claims.into_iter().map(Owed::from).collect();
        owes.extend(scenario.facts.iter().flat_map(|fact| fact.due(scenario.name, topology)));
        owes.extend(due::as_before(topology, scenario.name).into_iter().map(Owed::from));
        let module = scenario.module.trim_start_matches("scenarios::trials::");
        Self {
            name: format!("{module}::{}", scenario.function),
            scenario: scenario.name.to_owned(),
            owes,
            run: Box::new(move |_, owes| Box::pin(run_and_undo(scenario, owes))),
        }
    }

    /// Runs it against the world that is named in the environment.
    ///
    /// # Errors
    /// [`harness::Code::ClaimBroken`] with each broken claim; [`harness::Code::Evidence`] with each that is unjudged.
    pub fn run(self) -> Outcome {
        let Self { name, scenario, owes, run } = self;
        harness::log::begin(&name, harness::log::Filter::read(0)?);
        if let Some(report) = std::env::var_os("VOUCHSAFE_REPORT") {
            harness::log::keep_in(Path::new(&report))?;
        }
        let called = scenario.clone();
        let whole = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|e| Error::internal("cannot start a runtime").because(e))?;
            runtime.block_on(run(called, owes))
        };
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(whole);
        let thread = thread.map_err(|e| Error::internal("cannot start a thread").because(e))?;
        let outcome =
            thread.join().unwrap_or_else(|_| Err(Error::internal("the trial panicked; its words are above")));
        if let Err(e) = &outcome {
            failed(&scenario, e);
        }
        outcome
    }
}

/// Runs a scenario with a fixture of its own, undoes all of that, and claims that every cluster is as it was before.
///
/// # Errors
/// As [`observe_and_judge`].
async fn run_and_undo(scenario: &'static Scenario, owes: Vec<Owed>) -> Outcome {
    let name = scenario.name;
    observe_and_judge(name, &owes, async |mesh, seen| {
        // One before this may have been killed.
        put_back_in(mesh).await?;
        let before = Baseline::of_all(mesh).await?;
        let mut fixture = Fixture::of(name, mesh, seen);
        // Ended from outside it could undo nothing.
        let reached = Reached::new("it was still at work; the log says at what");
        let ran =
            wait::within_telling(name, patience::SCENARIO, &reached, (scenario.run)(&mut fixture)).await;
        snapshot::if_failed(name, &ran, mesh, fixture.seen).await;
        let undone = fixture.undo_all().await;
        let left = before.iter().zip(mesh.clusters()).map(async |(before, cluster)| {
            let subject = Subject::After { scenario: name.to_owned(), cluster: cluster.name.clone() };
            let id = Claim::of(Kind::ClusterAsBefore, subject);
            let left = before.left_over(mesh.api(&cluster.name)?).await?;
            Ok::<_, Error>(Fact { claim: id.sentence(), id, must: Must::be(Baseline::SAME), seen: left })
        });
        seen.facts.extend(try_join_all(left).await?);
        mesh.published(seen).await?;
        mesh.istiod_roots(seen).await?;
        ran.and(undone)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use harness::cmd::Cmd;

    use super::*;

    /// Run by the test below, in a process of its own: what a trial asks is written down where nextest was told.
    #[test]
    #[ignore = "a part of another test"]
    fn asks_a_server() {
        let report = std::env::var_os("VOUCHSAFE_REPORT").unwrap();
        let kubeconfig = Path::new(&report).join("c1.kubeconfig");
        let run: Run = Box::new(move |_, _| {
            Box::pin(async move {
                let client = harness::kube::connect(&kubeconfig).await?;
                client
                    .apiserver_version()
                    .await
                    .map(drop)
                    .map_err(|e| Error::internal("no version").because(e))
            })
        });
        Trial { name: "handshake::a→b".into(), scenario: "handshake-a-b".into(), owes: vec![], run }
            .run()
            .unwrap();
    }

    #[tokio::test]
    async fn what_a_trial_asks_is_in_the_log_of_the_report() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let body = r#"{"major":"1","minor":"0","gitVersion":"","gitCommit":"","gitTreeState":"","buildDate":"",
                "goVersion":"","compiler":"","platform":""}"#;
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        });
        let report = tempfile::tempdir().unwrap();
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://{address}") } }],
            "users": [{ "name": "u", "user": {} }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        });
        std::fs::write(report.path().join("c1.kubeconfig"), config.to_string()).unwrap();
        let inner = Cmd::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "trial::tests::asks_a_server"])
            .env("VOUCHSAFE_REPORT", report.path())
            .env_remove("VOUCHSAFE_LOG");
        let out = inner.run().await.unwrap();
        assert!(out.stdout.contains("1 passed"), "{}", out.stdout);
        let log = std::fs::read_to_string(report.path().join(harness::log::FILE)).unwrap();
        let asked = " handshake::a→b DEBUG harness::kube::asked: GET /version cluster=\"c1\" status=200 ms=";
        assert!(log.lines().any(|line| line.contains(asked)), "{log}");
    }
}
