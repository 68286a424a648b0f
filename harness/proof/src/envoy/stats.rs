//! What passed through a proxy: its own counters, before and after.
//!
//! Two admin endpoints tell: `/stats` (text or `?format=json`), from which Istio's bootstrap leaves most
//! cluster counters out unless `proxyStatsMatcher` asks for them, and `/clusters`, which always has each
//! endpoint's own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Context;
use crate::{Code, Error, Result};

/// Counters and gauges by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Counters(BTreeMap<String, u64>);

/// The counters that rise exactly when something passes through a cluster, by their last part. Bytes count
/// too: a pooled connection carries new requests without being a new connection.
const PASSING: [&str; 3] = ["upstream_cx_total", "upstream_cx_rx_bytes_total", "cx_total"];

impl Counters {
    /// Reads `/stats`, as text or JSON. Histograms and texts are left out.
    ///
    /// # Errors
    /// [`Code::Evidence`] when nothing in it is a counter.
    pub fn of_stats(answer: &str) -> Result<Self> {
        let counters = if answer.trim_start().starts_with('{') {
            let json: Value = serde_json::from_str(answer).or_fail(Code::Evidence, unreadable)?;
            let stats = json["stats"].as_array().into_iter().flatten();
            stats.filter_map(|s| Some((s["name"].as_str()?.to_owned(), s["value"].as_u64()?))).collect()
        } else {
            let lines = answer.lines().filter_map(|line| line.rsplit_once(": "));
            lines.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))).collect()
        };
        Self::some(counters)
    }

    /// Reads `/clusters`, as text. A counter is called `<cluster>::<endpoint>::<name>`.
    ///
    /// # Errors
    /// [`Code::Evidence`] when nothing in it is a counter.
    pub fn of_clusters(answer: &str) -> Result<Self> {
        let lines = answer.lines().filter_map(|line| line.rsplit_once("::"));
        Self::some(lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    fn some(counters: BTreeMap<String, u64>) -> Result<Self> {
        if counters.is_empty() { Err(Error::new(Code::Evidence, unreadable())) } else { Ok(Self(counters)) }
    }

    /// Those of several proxies that stand for one, added up.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (name, value) in other.0 {
            *self.0.entry(name).or_default() += value;
        }
        self
    }

    /// Those about `cluster`, and of them only those that say that something passed.
    #[must_use]
    pub fn passing(&self, cluster: &str) -> Self {
        // Istio ends a cluster's statistics name with a semicolon since 1.24 or so.
        let stats = [format!("cluster.{cluster}."), format!("cluster.{cluster};.")];
        let endpoints = format!("{cluster}::");
        let about =
            |name: &str| name.starts_with(&endpoints) || stats.iter().any(|prefix| name.starts_with(prefix));
        let passing = |name: &str| PASSING.iter().any(|last| name.rsplit(['.', ':']).next() == Some(last));
        let kept = self.0.iter().filter(|(name, _)| about(name) && passing(name));
        Self(kept.map(|(name, value)| (name.clone(), *value)).collect())
    }

    /// By how much each counter has risen; those that have not are left out. One that did not exist before
    /// counts from zero, one that fell belongs to a proxy that was restarted and counts from zero too.
    #[must_use]
    pub fn risen_since(&self, before: &Self) -> Self {
        let rise = |name: &String, now: u64| match before.0.get(name) {
            Some(then) if *then <= now => now - then,
            _ => now,
        };
        let risen = self.0.iter().map(|(name, now)| (name.clone(), rise(name, *now)));
        Self(risen.filter(|(_, by)| *by > 0).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl FromIterator<(String, u64)> for Counters {
    fn from_iter<I: IntoIterator<Item = (String, u64)>>(counters: I) -> Self {
        Self(counters.into_iter().collect())
    }
}

fn unreadable() -> String {
    "the proxy's counters cannot be read".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNI: &str = "outbound_.5000_._.helloworld.istio-test.svc.cluster.local";

    fn risen(before: &Counters, after: &Counters) -> Vec<(String, u64)> {
        after.passing(SNI).risen_since(&before.passing(SNI)).iter().map(|(n, v)| (n.to_owned(), v)).collect()
    }

    #[test]
    fn one_request_moves_the_gateways_own_counters() {
        let before = Counters::of_stats(include_str!("testdata/stats_before.txt")).unwrap();
        let after = Counters::of_stats(include_str!("testdata/stats_after.txt")).unwrap();
        assert_eq!(
            risen(&before, &after),
            [
                (format!("cluster.{SNI};.upstream_cx_rx_bytes_total"), 2719),
                (format!("cluster.{SNI};.upstream_cx_total"), 1)
            ]
        );
        assert_eq!(risen(&after, &after), []);
    }

    #[test]
    fn json_says_the_same() {
        let json = Counters::of_stats(include_str!("testdata/stats.json")).unwrap();
        assert!(json.iter().any(|c| c == (&format!("cluster.{SNI};.upstream_cx_total"), 1)));
        assert!(json.iter().all(|(name, _)| !name.contains("_ms")), "no histograms");
    }

    #[test]
    fn endpoints_count_too() {
        let after = Counters::of_clusters(include_str!("testdata/clusters.txt")).unwrap();
        let endpoint = format!("{SNI}::127.0.0.1:15906::cx_total");
        assert_eq!(risen(&Counters::default(), &after), [(endpoint, 1)]);
        let v6 = Counters::of_clusters(&format!("{SNI}::[fd00::1]:5000::cx_total::3\n")).unwrap();
        assert_eq!(risen(&Counters::default(), &v6), [(format!("{SNI}::[fd00::1]:5000::cx_total"), 3)]);
    }

    /// Tampering: traffic, but of another service, or failures only.
    #[test]
    fn other_counters_do_not_count() {
        let other = Counters::of_stats(&format!(
            "cluster.{SNI}2.upstream_cx_total: 5\ncluster.{SNI};.upstream_cx_connect_fail: 5\n\
             cluster.x.{SNI}.upstream_cx_total: 5\ncluster.{SNI};.default.total_match_count: 9\nserver.uptime: 7\n"
        ));
        assert_eq!(risen(&Counters::default(), &other.unwrap()), []);
    }

    #[test]
    fn what_passed_any_of_several_counts() {
        let at = |n: u64| Counters::from_iter([(format!("cluster.{SNI};.upstream_cx_total"), n)]);
        assert_eq!(risen(&at(9).plus(at(4)), &at(9).plus(at(6)))[0].1, 2);
    }

    #[test]
    fn a_restarted_proxy_counts_from_zero() {
        let at = |n: u64| Counters::from_iter([(format!("cluster.{SNI};.upstream_cx_total"), n)]);
        assert_eq!(risen(&at(9), &at(2))[0].1, 2);
    }

    #[test]
    fn something_else_is_refused() {
        for text in ["", "404 not found", "{}", r#"{"stats": []}"#, "{"] {
            assert_eq!(Counters::of_stats(text).unwrap_err().code(), Code::Evidence, "{text}");
        }
    }
}
