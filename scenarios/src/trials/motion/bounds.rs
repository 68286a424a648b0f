//! How long each change may take: what a scenario announces and is judged by, one function for each. A test holds every
//! disturbance's against a mesh that takes longer than it was told to.

use std::time::Duration;

use proof::motion::{
    Bound, Timers, envoy_asks_again, informer_asks_again, istiod_tells, kubelet_starts_again,
    kubelet_takes_for_ready, proxy_drains,
};

use super::SVID_LIFE;
use crate::authorities::noticed;

/// What the cluster was told that is changed, and its peer.
pub struct Told {
    pub own: Timers,
    pub peer: Timers,
}

/// Until the peer's server has fetched what it publishes.
pub fn held_by_peer(told: &Told) -> Bound {
    told.own.fetched_by(&told.peer) + noticed()
}

/// Until what it publishes is in every proxy: its peer's are the last.
pub fn believed(told: &Told) -> Bound {
    told.own.fetched_by(&told.peer) + told.peer.in_proxies() + noticed()
}

/// Until the peer's bundle is fetched, once a relationship names it rightly.
pub fn related(told: &Told) -> Bound {
    told.own.relationship_noticed() + told.peer.fetched_by(&told.own) + noticed()
}

/// Until every SVID that lives for a minute is a new one.
pub fn renewed(told: &Told) -> Bound {
    told.own.renewed(Duration::from_secs(SVID_LIFE)) + noticed()
}

/// What its server leaves until it signs with an authority that it has prepared.
pub fn signs_by_itself(told: &Told) -> Bound {
    told.own.between_preparing_and_signing()
}

/// Until what its server was told is in its proxies.
pub fn in_proxies(told: &Told) -> Bound {
    told.own.in_proxies() + noticed()
}

/// Until an entry that was changed is in its proxies.
pub fn refused(told: &Told) -> Bound {
    told.own.entry_noticed() + noticed()
}

/// The same, where the proxies had none meanwhile.
pub fn entry_back(told: &Told) -> Bound {
    told.own.entry_noticed() + envoy_asks_again() + noticed()
}

/// Until its agents ask a server again that was silent for so long.
pub fn after_silence(told: &Told, silence: Duration) -> Bound {
    told.own.after_silence(silence) + noticed()
}

/// The same, where it came back as another one: the agents end, and their proxies ask those that start.
pub fn after_loss(told: &Told, silence: Duration) -> Bound {
    told.own.after_silence(silence) + kubelet_starts_again() + envoy_asks_again() + noticed()
}

/// Until an SVID of that life is over that nobody renews.
pub fn over(life: Duration) -> Bound {
    Timers::over(life) + noticed()
}

/// Until every proxy has what a new agent gives it.
pub fn new_agent() -> Bound {
    envoy_asks_again() + noticed()
}

/// Until the peer's proxies know a Service whose API server was away for so long.
pub fn known_again(away: Duration) -> Bound {
    informer_asks_again(away) + istiod_tells() + noticed()
}

/// Until proxies know what istiod knows.
pub fn told_by_istiod() -> Bound {
    istiod_tells() + noticed()
}

/// Until a kubelet that starts anew takes its pods for ready.
pub fn taken_for_ready() -> Bound {
    kubelet_takes_for_ready() + noticed()
}

