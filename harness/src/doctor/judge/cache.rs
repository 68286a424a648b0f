//! The cache folder: whether it can be written, holds programs that run, and has room.

use super::{Check, Finding, GIB, Used, Wanted, engine_data, gib, sudo, used};
use crate::artifact::source::Choice;
use crate::doctor::measured::Measured;

/// What a run writes beside an engine's data: built scenarios, logs, reports.
const DISK_RUN: u64 = 2 * GIB;
/// Downloaded images and tools.
const DISK_PULLED: u64 = 10 * GIB;
/// Go's modules and compiled packages take most of it (measured after a whole build).
const DISK_BUILT: u64 = 25 * GIB;

pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = vec![cache(m)];
    findings.extend(programs_run(m));
    findings.extend(disk(m, wanted));
    findings
}

fn cache(m: &Measured) -> Finding {
    let path = m.cache.path.display();
    match &m.cache.unwritable {
        None => Check::new("cache", path.to_string(), "writable").ok("the cache can be written"),
        Some(why) => Check::new("cache", why, "writable").fail(
            format!("the cache {path} cannot be written"),
            "export VOUCHSAFE_CACHE=<a folder with room>",
        ),
    }
}

/// Tools are run out of the cache.
fn programs_run(m: &Measured) -> Option<Finding> {
    let why = m.cache.not_executable.as_ref()?;
    let on = m.cache.file_system.as_ref();
    let place = on.map_or_else(|| m.cache.path.display().to_string(), ToString::to_string);
    let remount = on.map(|on| format!("{}mount -o remount,exec {}, or ", sudo(m), on.mounted_at.display()));
    Some(Check::new("cache-programs", format!("{place}: {why}"), "programs can be run there").fail(
        format!("no program that lies in the cache can be run: it is on {place}"),
        format!("{}export VOUCHSAFE_CACHE=<a folder elsewhere>", remount.unwrap_or_default()),
    ))
}

fn disk(m: &Measured, wanted: &Wanted) -> Option<Finding> {
    let free = m.cache.free?;
    // A private engine keeps its data in the cache.
    let data = if matches!(used(m, wanted), Used::Private) { engine_data(wanted) } else { 0 };
    let warm = DISK_RUN + data;
    let need = match wanted.source {
        _ if m.cache.artifacts > 0 => warm,
        Choice::Packages => warm.max(DISK_BUILT),
        Choice::Auto | Choice::Registry | Choice::Archive(_) => warm.max(DISK_PULLED),
    };
    let check = Check::new("disk", format!("{} free", gib(free)), format!("at least {}", gib(need)));
    let cure = "free space, or export VOUCHSAFE_CACHE=<a folder on a larger disk>";
    Some(match free {
        free if free < warm => check.fail("too little disk below the cache", cure),
        free if free < need => check.warn("the disk below the cache may get full while it is filled", cure),
        _ => check.ok("enough disk below the cache"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::fit::{found, machine, wanted};
    use crate::doctor::Level::{Fail, Ok, Warn};
    use crate::doctor::measured::FileSystem;

    use super::*;

    #[test]
    fn a_cache_that_cannot_be_written_fails() {
        let mut m = machine();
        m.cache.unwritable = Some("Read-only file system".into());
        let finding = found(&m, &wanted(), "cache");
        assert_eq!((finding.level, finding.measured.as_str()), (Fail, "Read-only file system"));
    }

    #[test]
    fn a_cache_without_programs_is_named_with_its_file_system() {
        let mut m = machine();
        m.cache.not_executable = Some("sh: 1: exec: /mnt/c/.probe/program: Permission denied".into());
        m.cache.file_system = Some(FileSystem { kind: "tmpfs".into(), mounted_at: "/mnt/c".into() });
        let finding = found(&m, &wanted(), "cache-programs");
        assert_eq!(finding.level, Fail);
        assert!(finding.finding.ends_with("it is on tmpfs at /mnt/c"), "{finding}");
        assert!(finding.cure.is_some_and(|cure| cure.starts_with("mount -o remount,exec /mnt/c, or")));
    }

    #[test]
    fn an_empty_cache_needs_more_room_than_a_full_one() {
        let mut m = machine();
        let mut w = wanted();
        let warm = DISK_RUN + engine_data(&w);
        m.cache.free = Some(warm);
        for (source, artifacts, level) in
            [(Choice::Packages, 0, Warn), (Choice::Registry, 0, Warn), (Choice::Packages, 9, Ok)]
        {
            (w.source, m.cache.artifacts) = (source.clone(), artifacts);
            assert_eq!(found(&m, &w, "disk").level, level, "{source:?}");
        }
        m.cache.free = Some(warm - 1);
        assert_eq!(found(&m, &w, "disk").level, Fail);
        w.topology.clusters = vec![w.topology.clusters[0].clone(); 4];
        assert_eq!(found(&m, &w, "disk").needed, "at least 12.4 GiB", "a private engine's data is there too");
    }
}
