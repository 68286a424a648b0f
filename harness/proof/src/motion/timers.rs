//! The timers of one cluster's trust, as its SPIRE server and agents were told, and the bounds that follow from them.
//!
//! What is not told is upstream's own (SPIRE 1.15.3; the files are named where each is used).

use std::time::Duration;

use regex::Regex;

use super::Bound;
use crate::error::Context as _;
use crate::identity::{Authority, Bundle};
use crate::{Code, Error, Result};

/// Attempts within the time that a bundle's hint names (`pkg/server/bundle/client/manager.go`).
const ATTEMPTS: u32 = 4;
/// No hint counts for less (`pkg/common/bundleutil/refreshhint.go`).
const LEAST_HINT: Duration = Duration::from_secs(60);
/// Which part of the shortest authority's life counts where a stored bundle has no hint (the same file).
const OF_AN_AUTHORITYS_LIFE: u32 = 10;
/// `pkg/agent/manager/config.go`, `pkg/server/endpoints/endpoints.go`, `pkg/server/endpoints/bundle`.
const SYNC: Duration = Duration::from_secs(5);
const HINT: Duration = Duration::from_secs(300);
/// A server prepares the next authority when half of a life is left, and signs with it when a sixth is, at most so much, and
/// looks whether it is time so often (`pkg/server/ca/manager`, `pkg/server/ca/rotator`).
const PREPARES: Duration = Duration::from_secs(30 * 24 * 3600);
const SIGNS: Duration = Duration::from_secs(7 * 24 * 3600);
const ROTATOR: Duration = Duration::from_secs(10);
/// A server looks for changed relationships so often (`pkg/server/bundle/client/manager.go`).
const RELATIONSHIPS: Duration = Duration::from_secs(10);
/// The agent hands what is new to its workloads so often (`pkg/agent/manager/cache/lru_cache.go`).
const HANDED_ON: Duration = Duration::from_millis(500);
/// An agent whose server is silent waits half as long again each time, at most 48 intervals, with a tenth of jitter
/// (`pkg/agent/manager/manager.go`, `pkg/common/backoff`).
const BACKED_OFF_AT_MOST: u32 = 48;

/// How often what is new is looked for, in one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Which cluster.
    pub cluster: String,
    /// How soon peers are to ask again for its bundle.
    pub refresh_hint: Duration,
    /// How long an authority lives.
    pub authority_life: Duration,
    /// How long an SVID lives whose entry says nothing.
    pub svid_life: Duration,
    /// How often the server looks for changed entries.
    pub server_reload: Duration,
    /// How often an agent asks its server.
    pub agent_sync: Duration,
}

/// How often a SPIRE server polls for a bundle of which it holds this: by its hint, else by its shortest authority's life;
/// nothing where it has none.
pub fn polled_every(held: &Bundle) -> Option<Duration> {
    let life = |one: &Authority| one.certificate.not_after.duration_since(one.certificate.not_before);
    let shortest = || held.authorities.iter().map(life).min().and_then(|life| Duration::try_from(life).ok());
    let hint = match held.refresh_hint.filter(|hint| *hint > 0) {
        Some(seconds) => Duration::from_secs(seconds),
        None => shortest()? / OF_AN_AUTHORITYS_LIFE,
    };
    Some(hint.max(LEAST_HINT) / ATTEMPTS)
}

impl Timers {
    /// Those of a server with that `server.conf` and of agents with that `agent.conf`.
    ///
    /// # Errors
    /// [`Code::Evidence`] for a duration that cannot be read.
    pub fn read(cluster: &str, server: &str, agent: &str) -> Result<Self> {
        Ok(Self {
            cluster: cluster.to_owned(),
            refresh_hint: duration(server, "refresh_hint")?.unwrap_or(HINT),
            authority_life: duration(server, "ca_ttl")?.unwrap_or(Duration::from_secs(24 * 3600)),
            svid_life: duration(server, "default_x509_svid_ttl")?.unwrap_or(Duration::from_secs(3600)),
            server_reload: duration(server, "cache_reload_interval")?.unwrap_or(SYNC),
            agent_sync: duration(agent, "sync_interval")?.unwrap_or(SYNC),
        })
    }

    /// Until a peer that has fetched this cluster's bundle before asks for it again.
    pub fn fetched_by(&self, peer: &Self) -> Bound {
        let hint = self.refresh_hint.max(LEAST_HINT);
        let what = format!(
            "until {} polls (a quarter of the refresh hint of {}, {} s)",
            peer.cluster,
            self.cluster,
            hint.as_secs()
        );
        Bound::of(hint / ATTEMPTS, what)
    }

