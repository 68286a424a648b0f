//! A run as JUnit has it: a suite for the making of each world, with what it was made of and a case for each step; a suite
//! for each world and trial, with a case for each claim. Unjudged is an error, which readers of JUnit tell from a failure,
//! and so is whatever else ended the run. What breaks as its set-up expects is a success, and a surprise a failure.

use std::time::Duration;

use harness::world::World;
use harness::{Code, Error, Result};
use jiff::Timestamp;
use proof::verdict::{Came, Line, Outcome};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The file's text. `began` is when the run did: it made the worlds that are younger.
///
/// # Errors
/// [`Code::Internal`].
pub fn of(lines: &[Line], worlds: &[World], began: Timestamp, ended: &Result<()>) -> Result<String> {
    let mut report = Report::new("vouchsafe");
    report.add_test_suites(worlds.iter().map(|world| made(world, began)));
    let mut suites: Vec<String> = lines.iter().map(suite_of).collect();
    suites.sort();
    suites.dedup();
    for name in suites {
        let mut suite = TestSuite::new(name.clone());
        suite.add_test_cases(lines.iter().filter(|line| suite_of(line) == name).map(case));
        report.add_test_suite(suite);
    }
    report.add_test_suites(ended.as_ref().err().and_then(|e| otherwise(e, lines)));
    report.to_string().map_err(|e| Error::internal("cannot write JUnit").because(e))
}

/// What a world is made of, and its steps if this run took them.
fn made(world: &World, began: Timestamp) -> TestSuite {
    let mut suite = TestSuite::new(format!("{}::set-up", world.name));
    let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    suite.add_properties([
        property("set-up", &world.setup),
        property("source", &world.source),
        property("made", &world.made.to_string()),
        property("vouchsafe", env!("CARGO_PKG_VERSION")),
    ]);
    for cluster in &world.topology.clusters {
        suite.add_property(property(&format!("cluster {}", cluster.name), &cluster.trust_domain));
        for (component, version) in world.versions.get(&cluster.name).into_iter().flatten() {
            suite.add_property(property(&format!("{component} in {}", cluster.name), version));
        }
    }
    for image in world.images() {
        let places: String = image.clusters.iter().map(|cluster| format!(" in {cluster}")).collect();
        let what = format!("{}@{}", image.reference, image.digest);
        suite.add_property(property(&format!("image {}{places}", image.role), &what));
    }
    let taken = world.timings.iter().filter(|_| world.made >= began);
    suite.add_test_cases(taken.map(|step| {
        let mut case = TestCase::new(step.id.clone(), TestCaseStatus::success());
        case.set_time(Duration::try_from_secs_f64(step.end - step.begin).unwrap_or_default());
        case
    }));
    suite
}

/// What ended a run that no claim's case tells.
fn otherwise(ended: &Error, lines: &[Line]) -> Option<TestSuite> {
    let told = lines.iter().any(|line| match ended.code() {
        Code::ClaimBroken => !line.is_as_it_must() && line.verdict.verdict != Outcome::Unjudged,
        Code::Evidence => line.verdict.verdict == Outcome::Unjudged,
        _ => false,
    });
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(ended.code().name()).set_message(ended.what()).set_description(ended.to_string());
    let mut suite = TestSuite::new("run");
    suite.add_test_case(TestCase::new("came to its end", status));
    (!told).then_some(suite)
}

fn suite_of(line: &Line) -> String {
    format!("{}::{}", line.world, line.trial)
}

