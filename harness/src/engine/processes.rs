//! The processes of a private engine, found by a variable that each inherits: no process id is trusted that
//! was written down earlier.
//!
//! The variable alone does not make a process the engine's: a shell that somebody gave the engine's environment has it,
//! too. The engine's live in a process namespace of their own; only `unshare`, which made that, is outside.

use std::path::Path;

use rustix::process::{Pid, Signal};

use super::marks::Marks;

/// The variable; its value is the engine's state folder and the world's id.
pub const MARK: &str = "VOUCHSAFE_ENGINE_STATE";

/// A live process that carries our mark.
#[derive(Clone, Debug)]
pub struct Process {
    /// As seen from here.
    pub pid: u32,
    /// The program's name, cut to 15 characters by the kernel.
    pub name: String,
    /// Whether it is the first process of the engine's own process namespace: when it dies, the kernel kills all others.
    pub first: bool,
    /// Whether it lives in a process namespace below ours.
    pub inside: bool,
}

/// All of them.
pub fn of(state: &Path) -> Vec<Process> {
    let mark = format!("{MARK}={}", Marks::of(state).process).into_bytes();
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| {
            // Zombies and processes of others have no environment to read.
            let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
            environment.split(|byte| *byte == 0).any(|v| v == mark).then_some(())?;
            describe(pid, &std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
        })
        .filter(|process: &Process| process.inside || process.name == "unshare")
        .collect()
}

/// Asks (or forces) a process to end; one that is gone already is fine.
pub fn signal(process: &Process, signal: Signal) {
    if let Some(pid) = Pid::from_raw(process.pid.cast_signed()) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn describe(pid: u32, status: &str) -> Option<Process> {
    let field = |name| status.lines().find_map(|line: &str| line.strip_prefix(name)).map(str::trim);
    let levels: Vec<_> = field("NSpid:")?.split_whitespace().collect();
    let inside = levels.len() > 1;
    let first = inside && levels.last() == Some(&"1");
    Some(Process { pid, name: field("Name:")?.to_owned(), first, inside })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_of_a_namespace_is_known() {
        assert!(describe(26976, "Name:\ttini\nNSpid:\t26976\t1\n").unwrap().first);
        assert!(!describe(26977, "Name:\tdockerd\nNSpid:\t26977\t2\n").unwrap().first);
        // The machine's own init is nobody's first process.
        assert!(!describe(1, "Name:\tinit\nNSpid:\t1\n").unwrap().first);
    }

    #[tokio::test]
    async fn a_process_of_ours_that_has_only_the_variable_is_no_engine_s() {
        let state = tempfile::tempdir().unwrap();
        let mark = Marks::of(state.path()).process;
        let child = crate::cmd::Cmd::new("sleep").arg("1000").env(MARK, mark).start().unwrap();
        assert!(child.pid().is_some() && of(state.path()).is_empty());
        drop(child);
    }
}
