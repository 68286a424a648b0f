//! What the numbers were measured on: a time without its machine says nothing.

use std::path::Path;
use std::time::Duration;

use harness::cmd::Cmd;
use harness::{Result, wait};

use harness::clock::Clock;

/// How long the machine is looked at while nothing of ours runs.
const LOOK: Duration = Duration::from_secs(5);

/// Cores, processor, memory and kernel, in one phrase.
pub fn describe() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    phrase(cores, &read("/proc/cpuinfo"), &read("/proc/meminfo"), &read("/proc/sys/kernel/osrelease"))
}

/// Bytes of memory that a new program could have.
pub fn available() -> f64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kib(&meminfo, "MemAvailable").unwrap_or_default() * 1024.0
}

/// Which share of the machine others use: it is in every figure, and on a busy machine most of the CPU-seconds.
///
/// # Errors
/// As [`Clock::start`].
pub async fn busy_share() -> Result<f64> {
    let clock = Clock::start()?;
    wait::pause_for(LOOK).await;
    let span = clock.read()?;
    Ok(span.floor() / span.seconds)
}

/// The commit that is measured.
pub async fn commit(repo: &Path) -> String {
    let git = |args: &[&str]| Cmd::new("git").args(args.iter().copied()).dir(repo).run();
    match (git(&["rev-parse", "--short", "HEAD"]).await, git(&["status", "--porcelain"]).await) {
        (Ok(head), Ok(changes)) if changes.stdout.trim().is_empty() => {
            format!("commit {}", head.stdout.trim())
        }
        (Ok(head), _) => format!("commit {} with local changes", head.stdout.trim()),
        // Whoever has no git measures all the same.
        _ => "an unknown commit".to_owned(),
    }
}

fn phrase(cores: usize, cpuinfo: &str, meminfo: &str, release: &str) -> String {
    let model = value(cpuinfo, "model name").unwrap_or("an unnamed processor");
    let gib = |kib| format!("{:.0} GiB", kib / f64::from(1 << 20));
    let gib = kib(meminfo, "MemTotal").map_or("memory unknown".into(), gib);
    // Two numbers say which kernel it is; the rest is its distributor's.
    let kernel: Vec<_> = release.trim().split(['.', '-']).take(2).collect();
    format!("{cores} cores ({model}), {gib}, Linux {}", kernel.join("."))
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

fn kib(meminfo: &str, name: &str) -> Option<f64> {
    value(meminfo, name)?.trim_end_matches(" kB").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_one_phrase() {
        let said = phrase(
            2,
            "processor\t: 0\nmodel name\t: Some CPU @ 2.10GHz\n",
            "MemTotal:       25165824 kB\nMemFree: 1 kB\n",
            "6.1.0-18-amd64\n",
        );
        assert_eq!(said, "2 cores (Some CPU @ 2.10GHz), 24 GiB, Linux 6.1");
        assert_eq!(phrase(1, "", "", "6"), "1 cores (an unnamed processor), memory unknown, Linux 6");
    }
}
