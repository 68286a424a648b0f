//! The processes of a private engine, found by a variable that each inherits: no process id is trusted that
//! was written down earlier.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal};

/// The variable; its value is the engine's state folder.
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
}

/// All of them.
pub fn of(state: &Path) -> Vec<Process> {
    let mark = [MARK.as_bytes(), b"=", state.as_os_str().as_bytes()].concat();
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| {
            // Zombies and processes of others have no environment to read.
            let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
            environment.split(|byte| *byte == 0).any(|v| v == mark).then_some(())?;
            describe(pid, &std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
        })
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
    let mut levels = field("NSpid:")?.split_whitespace();
    let first = levels.next_back() == Some("1") && levels.next().is_some();
    Some(Process { pid, name: field("Name:")?.to_owned(), first })
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
}
