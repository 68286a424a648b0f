//! SPIRE or istiod below a root of the company: the bundle has the root, the log the leaf, the proxies the rest.

use super::super::Outcome;
use super::super::fixture::*;
use super::{only, red, tampered, unjudged};
use crate::envoy::secrets::Content;
use crate::envoy::{Trust, secrets::DomainTrust};
use crate::evidence::Evidence;
use crate::identity::Pem;
use crate::identity::forge::{Ca, chain};

const SERVER: &str = "server-svid/cluster1→cluster2";
const ONE: &str = "one-connection/cluster1→cluster2";
const MET: &str = "nothing-of-istiod-used/cluster1→cluster2";

/// Both SPIREs sign with intermediates of these two roots; leaves are logged alone.
fn below(roots: [&Ca; 2], e: &mut Evidence) -> [Ca; 2] {
    let spire = [0, 1].map(|i| roots[i].intermediate(&format!("spire{}", i + 1), |_| {}));
    for i in [0, 1] {
        e.clusters[i].bundle = Some(roots[i].bundle(&domain(i)));
        e.clusters[1 - i].peer_bundles = Some(vec![roots[i].bundle(&domain(i))]);
        for w in 0..3 {
            let shown = chain(&[&spire[i].svid(&id(i, w)), &spire[i].pem]);
            let held = e.clusters[i].proxies[w].held.as_mut().unwrap();
            held.secrets[1].content = Content::Certificate(shown);
            let trust =
                [0, 1].map(|n| DomainTrust { trust_domain: domain(n), bundle: Pem::of(&roots[n].pem) });
            held.secrets[0].content = Content::Trust(Trust::PerTrustDomain(trust.into()));
        }
        as_from_the_start(&mut e.clusters[i]);
    }
    for handshake in &mut e.handshakes {
        let from = usize::from(handshake.way == way(1));
        let leaf = |i: usize, w: usize| {
            let held = e.clusters[i].proxies[w].held.as_ref().unwrap();
            Some(held.certificate("default").unwrap().chain().unwrap().leaf.pem())
        };
        handshake.by_client.as_mut().unwrap().upstream_peer_cert = leaf(1 - from, 1);
        handshake.by_server.as_mut().unwrap().downstream_peer_cert = leaf(from, 0);
    }
    spire
}

/// What the server of the second handshake showed.
fn server_shows(e: &mut Evidence, pem: &str) {
    e.handshakes[1].by_client.as_mut().unwrap().upstream_peer_cert = Some(Pem::of(pem));
}

#[test]
fn a_logged_leaf_is_joined_with_what_the_proxies_hold() {
    let roots = [Ca::named("Acme"), Ca::named("Acme")];
    let verdicts = tampered(|_, e| _ = below([&roots[0], &roots[1]], e));
    assert!(verdicts.iter().all(|v| v.held()), "{verdicts:#?}");
    let told = verdicts.iter().find(|v| v.id.to_string() == SERVER).unwrap();
    let key = Pem::of(&roots[1].pem).chain().unwrap().leaf.key_name();
    assert!(told.observed.contains("signed by `C=US, O=RH, CN=spire2` (key "), "{told:?}");
    assert!(told.observed.ends_with(&format!("), below key {key} of the trust bundle")), "{told:?}");
    assert_eq!(told.issuer_key.as_deref(), Some(&*key));
    let direct = tampered(|_, _| {}).into_iter().find(|v| v.id == told.id).unwrap();
    assert!(!direct.observed.contains("of the trust bundle"), "{direct:?}");
}

/// Tampering: the intermediate that a proxy holds is of another root; nobody holds any.
#[test]
fn an_intermediate_that_is_only_held_vouches_for_nobody() {
    let (roots, other) = ([Ca::named("Acme"), Ca::named("Acme")], Ca::named("Acme"));
    let seen = red(|_, e| {
        below([&roots[0], &roots[1]], e);
        let (middle, held) = (other.intermediate("spire2", |_| {}), e.clusters[0].proxies[2].held.as_mut());
        held.unwrap().secrets.push(secret("extra", chain(&[&roots[0].pem, &middle.pem])));
        server_shows(e, &middle.svid(&id(1, 1)));
    });
    let claims: Vec<_> = seen.iter().map(|(claim, _)| claim.as_str()).collect();
    assert!(claims.contains(&SERVER) && claims.contains(&MET), "{seen:#?}");
    let alone = |e: &mut Evidence| {
        below([&roots[0], &roots[1]], e);
        e.clusters.iter_mut().flat_map(|c| &mut c.proxies).for_each(|proxy| proxy.held = None);
    };
    // What the proxies held is missing for the connection, and the links of the chain for everything else.
    let verdicts = tampered(|_, e| alone(e));
    let red = |outcome| verdicts.iter().filter(|v| v.verdict == outcome).count();
    assert_eq!(
        (red(Outcome::Broken), red(Outcome::Unjudged)),
        (6, 2),
        "four ends and two ways: {verdicts:#?}"
    );
}

/// Tampering: the proxy itself holds its leaf without the intermediate, though others have it.
#[test]
fn what_a_proxy_holds_must_be_whole() {
    let roots = [Ca::named("Acme"), Ca::named("Acme")];
    let seen = red(|_, e| {
        let spire = below([&roots[0], &roots[1]], e);
        e.clusters[1].proxies[1].held.as_mut().unwrap().secrets[1].content =
            Content::Certificate(Pem::of(&spire[1].svid(&id(1, 1))));
    });
    only(seen, &["proxy-svid/cluster2/istio-test/helloworld", ONE]);
}

