//! Tampering with what servers publish and proxies hold.

use rcgen::{BasicConstraints, IsCa, date_time_ymd};

use super::super::fixture::*;
use super::super::judge_one;
use super::{only, red};
use crate::envoy::secrets::{Content, DomainTrust};
use crate::envoy::{Held, Trust};
use crate::evidence::Evidence;
use crate::identity::Pem;
use crate::identity::forge::{Ca, chain, published, uri};

const SVID: &str = "proxy-svid/cluster2/istio-test/helloworld";
const ROOTS: &str = "proxy-validation-context/cluster2/istio-test/helloworld";
const NOT_ISTIOD: &str = "proxy-nothing-of-istiod/cluster2/istio-test/helloworld";

/// Gives helloworld of cluster2 another certificate.
fn shows(evidence: &mut Evidence, pem: Pem) {
    hello(evidence).secrets[1].content = Content::Certificate(pem);
}

/// Gives helloworld of cluster2 other roots.
fn believes(evidence: &mut Evidence, trust: Trust) {
    hello(evidence).secrets[0].content = Content::Trust(trust);
}

/// What it then shows others is another file's subject.
fn hello(evidence: &mut Evidence) -> &mut Held {
    (evidence.handshakes, evidence.crossings) = (vec![], vec![]);
    evidence.clusters[1].proxies[1].held.as_mut().unwrap()
}

fn trust(of: &[(usize, &str)]) -> Trust {
    let one = |(i, pem): &(usize, &str)| DomainTrust { trust_domain: domain(*i), bundle: Pem::of(pem) };
    Trust::PerTrustDomain(of.iter().map(one).collect())
}

/// Tampering: another authority of the very same name made the certificate.
#[test]
fn the_wrong_authority() {
    let impostor = Ca::named("cluster2.local");
    let seen = red(|_, e| shows(e, Pem::of(&impostor.svid(&id(1, 1)))));
    assert!(only(seen, &[SVID, NOT_ISTIOD]).contains("no authority of the bundle signed it"));
}

/// Tampering: the other trust domain's authority made it, for the right name.
#[test]
fn the_neighbours_authority() {
    let seen = red(|w, e| shows(e, Pem::of(&w.spire[0].svid(&id(1, 1)))));
    only(seen, &[SVID]);
}

/// Tampering: istiod made it, with the right SPIFFE ID, and sent its root along.
#[test]
fn istiods_certificate() {
    let seen = red(|w, e| shows(e, chain(&[&w.istiod[1].svid(&id(1, 1)), &w.istiod[1].pem])));
    only(seen.clone(), &[SVID, NOT_ISTIOD]);
    assert!(seen[1].1.contains("istiod's CA signed it with key "), "{seen:?}");
}

/// Tampering: istiod's roots instead of SPIRE's, as after the silent fallback.
#[test]
fn istiods_roots() {
    let seen = red(|w, e| believes(e, Trust::AnyName(Pem::of(&w.istiod[1].pem))));
    assert!(only(seen.clone(), &[ROOTS, NOT_ISTIOD]).contains("one pool of roots for any name"));
    assert!(seen[1].1.contains("it believes istiod's root"), "{seen:?}");
}

/// Tampering: SPIRE's keys, but in one pool for any name.
#[test]
fn one_pool_of_roots() {
    only(red(|w, e| believes(e, Trust::AnyName(chain(&[&w.spire[0].pem, &w.spire[1].pem])))), &[ROOTS]);
}

/// Tampering: the trust domain missing, one too many, a stale key, the two keys changed for one another, a
/// domain twice, an empty bundle, nothing at all.
#[test]
fn every_other_way_to_believe_wrongly() {
    let seen = red(|w, e| believes(e, trust(&[(1, &w.spire[1].pem)])));
    assert_eq!(only(seen, &[ROOTS]), "cluster1.local is not there exactly once; there is cluster2.local");
    let three = |w: &Fixture| trust(&[(0, &w.spire[0].pem), (1, &w.spire[1].pem), (2, &Ca::named("x").pem)]);
    assert_eq!(only(red(|w, e| believes(e, three(w))), &[ROOTS]), "it also believes cluster3.local");
    let stale = |w: &Fixture| trust(&[(0, &Ca::named("cluster1.local").pem), (1, &w.spire[1].pem)]);
    only(red(|w, e| believes(e, stale(w))), &[ROOTS]);
    let more =
        |w: &Fixture| trust(&[(0, &(w.spire[0].pem.clone() + &Ca::named("old").pem)), (1, &w.spire[1].pem)]);
    only(red(|w, e| believes(e, more(w))), &[ROOTS]);
    only(red(|w, e| believes(e, trust(&[(0, &w.spire[1].pem), (1, &w.spire[0].pem)]))), &[ROOTS]);
    let twice = |w: &Fixture| {
        trust(&[(0, &w.spire[0].pem), (1, &w.spire[1].pem), (0, &Ca::named("cluster1.local").pem)])
    };
    only(red(|w, e| believes(e, twice(w))), &[ROOTS]);
    only(red(|w, e| believes(e, trust(&[(0, &w.spire[0].pem), (1, "")]))), &[ROOTS]);
    only(red(|_, e| believes(e, trust(&[]))), &[ROOTS]);
}

/// Tampering: the secrets are not there: warming, or never sent.
#[test]
fn nothing_held() {
    let seen = red(|_, e| *hello(e) = Held::default());
    assert_eq!(only(seen, &[SVID, ROOTS]), "there is no certificate");
}

