//! The findings over what a real Envoy recorded and held: one request from a client through an SNI-routing
//! proxy to a server, certificates made with OpenSSL.

use jiff::Timestamp;

use super::super::handshake::Records;
use super::super::{passed, same_connection, trusts, verified};
use crate::envoy::{Held, Record, Trust};
use crate::identity::{Authority, Bundle, SpiffeId};

fn at() -> Timestamp {
    "2026-11-21T02:26:36Z".parse().unwrap()
}

fn held() -> Held {
    Held::read(include_str!("../../envoy/testdata/config_dump.json")).unwrap()
}

/// The bundles, from what the proxy held.
fn bundles() -> [Bundle; 2] {
    let held = held();
    let Some(Trust::PerTrustDomain(domains)) = held.trust("ROOTCA") else { panic!() };
    let bundle = |i: usize| Bundle {
        trust_domain: domains[i].trust_domain.parse().unwrap(),
        sequence: None,
        refresh_hint: None,
        authorities: Authority::all_in(&domains[i].bundle).unwrap(),
    };
    [bundle(0), bundle(1)]
}

fn ids() -> [SpiffeId; 2] {
    ["spiffe://cluster1.local/ns/istio-test/sa/curl", "spiffe://cluster2.local/ns/istio-test/sa/helloworld"]
        .map(|id| id.parse().unwrap())
}

#[test]
fn one_real_handshake_is_vouched_for_at_both_ends() {
    let log = Record::all_in(include_str!("../../envoy/testdata/access_log.jsonl")).unwrap();
    let met = Records { by_client: &log[0], by_server: &log[1] };
    let ([home, away], [curl, hello]) = (bundles(), ids());
    let (server, client) =
        (met.by_client.upstream_peer_cert.as_ref(), met.by_server.downstream_peer_cert.as_ref());
    assert!(verified(server, &[], &away, &hello, at()).unwrap().held);
    assert!(verified(client, &[], &home, &curl, at()).unwrap().held);
    assert!(!verified(server, &[], &home, &hello, at()).unwrap().held, "not by the other's bundle");
    assert!(!verified(client, &[], &home, &hello, at()).unwrap().held, "not as somebody else");
    assert!(
        !verified(server, &[], &away, &hello, "2026-11-23T00:00:00Z".parse().unwrap()).unwrap().held,
        "not for ever"
    );
    let sni = "outbound_.5000_._.helloworld.istio-test.svc.cluster.local";
    assert!(same_connection(&met, (&curl, &hello), sni, "TLSv1.3").held);
    assert!(passed(met.by_client, "127.0.0.1:15443").held);
}

#[test]
fn a_real_proxy_holds_what_it_should() {
    let ([home, away], [curl, _]) = (bundles(), ids());
    assert!(verified(held().certificate("default"), &[], &home, &curl, at()).unwrap().held);
    assert!(trusts(held().trust("ROOTCA"), &[&home, &away]).held);
    assert!(!trusts(held().trust("ROOTCA"), &[&home]).held, "one more than the mesh has");
}