/// Until a gateway that was replaced has cut what was still open.
pub fn cut_by_gateway() -> Bound {
    proxy_drains() + noticed()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;
    use proof::motion::{Answers, Connection, Flow, Stretch, Took};
    use proof::topology::Way;
    use proof::verdict::motion::{answered, within};

    use super::*;

    type Of = fn(&Told, Duration) -> Bound;

    /// What bounds each disturbance, as its scenario has it. Two have none: nothing may be noticed of them, by anybody.
    const DISTURBANCES: &[(&str, &[Of])] = &[
        ("agent-restarted", &[|_, _| new_agent()]),
        ("api-server-away", &[|_, away| known_again(away)]),
        (
            "authority-rotation",
            &[
                |told, _| held_by_peer(told),
                |told, _| believed(told),
                |told, _| renewed(told),
                |told, _| in_proxies(told),
            ],
        ),
        ("authority-rotation-too-fast", &[|told, _| renewed(told), |told, _| believed(told)]),
        ("csi-driver-restarted", &[|told, _| renewed(told)]),
        ("cut-both-ways", &[|_, _| noticed()]),
        ("cut-one-way", &[|_, _| noticed()]),
        ("endpoint-down", &[|told, _| held_by_peer(told), |told, _| believed(told)]),
        ("endpoint-of-another", &[|told, _| related(told)]),
        ("entry-deleted", &[|told, _| refused(told), |told, _| entry_back(told)]),
        ("gateway-away", &[|_, _| noticed()]),
        ("gateway-moved", &[|_, _| told_by_istiod()]),
        ("given-without-a-hint", &[|told, _| held_by_peer(told)]),
        ("identity-changed", &[|told, _| refused(told), |told, _| entry_back(told)]),
        ("istio-upgraded", &[|_, _| noticed(), |told, _| renewed(told), |_, _| cut_by_gateway()]),
        ("istiod-down", &[|told, _| believed(told)]),
        ("kubelet-restarted", &[|told, _| renewed(told), |_, _| taken_for_ready()]),
        ("lossy", &[]),
        ("server-down", &[|told, away| after_silence(told, away)]),
        ("server-down-for-longer", &[|_, away| over(away), |told, away| after_silence(told, away)]),
        ("server-lost-and-restored", &[|told, away| after_loss(told, away)]),
        ("short-lives", &[|told, _| signs_by_itself(told), |told, _| believed(told)]),
        ("spire-upgraded", &[|_, _| new_agent()]),
        ("token-over", &[|_, _| told_by_istiod()]),
    ];

    #[test]
    fn every_disturbance_says_what_bounds_it() {
        let scenarios: BTreeSet<_> =
            super::super::SCENARIOS.iter().copied().flatten().map(|one| one.name).collect();
        let bounded: BTreeSet<_> = DISTURBANCES.iter().map(|(name, _)| *name).collect();
        assert_eq!(scenarios, bounded, "left: what there is, right: what DISTURBANCES bounds");
        assert_eq!(bounded.len(), DISTURBANCES.len());
    }

    /// A mesh that was told these timers, each so many times the shortest.
    fn told(times: u64) -> Told {
        let server = format!(
            r#"refresh_hint = "{}s" cache_reload_interval = "{times}s" ca_ttl = "{times}h""#,
            times * 60
        );
        let timers = || Timers::read("c", &server, &format!(r#"sync_interval = "{times}s""#)).unwrap();
        Told { own: timers(), peer: timers() }
    }

    /// What is waited for before anybody looks, ten times as long.
    fn tenfold(bound: &Bound) -> Bound {
        let longest = bound.terms.iter().max_by_key(|term| term.ms).unwrap();
        bound.clone() + Bound::of(Duration::from_millis(longest.ms * 9), "once more")
    }

    #[test]
    fn a_mesh_that_takes_longer_than_it_was_told_to_is_red_in_every_disturbance() {
        const AWAY: Duration = Duration::from_secs(2);
        for (name, bounds) in DISTURBANCES {
            for bound in *bounds {
                let right = bound(&told(1), AWAY);
                let wrong = bound(&told(10), AWAY * 10);
                // A renewal, and what upstream's own timers make, are longer than told where those are.
                let wrong = if wrong.length() > right.length() { wrong } else { tenfold(&right) };
                let took = |bound: &Bound| {
                    let took = Took::in_time(bound.length(), "until it was so");
                    within(&right, &serde_json::to_string(&took).unwrap()).unwrap()
                };
                assert!(took(&right).held, "{name}: {right}");
                let late = took(&wrong);
                assert!(!late.held, "{name}: {right}");
                assert!(
                    right.terms.iter().all(|term| late.expected.contains(&term.what)),
                    "{}",
                    late.expected
                );
                assert!(fails(&right, &right) && !fails(&right, &wrong), "{name}: {right}");
            }
        }
    }

    /// Whether it is as announced that requests fail until `last`, where they may until `bound` is over.
    fn fails(bound: &Bound, last: &Bound) -> bool {
        let began = Timestamp::from_second(1_764_171_000).unwrap();
        let window = super::super::window(began, (began, bound), &["503"], "it is away at");
        let to = began.checked_add(last.length()).unwrap();
        let stretch = Stretch { from: began, to, failed: 40, cause: "503 no healthy upstream".into() };
        let flow = Flow {
            way: Way { from: "a".into(), to: "b".into() },
            connection: Connection::New,
            each_second: 40,
            began,
            ended: to,
            requests: 40 * (last.length().as_secs() + 1),
            slowest_ms: 3,
            gap_ms: 100,
            failed: 40,
            stretches: vec![stretch],
        };
        answered(&Answers::AllBut(window), &serde_json::to_string(&flow).unwrap()).unwrap().held
    }
}
