//! Processes that lost the harness that started them.
//!
//! A killed harness cannot kill its children, and `kind create` would go on making what `down` takes away. So
//! every child carries, in its environment, who started it; the mark is inherited by its own children.
//!
//! Whose a process is must not be mistaken: the mark names the cache, the process namespace, and the harness by number and
//! start. A child that has left the harness's session (`setsid`) is a daemon that somebody started on the way, such as a
//! compiler's cache server, and is spared.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::layout::Layout;

/// The environment's variable that holds a [`Mark`]. Not the variable of old: a version that knows only that
/// one takes every other form for a dead harness's.
pub const MARK: &str = "VOUCHSAFE_HARNESS";

/// A long-lived process, such as a kept engine, carries this variable and is no orphan.
pub const KEPT: &str = "VOUCHSAFE_ENGINE_STATE";

/// A harness, as its children's environment names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    /// Device and inode of the cache folder: equal paths in two containers are two folders.
    cache: String,
    /// The process namespace, in which the numbers are counted.
    namespace: String,
    pid: String,
    /// Clock ticks since boot: with the number, it names a process for good.
    start: String,
    session: String,
}

/// Our own mark, as text.
pub fn me() -> String {
    Mark::own().to_string()
}

/// Kills every process that we started, directly or not, and that still runs: after an interruption.
pub fn kill_ours() -> usize {
    let me = Mark::own();
    kill_where(|mark| *mark == me)
}

/// Kills every process whose harness worked with this cache and is gone; says how many there were.
pub fn kill_lost() -> usize {
    let me = Mark::own();
    kill_where(|mark| mark.cache == me.cache && mark.namespace == me.namespace && !mark.is_alive())
}

impl Mark {
    fn own() -> Self {
        let pid = std::process::id();
        let stat = Stat::of(pid).unwrap_or_default();
        Self {
            cache: Layout::find().ok().and_then(|layout| identity(&layout.cache)).unwrap_or_default(),
            namespace: fs::read_link("/proc/self/ns/pid")
                .map(|link| link.display().to_string().replace(':', ""))
                .unwrap_or_default(),
            pid: pid.to_string(),
            start: stat.start,
            session: stat.session,
        }
    }

    /// Another form, such as an older version's, is nobody's.
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split(':').map(str::to_owned).collect();
        let [cache, namespace, pid, start, session] = <[String; 5]>::try_from(parts).ok()?;
        Some(Self { cache, namespace, pid, start, session })
    }

    /// Whether the harness still runs; asked only of one in our own process namespace.
    fn is_alive(&self) -> bool {
        let found = self.pid.parse().ok().and_then(Stat::of);
        found.is_some_and(|found| found.start == self.start)
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cache, namespace, pid, start, session } = self;
        write!(f, "{cache}:{namespace}:{pid}:{start}:{session}")
    }
}

/// Of a cache that is not there yet: nothing.
fn identity(cache: &Path) -> Option<String> {
    let found = fs::metadata(cache).ok()?;
    Some(format!("{}-{}", found.dev(), found.ino()))
}

fn kill_where(is_lost: impl Fn(&Mark) -> bool) -> usize {
    let Ok(listing) = fs::read_dir("/proc") else { return 0 };
    let own = std::process::id();
    let pids = listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let lost = pids.filter(|pid| {
        *pid != own
            && mark_of(*pid).is_some_and(|mark| {
                is_lost(&mark) && Stat::of(*pid).is_some_and(|found| found.session == mark.session)
            })
    });
    let mut killed = 0;
    for pid in lost.filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
        // Gone between the look and the signal is what we want, too.
        killed += usize::from(kill_process(pid, Signal::KILL).is_ok());
    }
    killed
}

/// The mark in a process's environment, unless it is one that is meant to live on.
fn mark_of(pid: u32) -> Option<Mark> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut found = None;
    for entry in environment.split(|b| *b == 0).filter_map(|e| std::str::from_utf8(e).ok()) {
        match entry.split_once('=') {
            Some((KEPT, _)) => return None,
            Some((MARK, value)) => found = Mark::parse(value),
            _ => {}
        }
    }
    found
}

/// What the kernel tells of a process.
#[derive(Debug, Default)]
struct Stat {
    session: String,
    start: String,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold spaces. After it: state, parent, group, session (4th), …, start (20th): proc(5).
        let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
        Some(Self { session: (*fields.get(3)?).to_owned(), start: (*fields.get(19)?).to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::Cmd;
    use crate::progress::Note;
    use crate::wait::Look;

    #[tokio::test]
    async fn a_child_is_known_by_its_mark_and_the_living_are_spared() {
        let child = Cmd::new("sleep").arg("1000").start().unwrap();
        let (me, of_child) = (Mark::own(), mark_of(child.pid().unwrap()).unwrap());
        assert_eq!(of_child, me);
        assert!(of_child.is_alive());
        assert!(!Mark { start: "0".to_owned(), ..me }.is_alive());
        drop(child);
    }

    #[tokio::test]
    async fn a_kept_process_carries_no_mark() {
        let child = Cmd::new("sleep").arg("1000").env(KEPT, "/somewhere").start().unwrap();
        assert_eq!(mark_of(child.pid().unwrap()), None);
        drop(child);
    }

    /// A lost process of each kind; only that of this cache, this namespace and the harness's own session is killed.
    #[tokio::test]
    async fn who_is_not_ours_is_spared() {
        let dead = Mark { start: "0".to_owned(), ..Mark::own() };
        let sleeps = |program: &str, args: &[&str], mark: &Mark| {
            let cmd = Cmd::new("env").arg(format!("{MARK}={mark}")).arg(program).args(args.iter().copied());
            // A pipe would be held open by the daemon.
            cmd.log_to("/dev/null").start().unwrap()
        };
        let plain = |mark| sleeps("sleep", &["1000"], mark);
        let lost = plain(&dead);
        let spared = [
            plain(&Mark { cache: "1-2".to_owned(), ..dead.clone() }),
            plain(&Mark { namespace: "pid[1]".to_owned(), ..dead.clone() }),
        ];
        let left = Mark { pid: "999999999".to_owned(), ..dead.clone() };
        let leaver = sleeps("setsid", &["--fork", "sleep", "1000"], &left);
        crate::wait::eventually("the daemon", crate::patience::COMMAND, &Note::silent(), || async {
            match (leaver.ended(), with_mark(&left).first()) {
                (Some(0), Some(_)) => Look::Ready(()),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        })
        .await
        .unwrap();
        kill_lost();
        crate::wait::pause_for(crate::patience::PAUSE).await;
        assert!(lost.ended().is_some(), "the lost one still runs");
        assert_eq!(spared.each_ref().map(|child| child.ended()), [None, None], "a stranger was killed");
        let [daemon] = with_mark(&left)[..] else { panic!("the daemon was killed") };
        kill_process(Pid::from_raw(daemon.cast_signed()).unwrap(), Signal::KILL).unwrap();
    }

    fn with_mark(mark: &Mark) -> Vec<u32> {
        let pids =
            fs::read_dir("/proc").unwrap().filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok());
        pids.filter(|pid| mark_of(*pid).is_some_and(|found| found == *mark)).collect()
    }
}
