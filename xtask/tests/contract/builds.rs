//! Whoever types `cargo xtask` again and again waits for no compiler: what a run builds below itself and what the next
//! command needs are the same.

use harness::cmd::Cmd;
use serde_json::Value;

/// What `cargo xtask COMMAND` builds before it runs.
const XTASK: [&str; 4] = ["build", "--quiet", "--package", "xtask"];
/// What a run builds to judge a world.
const SCENARIOS: [&str; 5] = ["test", "--no-run", "--quiet", "--package", "scenarios"];

/// The units that this cargo command compiled anew.
async fn compiled(cargo: Cmd, words: &[&str]) -> Vec<String> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let cargo = cargo.args(words.iter().copied()).args(["--locked", "--message-format", "json"]).dir(dir);
    let said = cargo.limit(harness::patience::BUILD).run().await.unwrap().stdout;
    let units = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let anew = units.filter(|unit| unit["reason"] == "compiler-artifact" && unit["fresh"] == false);
    anew.map(|unit| unit["target"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// cargo as a user types it: without what the cargo above this test set for it.
fn typed() -> Cmd {
    let set = std::env::vars_os().map(|(name, _)| name);
    let theirs = set.filter(|name| name.to_string_lossy().starts_with("CARGO_"));
    let kept = ["CARGO_HOME", "CARGO_TARGET_DIR"];
    theirs
        .filter(|name| !kept.iter().any(|kept| name == kept))
        .fold(Cmd::new("env"), |env, name| env.arg("-u").arg(name))
        .arg("cargo")
}

#[tokio::test]
async fn a_run_and_the_command_after_it_compile_nothing_anew() {
    // The first of each may: nobody has built anything yet.
    compiled(typed(), &XTASK).await;
    compiled(Cmd::new("cargo"), &SCENARIOS).await;
    let none: [&str; 0] = [];
    assert_eq!(compiled(typed(), &XTASK).await, none, "`cargo xtask plan` after a run");
    assert_eq!(compiled(Cmd::new("cargo"), &SCENARIOS).await, none, "a run after `cargo xtask plan`");
}

#[tokio::test]
async fn the_proof_is_built_of_nothing_that_reaches_outside() {
    let tree = Cmd::new("cargo")
        .args([
            "tree",
            "--package",
            "proof",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--locked",
        ])
        .dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let said = tree.run().await.unwrap().stdout;
    let crates: Vec<_> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains(&"x509-parser"), "{crates:?}");
    let outside = [
        "tokio", "futures", "kube", "hyper", "reqwest", "bollard", "duct", "tempfile", "rustix", "mio",
        "socket2",
    ];
    let reached: Vec<_> =
        crates.iter().filter(|name| outside.iter().any(|out| name.starts_with(out))).collect();
    assert!(reached.is_empty(), "the proof needs {reached:?}");
}
