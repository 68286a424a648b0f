//! A kept world whose nodes were stopped and started, in every order, is mended before it is judged; one whose engine is gone
//! is named in one sentence. Slow, so run on demand, while no world is up.
//!
//! `cargo test -p xtask --test kept -- --ignored --nocapture`
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod common;

use harness::cmd::{Cmd, Output};
use harness::engine::{Engine, processes};
use harness::layout::Layout;
use harness::lifecycle;

use common::xtask;

#[tokio::test]
#[ignore = "takes some minutes; no world may be up"]
async fn nodes_come_back_and_a_dead_engine_is_named() {
    let layout = Layout::find().unwrap();
    assert_eq!(xtask(&["up"]).await.status, 0);
    for round in 1..=3 {
        let nodes = lifecycle::nodes(&layout).await.unwrap();
        for (engine, node) in &nodes {
            engine.docker().stop_container(node, None).await.unwrap();
        }
        // Left stopped; started in the order in which they were made; started the other way round, which swaps the
        // addresses that an engine gives.
        let again: Vec<_> = match round {
            1 => vec![],
            2 => nodes.iter().collect(),
            _ => nodes.iter().rev().collect(),
        };
        for (engine, node) in again {
            start(engine, node).await;
        }
        let verify = xtask(&["verify", "--filter", "test(handshake)"]).await;
        println!("{round}: exit {}: {}", verify.status, line(&verify, "claims held"));
        assert_eq!(verify.status, 0, "{}", verify.stderr);
    }
    for process in processes::of(&layout.engine()).iter().filter(|process| process.name == "dockerd") {
        let pid = process.pid.to_string();
        Cmd::new("kill").args(["-s", "KILL", &pid]).run().await.unwrap();
    }
    let verify = xtask(&["verify", "--filter", "test(handshake)"]).await;
    println!("engine killed: exit {}: {}", verify.status, line(&verify, "error["));
    let named = verify.stderr.contains("error[engine-failed]: the private engine of this world does not run");
    assert!(verify.status == 4 && named, "{}", verify.stderr);
    assert_eq!(xtask(&["down"]).await.status, 0);
}

async fn start(engine: &Engine, node: &str) {
    engine.docker().start_container(node, None).await.unwrap();
}

fn line<'a>(run: &'a Output, words: &str) -> &'a str {
    run.stderr.lines().find(|line| line.contains(words)).unwrap_or_default()
}
