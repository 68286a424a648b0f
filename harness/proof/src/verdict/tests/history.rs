//! Tampering with the past: what is over when the present is judged.

use jiff::ToSpan as _;

use super::super::fixture::*;
use super::super::{Outcome, judge_one};
use super::{only, red, unjudged};
use crate::envoy::secrets::Content;
use crate::envoy::{Held, Trust};
use crate::evidence::{Evidence, HeldAt};
use crate::identity::Pem;
use crate::identity::forge::chain;

fn held(look: &mut HeldAt) -> &mut Held {
    look.held.as_mut().unwrap()
}

const OF_ISTIOD: &str = "never-of-istiod/cluster2";
const BELIEVES: &str = "never-ceased-to-believe/cluster2";

/// helloworld of cluster2 first held something else, and what it holds now from a second later on.
fn before(evidence: &mut Evidence, spoil: impl FnOnce(&mut HeldAt)) {
    let history = evidence.clusters[1].history.as_mut().unwrap();
    let mut first = history[1].clone();
    spoil(&mut first);
    history[1].longest_ms = Some(1000);
    history.insert(0, first);
}

/// Tampering: it started without SPIRE's socket, and was restarted since.
#[test]
fn a_fallback_that_is_over() {
    let seen = red(|w, e| {
        let istiods = chain(&[&w.istiod[1].svid(&id(1, 1)), &w.istiod[1].pem]);
        before(e, |look| {
            look.workload.pod = "helloworld-before".into();
            held(look).secrets[1].content = Content::Certificate(istiods);
        });
    });
    let told = only(seen, &[OF_ISTIOD]);
    assert!(
        told.starts_with("at 2026-11-21T00:30:00Z, in istio-test/helloworld-before: istiod's CA signed"),
        "{told}"
    );
}

/// Tampering: it believed istiod's root, which istiod sends as one pool for any name.
#[test]
fn a_root_that_is_over() {
    let seen = red(|w, e| {
        let roots = Content::Trust(Trust::AnyName(Pem::of(&w.istiod[1].pem)));
        before(e, |look| held(look).secrets[0].content = roots);
    });
    assert!(only(seen, &[OF_ISTIOD]).contains("it believes istiod's root"));
}

/// Tampering: between two states in order there was one without the other trust domain.
#[test]
fn a_gap_in_what_is_believed() {
    let seen = red(|_, e| {
        before(e, |look| {
            let Content::Trust(Trust::PerTrustDomain(domains)) = &mut held(look).secrets[0].content else {
                panic!("{look:?}")
            };
            domains.truncate(1);
        });
        let history = e.clusters[1].history.as_mut().unwrap();
        let in_order = history[2].clone();
        history.insert(0, in_order);
    });
    let told = only(seen, &[BELIEVES]);
    assert!(told.ends_with("helloworld-7d4b-x: ROOTCA was without cluster2.local"), "{told}");
}

/// The second trust domain comes when its bundle has come.
#[test]
fn to_begin_with_one_trust_domain_is_no_gap() {
    let mut world = Fixture::good();
    before(&mut world.evidence, |look| held(look).secrets.clear());
    let verdict = judge_one(&world.evidence, &BELIEVES.parse().unwrap());
    assert!(verdict.held(), "{verdict:?}");
    assert_eq!(
        verdict.observed,
        "in 4 states of 3 proxies since 2026-11-21T00:30:00Z, and at most 1000 ms passed between two looks"
    );
}

#[test]
fn whoever_was_not_watched_is_judged_neither_way() {
    let mut world = Fixture::good();
    let history = world.evidence.clusters[1].history.as_mut().unwrap();
    history.retain(|look| look.workload.service_account != "curl");
    for claim in [OF_ISTIOD, BELIEVES] {
        let verdict = judge_one(&world.evidence, &claim.parse().unwrap());
        assert_eq!(verdict.verdict, Outcome::Unjudged);
        assert!(verdict.observed.contains("what the proxy of curl-7d4b-x in cluster2 held over time"));
    }
}

/// Tampering: whoever watched died half a minute before the end.
#[test]
fn whoever_was_not_watched_to_the_end_is_judged_neither_way() {
    let missing = unjudged(|_, e| e.clusters[1].history.as_mut().unwrap()[0].at -= 30.seconds());
    assert_eq!(missing.len(), 2);
    assert!(
        missing[0].ends_with("last looked at: 2026-11-21T00:29:30Z; judged at 2026-11-21T00:30:00Z"),
        "{missing:?}"
    );
}
