//! How long anything may take: the one place for deadlines and pauses.
//!
//! A deadline is so long that reaching it means a defect, never bad luck; a pause is so short that it is not
//! what a run spends its time on. `VOUCHSAFE_PATIENCE=3` multiplies every deadline for slow machines.

use std::sync::OnceLock;
use std::time::Duration;

/// A short command: a version, a listing.
pub const COMMAND: Duration = Duration::from_secs(120);
/// One compile of one component, cold, on two busy cores (Kubernetes takes about seven minutes, measured).
pub const BUILD: Duration = Duration::from_secs(45 * 60);
/// A download of one file or one image.
pub const DOWNLOAD: Duration = Duration::from_secs(20 * 60);
/// A registry saying that it is there; more than a slow line needs for one small answer.
pub const REGISTRY_ANSWER: Duration = Duration::from_secs(3);
/// Reaching a server, and the longest silence within a download.
pub const SILENCE: Duration = Duration::from_secs(30);
/// Before infrastructure is tried a second time: a proxy that restarts is back after this.
pub const SECOND_TRY: Duration = Duration::from_secs(2);
/// `kind create cluster` without waiting for the node (26 s measured, two at once).
pub const CLUSTER: Duration = Duration::from_secs(300);
/// One step of a plan that waits for pods.
pub const STEP: Duration = Duration::from_secs(240);
/// The container engine answering after its start.
pub const ENGINE: Duration = Duration::from_secs(60);
/// An engine's answer to "who are you": it is there or it is not.
pub const ENGINE_ANSWER: Duration = Duration::from_secs(2);
/// The end of the private engine and of what the kernel clears up after it (0.6 s measured).
pub const ENGINE_STOP: Duration = Duration::from_secs(20);
/// One attempt inside a wait.
pub const ATTEMPT: Duration = Duration::from_secs(20);
/// One scenario's own wait for something that the mesh does by itself.
pub const SETTLE: Duration = Duration::from_secs(90);
/// Controllers taking away what nobody wants any more: SPIRE's collects every few seconds.
pub const CAUGHT_UP: Duration = Duration::from_secs(30);
/// All scenarios of one kind together, of every set-up of a world.
pub const SCENARIOS: Duration = Duration::from_secs(2400);
/// The bench's serial script, all of it (three minutes, measured on two cores).
pub const RIVAL: Duration = Duration::from_secs(1200);
/// The time that collecting evidence may take, all of it.
pub const COLLECT: Duration = Duration::from_secs(40);
/// Taking one thing down.
pub const TAKE_DOWN: Duration = Duration::from_secs(90);
/// A sidecar writing its access log: every second by Istio's setting.
pub const LOG_FLUSH: Duration = Duration::from_secs(10);
/// Between two attempts of a wait on something that cannot be watched.
pub const PAUSE: Duration = Duration::from_millis(150);

/// `deadline`, stretched by `VOUCHSAFE_PATIENCE`.
pub fn stretched(deadline: Duration) -> Duration {
    static FACTOR: OnceLock<f64> = OnceLock::new();
    let factor = FACTOR.get_or_init(|| {
        let asked = std::env::var("VOUCHSAFE_PATIENCE").ok().and_then(|v| v.parse::<f64>().ok());
        asked.filter(|f| (0.1..=100.0).contains(f)).unwrap_or(1.0)
    });
    deadline.mul_f64(*factor)
}
