//! How long anything may take: the one place for limits and pauses.
//!
//! A limit is so long that reaching it means a defect, never bad luck; a pause is so short that it is not
//! what a run spends its time on. `VOUCHSAFE_PATIENCE=3` multiplies every limit for slow machines: a [`Limit`] can be
//! waited for in no other way than [`Limit::stretched`].

use std::ffi::OsString;
use std::ops::{Div, Mul};
use std::sync::OnceLock;
use std::time::Duration;

use crate::{Code, Error, Result};

/// How long something may take at most, on a machine of usual speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(Duration);

impl Limit {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn milliseconds(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// As long as `VOUCHSAFE_PATIENCE` makes it.
    pub fn stretched(self) -> Duration {
        self.0.mul_f64(factor())
    }
}

impl Mul<u32> for Limit {
    type Output = Self;

    fn mul(self, times: u32) -> Self {
        Self(self.0 * times)
    }
}

impl Div<u32> for Limit {
    type Output = Self;

    fn div(self, parts: u32) -> Self {
        Self(self.0 / parts)
    }
}

/// A short command: a version, a listing.
pub const COMMAND: Limit = Limit::seconds(120);
/// One compile of one component, cold, on two busy cores (Kubernetes takes about seven minutes, measured).
pub const BUILD: Limit = Limit::seconds(45 * 60);
/// A download of one file or one image.
pub const DOWNLOAD: Limit = Limit::seconds(20 * 60);
/// A registry saying that it is there; more than a slow line needs for one small answer.
pub const REGISTRY_ANSWER: Limit = Limit::seconds(3);
/// Reaching a server, and the longest silence within a download.
pub const SILENCE: Limit = Limit::seconds(30);
/// Before infrastructure is tried a second time: a proxy that restarts is back after this.
pub const SECOND_TRY: Duration = Duration::from_secs(2);
/// `kind create cluster` without waiting for the node (26 s measured, two at once).
pub const CLUSTER: Limit = Limit::seconds(300);
/// kube-proxy at work in a prepared node whose API server answers, before it is taken for late (2 to 4 s measured).
pub const KUBE_PROXY: Duration = Duration::from_secs(6);
/// One step of a plan that waits for pods.
pub const STEP: Limit = Limit::seconds(240);
/// The container engine answering after its start.
pub const ENGINE: Limit = Limit::seconds(60);
/// An engine's answer to "who are you": it is there or it is not.
pub const ENGINE_ANSWER: Limit = Limit::seconds(2);
/// The end of the private engine and of what the kernel clears up after it (0.6 s measured).
pub const ENGINE_STOP: Limit = Limit::seconds(20);
/// An API server beginning to answer one request. It ends a request itself after 60 s (`--request-timeout`), and waits
/// up to 30 s for a webhook.
pub const API_ANSWER: Limit = Limit::seconds(75);
/// The longest silence within an API server's answer; longer than [`COMMAND`], for a program may say nothing so long.
pub const API_SILENCE: Limit = Limit::seconds(150);
/// One attempt inside a wait.
pub const ATTEMPT: Limit = Limit::seconds(20);
/// What an API server may take to ask a webhook, where it can be asked to do so again. It dials the webhook's Service for
/// each request; a dial that came before the Service led anywhere is repeated by TCP after 1, 3 and 7 s, and the server
/// itself gives up after 10 s (seen in 6 of 16 set-ups, while a dial of a second later is answered at once).
pub const WEBHOOK: Limit = Limit::seconds(1);
/// One scenario's own wait for something that the mesh does by itself.
pub const SETTLE: Limit = Limit::seconds(90);
/// Controllers taking away what nobody wants any more: SPIRE's collects every few seconds.
pub const CAUGHT_UP: Limit = Limit::seconds(30);
/// One scenario, before it is undone.
pub const SCENARIO: Limit = Limit::seconds(420);
/// All scenarios of one kind together, of every set-up of a world.
pub const SCENARIOS: Limit = Limit::seconds(2400);
/// The bench's serial script, all of it (three minutes, measured on two cores).
pub const RIVAL: Limit = Limit::seconds(1200);
/// Added to every bound that follows from timers: our looks, a second apart, and whoever is late on a busy machine.
pub const NOTICED: Limit = Limit::seconds(3);
/// How much longer than its bound something is waited for, so that a failure says how late it was.
pub const BEYOND: Limit = Limit::seconds(30);
/// From a change of a live object until everybody acts by it: a SPIRE agent asks each second here, an istiod gathers changes for
/// a tenth of one, and whoever is late on a busy machine.
pub const TAKEN_IN: Duration = Duration::from_secs(8);
/// A new pod of the mesh that has all it needs being ready (4 to 8 s measured), before it is said that it lacks something.
pub const START: Limit = Limit::seconds(15);
/// Requests that are on their way when a traffic client is told to end: each has 15 s.
pub const LAST_REQUESTS: Limit = Limit::seconds(20);
/// The time that collecting evidence may take, all of it.
pub const COLLECT: Limit = Limit::seconds(30);
/// The same, when a person has stopped the run and waits for its end.
pub const COLLECT_BRIEFLY: Limit = Limit::seconds(5);
/// What waiting does not cure has to stay for so long before it ends a set-up: an image that a registry gives at the third
/// attempt, a webhook whose pod is just starting.
pub const STUCK: Limit = Limit::seconds(25);
/// Between two looks at what may be stuck.
pub const STUCK_LOOK: Duration = Duration::from_secs(3);
/// Somebody registering the workloads of a probe by himself: controllers do within seconds, and after it the probe brings
/// a registration of its own.
pub const REGISTERED: Duration = Duration::from_secs(20);
/// Taking one thing down.
pub const TAKE_DOWN: Limit = Limit::seconds(90);
/// A sidecar writing its access log: every second by Istio's setting.
pub const LOG_FLUSH: Limit = Limit::seconds(10);
/// Between two attempts of a wait on something that cannot be watched.
pub const PAUSE: Duration = Duration::from_millis(150);
/// For so long a wait looks as often as that; whatever takes longer may be noticed a little later (in a set-up of two
/// clusters on two cores the longest such wait, for an API server, took 5 to 10 s, measured).
pub const SOON: Duration = Duration::from_secs(15);
/// Between two looks at what a proxy holds, for the record of what it ever held: its secrets change every few minutes, and a
/// pod that starts without SPIRE's socket keeps istiod's certificate until it ends.
pub const PROXY_LOOK: Duration = Duration::from_secs(1);

/// The variable that stretches every limit.
const VARIABLE: &str = "VOUCHSAFE_PATIENCE";
/// Zero would end every wait at once, and a thousand none.
const SENSIBLE: std::ops::RangeInclusive<f64> = 0.1..=100.0;

static FACTOR: OnceLock<f64> = OnceLock::new();

/// Reads `VOUCHSAFE_PATIENCE`: a program asks first, before it touches anything.
///
/// # Errors
/// [`Code::Usage`] when it is no number, or not a sensible one.
pub fn check() -> Result<()> {
    read(std::env::var_os(VARIABLE)).map(|factor| {
        FACTOR.get_or_init(|| factor);
    })
}

fn factor() -> f64 {
    // Who has not asked is a test or a doctor of our own.
    *FACTOR.get_or_init(|| read(std::env::var_os(VARIABLE)).unwrap_or(1.0))
}

fn read(set: Option<OsString>) -> Result<f64> {
    let Some(set) = set.filter(|set| !set.is_empty()) else { return Ok(1.0) };
    let set = set.to_string_lossy();
    set.trim().parse().ok().filter(|factor| SENSIBLE.contains(factor)).ok_or_else(|| {
        let (least, most) = SENSIBLE.into_inner();
        Error::new(Code::Usage, format!("{VARIABLE}=`{set}` is no number from {least} to {most}"))
            .next(format!("{VARIABLE}=3 allows three times as long for everything; nothing was touched"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sensible_number_is_refused() {
        for set in ["fast", "1,5", "3x", "0", "0.05", "-1", "101", "1e9", "nan", "inf", " "] {
            let e = read(Some(set.into())).unwrap_err();
            assert_eq!(e.code(), Code::Usage, "{set}");
            assert!(e.what().contains(&format!("VOUCHSAFE_PATIENCE=`{set}`")), "{e}");
        }
    }

    #[test]
    fn a_sensible_number_is_taken_and_none_means_one() {
        for (set, factor) in [("3", 3.0), ("0.5", 0.5), ("100", 100.0), ("", 1.0)] {
            assert_eq!(read(Some(set.into())).unwrap(), factor, "{set}");
        }
        assert_eq!(read(None).unwrap(), 1.0);
    }
}
