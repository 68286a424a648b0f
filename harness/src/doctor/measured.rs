//! What was seen of this machine, without judgement. `None` means that it cannot be seen from here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use crate::engine::kernel::Setting;
pub use crate::engine::system::Asked;
use crate::ledger::Thing;

/// All of it.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The hardware and the kernel.
    pub machine: Machine,
    /// What this process may do.
    pub rights: Rights,
    /// The cache folder.
    pub cache: Cache,
    /// What the packages source unpacks and the cache does not hold yet, by the artifacts' names.
    pub missing: Vec<&'static str>,
    /// Where Debian packages come from; `None` where there is no apt, and where none is wanted any more.
    pub debian: Option<Debian>,
    /// Why pip cannot be asked: `Some(None)` when it can, `None` where nothing is wanted of it any more.
    pub no_pip: Option<Option<String>>,
    /// Programs on `PATH` that matter, by name.
    pub programs: BTreeMap<&'static str, Program>,
    /// The Go that the recipes of the packages source ask for, as `1.26.6`.
    pub go_needed: Option<String>,
    /// Variables of the environment that matter, by name, without values that may be secret.
    pub variables: BTreeMap<&'static str, String>,
    /// The Docker engine of this machine.
    pub engine: DockerEngine,
    /// Destinations of this machine's routes but the default one, with the interface.
    pub routes: Vec<(Ipv4Net, String)>,
    /// What the ledger of an earlier run says, or why it cannot be read.
    pub ledger: Result<Vec<Thing>, String>,
}

/// Hardware and kernel.
#[derive(Clone, Debug)]
pub struct Machine {
    /// As Rust calls it: `linux`, `macos`.
    pub os: &'static str,
    /// As Rust calls it: `x86_64`, `aarch64`.
    pub arch: &'static str,
    /// Usable by this process.
    pub cores: usize,
    /// Bytes that a new program can have, cgroup limit included.
    pub memory: Option<u64>,
    /// 1 or 2.
    pub cgroup: Option<u8>,
    /// Controllers of control groups, by name.
    pub controllers: Option<Vec<String>>,
    /// Why a network namespace with a pair of interfaces and a bridge cannot be made: `Some(None)` when it can.
    pub no_network: Option<Option<String>>,
    /// Kernel settings that are lower than two clusters need.
    pub too_low: Vec<Setting>,
    /// Whether the kernel has overlayfs.
    pub overlay: Option<bool>,
    /// Seconds since 1970.
    pub clock: i64,
}

/// What this process may do.
#[derive(Clone, Debug)]
pub struct Rights {
    /// Whether it runs as root.
    pub root: bool,
    /// Capabilities that it has now, as a bit set; `None` off Linux.
    pub effective: Option<u64>,
    /// Capabilities that a child can ever get.
    pub bounding: Option<u64>,
    /// Whether Debian's package tools and its marker file are there.
    pub debian: bool,
}

/// The cache folder.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Where it is.
    pub path: PathBuf,
    /// The reason why it cannot be written, if so.
    pub unwritable: Option<String>,
    /// The reason why a program that lies there cannot be run, if so.
    pub not_executable: Option<String>,
    /// The reason why no overlay can be mounted where a private engine keeps its data: `Some(None)` when it can.
    pub no_overlay: Option<Option<String>>,
    /// What it lies on.
    pub file_system: Option<FileSystem>,
    /// What the private engine's data lie on.
    pub engine_file_system: Option<FileSystem>,
    /// Bytes free where it lies.
    pub free: Option<u64>,
    /// How many artifacts it holds.
    pub artifacts: usize,
}

/// A file system that is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// As the kernel names it: `ext4`, `tmpfs`, `overlay`.
    pub kind: String,
    /// Where.
    pub mounted_at: PathBuf,
}

impl std::fmt::Display for FileSystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.kind, self.mounted_at.display())
    }
}

/// What apt is configured for.
#[derive(Clone, Debug)]
pub struct Debian {
    /// The release that the lock pins.
    pub release: String,
    /// Whether apt has a source for it.
    pub configured: bool,
    /// Where this machine's own packages come from, if it is a Debian.
    pub mirror: Option<String>,
    /// What this system calls itself: `Ubuntu 24.04.1 LTS`.
    pub system: Option<String>,
    /// Whether Debian's keys are there.
    pub keyring: bool,
}

/// A program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it was found.
    pub path: PathBuf,
    /// The first line of what it says about its version, if it was asked.
    pub version: Option<String>,
}

/// The Docker engine that the docker CLI would use.
#[derive(Clone, Debug)]
pub enum DockerEngine {
    /// It answers.
    Answers(Box<Facts>),
    /// It does not.
    Silent {
        /// Which one was asked; `None` when that could not be found out.
        asked: Option<Asked>,
        /// The reason.
        why: String,
    },
}

/// A container, running or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The kind cluster that it is a node of.
    pub cluster: Option<String>,
    /// Whether it is on a network with our label.
    pub ours: bool,
}

/// What an engine says about itself.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `29.1.0`.
    pub version: String,
    /// Bytes of the machine that it runs on.
    pub memory: Option<u64>,
    /// Cores of the machine that it runs on.
    pub cores: Option<u64>,
    /// Bytes free below its data folder, when that folder can be seen from here.
    pub free: Option<u64>,
    /// Where it keeps its data.
    pub root: String,
    /// Whether images lie in containerd's store (`io.containerd.snapshotter.v1`).
    pub containerd_store: bool,
    /// How images are kept: `overlay2`, `vfs`.
    pub driver: String,
    /// Whether it is Podman, which answers as Docker does.
    pub podman: bool,
    /// Why it does not see a file of the cache folder: `Some(None)` when it does.
    pub blind: Option<Option<String>>,
    /// Where it takes the subnets of new networks from, with their prefix length, if that is configured.
    pub pools: Vec<(Ipv4Net, u8)>,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Seconds that its clock is ahead of ours.
    pub clock_ahead: Option<i64>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its networks' subnets, by name.
    pub networks: Vec<(String, Ipv4Net)>,
}