/// One root above SPIRE and istiod: the intermediate tells whose a leaf is.
#[test]
fn one_root_for_spire_and_istiod() {
    let roots = [Ca::named("Acme"), Ca::named("Acme")];
    let plugged_in = |e: &mut Evidence| {
        [0, 1].map(|i| {
            let ca = roots[i].intermediate("istiod", |_| {});
            e.clusters[i].istiod_root = Some(Pem::of(&roots[i].pem));
            // The way `cert-chain.pem` has it: what is above comes along, and says nothing.
            e.clusters[i].istiod_intermediate = Some(chain(&[&ca.pem, &roots[i].pem]));
            ca
        })
    };
    let seen = red(|_, e| {
        below([&roots[0], &roots[1]], e);
        plugged_in(e);
    });
    assert_eq!(seen, []);
    let seen = red(|_, e| {
        below([&roots[0], &roots[1]], e);
        let istiod = plugged_in(e);
        server_shows(e, &istiod[1].svid(&id(1, 1)));
    });
    let claims: Vec<_> = seen.iter().map(|(claim, _)| claim.as_str()).collect();
    assert_eq!(claims, [SERVER, ONE, MET], "istiod's intermediate is not among those that proxies hold");
    assert!(seen[2].1.contains("istiod's CA signed it with key "), "{seen:#?}");
    // Tampering: the fallback with all that belongs to it, root included.
    let seen = red(|_, e| {
        below([&roots[0], &roots[1]], e);
        let istiod = plugged_in(e);
        let held = e.clusters[1].proxies[1].held.as_mut().unwrap();
        held.secrets[1].content = Content::Certificate(chain(&[&istiod[1].svid(&id(1, 1)), &istiod[1].pem]));
    });
    let observed = only(seen, &["proxy-nothing-of-istiod/cluster2/istio-test/helloworld", ONE]);
    assert!(observed.contains("istiod's CA signed it with key "), "{observed}");
    // Which of the two signs with what is not known: neither green nor red.
    let missing = unjudged(|_, e| {
        below([&roots[0], &roots[1]], e);
        plugged_in(e);
        e.clusters[1].istiod_intermediate = None;
    });
    assert_eq!(missing.len(), 3 + 1 + 2, "three proxies, their past, two ways: {missing:#?}");
    assert!(missing[0].contains("no evidence of istiod's intermediate (its root, key "), "{missing:#?}");
}

/// Tampering: istiod has the very key that SPIRE signs with, as its root or as its intermediate.
#[test]
fn one_key_for_spire_and_istiod() {
    let as_root = red(|w, e| e.clusters[1].istiod_root = Some(Pem::of(&w.spire[1].pem)));
    let as_intermediate = red(|w, e| e.clusters[1].istiod_intermediate = Some(Pem::of(&w.spire[1].pem)));
    for seen in [as_root, as_intermediate] {
        assert_eq!(seen.len(), 3 + 1 + 2, "three proxies, their past, two ways: {seen:#?}");
        assert!(
            seen.iter().all(|(_, observed)| observed.contains("istiod's CA signed it with key ")),
            "{seen:#?}"
        );
    }
    // With an intermediate of its own, istiod does not sign with the root that it shares.
    let apart = red(|w, e| {
        e.clusters[1].istiod_root = Some(Pem::of(&w.spire[1].pem));
        e.clusters[1].istiod_intermediate = Some(Pem::of(&w.spire[1].intermediate("istiod", |_| {}).pem));
    });
    assert_eq!(apart, []);
}

/// A leaf that nobody here can check is neither good nor bad, wherever it turns up.
#[test]
fn what_cannot_be_checked_breaks_no_claim() {
    let odd = include_str!("../../identity/testdata/odd/p521.pem");
    let [leaf, root] = Pem::of(odd).certificates().unwrap().try_into().unwrap();
    let verdicts = tampered(|w, e| {
        let mut bundle = w.spire[0].bundle(&domain(0));
        bundle.authorities.push(crate::identity::Authority { certificate: root });
        e.clusters[0].bundle = Some(bundle);
        e.handshakes[0].by_server.as_mut().unwrap().downstream_peer_cert = Some(leaf.pem());
    });
    let missing: Vec<_> = verdicts.iter().filter(|v| v.verdict == Outcome::Unjudged).collect();
    let ids: Vec<_> = missing.iter().map(|v| v.id.to_string()).collect();
    assert_eq!(ids, ["client-svid/cluster1→cluster2", MET]);
    for verdict in missing {
        let words = "`CN=leaf` is signed with ecdsa-with-SHA512 on P-521, which this program cannot check";
        assert_eq!(verdict.observed, words);
    }
}

/// A weak signature is refused in both claims about it, and called what it is.
#[test]
fn what_is_weak_breaks_the_claim() {
    let odd = include_str!("../../identity/testdata/odd/ecdsa-sha1.pem");
    let [leaf, root] = Pem::of(odd).certificates().unwrap().try_into().unwrap();
    let seen = red(|w, e| {
        let mut bundle = w.spire[0].bundle(&domain(0));
        bundle.authorities.push(crate::identity::Authority { certificate: root });
        e.clusters[0].bundle = Some(bundle);
        e.handshakes[0].by_server.as_mut().unwrap().downstream_peer_cert = Some(leaf.pem());
    });
    let seen: Vec<_> = seen.into_iter().filter(|(claim, _)| claim.ends_with("/cluster1→cluster2")).collect();
    let weak = seen.iter().filter(|(_, observed)| observed.contains("ecdsa-with-SHA1, a broken hash"));
    assert_eq!(weak.count(), 2, "{seen:#?}");
}

fn secret(name: &str, pem: Pem) -> crate::envoy::secrets::Secret {
    crate::envoy::secrets::Secret {
        name: name.into(),
        last_updated: None,
        content: Content::Certificate(pem),
    }
}
