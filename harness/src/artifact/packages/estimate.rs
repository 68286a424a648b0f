//! How long making the rest will take: who starts from nothing on a machine with package registries waits for a quarter of an
//! hour, and is told so after a minute.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What takes longer than a moment, in seconds, two at once on two cores (`cargo xtask images list` tells them of this
/// machine; these are of 2026-11-26). Only their relation counts.
const USUAL: [(&str, f64); 13] = [
    ("kubernetes", 744.0),
    ("istio", 622.0),
    ("spire", 453.0),
    ("spire-controller-manager", 251.0),
    ("coredns", 182.0),
    ("kind", 90.0),
    ("etcd", 88.0),
    ("debian-node", 59.0),
    ("debian-base", 53.0),
    ("workloads", 32.0),
    ("spiffe-csi", 27.0),
    ("envoy", 18.0),
    ("node", 13.0),
];
const OTHER: f64 = 3.0;
/// Before this nothing can be said.
pub(super) const AFTER: Duration = Duration::from_secs(60);

/// When the making of each began in earnest, shared by those who make things side by side.
pub(super) type Began = Mutex<BTreeMap<&'static str, Instant>>;

/// Making that one has begun in earnest.
pub(super) fn begins(began: &Began, name: &'static str) {
    began.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Instant::now());
}

/// For a person: how many of `all` are `made`, and how long the others will take, going by how long these took.
pub(super) fn told(
    began: &Began,
    all: &[&'static str],
    made: impl Fn(&str) -> bool,
    since: Instant,
) -> Option<String> {
    let began = began.lock().unwrap_or_else(PoisonError::into_inner);
    let share = share(all, &made, |name| Some(began.get(name)?.elapsed()))?;
    let made = all.iter().filter(|name| made(name)).count();
    let left = to_go(since.elapsed(), share)?;
    let minutes = left.as_secs().div_ceil(60);
    Some(format!("{made} of {} artifacts are made; about {minutes} minutes to go", all.len()))
}

/// How much of all work is done, from 0 to 1.
fn share(
    all: &[&'static str],
    made: impl Fn(&str) -> bool,
    begun: impl Fn(&str) -> Option<Duration>,
) -> Option<f64> {
    let done = |name: &&'static str| match (made(name), begun(name)) {
        (true, _) => usual(name),
        // It may take longer than usual.
        (false, Some(since)) => since.as_secs_f64().min(0.9 * usual(name)),
        (false, None) => 0.0,
    };
    let whole: f64 = all.iter().map(|name| usual(name)).sum();
    (whole > 0.0).then(|| all.iter().map(done).sum::<f64>() / whole)
}

fn to_go(since: Duration, share: f64) -> Option<Duration> {
    let known = since >= AFTER && share > 0.0;
    known.then(|| since.mul_f64((1.0 - share) / share))
}

fn usual(name: &str) -> f64 {
    USUAL.iter().find(|(known, _)| *known == name).map_or(OTHER, |(_, seconds)| *seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::packages::recipes::ARTIFACTS;

    #[test]
    fn what_is_done_says_how_long_the_rest_takes() {
        let made = |name: &str| name == "spire";
        let all = ["spire", "kubernetes", "etcd"];
        let begun = |name: &str| (name == "kubernetes").then(|| Duration::from_secs(372));
        let share = super::share(&all, made, begun).unwrap();
        assert!((share - (453.0 + 372.0) / (453.0 + 744.0 + 88.0)).abs() < 1e-9, "{share}");
        // Never done before it is.
        let long = |name: &str| (name == "kubernetes").then(|| Duration::from_secs(9999));
        assert!(super::share(&all, made, long).unwrap() < 0.9);
        assert_eq!(to_go(Duration::from_secs(300), 0.25), Some(Duration::from_secs(900)));
        assert_eq!(to_go(Duration::from_secs(30), 0.25), None);
        assert_eq!(super::share(&[], made, begun), None);
    }

    #[test]
    fn what_takes_long_is_something_that_is_made() {
        for (name, _) in USUAL {
            assert!(ARTIFACTS.iter().any(|artifact| artifact.name == name), "{name}");
        }
    }
}
