//! Two clusters for real, in a private engine: made side by side, filled with images, taken away.
//!
//! Needs root, so it runs on demand: `cargo xtask test --with-engine`.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use harness::cluster::{images, kind, nodes};
use harness::engine::private;
use harness::engine::{processes, sweep};
use harness::patience;
use harness::progress::Note;
use harness::wait::{self, Look};
use harness::world_id::WorldId;
use proof::topology::{Cluster, ClusterName};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes two real clusters as root"]
async fn two_clusters_side_by_side() {
    let (programs, artifacts) = (common::programs().await, common::artifacts().await);
    // Kept where it is named, so that a second run finds the node image loaded.
    let kept = tempfile::tempdir().unwrap();
    let state = std::env::var("ENGINE_STATE").map_or(kept.path().to_path_buf(), PathBuf::from);
    let files = tempfile::tempdir().unwrap();
    let note = Note::silent();
    let began = Instant::now();
    let clock = |what: &str| println!("{:6.2} {what}", began.elapsed().as_secs_f64());

    let engine = private::start(&state, &programs, &WorldId::random().unwrap(), &note).await.unwrap();
    clock("engine answers");
    if engine.image_id(&artifacts.node.reference).await.unwrap().as_deref()
        != Some(artifacts.node.id.as_str())
    {
        engine.load(&artifacts.node.archive).await.unwrap();
        clock("node image loaded");
    }
    engine.create_network("vouchsafe", "test").await.unwrap();
    let clusters = ["cluster1", "cluster2"].map(cluster);
    let made = futures::future::join_all(clusters.iter().map(|cluster| async {
        let kubeconfig = files.path().join(format!("{}.kubeconfig", cluster.name));
        let create = async {
            let made = kind::create(&engine, &artifacts, cluster, &kubeconfig, "vouchsafe", &note).await;
            clock(&format!("{} created", cluster.name));
            made
        };
        let import = async {
            let imported = images::import(&engine, &artifacts, cluster, images::Unpack::Later, &note).await;
            clock(&format!("{} filled", cluster.name));
            imported
        };
        let (made, imported) = tokio::join!(create, import);
        (made, imported)
    }))
    .await;
    let mut trouble = Vec::new();
    for (cluster, (made, imported)) in clusters.iter().zip(made) {
        trouble.extend(imported.err().map(|e| e.to_string()));
        match made {
            Ok(made) => println!("{} is at {}", cluster.name, made.address),
            Err(e) => trouble.push(e.to_string()),
        }
        let node = nodes::name(&cluster.name);
        let pods = nodes::exec(&engine, &node, &["kubectl", "get", "pods,nodes", "-A", "-o", "wide"]).await;
        println!("{}", pods.unwrap_or_else(|e| e.to_string()));
    }
    if let Ok(command) = std::env::var("THEN") {
        let mut then = harness::cmd::Cmd::new("sh").args(["-c", &command]).env("FILES", files.path());
        for (key, value) in engine.env() {
            then = then.env(key, value);
        }
        println!("{:?}", then.limit(harness::patience::CLUSTER * 2).output().await);
    }
    clock("taking down");
    engine.remove_belongings("test", None).await.unwrap();
    clock("clusters gone");
    engine.stop(&note).await.unwrap();
    clock("engine gone");
    assert_eq!(sweep::leftovers(&state), Vec::<String>::new());
    assert_eq!(trouble, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes a real cluster as root"]
async fn an_engine_killed_while_kubeadm_works_leaves_nothing() {
    let (programs, artifacts) = (common::programs().await, common::artifacts().await);
    for victim in ["dockerd", "containerd-shim", "tini"] {
        let (state, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let note = Note::silent();
        let engine =
            private::start(state.path(), &programs, &WorldId::random().unwrap(), &note).await.unwrap();
        engine.load(&artifacts.node.archive).await.unwrap();
        engine.create_network("vouchsafe", "test").await.unwrap();
        let (cluster, kubeconfig) = (cluster("cluster1"), files.path().join("kubeconfig"));
        let create = kind::create(&engine, &artifacts, &cluster, &kubeconfig, "vouchsafe", &note);
        let node = nodes::name(&cluster.name);
        let at_work = wait::eventually("kubeadm at work", patience::CLUSTER, &note, || async {
            match nodes::exec(&engine, &node, &["test", "-e", "/etc/kubernetes/manifests/etcd.yaml"]).await {
                Ok(_) => Look::Ready(()),
                Err(e) => Look::not_yet(e),
            }
        });
        let in_time = tokio::select! {
            made = create => made.map(|_| "created before it could be killed"),
            at_work = at_work => at_work.map(|()| "at work"),
        };
        let running = processes::of(state.path());
        let killed = running.iter().filter(|p| p.name.starts_with(victim)).collect::<Vec<_>>();
        assert!(!killed.is_empty(), "no {victim} among {running:?}");
        killed.iter().for_each(|p| processes::signal(p, rustix::process::Signal::KILL));
        private::take_down(state.path(), &programs.root, &note).await.unwrap();
        assert_eq!(sweep::leftovers(state.path()), Vec::<String>::new(), "after killing {victim}");
        assert_eq!(everything_mentioning(state.path()), Vec::<String>::new(), "after killing {victim}");
        assert_eq!(in_time.unwrap(), "at work");
    }
}

/// A second look, by other means than the sweep's own: processes and mounts that name the state folder.
fn everything_mentioning(state: &Path) -> Vec<String> {
    let name = state.display().to_string();
    let commands = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(format!("{:?}: {}", entry.file_name(), String::from_utf8_lossy(&command)))
    });
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    commands.chain(mounts.lines().map(str::to_owned)).filter(|line| line.contains(&name)).collect()
}

fn cluster(name: &str) -> Cluster {
    let n = name.trim_start_matches("cluster");
    Cluster {
        name: ClusterName::from(name),
        trust_domain: format!("{name}.local"),
        network: format!("network{n}"),
        pods: format!("10.{n}0.0.0/16").parse().unwrap(),
        services: format!("10.{n}1.0.0/16").parse().unwrap(),
        version: format!("v{n}"),
    }
}
