//! The kernel's files, and what they say.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ipnet::Ipv4Net;

use crate::cmd::Cmd;
use crate::doctor::measured::{Machine, Rights};
use crate::engine::{kernel, routes};

pub fn machine(no_network: Option<Option<String>>) -> Machine {
    Machine {
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory: memory(),
        cgroup: cgroup(),
        controllers: controllers(),
        no_network,
        too_low: kernel::too_low(),
        overlay: read("/proc/filesystems").map(|text| has_overlay(&text)),
        clock: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed()),
    }
}

/// Makes what a private engine's network is made of, in a namespace that ends at once; nothing is known without the
/// right to.
pub async fn no_network() -> Option<Option<String>> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let links = "link add end0 type veth peer name end1\nlink add bridge0 type bridge\nlink set end0 master bridge0\n";
    let tried = Cmd::new("unshare").args(["--net", "ip", "-batch", "-"]).stdin(links).run().await;
    Some(tried.err().map(|e| e.what().lines().skip(1).map(str::trim).collect::<Vec<_>>().join("; ")))
}

pub fn rights() -> Rights {
    let status = read("/proc/self/status").unwrap_or_default();
    Rights {
        root: rustix::process::geteuid().is_root(),
        effective: capabilities(&status, "CapEff:"),
        bounding: capabilities(&status, "CapBnd:"),
        debian: Path::new("/etc/debian_version").exists()
            && super::programs::find("apt-get").is_some()
            && super::programs::find("dpkg-deb").is_some(),
    }
}

/// Routes but the default one; none where the kernel does not say.
pub fn routes() -> Vec<(Ipv4Net, String)> {
    routes::routes(&read(routes::TABLE).unwrap_or_default())
}

/// Bytes that an ordinary user can still write where `path` is, or will be.
pub fn free(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|p| p.exists())?;
    let fs = rustix::fs::statvfs(there).ok()?;
    Some(fs.f_bavail * fs.f_frsize)
}

/// What the machine has left, or what is left below the control group's limit if that is less.
fn memory() -> Option<u64> {
    let available = available(&read("/proc/meminfo")?)?;
    let limits = [
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ];
    let below = limits.iter().filter_map(|(limit, used)| Some(number(limit)?.saturating_sub(number(used)?)));
    below.chain([available]).min()
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

fn cgroup() -> Option<u8> {
    let root = Path::new("/sys/fs/cgroup");
    let unified = root.join("cgroup.controllers").exists();
    root.exists().then_some(if unified { 2 } else { 1 })
}

/// Version 2 lists them in one file; of version 1 each that is switched on has a line that ends in 1.
fn controllers() -> Option<Vec<String>> {
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
    read("/sys/fs/cgroup/cgroup.controllers")
        .map(words)
        .or_else(|| read("/proc/cgroups").map(|text| enabled(&text)))
}

fn enabled(cgroups: &str) -> Vec<String> {
    let lines = cgroups.lines().filter(|line| !line.starts_with('#') && line.ends_with("\t1"));
    lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

fn has_overlay(filesystems: &str) -> bool {
    filesystems.lines().any(|line| line.trim() == "nodev\toverlay" || line.trim().ends_with("\toverlay"))
}

fn capabilities(status: &str, set: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix(set))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn number(path: &str) -> Option<u64> {
    read(path)?.trim().parse().ok()
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(available("MemTotal: 10 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert!(has_overlay("nodev\tproc\nnodev\toverlay\n"));
        assert!(!has_overlay("nodev\tproc\n\text4\n"));
        let cgroups = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\nmemory\t0\t1\t0\n";
        assert_eq!(enabled(cgroups), ["cpu"]);
        assert_eq!(capabilities("CapEff:\t00000000000000ff\n", "CapEff:"), Some(255));
    }

    #[test]
    fn room_is_measured_for_a_folder_that_is_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free(&dir.path().join("not/there/yet")).is_some_and(|bytes| bytes > 0));
    }
}
