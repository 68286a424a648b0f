//! What belongs to one private engine: the names of its objects in the kernel, and the places in its state folder. Whoever
//! starts one and whoever sweeps up after a dead one must mean the same things.
//!
//! They carry the id of the world that the engine was started for, which stands in its state folder: two containers that
//! share a kernel may have equal cache paths, and must never take each other's away.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::Context as _;
use crate::world_id::WorldId;
use crate::{Code, Result};

/// The names by which the kernel's objects of one engine are known to be its own.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    pub link: String,
    pub cgroup: String,
    /// The value of [`super::processes::MARK`].
    pub process: String,
    /// Where the search for free addresses begins.
    pub seed: u8,
}

impl Marks {
    /// Those of the engine that was last started in `state`.
    pub(super) fn of(state: &Path) -> Self {
        let hash = Sha256::digest(state.as_os_str().as_encoded_bytes());
        let path = state.display().to_string();
        let world = std::fs::read_to_string(world(state)).ok();
        let (name, process) = match world.as_deref().and_then(WorldId::parse) {
            Some(world) => (world.to_string(), format!("{path}#{world}")),
            // As engines were marked before worlds had ids.
            None => (hex::encode(&hash[..4]), path),
        };
        let (link, cgroup) = (format!("vs-{name}"), format!("vouchsafe-{name}"));
        // By the folder, so that one cache's networks are where they were: prepared nodes have addresses.
        Self { link, cgroup, process, seed: hash[0] }
    }
}

/// From now on, what is in `state` is of this world. What was there before has been swept up.
pub(super) fn belongs_to(state: &Path, to: &WorldId) -> Result<()> {
    let path = world(state);
    std::fs::create_dir_all(state)
        .and_then(|()| std::fs::write(&path, to.as_str()))
        .or_fail(Code::CacheUnusable, || format!("cannot write {}", path.display()))
}

fn world(state: &Path) -> PathBuf {
    state.join("world")
}

pub(super) fn socket(state: &Path) -> PathBuf {
    state.join("docker.sock")
}

pub(super) fn data(state: &Path) -> PathBuf {
    state.join("data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_paths_of_two_worlds_have_nothing_in_common() {
        let state = tempfile::tempdir().unwrap();
        let before = Marks::of(state.path());
        let marks = |id: &str| {
            belongs_to(state.path(), &WorldId::parse(id).unwrap()).unwrap();
            Marks::of(state.path())
        };
        let (one, other) = (marks("0123456789ab"), marks("ba9876543210"));
        for (a, b) in [(&one, &other), (&before, &one)] {
            assert!(a.link != b.link && a.cgroup != b.cgroup && a.process != b.process, "{a:?} {b:?}");
        }
        // IFNAMSIZ of linux/if.h, with the closing zero.
        assert_eq!((one.link.as_str(), one.link.len()), ("vs-0123456789ab", 15));
        assert_eq!(one.seed, other.seed);
    }
}
