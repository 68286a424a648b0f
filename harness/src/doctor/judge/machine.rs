//! Hardware, kernel and rights.

use jiff::Timestamp;

use super::{Check, Finding, GIB, Used, Wanted, gib, used};
use crate::artifact::source::Choice;
use crate::doctor::measured::{Machine, Measured};
use crate::engine::kernel::Setting;

/// What one cluster with everything in it takes at most (measured with two, three and four).
const CLUSTER: u64 = 13 * GIB / 10;
/// What a run takes beside them: the engine, the command and the scenarios.
const BESIDE: u64 = 14 * GIB / 10;
/// What a build takes beside all that.
const BUILD: u64 = 2 * GIB;
/// 2026-08-01: versions of the lock file were published after that, so a certificate of today is not valid before it.
const EARLIEST: i64 = 1_785_542_400;

pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = vec![platform(&m.machine, wanted), cores(m, wanted)];
    findings.extend(memory(m, wanted));
    findings.extend(kernel(m));
    findings.extend(cgroup(&m.machine));
    findings.push(clock(&m.machine));
    findings
}

fn platform(machine: &Machine, wanted: &Wanted) -> Finding {
    let check =
        Check::new("platform", format!("{}/{}", machine.os, machine.arch), "linux on x86_64 or aarch64");
    match (machine.os, machine.arch) {
        ("linux", "x86_64") => check.ok("a supported platform"),
        ("linux", "aarch64") if wanted.source == Choice::Packages => check.fail(
            "the packages source pins an Envoy for x86_64 only",
            "use a container registry: --source registry",
        ),
        ("linux", "aarch64") => check.warn("should work; no run of ours has shown it", "report how it went"),
        ("macos", _) if wanted.source != Choice::Packages => check
            .warn("may work with Docker Desktop; no run of ours has shown it", "use Linux if it does not"),
        _ => check.fail("not a platform that this runs on", "run on Linux, for example in a virtual machine"),
    }
}

fn cores(m: &Measured, wanted: &Wanted) -> Finding {
    let cores = match used(m, wanted) {
        Used::System(facts) => facts.cores.unwrap_or(m.machine.cores as u64),
        Used::Private | Used::None(_) => m.machine.cores as u64,
    };
    let check = Check::new("cores", cores.to_string(), "at least 2");
    if cores >= 2 {
        return check.ok("enough cores");
    }
    check.warn(
        "control planes that share one core meet their deadlines late",
        "VOUCHSAFE_PATIENCE=3 cargo xtask e2e",
    )
}

fn memory(m: &Measured, wanted: &Wanted) -> Option<Finding> {
    let engine = match used(m, wanted) {
        Used::System(facts) => facts.memory,
        Used::Private | Used::None(_) => None,
    };
    // Docker Desktop's machine is smaller than this one; on Linux they are the same one.
    let available = [m.machine.memory, engine].into_iter().flatten().min()?;
    let clusters = wanted.topology.clusters.len() as u64;
    let least = BESIDE + clusters * CLUSTER;
    let check =
        Check::new("memory", format!("{} available", gib(available)), format!("at least {}", gib(least)));
    let what = if clusters == 1 { "one cluster".to_owned() } else { format!("{clusters} clusters") };
    let cure = match clusters {
        1 | 2 => "close something large, or give Docker's machine more memory",
        _ => {
            "name fewer clusters with --topology, close something large, or give Docker's machine more memory"
        }
    };
    Some(match available {
        _ if available < least => check.fail(format!("too little memory for {what}"), cure),
        _ if available < least + BUILD => {
            check.warn(format!("there is memory for {what}, and hardly for a build beside them"), cure)
        }
        _ => check.ok(format!("enough memory for {what}")),
    })
}

/// At the kernel's default of 128 inotify instances the second cluster fails with "too many open files": kind's known
/// issues; metallb#1662; a run of ours.
fn kernel(m: &Measured) -> Vec<Finding> {
    if m.machine.os == "linux" && m.machine.too_low.is_empty() {
        let check =
            Check::new("kernel-settings", "none too low", "room for the file watches of all clusters");
        return vec![check.ok("the kernel lets the clusters watch their files")];
    }
    let one = |low: &Setting| {
        let Setting { name, have, need, why } = low;
        let check = Check::new("kernel-settings", format!("{name} is {have}"), format!("at least {need}"));
        if m.rights.root {
            return check
                .ok(format!("{name} is too low; Vouchsafe raises it to {need}, until reboot, and says so"));
        }
        check.fail(format!("{name} is too low: {why}"), format!("sudo sysctl -w {name}={need}"))
    };
    m.machine.too_low.iter().map(one).collect()
}

