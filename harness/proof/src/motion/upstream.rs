//! Bounds that no setting of SPIRE's makes: how soon Envoy, client-go and istiod try again, each by its own source.

use std::time::Duration;

use super::Bound;

/// Envoy asks its agent again by an exponential back-off with this end (`envoy.config.core.v3.BackoffStrategy`, the default
/// for gRPC streams).
const ENVOYS_BACK_OFF: Duration = Duration::from_secs(30);
/// client-go's informers wait twice as long each time, from this on and up to that, and as much again by chance
/// (`tools/cache/reflector.go`).
const INFORMERS_FIRST: Duration = Duration::from_millis(800);
const INFORMERS_BACK_OFF: Duration = Duration::from_secs(30);
/// A kubelet starts a container that ended after 10 s, and after twice as long each time that it ends again soon.
const KUBELET_SECOND: Duration = Duration::from_secs(20);
/// A kubelet that starts takes each pod for not ready until it has asked it, at a moment by chance within the period of the
/// pod's probe (`pkg/kubelet/prober/worker.go`); that of Istio's proxies is 15 s. It runs within so much.
const KUBELET_STARTS: Duration = Duration::from_secs(10);
const ASKS_PROXIES: Duration = Duration::from_secs(15);
/// istiod gathers what changes for so long at most before it tells its proxies (`PILOT_DEBOUNCE_MAX`).
const ISTIOD_GATHERS: Duration = Duration::from_secs(10);
/// A proxy that is told to end still answers for so long (`ProxyConfig.terminationDrainDuration`).
const PROXY_DRAINS: Duration = Duration::from_secs(5);

/// Until a proxy asks its agent again that hung up on it, or had nothing for it.
pub fn envoy_asks_again() -> Bound {
    Bound::of(ENVOYS_BACK_OFF, "until its proxy asks again (the end of Envoy's back-off)")
}

/// Until whoever watches an API server lists and watches it again that was away for so long.
pub fn informer_asks_again(away: Duration) -> Bound {
    let step = (away + INFORMERS_FIRST).min(INFORMERS_BACK_OFF);
    let what = format!(
        "until its peer's istiod asks again an API server that was away for {} s (client-go waits twice as long each time, \
         at most {} s, and as much by chance)",
        away.as_secs(),
        INFORMERS_BACK_OFF.as_secs()
    );
    Bound::of(step * 2, what)
}

/// Until a container that ended for the second time within minutes is started anew.
pub fn kubelet_starts_again() -> Bound {
    Bound::of(
        KUBELET_SECOND,
        "until the kubelet starts the agent anew that ended (its back-off, the second time)",
    )
}

/// Until a kubelet that starts anew takes the proxies of its node for ready again.
pub fn kubelet_takes_for_ready() -> Bound {
    Bound::of(KUBELET_STARTS, "until the kubelet runs again")
        + Bound::of(
            ASKS_PROXIES,
            "until it has asked each proxy whether it is ready (within the period of its probe)",
        )
}

/// Until an istiod that knows something has told its proxies.
pub fn istiod_tells() -> Bound {
    Bound::of(ISTIOD_GATHERS, "until istiod tells its proxies (it gathers changes for so long at most)")
}

/// Until a proxy that is told to end has ended its last connection.
pub fn proxy_drains() -> Bound {
    Bound::of(
        PROXY_DRAINS,
        "until the proxy before it ends what is still open (Istio's terminationDrainDuration)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, from upstream's source: 2 × (10 + 0.8) s; 2 × 30 s.
    #[test]
    fn an_informer_waits_as_long_again_and_no_longer_than_a_minute() {
        let after = |seconds| informer_asks_again(Duration::from_secs(seconds)).length();
        assert_eq!(after(10), Duration::from_millis(21_600));
        assert_eq!(after(600), Duration::from_secs(60));
    }
}
