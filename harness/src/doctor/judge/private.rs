//! What a private engine needs: rights, programs, packages and a kernel.

use super::{Check, Finding, Wanted, debian};
use crate::artifact::source::Choice;
use crate::doctor::measured::Measured;

/// Bits of linux/capability.h: what laying a network and mounting images takes.
const NET_ADMIN: u64 = 1 << 12;
const SYS_ADMIN: u64 = 1 << 21;
const SYS_RESOURCE: u64 = 1 << 24;

pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = vec![root(m), debian(m), capabilities(m), programs(m)];
    findings.extend(release(m, wanted));
    findings.extend(overlay(m));
    findings.extend(network(m));
    findings.extend(controllers(m));
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

/// The engine's programs are packages of one release of Debian, whatever this machine is.
fn release(m: &Measured, wanted: &Wanted) -> Option<Finding> {
    let missing = m.missing.contains(&"debian-engine");
    let archive = matches!(wanted.source, Choice::Archive(_));
    // Only one that Debian's packages have to be fetched for; the others have the programs, or bring them.
    (missing && !archive).then(|| debian::release(m)).flatten()
}

/// File systems on which dockerd refuses overlay2 and takes another driver in silence (moby, daemon/graphdriver/overlay2:
/// `ErrIncompatibleFS`).
const WITHOUT_OVERLAY: [&str; 6] = ["aufs", "ecryptfs", "nfs", "nfs4", "overlay", "zfs"];

fn overlay(m: &Measured) -> Option<Finding> {
    let needed = "a file system that carries overlays";
    let on = m.cache.engine_file_system.as_ref();
    let place = on.map_or_else(|| m.cache.path.display().to_string(), ToString::to_string);
    let cure = "export VOUCHSAFE_CACHE=<a folder on ext4, xfs or btrfs>; a folder within a container is on none of them";
    if on.is_some_and(|on| WITHOUT_OVERLAY.contains(&&*on.kind)) {
        return Some(Check::new("overlayfs", place.clone(), needed).fail(
            format!("a private engine keeps its data on {place}, where each layer would be copied"),
            cure,
        ));
    }
    match (&m.cache.no_overlay, m.machine.overlay) {
        (Some(None), _) => {
            Some(Check::new("overlayfs", place, needed).ok("images need not be copied for each node"))
        }
        (_, Some(false)) => {
            let check = Check::new("overlayfs", "absent", "in the kernel");
            Some(check.fail("the kernel has no overlayfs", "modprobe overlay"))
        }
        (Some(Some(why)), _) => {
            let check = Check::new("overlayfs", format!("{place}: {why}"), needed);
            Some(check.fail(
                format!("no overlay can be mounted on {place}, where a private engine keeps its data"),
                cure,
            ))
        }
        (None, Some(true)) => {
            Some(Check::new("overlayfs", "in the kernel", needed).ok("the kernel has overlayfs"))
        }
        (None, None) => None,
    }
}

fn network(m: &Measured) -> Option<Finding> {
    let needed = "network namespaces, veth and bridge";
    Some(match m.machine.no_network.as_ref()? {
        None => Check::new("kernel-network", "all there", needed)
            .ok("the kernel has what nodes are connected with"),
        Some(why) => Check::new("kernel-network", why, needed)
            .fail("a private engine's network cannot be made with this kernel", "modprobe -a veth bridge"),
    })
}

/// kubeadm refuses a node without them, after minutes (k8s.io/system-validators).
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

fn controllers(m: &Measured) -> Option<Finding> {
    let there = m.machine.controllers.as_ref()?;
    let absent: Vec<_> = CONTROLLERS.into_iter().filter(|name| !there.iter().any(|t| t == name)).collect();
    let needed = CONTROLLERS.join(", ");
    Some(if absent.is_empty() {
        Check::new("controllers", "all there", needed).ok("control groups limit what a kubelet asks for")
    } else {
        let cure = format!(
            "boot with {} on the kernel's command line",
            absent.iter().map(|name| format!("cgroup_enable={name}")).collect::<Vec<_>>().join(" ")
        );
        let check = Check::new("controllers", format!("no {}", absent.join(", ")), needed);
        check.fail("the kernel's control groups lack what a kubelet asks for", cure)
    })
}

#[cfg(test)]
mod tests {
    use super::super::fit::{found, machine, wanted};
    use crate::doctor::Level::{Fail, Ok};
    use crate::doctor::measured::FileSystem;

    use super::*;

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
        fails(
            |m| {
                (m.machine.overlay, m.cache.no_overlay) =
                    (Some(false), Some(Some("unknown filesystem type".into())))
            },
            "overlayfs",
        );
        fails(|m| m.machine.no_network = Some(Some("Unknown device type.".into())), "kernel-network");
        fails(
            |m| m.machine.controllers = Some(vec!["cpu".into(), "cpuset".into(), "pids".into()]),
            "controllers",
        );
    }

    #[test]
    fn a_missing_resource_capability_is_worked_around() {
        let mut m = machine();
        m.rights.bounding = Some(!SYS_RESOURCE);
        let finding = found(&m, &wanted(), "capabilities");
        assert_eq!(finding.level, Ok);
        assert!(finding.finding.contains("wrapper"), "{finding}");
    }

    #[test]
    fn a_file_system_without_overlays_is_named() {
        let mut m = machine();
        // A module that the kernel loads when it is asked to is no lack.
        (m.machine.overlay, m.cache.no_overlay) = (Some(false), Some(None));
        assert_eq!(found(&m, &wanted(), "overlayfs").level, Ok);
        m.cache.no_overlay = Some(Some("wrong fs type, bad option".into()));
        m.machine.overlay = Some(true);
        let finding = found(&m, &wanted(), "overlayfs");
        assert_eq!((finding.level, &*finding.measured), (Fail, "ext4 at /: wrong fs type, bad option"));
        for kind in ["overlay", "zfs", "nfs4"] {
            // Newer kernels mount there, and dockerd still copies.
            m.cache.no_overlay = Some(None);
            m.cache.engine_file_system = Some(FileSystem { kind: kind.into(), mounted_at: "/data".into() });
            let finding = found(&m, &wanted(), "overlayfs");
            assert_eq!((finding.level, finding.measured), (Fail, format!("{kind} at /data")));
        }
    }

    #[test]
    fn packages_of_the_engine_matter_until_they_are_here() {
        let mut m = machine();
        let debian = m.debian.as_mut().unwrap();
        debian.configured = false;
        assert_eq!(found(&m, &wanted(), "apt-release").level, Fail);
        let w = Wanted { source: Choice::Archive("a.tar".into()), ..wanted() };
        assert!(
            super::super::judge(&m, &w).iter().all(|f| f.check != "apt-release"),
            "an archive brings them"
        );
        m.missing = vec!["debian-base"];
        assert_ne!(found(&m, &wanted(), "apt-release").level, Fail, "the cache has them");
    }
}
