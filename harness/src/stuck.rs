//! A set-up that cannot come to its end says so when that is known, and not at a step's limit: while its steps wait, every
//! cluster is looked at for what waiting does not cure ([`crate::kube::stuck`]), and every node for whether it still runs.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::cluster::nodes::{self, State};
use crate::component::{Making, Site};
use crate::kube::stuck::{self, Sign};
use crate::wait::{self, pause_for};
use crate::{Code, Error, patience};

/// Waits for the first cause for which the set-up cannot come to its end; for ever, where there is none.
pub async fn first_cause(making: &Making) -> Error {
    let mut known = Known::default();
    loop {
        pause_for(patience::STUCK_LOOK).await;
        let mut seen = Vec::new();
        for site in making.sites() {
            seen.extend(
                Box::pin(at(making, site))
                    .await
                    .into_iter()
                    .map(|sign| (site.cluster.name.to_string(), sign)),
            );
        }
        if let Some((cluster, sign)) = known.learn(seen) {
            return told(&cluster, &sign);
        }
    }
}

/// What is stuck in a cluster now. One that is not there yet, or does not answer, says nothing.
async fn at(making: &Making, site: &Site) -> Vec<Sign> {
    let (Ok(engine), Ok(client)) = (making.engine(), site.client()) else { return Vec::new() };
    let node = nodes::name(&site.cluster.name);
    if let Ok(State::Ended) = nodes::state(engine, &node).await {
        let last = nodes::log(engine, &node, 5).await.unwrap_or_default();
        return vec![Sign {
            about: format!("node {node}"),
            why: "its container has ended, and the API server with it".to_owned(),
            next: "find out who stopped it; cargo xtask down, and make the world anew",
            is_final: true,
            more: vec![format!("its last words:\n{}", crate::cmd::tail(&last))],
        }];
    }
    wait::within("what may be stuck", patience::ATTEMPT, Box::pin(stuck::signs(client)))
        .await
        .unwrap_or_default()
}

fn told(cluster: &str, sign: &Sign) -> Error {
    let seen = [std::slice::from_ref(&sign.why), &sign.more].concat().join("\n  ");
    let what = format!("in {cluster}, {} will not get better by waiting", sign.about);
    Error::new(Code::SetupFailed, what).seen(seen).next(sign.next)
}

/// Since when each of them is so, without a look in between that did not see it.
#[derive(Default)]
struct Known(BTreeMap<(String, String), Instant>);

impl Known {
    /// The first that is final, or has been so for long enough: of several, the one that was seen first.
    fn learn(&mut self, seen: Vec<(String, Sign)>) -> Option<(String, Sign)> {
        let now = Instant::now();
        let key = |(cluster, sign): &(String, Sign)| (cluster.clone(), sign.about.clone());
        let keys: Vec<_> = seen.iter().map(key).collect();
        self.0.retain(|known, _| keys.contains(known));
        for key in &keys {
            self.0.entry(key.clone()).or_insert(now);
        }
        let is_over = seen.iter().any(|one| {
            one.1.is_final
                || self.0.get(&key(one)).is_some_and(|since| now - *since >= patience::STUCK.stretched())
        });
        is_over.then(|| seen.into_iter().min_by_key(|one| self.0.get(&key(one)).copied())).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(about: &str, is_final: bool) -> (String, Sign) {
        let sign =
            Sign { about: about.into(), why: "so".into(), next: "look", is_final, more: vec!["more".into()] };
        ("c1".into(), sign)
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_is_told_and_what_goes_away_is_not() {
        let mut known = Known::default();
        assert_eq!(known.learn(vec![sign("image", false)]), None);
        pause_for(patience::STUCK.stretched() / 2).await;
        // It was there a moment later.
        assert_eq!(known.learn(vec![]), None);
        assert_eq!(known.learn(vec![sign("image", false)]), None);
        pause_for(patience::STUCK.stretched() / 2).await;
        assert_eq!(known.learn(vec![sign("image", false)]), None);
        pause_for(patience::STUCK.stretched() / 2).await;
        let (cluster, found) = known.learn(vec![sign("image", false)]).unwrap();
        let e = told(&cluster, &found).to_string();
        assert_eq!(e, "in c1, image will not get better by waiting\n  last seen: so\n  more\n  next: look");
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_the_first_is_the_cause() {
        let mut known = Known::default();
        assert_eq!(known.learn(vec![sign("refused", false)]), None);
        pause_for(patience::STUCK_LOOK).await;
        let found = known.learn(vec![sign("crashed", true), sign("refused", false)]).unwrap();
        assert_eq!(found.1.about, "refused");
        assert_eq!(Known::default().learn(vec![sign("crashed", true)]).unwrap().1.about, "crashed");
    }
}
