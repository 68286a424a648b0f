//! How long something took, and how much work the whole machine did meanwhile. Everything else that runs on it counts
//! too, for both sides alike: containers, kernel threads and waiting loops are found in no process' own account.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::Context as _;
use crate::{Code, Error, Result};

const STAT: &str = "/proc/stat";

/// Ticks a second in what the kernel shows to programs: a constant of its interface.
const USER_HZ: f64 = 100.0;

/// What something took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Of the clock on the wall.
    pub seconds: f64,
    /// Of all cores.
    pub cpu_seconds: f64,
}

impl Span {
    /// How long so much work takes at least, in seconds: with every core busy all the time.
    pub fn floor(&self) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.cpu_seconds / f64::from(u32::try_from(cores).unwrap_or(1))
    }
}

/// A clock that runs.
pub struct Clock {
    began: Instant,
    busy: f64,
    own: f64,
}

impl Clock {
    /// Starts it.
    ///
    /// # Errors
    /// [`Code::NotFit`] where the kernel shows no account of its time.
    pub fn start() -> Result<Self> {
        Ok(Self { busy: busy_now()?, own: own_now().unwrap_or_default(), began: Instant::now() })
    }

    /// What it shows.
    ///
    /// # Errors
    /// As [`Clock::start`].
    pub fn read(&self) -> Result<Span> {
        Ok(Span { seconds: self.began.elapsed().as_secs_f64(), cpu_seconds: busy_now()? - self.busy })
    }

    /// What this program cost meanwhile; nothing where the kernel keeps no account.
    pub fn own(&self) -> Option<Own> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        Some(Own { cpu_seconds: own_now()? - self.own, peak_mib: peak(&status)? })
    }
}

/// What this program cost itself, with the programs that it ran and that have ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Own {
    /// Of all cores.
    pub cpu_seconds: f64,
    /// The most memory that it had at one moment since it started, without those programs, in MiB.
    pub peak_mib: f64,
}

/// What the thread that asks has cost since it began; nothing where the kernel keeps no account.
pub fn of_this_thread() -> Option<Duration> {
    on_a_core(&std::fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// The first number: nanoseconds on a core (`Documentation/scheduler/sched-stats.rst` of Linux).
fn on_a_core(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn own_now() -> Option<f64> {
    own(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// `utime`, `stime`, `cutime` and `cstime` of proc(5), of which the name before them may have blanks.
fn own(stat: &str) -> Option<f64> {
    let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
    let ticks: Vec<f64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
    (ticks.len() == 4).then(|| ticks.iter().sum::<f64>() / USER_HZ)
}

fn peak(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

fn busy_now() -> Result<f64> {
    let stat = std::fs::read_to_string(STAT).or_fail(Code::NotFit, || format!("cannot read {STAT}"))?;
    busy(&stat).ok_or_else(|| {
        let first = stat.lines().next().unwrap_or_default();
        Error::new(Code::NotFit, format!("{STAT} is not as proc(5) has it")).seen(first)
    })
}

/// Seconds of all cores since the machine's start that were spent on anything: user, nice, system, irq and softirq.
/// Not idle, not waiting for a disk, not stolen by a neighbour; guests are in user already.
fn busy(stat: &str) -> Option<f64> {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<f64> = all.split_whitespace().map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let [user, nice, system, _idle, _iowait, irq, softirq] = ticks.get(..7)?.try_into().ok()?;
    Some((user + nice + system + irq + softirq) / USER_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idling_waiting_and_what_others_stole_is_no_work() {
        let stat = "cpu  100 20 30 9000 700 4 6 50 60 70\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 5\n";
        assert_eq!(busy(stat), Some(1.6));
        assert_eq!(busy("cpu  100 20 30\n"), None);
        assert_eq!(busy("cpu0 1 1 1 1 1 1 1\n"), None);
    }

    #[test]
    fn a_programs_own_account_is_read_whatever_it_is_called() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 9 9 9 9 100 50 30 20 20 0 1 0 7 8 9\n";
        assert_eq!(own(stat), Some(2.0));
        assert_eq!(own("42 (a) S 1 42"), None);
        assert_eq!(peak("Name:\ta\nVmHWM:\t   20480 kB\nVmRSS:\t 1 kB\n"), Some(20.0));
        assert!(Clock::start().unwrap().own().unwrap().peak_mib > 1.0);
    }

    #[test]
    fn a_thread_has_an_account_of_its_own() {
        assert_eq!(on_a_core("1500000000 7 3\n"), Some(Duration::from_millis(1500)));
        assert_eq!(on_a_core(""), None);
        let work = || (0..20_000_000_u64).map(std::hint::black_box).sum::<u64>();
        let (mine, other) =
            (of_this_thread().unwrap(), std::thread::spawn(move || (work(), of_this_thread())));
        let (_, other) = other.join().unwrap();
        assert!(other.unwrap() > of_this_thread().unwrap() - mine, "what the other did is not mine");
    }

    /// One program makes several runs, each with a clock of its own.
    #[test]
    fn what_a_program_cost_before_the_clock_started_is_not_counted() {
        let mut clock = Clock::start().unwrap();
        clock.own -= 100.0;
        let later = Clock::start().unwrap();
        assert!(clock.own().unwrap().cpu_seconds >= 100.0);
        assert!(later.own().unwrap().cpu_seconds < 100.0);
    }

    #[test]
    fn this_machine_has_the_account() {
        let span = Clock::start().unwrap().read().unwrap();
        assert!(span.seconds >= 0.0 && span.cpu_seconds >= 0.0, "{span:?}");
    }
}