    /// The same, where the peer was only given the bundle, without a hint, and its first fetch failed: it counts by the
    /// life of the authorities. Nothing in any object's status says so.
    pub fn fetched_after_a_failed_first_fetch(&self, peer: &Self) -> Bound {
        let hint = (self.authority_life / OF_AN_AUTHORITYS_LIFE).max(LEAST_HINT);
        let life = self.authority_life.as_secs();
        let what = format!(
            "until {} polls (no hint is stored: a quarter of a tenth of the authority's life of {life} s)",
            peer.cluster
        );
        Bound::of(hint / ATTEMPTS, what)
    }

    /// Until what this cluster's server holds is in its proxies.
    pub fn in_proxies(&self) -> Bound {
        let what = format!("until the agent of {} asks its server", self.cluster);
        Bound::of(self.agent_sync.mul_f64(1.1), what) + self.handed_on()
    }

    /// What its server leaves between preparing an authority and signing with it, by itself and at least.
    pub fn between_preparing_and_signing(&self) -> Bound {
        let [prepares, signs] =
            [(self.authority_life / 2).min(PREPARES), (self.authority_life / 6).min(SIGNS)];
        let what = format!(
            "between an authority's half life and five sixths of its life of {} s, less the {} s between two looks",
            self.authority_life.as_secs(),
            ROTATOR.as_secs()
        );
        Bound::of(prepares.saturating_sub(signs).saturating_sub(ROTATOR), what)
    }

    /// Until this cluster's server goes by a relationship that was changed.
    pub fn relationship_noticed(&self) -> Bound {
        Bound::of(RELATIONSHIPS, format!("until the server of {} reads its relationships anew", self.cluster))
    }

    /// How long an SVID of that life lives on at least, whenever its server falls silent: it is renewed before less is left.
    pub fn left_at_least(&self, life: Duration) -> Duration {
        life.saturating_sub(self.renewed(life).length())
    }

    /// Until an SVID of that life is over that nobody renews.
    pub fn over(life: Duration) -> Bound {
        Bound::of(
            life,
            format!("until an SVID that nobody renews is over (its life of {} s)", life.as_secs()),
        )
    }

    /// Until a changed entry is in the proxies.
    pub fn entry_noticed(&self) -> Bound {
        Bound::of(self.server_reload, format!("until the server of {} reads its entries anew", self.cluster))
            + self.in_proxies()
    }

    /// Until an SVID that lives so long is renewed: when half of its life is left, give or take a tenth of that
    /// (`pkg/common/rotationutil`). It is dated ten seconds back (`pkg/server/credtemplate`), which only makes it sooner.
    pub fn renewed(&self, life: Duration) -> Bound {
        let what =
            format!("until an SVID of {} s is renewed (half of its life, and a tenth)", life.as_secs());
        Bound::of(life.mul_f64(0.55), what) + self.in_proxies()
    }

    /// Until an agent asks again whose server was silent for so long.
    pub fn after_silence(&self, silence: Duration) -> Bound {
        let grown = (self.agent_sync + silence / 2).min(self.agent_sync * BACKED_OFF_AT_MOST);
        let what = format!(
            "until the agent of {}, whose server was silent for {} s, tries again (half of that, at most {} of its \
             intervals, and a tenth)",
            self.cluster,
            silence.as_secs(),
            BACKED_OFF_AT_MOST
        );
        Bound::of(grown.mul_f64(1.1), what) + self.handed_on()
    }

    fn handed_on(&self) -> Bound {
        Bound::of(HANDED_ON, "until it hands that on")
    }
}

