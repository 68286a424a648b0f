//! A Docker engine of our own: `dockerd` out of Debian packages, nothing installed.
//!
//! It runs in process, mount and network namespaces of its own. So it cannot meet a Docker engine that the
//! user runs (both would write the same firewall chains), changes no forwarding, no firewall rule and no mount
//! of this machine, and when its first process dies, by whatever signal, the kernel itself takes away every
//! process, mount, interface and rule. The containers reach nothing outside; this machine reaches them over
//! one [`super::link`].

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::block::Block;
use super::marks::{Marks, belongs_to, data, socket};
use super::processes::{self, MARK};
use super::{Engine, Record, answering, kernel, link, routes, sweep};
use crate::cmd::{Child, Cmd, tail};
use crate::error::Context as _;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::world_id::WorldId;
use crate::{Code, Error, Result, patience};

/// Where the engine's programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Debian packages extracted into a folder: dockerd, containerd, runc, tini, iptables and their libraries.
    pub root: PathBuf,
    /// The `oci-shim` program, used only on a machine that withholds a capability.
    pub shim: PathBuf,
}

/// Refuses where a private engine cannot run; touches nothing.
///
/// # Errors
/// [`Code::EngineUnreachable`] with the cure.
pub fn possible_here() -> Result<()> {
    let refuse = |what: &str, next: &str| {
        Err(Error::new(Code::EngineUnreachable, format!("a private engine {what}")).next(next))
    };
    if !rustix::process::geteuid().is_root() {
        return refuse("needs root", "start Docker, or run as root on Debian or Ubuntu");
    }
    if !Path::new("/etc/debian_version").exists() {
        return refuse("comes out of Debian packages and this is no Debian-like system", "start Docker");
    }
    // 12 and 21 in linux/capability.h.
    if !capabilities("CapEff:").is_some_and(|set| set & (1 << 12) != 0 && set & (1 << 21) != 0) {
        return refuse("needs CAP_NET_ADMIN and CAP_SYS_ADMIN", "run outside the container, or start Docker");
    }
    match ["ip", "nsenter", "unshare"].iter().find(|program| !on_path(program)) {
        Some(missing) => {
            refuse(&format!("needs the program `{missing}`"), "apt-get install iproute2 util-linux")
        }
        None => Ok(()),
    }
}

/// Starts it for a world, whose mark it carries, and waits until it answers. What an earlier, killed engine left in `state` is taken away first.
///
/// # Errors
/// [`Code::Busy`] when one runs in `state` already, [`Code::EngineFailed`] with its log's last words.
pub async fn start(state: &Path, programs: &Programs, world: &WorldId, note: &Note) -> Result<Engine> {
    possible_here()?;
    check_place(state)?;
    if let Some(running) = processes::of(state).first() {
        let what = format!("a private engine runs in {} already (process {})", state.display(), running.pid);
        return Err(Error::new(Code::Busy, what).next("cargo xtask down"));
    }
    sweep::sweep(state, note).await?;
    belongs_to(state, world)?;
    for sentence in kernel::raise()? {
        note.tell(sentence);
    }
    let unusable = || format!("cannot prepare {}", state.display());
    std::fs::create_dir_all(data(state)).or_fail(Code::CacheUnusable, unusable)?;
    let table = std::fs::read_to_string(routes::TABLE).or_fail(Code::NotFit, unusable)?;
    let taken: Vec<_> = routes::routes(&table).into_iter().map(|(net, _)| net).collect();
    let block = Block::free(Marks::of(state).seed, &taken)?;
    sweep::unclean(state)?;
    let child = daemon(state, programs, block).start()?;
    match bring_up(state, programs, block, &child, note).await {
        Ok(engine) => {
            child.forget();
            Ok(engine)
        }
        Err(e) => {
            drop(child);
            let words = tail(&std::fs::read_to_string(log(state)).unwrap_or_default());
            sweep::sweep(state, note).await?;
            Err(Error::new(Code::EngineFailed, format!("the private engine did not start\n{words}"))
                .because(e))
        }
    }
}

/// The one that runs in `state`, to be looked at or taken down: where its published ports are reached is not known.
///
/// # Errors
/// [`Code::EngineFailed`] when none answers.
pub async fn attach(state: &Path, programs: &Path) -> Result<Engine> {
    let address = std::net::Ipv4Addr::UNSPECIFIED;
    Engine::attach(&Record::Private { state: state.to_owned(), programs: programs.to_owned(), address }).await
}

/// Takes away whatever is in `state`: an engine that answers is emptied and stopped in order, so that its images
/// stay for the next run; of any other the rest is swept up.
///
/// # Errors
/// [`Code::LeftBehind`] naming each thing that could not be removed.
pub async fn take_down(state: &Path, programs: &Path, note: &Note) -> Result<()> {
    match attach(state, programs).await {
        Ok(engine) => engine.stop(note).await,
        Err(_) => sweep::sweep(state, note).await,
    }
}

/// Empties it, stops it and takes away the rest. Images stay for the next run.
pub(super) async fn stop(engine: &Engine, state: &Path, note: &Note) -> Result<()> {
    let emptied = engine.remove_everything().await;
    let daemons = processes::of(state).into_iter().filter(|p| p.name == "dockerd");
    daemons.for_each(|daemon| processes::signal(&daemon, Signal::TERM));
    let ended = wait::eventually("the end of the private engine", patience::ENGINE_STOP, note, || async {
        match processes::of(state).len() {
            0 => Look::Ready(()),
            left => Look::NotYet(format!("{left} processes left")),
        }
    })
    .await;
    if emptied.is_ok() && ended.is_ok() {
        sweep::clean(state)?;
    }
    sweep::sweep(state, note).await
}

