//! A machine on which everything is as it should be: each test spoils one thing.
#![cfg(test)]

use std::path::PathBuf;

use super::judge;
use crate::artifact::source::{self, Choice};
use crate::doctor::measured::{
    Cache, Debian, DockerEngine, Facts, FileSystem, Machine, Measured, Program, Rights,
};
use crate::doctor::{Finding, Level, Wanted};
use crate::engine;
use proof::topology::{Cluster, Topology};

/// No Docker engine, root on Debian, all compilers, an empty cache.
pub fn machine() -> Measured {
    let program = |name| (name, Program { path: PathBuf::from("/usr/bin").join(name), version: None });
    let mut programs: std::collections::BTreeMap<_, _> =
        ["cc", "docker", "go", "ip", "nsenter", "unshare"].map(program).into();
    programs.entry("go").and_modify(|go| go.version = Some("go version go1.26.8 linux/amd64".into()));
    Measured {
        machine: Machine {
            os: "linux",
            arch: "x86_64",
            cores: 4,
            memory: Some(16 << 30),
            cgroup: Some(2),
            controllers: Some(["cpu", "cpuset", "memory", "pids"].map(str::to_owned).into()),
            no_network: Some(None),
            too_low: Vec::new(),
            overlay: Some(true),
            clock: 1_795_219_200,
        },
        rights: Rights { root: true, effective: Some(u64::MAX), bounding: Some(u64::MAX), debian: true },
        cache: Cache {
            path: "/cache".into(),
            unwritable: None,
            not_executable: None,
            no_overlay: Some(None),
            file_system: Some(FileSystem { kind: "ext4".into(), mounted_at: "/".into() }),
            engine_file_system: Some(FileSystem { kind: "ext4".into(), mounted_at: "/".into() }),
            free: Some(100 << 30),
            artifacts: 0,
        },
        missing: vec!["debian-base", "debian-engine", "debian-node", "envoy"],
        no_pip: Some(None),
        debian: Some(Debian {
            release: "bookworm".into(),
            configured: true,
            mirror: Some("http://mirror.test/debian/".into()),
            system: Some("Debian GNU/Linux 12 (bookworm)".into()),
            keyring: true,
        }),
        programs,
        go_needed: Some("1.26.0".into()),
        variables: Default::default(),
        engine: DockerEngine::Silent { asked: None, why: "no such file: docker.sock".into() },
        routes: vec![("192.0.2.0/24".parse().unwrap(), "eth0".into())],
        ledger: Ok(Vec::new()),
    }
}

/// The machine with a Docker engine, of which something is otherwise.
pub fn with(change: impl FnOnce(&mut Facts)) -> Measured {
    let mut facts = with_engine();
    change(&mut facts);
    Measured { engine: DockerEngine::Answers(Box::new(facts)), ..machine() }
}

/// An engine in order.
pub fn with_engine() -> Facts {
    Facts {
        version: "29.1.0".into(),
        memory: Some(16 << 30),
        cores: Some(4),
        free: Some(100 << 30),
        root: "/var/lib/docker".into(),
        driver: "overlay2".into(),
        blind: Some(None),
        clock_ahead: Some(0),
        networks: vec![("bridge".into(), "172.17.0.0/16".parse().unwrap())],
        ..Facts::default()
    }
}

/// Whatever is there; one cluster.
pub fn wanted() -> Wanted {
    let cluster = Cluster {
        name: "cluster1".into(),
        trust_domain: "cluster1.local".into(),
        network: "network1".into(),
        pods: "10.1.0.0/16".parse().unwrap(),
        services: "10.2.0.0/16".parse().unwrap(),
        version: "v1".into(),
    };
    Wanted {
        engine: engine::Choice::Auto,
        source: source::Choice::Auto,
        topology: Topology { clusters: vec![cluster] },
    }
}

/// The finding of one check, which must be there.
pub fn found(m: &Measured, wanted: &Wanted, check: &str) -> Finding {
    let findings = judge(m, wanted);
    findings
        .iter()
        .find(|f| f.check == check)
        .unwrap_or_else(|| panic!("no {check} in {findings:#?}"))
        .clone()
}

#[test]
fn a_machine_in_order_has_nothing_to_say() {
    let m = machine();
    let with = Measured { engine: DockerEngine::Answers(Box::new(with_engine())), ..m.clone() };
    for (name, m) in [("private", m), ("system", with)] {
        for source in [Choice::Auto, Choice::Registry, Choice::Packages, Choice::Archive("a.tar".into())] {
            let findings = judge(&m, &Wanted { source: source.clone(), ..wanted() });
            let loud: Vec<_> = findings.iter().filter(|f| f.level != Level::Ok).collect();
            assert!(loud.is_empty(), "{name} {source:?}: {loud:#?}");
            assert!(findings.len() >= 12, "{name} {source:?} looked at {} things only", findings.len());
        }
    }
}
