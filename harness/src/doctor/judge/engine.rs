//! The container engine that is there already.

use super::{Check, Finding, Used, Wanted, engine_data, gib, private, used};
use crate::doctor::measured::{Asked, DockerEngine, Facts, Measured};
use crate::engine::system;

/// Below this, kind's node images and `docker exec` with streams are not to be relied on (Debian bookworm's is the
/// oldest that a run has shown).
const OLDEST: (u64, u64) = (20, 10);
/// A certificate of SPIRE is valid from some seconds before its issue; a larger skew makes it "not yet valid".
const SKEW: u64 = 5;

pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    match used(m, wanted) {
        Used::System(facts) => there(m, facts, wanted),
        Used::Private => private::judge(m, wanted),
        Used::None(why) => vec![silent(m, why)],
    }
}

fn silent(m: &Measured, why: &str) -> Finding {
    let asked = match &m.engine {
        DockerEngine::Silent { asked, .. } => asked.as_ref(),
        DockerEngine::Answers(_) => None,
    };
    if let Some((Asked { host, .. }, refusal)) =
        asked.and_then(|asked| Some((asked, system::refusal(asked)?)))
    {
        let check = Check::new("engine", host.clone(), "a socket, or tcp without TLS");
        return check.fail(refusal.what, refusal.cure);
    }
    Check::new("engine", why, "an engine that answers").fail(
        "no Docker engine answers",
        "start Docker and check `docker context ls` and DOCKER_HOST, or run as root with --engine private",
    )
}

fn there(m: &Measured, facts: &Facts, wanted: &Wanted) -> Vec<Finding> {
    if facts.podman {
        let check = Check::new("engine", format!("Podman {}", facts.version), "a Docker engine");
        let cure =
            "export DOCKER_HOST=unix:///var/run/docker.sock with Docker started, or --engine private as root";
        return vec![
            check.fail(
                "Podman answers in Docker's place, and no run has shown that it can do all of it",
                cure,
            ),
        ];
    }
    let mut findings = vec![version(facts), mode(facts), program(m), image_store(facts)];
    findings.extend(sight(m, facts));
    findings.extend(data(facts, wanted));
    findings.extend(skew(facts));
    findings
}

fn version(facts: &Facts) -> Finding {
    let (major, minor) = OLDEST;
    let check =
        Check::new("engine", format!("version {}", facts.version), format!("at least {major}.{minor}"));
    let mut numbers = facts.version.split('.').map(|n| n.parse::<u64>().unwrap_or(0));
    let have = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if have >= OLDEST {
        return check.ok("a Docker engine answers");
    }
    check.fail("the Docker engine is too old", "update Docker")
}

fn mode(facts: &Facts) -> Finding {
    let check = |seen| Check::new("engine-mode", seen, "a root engine that is not a snap");
    if facts.rootless {
        let cure = "see kind's page on rootless, or --engine private as root";
        return check("rootless").warn("a rootless engine needs delegated control groups", cure);
    }
    if facts.root.contains("/snap/") {
        let cure = "install Docker from its own packages";
        return check("snap").warn("Docker as a snap cannot read files below /tmp", cure);
    }
    check("root").ok("an engine with full rights")
}

/// kind speaks to the engine by the docker program alone.
fn program(m: &Measured) -> Finding {
    let needed = "docker on PATH";
    let Some(docker) = m.programs.get("docker") else {
        let cure = "install docker-cli (Debian 13: apt-get install docker-cli; before: docker.io), or put it on PATH";
        return Check::new("docker-program", "absent", needed)
            .fail("the engine answers, but kind calls the program `docker`, and there is none", cure);
    };
    let said = docker.version.as_deref().unwrap_or("of unknown version");
    let check = Check::new("docker-program", format!("{} ({said})", docker.path.display()), needed);
    if said.to_lowercase().contains("podman") {
        return check.fail(
            "the program `docker` is Podman's stand-in, which would call another engine",
            "apt-get remove podman-docker, and install docker-cli or docker.io",
        );
    }
    check.ok("the program that kind speaks to the engine with")
}

/// An engine of another machine, or one that was started beside this container, mounts an empty folder where a file of
/// ours should be (moby#13121).
fn sight(m: &Measured, facts: &Facts) -> Option<Finding> {
    let path = m.cache.path.display();
    let needed = format!("it can mount what lies in {path}");
    Some(match facts.blind.as_ref()? {
        None => Check::new("engine-sight", "it sees a file of the cache", needed)
            .ok("images are mounted into nodes from the cache"),
        Some(why) => Check::new("engine-sight", why, needed).fail(
            format!("the engine does not see this machine's {path}: it is another machine's, or outside this container"),
            format!(
                "export VOUCHSAFE_CACHE=<a folder that the engine has at the same path>; \
                 in a container: docker run -v {path}:{path} …; as root: --engine private"
            ),
        ),
    })
}

fn image_store(facts: &Facts) -> Finding {
    if facts.driver == "vfs" {
        let check = Check::new("image-store", "vfs", "overlay2, or another that shares layers");
        let cure =
            "set \"storage-driver\": \"overlay2\" in /etc/docker/daemon.json, on a file system that has it";
        return check.warn("the engine copies every layer for each node: gigabytes, and minutes", cure);
    }
    let seen = if facts.containerd_store { "containerd's" } else { "Docker's own" };
    // `kind load` fails on the first (kind#3795: content digest not found); our stream is of one platform.
    Check::new("image-store", seen, "any")
        .ok("images are streamed into nodes as one platform, which both stores can")
}

