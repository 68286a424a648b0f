//! The private engine for real: it comes, it goes, and a killed one leaves nothing.
//!
//! And what is not ours stays. Needs root, so it runs on demand: `cargo xtask test --with-engine`.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod common;

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use harness::Result;
use harness::engine::images::Forgotten;
use harness::engine::objects::{KIND, Object};
use harness::engine::private;
use harness::engine::{Engine, processes, sweep};
use harness::progress::Note;
use harness::world_id::WorldId;

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
    let own = engine.belongings("somebody", None).await.unwrap().own;
    assert_eq!(own, [Object::Network("vouchsafe-test".into())]);
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

#[tokio::test]
#[ignore = "starts a real container engine as root: cargo xtask test --with-engine"]
async fn what_is_not_ours_is_left_and_named() {
    let private = Private::new();
    let engine = private.start().await.unwrap();
    let image = common::artifacts().await.image("helloworld").unwrap().clone();
    engine.load(&image.archive).await.unwrap();
    engine.create_network("net", "us").await.unwrap();
    let container = async |name: &str, of: Option<&str>| {
        let body = ContainerCreateBody {
            image: Some(image.reference.clone()),
            labels: of.map(|of| HashMap::from([(KIND.to_owned(), of.to_owned())])),
            host_config: Some(HostConfig { network_mode: Some("net".to_owned()), ..Default::default() }),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        engine.docker().create_container(Some(options), body).await.unwrap();
    };
    container("cluster1-control-plane", Some("cluster1")).await;
    container("cluster9-control-plane", Some("cluster9")).await;
    container("database", None).await;

    let clusters = ["cluster1".into()];
    let nobody = engine.belongings("them", Some(&clusters)).await.unwrap();
    assert_eq!(nobody, Default::default());
    let seen = engine.belongings("us", Some(&clusters)).await.unwrap();
    let network = Object::Network("net".into());
    assert_eq!(seen.own, [Object::Container("cluster1-control-plane".into()), network.clone()]);
    let e = engine.remove_belongings("us", Some(&clusters)).await.unwrap_err();
    assert_eq!(e.code(), harness::Code::LeftBehind);
    for name in ["cluster9-control-plane", "database"] {
        assert!(e.what().contains(name), "{e}");
        engine.docker().remove_container(name, None).await.unwrap();
    }
    assert_eq!(engine.belongings("us", Some(&clusters)).await.unwrap().own, [network]);
    engine.remove_belongings("us", Some(&clusters)).await.unwrap();
    assert_eq!(engine.belongings("us", Some(&clusters)).await.unwrap(), Default::default());
    private.take_down().await.unwrap();
}

#[tokio::test]
#[ignore = "starts a real container engine as root: cargo xtask test --with-engine"]
async fn an_image_goes_and_its_name_goes_back() {
    let private = Private::new();
    let engine = private.start().await.unwrap();
    let artifacts = common::artifacts().await;
    let (ours, theirs) = (artifacts.image("helloworld").unwrap(), artifacts.image("curl").unwrap());
    let load = async |image: &harness::artifact::Image| engine.load(&image.archive).await.unwrap();
    load(ours).await;
    assert_eq!(engine.forget_image(&ours.reference, "sha256:0", None).await.unwrap(), Forgotten::Gone);
    assert_eq!(engine.image_id(&ours.reference).await.unwrap().as_deref(), Some(ours.id.as_str()));
    load(theirs).await;
    let gone = engine.forget_image(&ours.reference, &ours.id, Some(&theirs.id)).await.unwrap();
    assert_eq!(gone, Forgotten::Gone);
    assert_eq!(engine.image_id(&ours.reference).await.unwrap().as_deref(), Some(theirs.id.as_str()));
    assert_eq!(engine.forget_image(&ours.reference, &theirs.id, None).await.unwrap(), Forgotten::Gone);
    assert_eq!(engine.image_id(&ours.reference).await.unwrap(), None);
    private.take_down().await.unwrap();
}

/// The engine's mounts are in a namespace of their own: one that is seen from here is somebody else's.
#[tokio::test]
#[ignore = "mounts as root: cargo xtask test --with-engine"]
async fn a_mount_of_somebody_else_s_is_neither_emptied_nor_detached() {
    let private = Private::new();
    let theirs = private.state().join("data/theirs");
    std::fs::create_dir_all(&theirs).unwrap();
    let mount = async |verb: &str, what: &[&str]| {
        harness::cmd::Cmd::new(verb).args(what.iter().copied()).arg(&theirs).run().await.unwrap()
    };
    mount("mount", &["-t", "tmpfs", "theirs"]).await;
    std::fs::write(theirs.join("file"), "theirs").unwrap();
    let e = sweep::sweep(private.state(), &Note::silent()).await.unwrap_err();
    assert!(e.to_string().contains("data/theirs is a mount that no engine of ours made"), "{e}");
    assert_eq!(std::fs::read_to_string(theirs.join("file")).unwrap(), "theirs");
    mount("umount", &[]).await;
    sweep::sweep(private.state(), &Note::silent()).await.unwrap();
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
        private::take_down(self.state(), &common::programs().await.root, &Note::silent()).await
    }

    async fn start(&self) -> Result<Engine> {
        let programs = common::programs().await;
        private::start(self.state(), &programs, &WorldId::random().unwrap(), &Note::silent()).await
    }
}