/// Tampering: the right secret under another name.
#[test]
fn the_name_of_the_secret_counts() {
    only(red(|_, e| hello(e).secrets[1].name = "other".into()), &[SVID]);
}

/// Tampering: expired, not yet valid, no URI, two URIs, other service account, other trust domain, CA leaf.
#[test]
fn every_flaw_of_a_leaf_is_named() {
    let told = |change: fn(&mut rcgen::CertificateParams)| {
        only(red(|w, e| shows(e, Pem::of(&w.spire[1].svid_with(&id(1, 1), change)))), &[SVID])
    };
    let expired = told(|p| {
        p.not_before = date_time_ymd(2026, 11, 19);
        p.not_after = date_time_ymd(2026, 11, 20);
    });
    assert!(expired.contains("expired at 2026-11-20T00:00:00Z"), "{expired}");
    let early = told(|p| {
        p.not_before = date_time_ymd(2026, 11, 22);
        p.not_after = date_time_ymd(2026, 11, 23);
    });
    assert!(early.contains("is not valid before 2026-11-22T00:00:00Z"), "{early}");
    assert!(told(|p| p.subject_alt_names.clear()).contains("no URI SAN"));
    assert!(told(|p| p.subject_alt_names.push(uri("spiffe://cluster2.local/x"))).contains("2 URI SANs"));
    let other = told(|p| p.subject_alt_names = vec![uri("spiffe://cluster2.local/ns/istio-test/sa/default")]);
    assert!(other.contains("it is spiffe://cluster2.local/ns/istio-test/sa/default, not "), "{other}");
    let foreign =
        told(|p| p.subject_alt_names = vec![uri("spiffe://cluster1.local/ns/istio-test/sa/helloworld")]);
    assert!(foreign.contains("is not of trust domain cluster2.local"), "{foreign}");
    assert!(told(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)).contains("is a CA certificate"));
}

/// A chain through an intermediate is as good as its links; tampering: the link is another's.
#[test]
fn an_intermediate_is_followed() {
    let through = |root: &Ca| {
        let middle = root.intermediate("middle", |_| {});
        chain(&[&middle.svid(&id(1, 1)), &middle.pem])
    };
    assert!(red(|w, e| shows(e, through(&w.spire[1]))).is_empty());
    only(red(|_, e| shows(e, through(&Ca::named("cluster2.local")))), &[SVID, NOT_ISTIOD]);
}

/// While an authority rotates, its old and new key both vouch, once everybody has the new bundle.
#[test]
fn a_rotation_in_progress_holds() {
    let seen = red(|w, e| {
        let new = Ca::named("cluster2.local");
        let json = published(&[&w.spire[1], &new]);
        let both = crate::identity::Bundle::read(domain(1).parse().unwrap(), &json).unwrap();
        e.clusters[1].bundle = Some(both.clone());
        e.clusters[0].peer_bundles = Some(vec![both]);
        let pems = w.spire[1].pem.clone() + &new.pem;
        for proxy in e.clusters.iter_mut().flat_map(|seen| &mut seen.proxies) {
            proxy.held.as_mut().unwrap().secrets[0].content =
                Content::Trust(trust(&[(0, &w.spire[0].pem), (1, &pems)]));
        }
        shows(e, Pem::of(&new.svid(&id(1, 1))));
    });
    assert_eq!(seen, []);
}

/// What is expected names each trust domain with its keys: a ticket must say which.
#[test]
fn keys_are_named_in_what_is_expected() {
    let world = Fixture::good();
    let key = |i: usize| world.evidence.clusters[i].bundle.as_ref().unwrap().authorities[0].key_id();
    let expected = |id: &str| judge_one(&world.evidence, &id.parse().unwrap()).expected;
    let both = format!("cluster1.local: key {}; cluster2.local: key {}", key(0), key(1));
    assert_eq!(expected("proxy-validation-context/cluster1/istio-test/curl"), both);
    let one = format!("exactly the keys that cluster2 publishes: cluster2.local: key {}", key(1));
    assert_eq!(expected("peer-bundle-held/cluster1→cluster2"), one);
}

/// Tampering: both servers have the same authority.
#[test]
fn a_shared_key() {
    let seen = red(|w, e| {
        e.clusters[1].bundle = Some(w.spire[0].bundle(&domain(1)));
        e.clusters[0].peer_bundles = e.clusters[1].bundle.clone().map(|b| vec![b]);
    });
    assert!(seen[0].0 == "bundles-share-no-key/cluster1↔cluster2", "{seen:?}");
    assert!(seen[0].1.contains("1 shared: key "), "{seen:?}");
}

/// Tampering: the server holds an old key for its peer, one key too many, or nothing.
#[test]
fn a_stale_bundle_of_the_peer() {
    const CLAIM: &str = "peer-bundle-held/cluster1→cluster2";
    let old = Ca::named("cluster2.local");
    only(red(|_, e| e.clusters[0].peer_bundles = Some(vec![old.bundle(&domain(1))])), &[CLAIM]);
    let both = |w: &Fixture| {
        crate::identity::Bundle::read(domain(1).parse().unwrap(), &published(&[&w.spire[1], &old]))
    };
    only(red(|w, e| e.clusters[0].peer_bundles = Some(vec![both(w).unwrap()])), &[CLAIM]);
    let seen = red(|_, e| e.clusters[0].peer_bundles = Some(vec![]));
    assert_eq!(only(seen, &[CLAIM]), "cluster1 holds no bundle for cluster2.local");
}