/// A setting of SPIRE's, `name = "1m30s"`; nothing where it is not set, or set to nothing.
fn duration(conf: &str, name: &str) -> Result<Option<Duration>> {
    let pattern = format!(r#"(?m)^[^#\n]*?\b{name}\s*=\s*"([^"]*)""#);
    let setting = Regex::new(&pattern).or_fail(Code::Internal, || format!("no pattern for {name}"))?;
    let Some(value) = setting.captures(conf).map(|found| found[1].to_owned()) else { return Ok(None) };
    if value.is_empty() {
        return Ok(None);
    }
    let unreadable = || Error::new(Code::Evidence, format!("`{name} = \"{value}\"` is no duration"));
    let read: jiff::SignedDuration = value.parse().map_err(|e| unreadable().because(e))?;
    Duration::try_from(read).map(Some).map_err(|e| unreadable().because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = r#"
        server {
          # ca_ttl = "1h"
          ca_ttl = "24h"
          federation { bundle_endpoint { port = 8443 profile "https_spiffe" {} refresh_hint = "60s" } }
          experimental { cache_reload_interval = "1s" }
        }"#;
    const AGENT: &str = r#"agent { experimental { sync_interval = "1500ms" } }"#;

    fn timers() -> Timers {
        Timers::read("cluster1", SERVER, AGENT).unwrap()
    }

    #[test]
    fn what_is_told_counts_and_what_is_not_is_upstreams() {
        let seconds = Duration::from_secs;
        let told = timers();
        assert_eq!((told.refresh_hint, told.authority_life), (seconds(60), seconds(86_400)));
        assert_eq!((told.server_reload, told.agent_sync), (seconds(1), Duration::from_millis(1_500)));
        assert_eq!(told.svid_life, seconds(3_600), "not told");
        let untold = Timers::read("cluster2", "server {}", "agent {}").unwrap();
        assert_eq!((untold.refresh_hint, untold.agent_sync, untold.server_reload), (HINT, SYNC, SYNC));
        let e = Timers::read("c", r#"refresh_hint = "soon""#, "").unwrap_err();
        assert_eq!((e.code(), e.what()), (Code::Evidence, "`refresh_hint = \"soon\"` is no duration"));
    }

    /// By hand, from upstream's source: 60 s ÷ 4; 300 s ÷ 4; 24 h ÷ 10 ÷ 4.
    #[test]
    fn a_peer_polls_by_the_hint_or_by_the_authoritys_life() {
        let (near, far) = (timers(), Timers::read("cluster2", "", "").unwrap());
        assert_eq!(near.fetched_by(&far).length(), Duration::from_secs(15));
        assert_eq!(far.fetched_by(&near).length(), Duration::from_secs(75));
        let short = Timers { refresh_hint: Duration::from_secs(10), ..near.clone() };
        assert_eq!(short.fetched_by(&far).length(), Duration::from_secs(15), "no hint counts for less");
        let failed = near.fetched_after_a_failed_first_fetch(&far);
        assert_eq!(failed.length(), Duration::from_secs(36 * 60));
        assert!(
            failed.to_string().starts_with("2160.0 s = 2160.0 s until cluster2 polls (no hint"),
            "{failed}"
        );
    }

    /// By hand: 60 s, less 33 s until it is renewed, less 1.65 s and 0.5 s until its agent knows and hands on.
    #[test]
    fn an_svid_outlives_its_server_by_what_is_left_when_it_would_be_renewed() {
        let life = Duration::from_secs(60);
        assert_eq!(timers().left_at_least(life), Duration::from_millis(24_850));
        assert_eq!(timers().left_at_least(Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(Timers::over(life).length(), life);
    }

    /// By hand: 24 h ÷ 2 − 24 h ÷ 6 − 10 s; 4 min: 120 s − 40 s − 10 s; a year: 30 days − 7 days − 10 s.
    #[test]
    fn an_authority_is_prepared_a_third_of_its_life_before_it_signs() {
        let left = |seconds| {
            let life = Duration::from_secs(seconds);
            Timers { authority_life: life, ..timers() }.between_preparing_and_signing().length().as_secs()
        };
        assert_eq!([left(86_400), left(240), left(365 * 86_400)], [28_790, 70, 23 * 86_400 - 10]);
        assert_eq!(left(20), 0, "less than a look apart");
    }

    #[test]
    fn what_is_held_says_how_often_it_is_polled_for() {
        let mut held = crate::identity::forge::Ca::named("a").bundle("a.example");
        for (hint, seconds) in [(Some(300), 75), (Some(5), 15)] {
            held.refresh_hint = hint;
            assert_eq!(polled_every(&held), Some(Duration::from_secs(seconds)));
        }
        (held.refresh_hint, held.authorities) = (None, Vec::new());
        assert_eq!(polled_every(&held), None);
    }

    #[test]
    fn an_agent_that_backs_off_has_an_end() {
        let agent = Timers { agent_sync: Duration::from_secs(1), ..timers() };
        let after = |seconds| agent.after_silence(Duration::from_secs(seconds)).length().as_millis();
        // 1 s, and half of the silence, and a tenth; 500 ms more.
        assert_eq!(after(20), 12_600);
        assert_eq!(after(2_000), 48 * 1_100 + 500);
    }
}