fn cgroup(machine: &Machine) -> Option<Finding> {
    let check = Check::new("cgroup", format!("version {}", machine.cgroup?), "version 2");
    Some(match machine.cgroup {
        Some(2) => check.ok("control groups of version 2"),
        _ => check.warn(
            "kubelets bear version 1 only because they are told to here (`failCgroupV1: false`), which upstream will end",
            "boot with systemd.unified_cgroup_hierarchy=1, some day",
        ),
    })
}

fn clock(machine: &Machine) -> Finding {
    let day = |seconds| {
        Timestamp::from_second(seconds).map_or_else(|e| e.to_string(), |t| t.strftime("%F").to_string())
    };
    let check = Check::new("clock", day(machine.clock), format!("{} or later", day(EARLIEST)));
    if machine.clock >= EARLIEST {
        return check.ok("the clock can be right");
    }
    check.fail("the clock is in the past, so no certificate will be valid", "sudo timedatectl set-ntp true")
}

#[cfg(test)]
mod tests {
    use super::super::fit::{found, machine, wanted};
    use crate::artifact::source::Choice;
    use crate::doctor::Level::{Fail, Ok, Warn};

    use super::*;

    #[test]
    fn a_platform_without_a_pinned_envoy_is_refused_for_builds_only() {
        let mut m = machine();
        m.machine.arch = "aarch64";
        let mut w = wanted();
        assert_eq!(found(&m, &w, "platform").level, Warn);
        w.source = Choice::Packages;
        assert_eq!(found(&m, &w, "platform").level, Fail);
        m.machine.os = "windows";
        w.source = Choice::Registry;
        assert_eq!(found(&m, &w, "platform").level, Fail);
    }

    #[test]
    fn one_core_is_warned_about() {
        let mut m = machine();
        m.machine.cores = 1;
        assert_eq!(found(&m, &wanted(), "cores").level, Warn);
    }

    #[test]
    fn each_cluster_needs_memory_of_its_own() {
        let (mut m, mut w) = (machine(), wanted());
        for clusters in 1..=4 {
            w.topology.clusters = vec![w.topology.clusters[0].clone(); clusters];
            let least = BESIDE + clusters as u64 * CLUSTER;
            for (bytes, level) in [(least - 1, Fail), (least, Warn), (least + BUILD, Ok)] {
                m.machine.memory = Some(bytes);
                assert_eq!(found(&m, &w, "memory").level, level, "{bytes} for {clusters}");
            }
        }
        m.machine.memory = Some(4 * GIB);
        let finding = found(&m, &w, "memory");
        assert_eq!((&*finding.measured, &*finding.needed), ("4.0 GiB available", "at least 6.6 GiB"));
        assert_eq!(finding.finding, "too little memory for 4 clusters");
        assert!(finding.cure.unwrap().contains("fewer clusters with --topology"));
    }

    #[test]
    fn what_root_can_raise_is_raised_and_what_others_cannot_fails() {
        let mut m = machine();
        let setting = |name, have| Setting { name, have, need: 1024, why: "nothing can be watched" };
        m.machine.too_low = vec![setting("fs.inotify.max_user_instances", 128)];
        let finding = found(&m, &wanted(), "kernel-settings");
        assert_eq!(finding.level, Ok);
        assert!(finding.finding.contains("Vouchsafe raises it to 1024"), "{finding}");
        m.rights.root = false;
        let finding = found(&m, &wanted(), "kernel-settings");
        assert_eq!(finding.level, Fail);
        assert_eq!(finding.cure.as_deref(), Some("sudo sysctl -w fs.inotify.max_user_instances=1024"));
    }

    #[test]
    fn old_control_groups_are_named() {
        let mut m = machine();
        m.machine.cgroup = Some(1);
        assert_eq!(found(&m, &wanted(), "cgroup").level, Warn);
    }

    #[test]
    fn a_clock_in_the_past_fails() {
        let mut m = machine();
        m.machine.clock = 0;
        let finding = found(&m, &wanted(), "clock");
        assert_eq!((finding.level, finding.measured.as_str()), (Fail, "1970-01-01"));
    }
}