fn data(facts: &Facts, wanted: &Wanted) -> Option<Finding> {
    let (free, need) = (facts.free?, engine_data(wanted));
    let check = Check::new(
        "engine-disk",
        format!("{} free in {}", gib(free), facts.root),
        format!("at least {}", gib(need)),
    );
    Some(if free >= need {
        check.ok("enough disk for the engine's data")
    } else {
        check.fail("too little disk for the node image and the nodes", "docker system df; docker image prune")
    })
}

fn skew(facts: &Facts) -> Option<Finding> {
    let ahead = facts.clock_ahead?;
    let check =
        Check::new("engine-clock", format!("{ahead} s ahead of this machine"), format!("within {SKEW} s"));
    Some(if ahead.unsigned_abs() <= SKEW {
        check.ok("the engine's clock is this machine's")
    } else {
        check.fail(
            "the engine's clock differs, so fresh certificates look invalid",
            "restart Docker's machine",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::fit::{found, machine, wanted, with};
    use crate::doctor::Level::{Fail, Ok, Warn};
    use crate::doctor::verdict;
    use crate::engine::Choice;

    use super::*;

    #[test]
    fn the_engine_that_was_asked_for_must_answer() {
        let mut m = machine();
        let mut w = wanted();
        w.engine = Choice::System;
        assert_eq!(found(&m, &w, "engine").level, Fail);
        w.engine = Choice::Auto;
        m.variables.insert("DOCKER_HOST", "tcp://192.0.2.1:2375".into());
        assert_eq!(found(&m, &w, "engine").level, Fail);
    }

    #[test]
    fn an_engine_of_before_is_too_old() {
        assert_eq!(found(&with(|f| f.version = "19.03.15".into()), &wanted(), "engine").level, Fail);
        assert_eq!(found(&with(|f| f.version = "20.10.24+dfsg1".into()), &wanted(), "engine").level, Ok);
    }

    #[test]
    fn unusual_engines_are_warned_about() {
        assert_eq!(found(&with(|f| f.rootless = true), &wanted(), "engine-mode").level, Warn);
        assert_eq!(
            found(&with(|f| f.root = "/var/snap/docker/common".into()), &wanted(), "engine-mode").level,
            Warn
        );
        assert_eq!(found(&with(|f| f.containerd_store = true), &wanted(), "image-store").level, Ok);
    }

    #[test]
    fn an_engine_without_room_or_with_another_time_fails() {
        assert_eq!(
            found(&with(|f| f.free = Some(engine_data(&wanted()) - 1)), &wanted(), "engine-disk").level,
            Fail
        );
        assert_eq!(found(&with(|f| f.clock_ahead = Some(-3600)), &wanted(), "engine-clock").level, Fail);
    }

    #[test]
    fn a_transport_that_is_not_spoken_is_named_with_a_tunnel() {
        let mut m = machine();
        m.variables.insert("DOCKER_HOST", "ssh://build1".into());
        let asked = Some(Asked { host: "ssh://build1".into(), tls: false });
        m.engine = DockerEngine::Silent { asked, why: "unsupported".into() };
        let finding = found(&m, &wanted(), "engine");
        assert_eq!((finding.level, &*finding.measured), (Fail, "ssh://build1"));
        assert!(finding.cure.as_deref().is_some_and(|cure| cure.contains("ssh -fnNT -L")), "{finding}");
        let e = verdict(&[finding]).unwrap_err();
        assert_eq!(e.code().exit(), 3);
        assert!(e.what().contains("by ssh (ssh://build1), a transport that is not spoken"), "{e}");
    }

    #[test]
    fn podman_is_called_podman_and_not_an_old_docker() {
        let m = with(|f| (f.podman, f.version) = (true, "4.3.1".into()));
        let finding = found(&m, &wanted(), "engine");
        assert_eq!((finding.level, &*finding.measured), (Fail, "Podman 4.3.1"));
    }

    #[test]
    fn kind_needs_the_docker_program_and_not_podman_s() {
        let mut m = with(|_| ());
        assert_eq!(found(&m, &wanted(), "docker-program").level, Ok);
        m.programs.get_mut("docker").unwrap().version = Some("podman version 4.3.1".into());
        assert!(found(&m, &wanted(), "docker-program").finding.contains("Podman's stand-in"));
        m.programs.remove("docker");
        let finding = found(&m, &wanted(), "docker-program");
        assert_eq!((finding.level, &*finding.measured), (Fail, "absent"));
    }

    #[test]
    fn an_engine_that_does_not_see_the_cache_is_refused() {
        let blind = |seen| found(&with(|f| f.blind = Some(seen)), &wanted(), "engine-sight");
        assert_eq!(blind(None).level, Ok);
        let finding = blind(Some("bind source path does not exist: /cache/.probe1".into()));
        assert_eq!(finding.level, Fail);
        assert!(finding.finding.starts_with("the engine does not see this machine's /cache"), "{finding}");
        assert!(
            finding.cure.as_deref().is_some_and(|cure| cure.contains("docker run -v /cache:/cache")),
            "{finding}"
        );
    }

    #[test]
    fn an_engine_that_copies_layers_is_warned_about() {
        assert_eq!(found(&with(|f| f.driver = "vfs".into()), &wanted(), "image-store").level, Warn);
    }
}
