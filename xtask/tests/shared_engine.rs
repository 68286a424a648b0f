//! Two caches, as of two people or two containers, and one container engine: the second is refused, and neither takes anything
//! of the other's. The engine is one that neither made: a private one of the test's own, told to both by `DOCKER_HOST`.
//! Slow, so run on demand, as root.
//!
//! `cargo test -p xtask --test shared_engine -- --ignored --nocapture`
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::path::{Path, PathBuf};

use harness::artifact::packages::Packages;
use harness::cmd::{Cmd, Output};
use harness::engine::private::{self, Programs};
use harness::engine::processes;
use harness::layout::Layout;
use harness::lock::Lock;
use harness::patience;
use harness::progress::Note;
use harness::world_id::WorldId;

#[tokio::test]
#[ignore = "starts a container engine as root, and makes a world in it"]
async fn two_caches_on_one_engine_never_touch_each_others() {
    let (layout, note) = (Layout::find().unwrap(), Note::silent());
    // Beside the cache, so that its artifacts can be linked instead of copied.
    let dir = tempfile::tempdir_in(layout.cache.parent().unwrap()).unwrap();
    let packages = Packages::new(&layout, &Lock::read(&layout.manifests()).unwrap());
    let root = packages.obtain_engine(&note).await.unwrap();
    let shim = packages.obtain_workloads(&note).await.unwrap().join("oci-shim");
    let (state, programs) = (dir.path().join("engine"), Programs { root, shim });
    let engine = private::start(&state, &programs, &WorldId::random().unwrap(), &note).await.unwrap();
    let daemon = processes::of(&state).into_iter().find(|process| process.name == "dockerd").unwrap();
    let person = |name: &str| Person {
        cache: dir.path().join(name),
        host: format!("unix://{}/docker.sock", state.display()),
        network_of: daemon.pid,
    };
    let (first, second) = (person("first"), person("second"));
    for person in [&first, &second] {
        std::fs::create_dir(&person.cache).unwrap();
        link(&layout.artifacts(), &person.cache).await;
    }

    let steps = tokio::spawn(side_by_side(first, second));
    let seen = steps.await;
    let left = engine.docker().list_containers(None).await.unwrap();
    private::take_down(&state, &programs.root, &note).await.unwrap();
    seen.unwrap();
    assert_eq!(left, [], "a node is left");
}

async fn side_by_side(first: Person, second: Person) {
    first.ends(&["up", "--engine", "system"], 0, "up. next").await;
    let foreign = "the engine has a kind cluster `cluster1` (container cluster1-control-plane) that this run did not make";
    second.ends(&["e2e", "--engine", "system"], 3, foreign).await;
    second.ends(&["down"], 0, "").await;
    first.ends(&["verify", "--filter", "not test(controls)"], 0, "47 claims held").await;
    first.ends(&["down"], 0, "").await;
    second.ends(&["up", "--engine", "system"], 0, "up. next").await;
    second.ends(&["down"], 0, "").await;
}

/// Who has a cache of their own, on the machine where the engine publishes ports.
struct Person {
    cache: PathBuf,
    host: String,
    network_of: u32,
}

impl Person {
    async fn ends(&self, words: &[&str], status: i32, says: &str) {
        let run = Cmd::new("nsenter")
            .args(["--net", "--target", &self.network_of.to_string(), env!("CARGO_BIN_EXE_xtask")])
            .args(words.iter().copied())
            .env("VOUCHSAFE_CACHE", &self.cache)
            .env("DOCKER_HOST", &self.host);
        let ended: Output = run.limit(patience::SCENARIOS).output().await.unwrap();
        let last =
            ended.stderr.lines().find(|line| !says.is_empty() && line.contains(says)).unwrap_or_default();
        println!("{} {}: exit {} {last}", self.cache.display(), words.join(" "), ended.status);
        assert!(ended.status == status && ended.stderr.contains(says), "{}", ended.stderr);
    }
}

async fn link(artifacts: &Path, cache: &Path) {
    Cmd::new("cp").args(["-al"]).arg(artifacts).arg(cache).limit(patience::BUILD).run().await.unwrap();
}
