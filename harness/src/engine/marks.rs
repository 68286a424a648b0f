//! What belongs to one private engine: the names of its objects in the kernel, and the places in its state folder. Whoever
//! starts one and whoever sweeps up after a dead one must mean the same things.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The names by which the kernel's objects of one engine are known to be its own.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    pub link: String,
    pub cgroup: String,
    /// Where the search for free addresses begins.
    pub seed: u8,
}

impl Marks {
    pub(super) fn of(state: &Path) -> Self {
        let hash = Sha256::digest(state.as_os_str().as_encoded_bytes());
        let short: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { link: format!("vs-{short}"), cgroup: format!("vouchsafe-{short}"), seed: hash[0] }
    }
}

pub(super) fn socket(state: &Path) -> PathBuf {
    state.join("docker.sock")
}

pub(super) fn data(state: &Path) -> PathBuf {
    state.join("data")
}