/// As in `DOCKER_HOST`.
pub(super) fn host(state: &Path) -> String {
    format!("unix://{}", socket(state).display())
}

/// What makes a child find the engine's programs before the system's.
pub(super) fn search_paths(programs: &Path) -> Vec<(String, String)> {
    let own = format!("{0}/usr/sbin:{0}/usr/bin", programs.display());
    vec![("PATH".to_owned(), format!("{own}:{}", std::env::var("PATH").unwrap_or_default()))]
}

fn log(state: &Path) -> PathBuf {
    state.join("log")
}

/// Everything that the daemon writes lies in the state folder or below a `/run` of its own.
fn daemon(state: &Path, programs: &Programs, block: Block) -> Cmd {
    // The wire's end is named before it is there. Newer engines drop what comes straight to a container's
    // address, in `raw`; older ones in FORWARD, which asks DOCKER-USER first. What whoever calls us left open (such as
    // the lock of `flock`) is not the engine's to hold.
    let prepare = format!(
        "mount -t tmpfs -o mode=755 tmpfs /run\n\
         ip link set lo up\n\
         iptables -N DOCKER-USER\n\
         iptables -A DOCKER-USER -i {0} -j ACCEPT\n\
         iptables -t raw -A PREROUTING -i {0} -j ACCEPT\n\
         exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-\n\
         exec \"$@\"",
        link::THERE
    );
    let mut cmd = Cmd::new("unshare")
        .args([
            "--mount",
            "--propagation=private",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["tini", "-g", "--", "sh", "-ec", &prepare, "prepare", "dockerd"])
        .args(["--data-root".into(), data(state).into_os_string()])
        .args(["--exec-root=/run/docker", "--pidfile=/run/docker.pid", "--host", &host(state)])
        // Named, for where it cannot be dockerd would take one that copies every layer, in silence.
        .arg("--storage-driver=overlay2")
        .args(["--bridge=none", "--exec-opt=native.cgroupdriver=cgroupfs", "--log-level=warn"])
        .args(["--cgroup-parent", &format!("/{}", Marks::of(state).cgroup)])
        .args(["--default-address-pool", &format!("base={},size=24", block.pool())])
        .env(MARK, Marks::of(state).process)
        .log_to(log(state));
    if capabilities("CapBnd:").is_some_and(|set| set & CAP_SYS_RESOURCE == 0) {
        cmd = cmd
            .args(["--add-runtime", &format!("shim={}", programs.shim.display()), "--default-runtime=shim"])
            .env("VOUCHSAFE_RUNC", find(&programs.root, "runc"));
    }
    let libraries = programs.root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    cmd = cmd.env("XTABLES_LIBDIR", libraries.join("xtables")).env("LD_LIBRARY_PATH", libraries);
    search_paths(&programs.root).into_iter().fold(cmd, |cmd, (key, value)| cmd.env(key, value))
}

async fn bring_up(
    state: &Path,
    programs: &Programs,
    block: Block,
    child: &Child,
    note: &Note,
) -> Result<Engine> {
    let ended =
        || child.ended().map(|s| Error::new(Code::EngineFailed, format!("dockerd ended with status {s}")));
    let first = wait::eventually("the private engine's first process", patience::ENGINE, note, || async {
        match (ended(), processes::of(state).iter().find(|p| p.first)) {
            (Some(e), _) => Look::Never(e),
            (None, Some(first)) => Look::Ready(first.pid),
            (None, None) => Look::NotYet("not there yet".to_owned()),
        }
    })
    .await?;
    link::lay(&Marks::of(state).link, first, block).await?;
    let docker = wait::eventually("an answer of the private engine", patience::ENGINE, note, || async {
        match (ended(), answering(&host(state), patience::ENGINE_ANSWER).await) {
            (Some(e), _) => Look::Never(e),
            (None, Ok(docker)) => Look::Ready(docker),
            (None, Err(e)) => Look::not_yet(e),
        }
    })
    .await?;
    let record =
        Record::Private { state: state.to_owned(), programs: programs.root.clone(), address: block.there() };
    Ok(Engine { docker, record })
}

/// A path that dockerd and the kernel can live with.
fn check_place(state: &Path) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::new(Code::CacheUnusable, what).next("choose another cache folder with VOUCHSAFE_CACHE"))
    };
    // 108 with the closing zero: unix(7).
    if socket(state).as_os_str().len() > 107 {
        return refuse(format!("the socket's path {} is longer than 107 bytes", socket(state).display()));
    }
    // The daemon has a /run of its own.
    if ["/run", "/var/run"].iter().any(|run| state.starts_with(run)) {
        return refuse(format!("the private engine cannot live below /run ({})", state.display()));
    }
    Ok(())
}

const CAP_SYS_RESOURCE: u64 = 1 << 24;

/// One capability set of this process: `CapEff:` what we may do, `CapBnd:` what a child can ever get.
fn capabilities(set: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let hex = status.lines().find_map(|line| line.strip_prefix(set))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn on_path(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|dir| dir.join(program).is_file())
}

fn find(root: &Path, program: &str) -> PathBuf {
    let sbin = root.join("usr/sbin").join(program);
    if sbin.exists() { sbin } else { root.join("usr/bin").join(program) }
}
