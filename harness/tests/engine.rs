//! The private engine for real: it comes, it goes, and a killed one leaves nothing.
//!
//! Needs root and the engine's programs, so it runs on demand:
//! `ENGINE_PROGRAMS=… ENGINE_SHIM=… cargo test -p harness --test engine -- --ignored --test-threads=1`

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::path::{Path, PathBuf};

use harness::Result;
use harness::engine::objects::Object;
use harness::engine::private::{self, Programs};
use harness::engine::{Engine, processes, sweep};
use harness::progress::Note;

#[tokio::test]
#[ignore = "starts a real container engine as root"]
async fn it_goes_as_it_came() {
    let private = Private::new();
    let engine = private.start().await.unwrap();
    let busy = private.start().await.unwrap_err();
    assert_eq!(busy.code(), harness::Code::Busy);
    let network = engine.create_network("vouchsafe-test", "somebody").await.unwrap();
    assert_eq!(engine.create_network("vouchsafe-test", "somebody").await.unwrap(), network);
    let foreign = engine.create_network("vouchsafe-test", "somebody else").await.unwrap_err();
    assert_eq!(foreign.code(), harness::Code::ForeignCluster);
    assert_eq!(engine.belongings("somebody").await.unwrap(), [Object::Network("vouchsafe-test".into())]);
    let running = sweep::leftovers(private.state()).join("\n");
    for kind in ["process", "network interface", "socket", "containers and volumes"] {
        assert!(running.contains(kind), "leftovers do not see a running engine's {kind}: {running}");
    }
    private.take_down().await.unwrap();
    assert_eq!(sweep::leftovers(private.state()), Vec::<String>::new());
    assert!(private.state().join("data").exists(), "images survive an orderly stop");
    assert_eq!(Engine::attach(engine.record()).await.unwrap_err().code(), harness::Code::EngineFailed);
}

#[tokio::test]
#[ignore = "starts a real container engine as root"]
async fn a_killed_one_leaves_nothing_after_a_sweep() {
    for victim in ["dockerd", "containerd", "tini", "unshare"] {
        let private = Private::new();
        let engine = private.start().await.unwrap();
        engine.create_network("vouchsafe-test", "somebody").await.unwrap();
        let running = processes::of(private.state());
        let victims = running.iter().filter(|p| p.name == victim).collect::<Vec<_>>();
        assert_eq!(victims.len(), 1, "{victim} among {running:?}");
        processes::signal(victims[0], rustix::process::Signal::KILL);
        private.take_down().await.unwrap();
        assert_eq!(sweep::leftovers(private.state()), Vec::<String>::new(), "after killing {victim}");
        let again = private.start().await.unwrap();
        Engine::attach(again.record()).await.unwrap().stop(&Note::silent()).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "starts a real container engine as root"]
async fn a_daemon_that_dies_at_start_is_quoted() {
    let private = Private::new();
    std::fs::create_dir_all(private.state().join("data")).unwrap();
    std::fs::write(private.state().join("only-images"), "").unwrap();
    // The daemon wants a folder where this file is.
    std::fs::write(private.state().join("data/image"), "").unwrap();
    let e = private.start().await.unwrap_err();
    assert_eq!(e.code(), harness::Code::EngineFailed);
    assert!(e.to_string().contains("not a directory"), "{e}");
    assert_eq!(sweep::leftovers(private.state()), Vec::<String>::new());
}

struct Private(tempfile::TempDir);

impl Private {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn state(&self) -> &Path {
        self.0.path()
    }

    async fn take_down(&self) -> Result<()> {
        let programs = PathBuf::from(std::env::var("ENGINE_PROGRAMS").unwrap());
        private::take_down(self.state(), &programs, &Note::silent()).await
    }

    async fn start(&self) -> Result<Engine> {
        let from = |name| PathBuf::from(std::env::var(name).unwrap());
        let programs = Programs { root: from("ENGINE_PROGRAMS"), shim: from("ENGINE_SHIM") };
        private::start(self.state(), &programs, &Note::silent()).await
    }
}