fn case(line: &Line) -> TestCase {
    let v = &line.verdict;
    let status = if line.is_as_it_must() {
        TestCaseStatus::success()
    } else {
        let kind =
            if v.verdict == Outcome::Unjudged { NonSuccessKind::Error } else { NonSuccessKind::Failure };
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(v.claim.clone());
        let told = match line.came() {
            Some(Came::Surprise(words)) => format!("it {words}"),
            _ => format!("expected: {}\nobserved: {}", v.expected, v.observed),
        };
        status.set_description(told);
        status
    };
    TestCase::new(v.id.to_string(), status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::due::tests::{all_held, main_set_up};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// A world that was made at noon in two steps.
    fn world() -> World {
        let cluster = json!({"name": "cluster1", "trust_domain": "cluster1.local", "network": "network1",
            "pods": "10.10.0.0/16", "services": "10.11.0.0/16", "version": "v1"});
        let site = json!({"kubeconfig": "cluster1.kubeconfig", "address": "198.18.0.2",
            "values": {"IMAGE_PROXYV2": "registry.example/proxyv2:newest"}});
        let world = json!({"id": "0123456789ab", "name": "federated", "setup": "federated",
            "scenarios": {"reads": [], "changes": []}, "defaults": false, "origin": "packages",
            "source": "packages (the cache holds all of it)", "digests": {"proxyv2": "sha256:54ec", "curl": "sha256:1441"},
            "engine": {"engine": "private", "state": "engine", "programs": "root", "address": "198.18.0.1"},
            "topology": {"clusters": [cluster]}, "sites": {"cluster1": site}, "made": "2026-11-26T12:00:00Z",
            "graph": {"steps": []}, "timings": [
                {"id": "engine", "lane": "", "begin": 0.0, "end": 0.75},
                {"id": "cluster1/istio", "lane": "cluster1", "begin": 1.0, "end": 3.5}]});
        serde_json::from_value(world).unwrap()
    }

    fn read(lines: &[Line], worlds: &[World], began: &str, ended: &Result<()>) -> Report {
        Report::deserialize_from_str(&of(lines, worlds, at(began), ended).unwrap()).unwrap()
    }

    #[test]
    fn all_three_states_are_told_apart() {
        let mut lines = all_held(&main_set_up());
        lines[0].verdict.verdict = Outcome::Broken;
        lines[1].verdict.verdict = Outcome::Unjudged;
        let text = of(&lines, &[], Timestamp::now(), &Ok(())).unwrap();
        let read = Report::deserialize_from_str(&text).unwrap();
        let (tests, failures, errors) = (read.tests, read.failures, read.errors);
        assert_eq!((tests, failures, errors), (lines.len(), 1, 1));
        assert!(text.contains("bundles-share-no-key/cluster1↔cluster2"), "{text}");
    }

    #[test]
    fn what_a_world_is_made_of_and_its_steps_are_told() {
        let report = read(&[], &[world()], "2026-11-26T11:59:00Z", &Ok(()));
        let [suite] = report.test_suites.as_slice() else { panic!("{report:?}") };
        assert_eq!(suite.name.as_str(), "federated::set-up");
        let properties: Vec<_> = suite
            .properties
            .iter()
            .map(|one| format!("{} = {}", one.name.as_str(), one.value.as_str()))
            .collect();
        for told in [
            "set-up = federated",
            "source = packages (the cache holds all of it)",
            "cluster cluster1 = cluster1.local",
            "image proxyv2 = registry.example/proxyv2:newest@sha256:54ec",
            "image curl = @sha256:1441",
        ] {
            assert!(properties.contains(&told.to_owned()), "{told}: {properties:?}");
        }
        let steps: Vec<_> = suite.test_cases.iter().map(|case| (case.name.as_str(), case.time)).collect();
        let took = |ms| Some(Duration::from_millis(ms));
        assert_eq!(steps, [("engine", took(750)), ("cluster1/istio", took(2500))]);
        assert!(suite.test_cases.iter().all(|case| matches!(case.status, TestCaseStatus::Success { .. })));
        // A world that was up before was not made by this run.
        let later = read(&[], &[world()], "2026-11-26T12:01:00Z", &Ok(()));
        assert_eq!((later.tests, later.test_suites[0].properties.len()), (0, suite.properties.len()));
    }

    /// A nightly that reads nothing but this must see red.
    #[test]
    fn a_run_that_ended_before_its_claims_is_an_error() {
        let failed = |code| Err(Error::new(code, "step cluster1/istio failed"));
        for code in [Code::SetupFailed, Code::Interrupted, Code::Evidence, Code::LeftBehind] {
            let report = read(&all_held(&main_set_up()), &[], "2026-11-26T12:01:00Z", &failed(code));
            assert_eq!((report.failures, report.errors), (0, 1), "{code:?}");
        }
        // Told by the claim's own case already.
        let mut lines = all_held(&main_set_up());
        lines[0].verdict.verdict = Outcome::Broken;
        let report = read(&lines, &[], "2026-11-26T12:01:00Z", &failed(Code::ClaimBroken));
        assert_eq!((report.failures, report.errors), (1, 0));
    }
}
