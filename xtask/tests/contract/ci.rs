//! `.ci/run` counts over both commands and says the truth about a command that dies.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use harness::cmd::{Cmd, Output};

/// Runs the script with a `cargo` that prints `test` or `e2e` and ends with that status.
async fn run(test: (&str, i32), e2e: (&str, i32)) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let fake = dir.path().join("cargo");
    let script = format!(
        "#!/bin/sh\necho \"ran $*\"\ncase $2 in test) echo '{}'; exit {};; e2e) echo '{}' >&2; exit {};; esac\n",
        test.0, test.1, e2e.0, e2e.1
    );
    std::fs::write(&fake, script).unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/run");
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    Cmd::new(script).env("PATH", path).output().await.unwrap()
}

fn last(out: &Output) -> &str {
    out.stdout.lines().last().unwrap_or_default()
}

#[tokio::test]
async fn both_commands_run_in_order_and_are_counted_together() {
    let out = run(("210 passed, 0 failed", 0), ("44 claims held, 0 broken, 93.1 s in all", 0)).await;
    assert_eq!((out.status, last(&out)), (0, "254 passed, 0 failed"), "{}", out.stderr);
    let ran: Vec<_> = out.stdout.lines().filter(|line| line.starts_with("ran ")).collect();
    assert_eq!(ran, ["ran xtask test", "ran xtask e2e"]);
}

#[tokio::test]
async fn a_failed_test_does_not_stop_the_main_command() {
    let out = run(("209 passed, 1 failed", 1), ("44 claims held, 0 broken", 0)).await;
    assert_eq!((out.status, last(&out)), (1, "253 passed, 1 failed"));
}

#[tokio::test]
async fn a_broken_claim_is_a_failure() {
    let out = run(("2 passed, 0 failed", 0), ("43 claims held, 1 broken", 5)).await;
    assert_eq!((out.status, last(&out)), (1, "45 passed, 1 failed"));
}

#[tokio::test]
async fn a_command_that_dies_is_one_failure_whether_it_counted_or_not() {
    let out = run(("error: could not compile", 101), ("", 4)).await;
    assert_eq!((out.status, last(&out)), (1, "0 passed, 2 failed"));
    assert!(out.stderr.contains("`cargo xtask e2e` ended with status 4"), "{}", out.stderr);
    let out = run(("2 passed, 0 failed", 0), ("44 claims held, 0 broken", 6)).await;
    assert_eq!((out.status, last(&out)), (1, "46 passed, 1 failed"));
}

#[tokio::test]
async fn ending_well_without_a_count_is_a_failure() {
    let out = run(("2 passed, 0 failed", 0), ("nothing to do", 0)).await;
    assert_eq!((out.status, last(&out)), (1, "2 passed, 1 failed"));
}
