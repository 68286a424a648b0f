//! The container engine: the one that is there, or what a private one needs.

use super::{Check, Finding, Used, Wanted, engine_data, gib, used};
use crate::doctor::measured::{Facts, Measured};

/// Below this, kind's node images and `docker exec` with streams are not to be relied on (Debian bookworm's is the
/// oldest that a run has shown).
const OLDEST: (u64, u64) = (20, 10);
/// A certificate of SPIRE is valid from some seconds before its issue; a larger skew makes it "not yet valid".
const SKEW: u64 = 5;
/// Bits of linux/capability.h: what laying a network and mounting images takes.
const NET_ADMIN: u64 = 1 << 12;
const SYS_ADMIN: u64 = 1 << 21;
const SYS_RESOURCE: u64 = 1 << 24;

pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    match used(m, wanted) {
        Used::System(facts) => system(facts, wanted),
        Used::Private => private(m),
        Used::None(why) => vec![
            Check::new("engine", why, "an engine that answers").fail(
                "no Docker engine answers",
                "start Docker and check `docker context ls` and DOCKER_HOST, or run as root with --engine private",
            ),
        ],
    }
}

fn system(facts: &Facts, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = vec![version(facts), mode(facts), image_store(facts)];
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

fn image_store(facts: &Facts) -> Finding {
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

fn private(m: &Measured) -> Vec<Finding> {
    let mut findings = vec![root(m), debian(m), capabilities(m), programs(m)];
    findings.extend(overlay(m));
    findings
}

fn root(m: &Measured) -> Finding {
    let check = Check::new("root", if m.rights.root { "root" } else { "an ordinary user" }, "root");
    if m.rights.root {
        return check.ok("no Docker engine is used; a private one can be started");
    }
    check.fail(
        "no Docker engine answers, and a private one needs root",
        "start Docker, or: sudo -E cargo xtask e2e",
    )
}

fn debian(m: &Measured) -> Finding {
    let check = Check::new(
        "debian",
        if m.rights.debian { "yes" } else { "no" },
        "apt-get, dpkg-deb, /etc/debian_version",
    );
    if m.rights.debian {
        return check.ok("the private engine comes out of Debian packages, and nothing is installed");
    }
    check.fail(
        "a private engine comes out of Debian packages, and this is no Debian-like system",
        "install and start Docker",
    )
}

fn capabilities(m: &Measured) -> Finding {
    let has = |set: Option<u64>, bit| set.is_none_or(|set| set & bit != 0);
    let lacks_admin = !has(m.rights.effective, NET_ADMIN) || !has(m.rights.effective, SYS_ADMIN);
    let lacks_resource = !has(m.rights.bounding, SYS_RESOURCE);
    let seen = match (lacks_admin, lacks_resource) {
        (true, _) => "CAP_NET_ADMIN or CAP_SYS_ADMIN missing",
        (false, true) => "all but CAP_SYS_RESOURCE",
        (false, false) => "all",
    };
    let check = Check::new("capabilities", seen, "CAP_NET_ADMIN and CAP_SYS_ADMIN");
    if lacks_admin {
        return check.fail(
            "this root may not make networks and mounts",
            "run outside the container, or start Docker",
        );
    }
    check.ok(if lacks_resource {
        "CAP_SYS_RESOURCE is missing; the private engine runs containers through a wrapper that does without it"
    } else {
        "all that a private engine needs"
    })
}

fn programs(m: &Measured) -> Finding {
    let missing: Vec<_> =
        ["ip", "nsenter", "unshare"].into_iter().filter(|p| !m.programs.contains_key(p)).collect();
    let seen = if missing.is_empty() { "all there".to_owned() } else { format!("no {}", missing.join(", ")) };
    let check = Check::new("programs", seen, "ip, nsenter, unshare");
    if missing.is_empty() {
        return check.ok("the programs that a private engine's network is made with");
    }
    check.fail("a private engine's network cannot be made", "apt-get install iproute2 util-linux")
}

fn overlay(m: &Measured) -> Option<Finding> {
    let check =
        Check::new("overlayfs", if m.machine.overlay? { "in the kernel" } else { "absent" }, "in the kernel");
    Some(if m.machine.overlay == Some(true) {
        check.ok("images need not be copied for each node")
    } else {
        check.fail("the kernel has no overlayfs", "modprobe overlay")
    })
}

#[cfg(test)]
mod tests {
    use super::super::fit::{found, machine, wanted, with_engine};
    use crate::doctor::Level::{Fail, Ok, Warn};
    use crate::doctor::measured::DockerEngine;
    use crate::engine::Choice;

    use super::*;

    fn with(change: impl FnOnce(&mut Facts)) -> Measured {
        let mut facts = with_engine();
        change(&mut facts);
        Measured { engine: DockerEngine::Answers(Box::new(facts)), ..machine() }
    }

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
    fn a_private_engine_needs_root_debian_rights_programs_and_overlayfs() {
        let fails = |change: fn(&mut Measured), check: &str| {
            let mut m = machine();
            change(&mut m);
            assert_eq!(found(&m, &wanted(), check).level, Fail, "{check}");
        };
        fails(|m| m.rights.root = false, "root");
        fails(|m| m.rights.debian = false, "debian");
        fails(|m| m.rights.effective = Some(!NET_ADMIN), "capabilities");
        fails(|m| drop(m.programs.remove("nsenter")), "programs");
        fails(|m| m.machine.overlay = Some(false), "overlayfs");
    }

    #[test]
    fn a_missing_resource_capability_is_worked_around() {
        let mut m = machine();
        m.rights.bounding = Some(!SYS_RESOURCE);
        let finding = found(&m, &wanted(), "capabilities");
        assert_eq!(finding.level, Ok);
        assert!(finding.finding.contains("wrapper"), "{finding}");
    }
}
