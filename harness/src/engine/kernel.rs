//! The kernel settings that several clusters need: raised when too low, never lowered, and always said.
//!
//! They are the only thing that a private engine changes outside its own namespaces; they hold until reboot.

use std::path::PathBuf;

use crate::error::Context as _;
use crate::{Code, Result};

/// A setting that is too low for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As `sysctl` names it.
    pub name: &'static str,
    /// What it is.
    pub have: u64,
    /// What it has to be at least.
    pub need: u64,
    /// What fails without it.
    pub why: &'static str,
}

/// Each kind node runs systemd, containerd and a kubelet, and all nodes share root's allowance.
/// Source: kind's "known issues", and a second cluster that failed at the kernel's default of 128. Each takes 32
/// instances and 456 watches once it stands (measured with two and three); more while it boots.
const NEEDED: [(&str, u64, &str); 2] = [
    ("fs.inotify.max_user_instances", 1024, "systemd and the kubelet of a second cluster cannot watch files"),
    ("fs.inotify.max_user_watches", 65536, "kubelets cannot watch their volumes"),
];

/// Those that are too low now.
pub fn too_low() -> Vec<Setting> {
    NEEDED
        .iter()
        .filter_map(|(name, need, why)| {
            let have = std::fs::read_to_string(file(name)).ok()?.trim().parse().ok()?;
            (have < *need).then_some(Setting { name, have, need: *need, why })
        })
        .collect()
}

/// Raises those that are too low; returns a sentence for each.
///
/// # Errors
/// [`Code::NotFit`] with the command for somebody who may.
pub fn raise() -> Result<Vec<String>> {
    too_low().iter().map(Setting::raise).collect()
}

impl Setting {
    fn raise(&self) -> Result<String> {
        std::fs::write(file(self.name), self.need.to_string())
            .or_fail(Code::NotFit, || {
                format!("{} is {} and must be {}: {}", self.name, self.have, self.need, self.why)
            })
            .map_err(|e| e.next(format!("sudo sysctl -w {}={}", self.name, self.need)))?;
        Ok(format!(
            "raised the kernel setting {} from {} to {} (until reboot)",
            self.name, self.have, self.need
        ))
    }
}

fn file(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(name.replace('.', "/"))
}
