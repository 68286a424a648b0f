//! The verdicts as JUnit has them: a suite for each world and trial, a case for each claim. Unjudged is an error, which
//! readers of JUnit tell from a failure. What breaks as its set-up expects is a success, and a surprise a failure.

use harness::{Error, Result};
use proof::verdict::{Came, Line, Outcome};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The file's text.
///
/// # Errors
/// [`harness::Code::Internal`].
pub fn of(lines: &[Line]) -> Result<String> {
    let mut report = Report::new("vouchsafe");
    let mut suites: Vec<String> = lines.iter().map(suite_of).collect();
    suites.sort();
    suites.dedup();
    for name in suites {
        let mut suite = TestSuite::new(name.clone());
        suite.add_test_cases(lines.iter().filter(|line| suite_of(line) == name).map(case));
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|e| Error::internal("cannot write JUnit").because(e))
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
    use super::*;
    use crate::due::tests::{all_held, main_set_up};

    #[test]
    fn all_three_states_are_told_apart() {
        let mut lines = all_held(&main_set_up());
        lines[0].verdict.verdict = Outcome::Broken;
        lines[1].verdict.verdict = Outcome::Unjudged;
        let text = of(&lines).unwrap();
        let read = Report::deserialize_from_str(&text).unwrap();
        let (tests, failures, errors) = (read.tests, read.failures, read.errors);
        assert_eq!((tests, failures, errors), (lines.len(), 1, 1));
        assert!(text.contains("bundles-share-no-key/cluster1↔cluster2"), "{text}");
    }
}
