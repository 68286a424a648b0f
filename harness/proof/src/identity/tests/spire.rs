//! The same questions, of what real SPIRE servers said: 1.15.3, two that hold each other's bundle (one with an
//! EC key, one with an RSA key that was rotated), and one below an upstream authority.

use jiff::Timestamp;

use super::super::*;

macro_rules! said {
    ($name:literal) => {
        include_str!(concat!("../testdata/spire/", $name))
    };
}

fn at() -> Timestamp {
    "2026-11-21T02:36:30Z".parse().unwrap()
}

fn bundle(domain: &str, json: &str) -> Bundle {
    Bundle::read(domain.parse().unwrap(), json).unwrap()
}

fn signer(bundle: &Bundle, pem: &str) -> Result<String, Flaw> {
    bundle.authority_of(&Pem::of(pem).chain()?, at()).map(Authority::key_id)
}

#[test]
fn real_servers_vouch_for_their_own_and_nobody_else() {
    let (ec, rsa) = (bundle("cluster1.local", said!("ec.json")), bundle("cluster2.local", said!("rsa.json")));
    assert!(ec.disjoint(&rsa));
    signer(&ec, said!("ec.pem")).unwrap();
    // The name that `spire-server localauthority x509 show` gave this authority.
    assert_eq!(signer(&rsa, said!("rsa.pem")).unwrap(), "be33543a3c94995c3b3a38148084c6332bac4385");
    assert!(matches!(signer(&ec, said!("rsa.pem")), Err(Flaw::OtherTrustDomain { .. })));
    let renamed = bundle("cluster2.local", said!("ec.json"));
    assert!(matches!(signer(&renamed, said!("rsa.pem")), Err(Flaw::UnknownIssuer { same_name: false, .. })));
}

#[test]
fn the_peer_holds_what_was_published() {
    let (own, held) = (said!("rsa.json"), said!("rsa-held-by-peer.json"));
    let (own, held) = (bundle("cluster2.local", own), bundle("cluster2.local", held));
    assert!(own.same_keys(&held.authorities));
    assert_eq!((own.sequence, held.sequence), (Some(1), Some(1)));
}

#[test]
fn a_real_rotation_has_two_keys_for_a_while() {
    let both = bundle("cluster2.local", said!("rotating.json"));
    assert_eq!((both.authorities.len(), both.sequence), (2, Some(2)));
    assert_eq!(signer(&both, said!("rsa.pem")).unwrap(), "be33543a3c94995c3b3a38148084c6332bac4385");
    assert_eq!(signer(&both, said!("rotated.pem")).unwrap(), "51eddfb08ce4bef90db5b34b7baaa8e9e1532996");
    let old = bundle("cluster2.local", said!("rsa.json"));
    assert!(signer(&old, said!("rotated.pem")).is_err(), "whoever still has the old bundle refuses");
    assert!(!both.same_keys(&old.authorities));
}

/// With an upstream authority the bundle has the upstream's root, and the leaf comes with an intermediate.
#[test]
fn a_real_intermediate_is_followed() {
    let root = bundle("cluster3.local", said!("upstream.json"));
    let chain = Pem::of(said!("upstream.pem")).chain().unwrap();
    assert_eq!(chain.intermediates.len(), 1);
    assert_eq!(signer(&root, said!("upstream.pem")).unwrap(), root.authorities[0].key_id());
    let alone = Chain { intermediates: vec![], ..chain };
    assert!(matches!(root.authority_of(&alone, at()), Err(Flaw::UnknownIssuer { .. })));
}

#[test]
fn a_real_entry_is_read() {
    let [entry] = entries_of(said!("entries.json")).unwrap().try_into().unwrap();
    assert_eq!(entry.spiffe_id.to_string(), "spiffe://cluster1.local/ns/istio-test/sa/curl");
    assert_eq!(entry.federates_with[0].as_str(), "cluster2.local");
    assert_eq!(entry.selectors, ["k8s:pod-uid:77"]);
}
