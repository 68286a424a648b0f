//! Processes that lost the harness that started them.
//!
//! A killed harness cannot kill its children, and `kind create` would go on making what `down` takes away. So
//! every child carries, in its environment, who started it; the mark is inherited by its own children.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// The environment's variable: `<pid>:<start time>` of the harness.
pub const MARK: &str = "VOUCHSAFE_PARENT";

/// A long-lived process, such as a kept engine, carries this variable and is no orphan.
pub const KEPT: &str = "VOUCHSAFE_ENGINE_STATE";

/// Our own mark.
pub fn me() -> String {
    let pid = std::process::id();
    format!("{pid}:{}", start_time(pid).unwrap_or_default())
}

/// Kills every process that we started, directly or not, and that still runs: after an interruption.
pub fn kill_ours() -> usize {
    let me = me();
    kill_where(|mark| mark == me)
}

/// Kills every process whose harness is gone; says how many there were.
pub fn kill_lost() -> usize {
    kill_where(|mark| !is_alive(mark))
}

fn is_alive(mark: &str) -> bool {
    let Some((pid, since)) = mark.split_once(':') else { return false };
    pid.parse().ok().and_then(start_time).is_some_and(|now| now == since)
}

fn kill_where(lost: impl Fn(&str) -> bool) -> usize {
    let Ok(listing) = fs::read_dir("/proc") else { return 0 };
    let own = std::process::id();
    let pids = listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let marked = pids.filter(|pid| *pid != own && mark_of(*pid).is_some_and(|mark| lost(&mark)));
    let mut killed = 0;
    for pid in marked.filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
        // Gone between the look and the signal is what we want, too.
        killed += usize::from(kill_process(pid, Signal::KILL).is_ok());
    }
    killed
}

/// The mark in a process's environment, unless it is one that is meant to live on.
fn mark_of(pid: u32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut found = None;
    for entry in environment.split(|b| *b == 0).filter_map(|e| std::str::from_utf8(e).ok()) {
        match entry.split_once('=') {
            Some((KEPT, _)) => return None,
            Some((MARK, value)) => found = Some(value.to_owned()),
            _ => {}
        }
    }
    found
}

/// Clock ticks since boot at which the process started: with the pid, it names a process for good.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces; the start time is the 20th field after it.
    stat.rsplit_once(") ")?.1.split(' ').nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::Cmd;

    #[tokio::test]
    async fn a_child_is_known_by_its_mark_and_the_living_are_spared() {
        let child = Cmd::new("sleep").arg("1000").start().unwrap();
        let pid = child.pid().unwrap();
        assert_eq!(mark_of(pid), Some(me()));
        assert!(is_alive(&me()));
        assert!(!is_alive("1:0"));
        drop(child);
    }

    #[tokio::test]
    async fn a_kept_process_carries_no_mark() {
        let child = Cmd::new("sleep").arg("1000").env(KEPT, "/somewhere").start().unwrap();
        assert_eq!(mark_of(child.pid().unwrap()), None);
        drop(child);
    }
}
