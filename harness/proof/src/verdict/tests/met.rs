//! Tampering with handshakes, paths, the federation's set-up and the controls.

use super::super::fixture::*;
use super::{forget_the_past, only, red, unjudged};
use crate::envoy::secrets::Content;
use crate::envoy::{Counters, Record};
use crate::evidence::{Evidence, Refusal};
use crate::identity::Pem;
use crate::identity::forge::{Ca, damaged};

const SERVER: &str = "server-svid/cluster1→cluster2";
const CLIENT: &str = "client-svid/cluster1→cluster2";
const ONE: &str = "one-connection/cluster1→cluster2";
const GATEWAY: &str = "through-remote-gateway/cluster1→cluster2";
const COUNTED: &str = "gateway-counted/cluster1→cluster2";
const FAR: &str = "remote-answers/cluster1→cluster2";
const NOT_ISTIOD: &str = "nothing-of-istiod-used/cluster1→cluster2";

/// The client's record of the second of two handshakes: a flaw in one must not hide behind the other.
fn by_client(evidence: &mut Evidence) -> &mut Record {
    evidence.handshakes[1].by_client.as_mut().unwrap()
}

fn by_server(evidence: &mut Evidence) -> &mut Record {
    evidence.handshakes[1].by_server.as_mut().unwrap()
}

/// Tampering: the server showed what an impostor, the client's own SPIRE, or istiod had made.
#[test]
fn a_server_without_an_svid_of_its_own() {
    let impostor = Ca::named("cluster2.local");
    let seen = red(|_, e| by_client(e).upstream_peer_cert = Some(Pem::of(&impostor.svid(&id(1, 1)))));
    assert!(
        only(seen, &[SERVER, ONE, NOT_ISTIOD])
            .starts_with("in 1 of 2 handshakes: no authority of the bundle")
    );
    let leaked = red(|w, e| by_client(e).upstream_peer_cert = Some(Pem::of(&w.spire[0].svid(&id(1, 1)))));
    only(leaked, &[SERVER, ONE]);
    let istiod = red(|w, e| by_client(e).upstream_peer_cert = Some(Pem::of(&w.istiod[1].svid(&id(1, 1)))));
    only(istiod, &[SERVER, ONE, NOT_ISTIOD]);
    let near = red(|w, e| by_client(e).upstream_peer_cert = Some(Pem::of(&w.istiod[0].svid(&id(1, 1)))));
    only(near, &[SERVER, ONE, NOT_ISTIOD]);
}

/// Tampering: the same at the client's end.
#[test]
fn a_client_without_an_svid_of_its_own() {
    let seen = red(|w, e| by_server(e).downstream_peer_cert = Some(Pem::of(&w.istiod[0].svid(&id(0, 0)))));
    only(seen.clone(), &[CLIENT, ONE, NOT_ISTIOD]);
    assert!(seen[2].1.contains("the client's certificate: istiod's CA signed it"), "{seen:?}");
    only(
        red(|w, e| by_server(e).downstream_peer_cert = Some(Pem::of(&w.spire[1].svid(&id(0, 0))))),
        &[CLIENT, ONE],
    );
    let damaged =
        red(|w, e| by_server(e).downstream_peer_cert = Some(Pem::of(&damaged(&w.spire[0].svid(&id(0, 0))))));
    only(damaged, &[CLIENT, ONE, NOT_ISTIOD]);
}

/// Tampering: a valid SVID of somebody else in the same trust domain.
#[test]
fn another_workload_of_the_right_trust_domain() {
    let seen = red(|w, e| by_client(e).upstream_peer_cert = Some(Pem::of(&w.spire[1].svid(&id(1, 0)))));
    assert!(only(seen, &[SERVER, ONE]).contains("it is spiffe://cluster2.local/ns/istio-test/sa/curl, not "));
}

/// Tampering: the record says that no certificate was shown: plain text.
#[test]
fn no_certificate_at_all() {
    let seen = red(|_, e| by_client(e).upstream_peer_cert = None);
    assert!(only(seen, &[SERVER, ONE, NOT_ISTIOD]).contains("there is no certificate"));
}

/// Tampering: TLS 1.2 on either side, another SNI, none, a side that called itself otherwise.
#[test]
fn another_connection() {
    let seen = red(|_, e| by_client(e).upstream_tls_version = Some("TLSv1.2".into()));
    assert_eq!(only(seen, &[ONE]), "in 1 of 2 handshakes: TLS seen by the client: TLSv1.2");
    only(red(|_, e| by_server(e).downstream_tls_version = Some("TLSv1.2".into())), &[ONE]);
    only(red(|_, e| by_server(e).downstream_tls_version = None), &[ONE]);
    let near = "outbound_.5000_._.helloworld-v1.istio-test.svc.cluster.local";
    assert!(only(red(|_, e| by_server(e).requested_server_name = Some(near.into())), &[ONE]).ends_with(near));
    only(red(|_, e| by_server(e).requested_server_name = None), &[ONE]);
    only(red(|_, e| by_client(e).upstream_local_uri_san = Some(id(0, 1))), &[ONE]);
    only(red(|_, e| by_server(e).downstream_local_uri_san = Some(id(1, 0))), &[ONE]);
}

/// Tampering: a leaf of the right name and authority that the peer's proxy never held; two requests over one connection.
#[test]
fn a_record_of_another_connection() {
    let twin = red(|w, e| by_client(e).upstream_peer_cert = Some(Pem::of(&w.spire[1].svid(&id(1, 1)))));
    let observed = only(twin, &[ONE]);
    assert!(
        observed.starts_with("in 1 of 2 handshakes: leaf ") && observed.ends_with(" is held"),
        "{observed}"
    );
    let pooled = red(|_, e| by_client(e).upstream_connection_id = Some(10));
    assert_eq!(only(pooled, &[ONE]), "connection 10 at the client curl-7d4b-x carried two of them");
    let reused = red(|_, e| by_server(e).connection_id = Some(20));
    assert_eq!(only(reused, &[ONE]), "connection 20 at the server helloworld-7d4b-x carried two of them");
    assert_eq!(unjudged(|_, e| by_server(e).connection_id = None).len(), 1);
}

/// While a leaf rotates, the one before and the one after are both the proxy's.
#[test]
fn a_leaf_that_rotated_meanwhile_is_still_its_own() {
    let seen = red(|w, e| {
        let new = Pem::of(&w.spire[1].svid(&id(1, 1)));
        let mut after = e.clusters[1].proxies[1].clone();
        after.held.as_mut().unwrap().secrets[1].content = Content::Certificate(new.clone());
        e.clusters[1].proxies.push(after);
        by_client(e).upstream_peer_cert = Some(new);
    });
    assert_eq!(seen, []);
}

/// A certificate that was good when it was used stays proven after it expired, and one that was not stays red.
#[test]
fn a_certificate_is_judged_at_the_moment_of_its_use() {
    let moved = |to: &str| {
        let (to, later) = (Some(to.to_owned()), "2026-11-25T00:00:00Z");
        red(move |_, e| {
            e.collected_at = later.parse().unwrap();
            forget_the_past(e);
            e.clusters
                .iter_mut()
                .for_each(|seen| seen.proxies.iter_mut().for_each(|p| p.workload.pod += "-gone"));
            e.handshakes.truncate(2);
            for handshake in &mut e.handshakes {
                (handshake.client.pod, handshake.server.pod) = ("x".into(), "y".into());
                handshake.by_client.as_mut().unwrap().start_time = to.clone();
                handshake.by_server.as_mut().unwrap().start_time = to.clone();
            }
            e.version = 1;
        })
    };
    let ids = |seen: Vec<(String, String)>| seen.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let in_time = ids(moved("2026-11-21T00:10:00.000Z"));
    assert!(!in_time.iter().any(|id| id == SERVER || id == CLIENT), "{in_time:?}");
    let late = ids(moved("2026-11-21T02:10:00.000Z"));
    assert!(late.iter().any(|id| id == SERVER) && late.iter().any(|id| id == CLIENT), "{late:?}");
}

/// Tampering: the request went straight to the pod, or to the client's own gateway, or to another port.
#[test]
fn around_the_gateway() {
    let seen = red(|_, e| by_client(e).upstream_host = Some("10.20.0.7:5000".into()));
    assert_eq!(only(seen, &[GATEWAY]), "in 1 of 2 handshakes: sent to 10.20.0.7:5000, a pod of cluster2");
    only(red(|_, e| by_client(e).upstream_host = Some(gateway(0))), &[GATEWAY]);
    only(red(|_, e| by_client(e).upstream_host = Some("172.18.0.3:15444".into())), &[GATEWAY]);
    only(red(|_, e| by_client(e).upstream_host = None), &[GATEWAY]);
}

/// Tampering: the gateway's counters stood still; or it has none that could move, which proves nothing.
#[test]
fn a_gateway_that_counted_nothing() {
    let seen = red(|_, e| e.crossings[0].before = e.crossings[0].after.clone());
    assert_eq!(only(seen, &[COUNTED]), "no counter moved");
    let other = |e: &mut Evidence| {
        let name = format!("{}::10.20.0.7:5000::cx_connect_fail", service(1).sni());
        e.crossings[0].after = Counters::from_iter([(name, 9)]);
    };
    let missing = unjudged(|_, e| other(e));
    assert_eq!(missing.len(), 1);
    assert!(
        missing[0].contains("no evidence of a counter of outbound_.5000_._.helloworld-v2"),
        "{missing:?}"
    );
}

/// Tampering: the near version answered a request for the far one; an error; another pod.
#[test]
fn somebody_else_answered() {
    let near = red(|_, e| e.handshakes[0].reply = hello(0, "far-0-0"));
    assert_eq!(only(near, &[FAR]), "in 1 of 2 handshakes: v1 from helloworld-7d4b-x");
    only(red(|_, e| e.handshakes[0].reply.status = 503), &[FAR]);
    let other = |e: &mut Evidence| {
        forget_the_past(e);
        e.clusters[1].proxies[1].workload.pod = "helloworld-other".into();
        e.handshakes[0].server.pod = "helloworld-other".into();
        e.handshakes.remove(1);
    };
    only(red(|_, e| other(e)), &[FAR]);
}

/// Tampering: all answers come from one cluster; the status is good every time.
#[test]
fn two_meshes() {
    let seen = red(|_, e| e.replies[0].replies.retain(|reply| reply.version() == Some("v1")));
    assert_eq!(only(seen, &["every-cluster-answers/cluster1"]), "2 × v1");
}

/// Tampering: an entry federates with nobody, with another, or is missing.
#[test]
fn entries_that_do_not_federate() {
    const CLAIM: &str = "entries-federate/cluster1";
    let entries = |e: &mut Evidence| e.clusters[0].entries.take().unwrap();
    let seen = red(|_, e| {
        let mut all = entries(e);
        all[1].federates_with.clear();
        e.clusters[0].entries = Some(all);
    });
    let observed = only(seen, &[CLAIM]);
    assert!(observed.ends_with("/sa/helloworld federates with nobody"), "{observed}");
    only(
        red(|_, e| {
            let mut all = entries(e);
            all[1].federates_with = vec!["cluster3.local".parse().unwrap()];
            e.clusters[0].entries = Some(all);
        }),
        &[CLAIM],
    );
    let seen = red(|_, e| e.clusters[0].entries = Some(entries(e).split_off(1)));
    let [(pods, _), (federate, observed)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((pods.as_str(), federate.as_str()), ("one-entry-for-each-pod/cluster1", CLAIM));
    assert!(observed.contains("/sa/curl has no entry"), "{observed}");
}

/// Tampering: an entry is missing, is there twice, or selects by something that nobody looked at.
#[test]
fn a_pod_without_an_entry_of_its_own() {
    const CLAIM: &str = "one-entry-for-each-pod/cluster1";
    let entries = |e: &mut Evidence| e.clusters[0].entries.take().unwrap();
    let changed = |change: fn(&mut Vec<crate::identity::Entry>)| {
        red(|_, e| {
            let mut all = entries(e);
            change(&mut all);
            e.clusters[0].entries = Some(all);
        })
    };
    let none = changed(|all| all[0].selectors = vec!["k8s:pod-uid:another".into()]);
    assert_eq!(only(none, &[CLAIM]), "in 1 of 3 pods: curl-7d4b-x: 0 of 3 entries match");
    let twice = changed(|all| {
        let again = crate::identity::Entry { id: "by-hand".into(), ..all[0].clone() };
        all.push(again);
        all[3].selectors = vec!["k8s:ns:istio-test".into(), "k8s:sa:curl".into()];
    });
    assert!(only(twice, &[CLAIM]).ends_with("curl-7d4b-x: 2 of 4 entries match: cluster1.0, by-hand"));
    let of_a_node = changed(|all| {
        let alias = crate::identity::Entry {
            id: "alias".into(),
            selectors: vec!["k8s_psat:cluster:x".into()],
            ..all[0].clone()
        };
        all.push(alias);
    });
    assert_eq!(of_a_node, []);
    let by_label = unjudged(|_, e| {
        let mut all = entries(e);
        all[0].selectors = vec!["k8s:ns:istio-test".into(), "k8s:pod-label:app:curl".into()];
        e.clusters[0].entries = Some(all);
    });
    assert_eq!(by_label.len(), 1);
    assert!(by_label[0].contains("whether entry cluster1.0 selects curl-7d4b-x in cluster1"), "{by_label:?}");
    assert_eq!(unjudged(|_, e| e.clusters[0].proxies[0].workload.uid = None).len(), 1);
}

/// Tampering: the relationship names an identity that the peer's endpoint does not have.
#[test]
fn a_peer_whose_bundle_cannot_be_fetched() {
    let seen = red(|_, e| {
        let fetch = &mut e.clusters[0].fetches.as_mut().unwrap()[0];
        (fetch.status, fetch.said) = (1, "unexpected ID \"spiffe://cluster2.local/spire/server\"".into());
    });
    let observed = only(seen, &["peer-bundle-fetched/cluster1→cluster2"]);
    assert_eq!(observed, "status 1: unexpected ID \"spiffe://cluster2.local/spire/server\"");
    assert_eq!(unjudged(|_, e| e.clusters[0].fetches = Some(vec![])).len(), 1);
}

/// Tampering: istiod has not read the other cluster, or does not know of it.
#[test]
fn an_istiod_that_sees_its_own_cluster_only() {
    const CLAIM: &str = "istiod-reads-peer/cluster1→cluster2";
    let remotes = |e: &mut Evidence| e.clusters[0].remote_clusters.take().unwrap();
    let seen = red(|_, e| {
        let mut all = remotes(e);
        all[1].sync_status = "timeout".into();
        e.clusters[0].remote_clusters = Some(all);
    });
    assert_eq!(only(seen, &[CLAIM]), "cluster2 is timeout");
    let seen = red(|_, e| e.clusters[0].remote_clusters = Some(remotes(e)[..1].to_vec()));
    assert_eq!(only(seen, &[CLAIM]), "istiod watches cluster1");
}

/// Tampering: the control was answered after all, or refused for a reason that proves nothing.
#[test]
fn a_refusal_for_another_reason_is_no_refusal() {
    const CLAIM: &str = "refused-without-peer-bundle/cluster1→cluster2";
    let answered = red(|_, e| e.refusals[0].reply = hello(1, "refused"));
    assert!(only(answered, &[CLAIM]).starts_with("answered with status 200: Hello version: v2"));
    let told = |flags: &str, details: &str| {
        let (flags, details) = (Some(flags.to_owned()), Some(details.to_owned()));
        only(
            red(|_, e| {
                e.refusals[0].by_client = Some(Record {
                    request_id: Some("refused".into()),
                    response_code: 503,
                    response_flags: flags,
                    response_code_details: details,
                    ..Record::default()
                })
            }),
            &[CLAIM],
        )
    };
    let failed = "upstream_reset_before_response_started";
    let down = told(
        "UF",
        &format!("{failed}{{remote_connection_failure|delayed_connect_error:_Connection_refused}}"),
    );
    assert!(down.ends_with("recorded: connection refused: nobody listens there"), "{down}");
    assert!(told("UF", &format!("{failed}{{connection_timeout}}")).contains("cannot be reached"));
    assert!(told("NR", "route_not_found").ends_with("no route"));
    assert!(told("UH", "no_healthy_upstream").ends_with("no healthy upstream"));
    assert!(told("UC", &format!("{failed}{{connection_termination}}")).contains("reset without a reason"));
    let name = "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_match:TLS_error_end";
    assert!(told("UF", name).ends_with("the peer has another name"));
}

/// The server's word counts where the client cannot know: with TLS 1.3 it only sees the connection end.
#[test]
fn the_server_may_be_the_witness() {
    let seen = red(|_, e| {
        let refusal = &mut e.refusals[0];
        let reason = refusal.by_client.take().unwrap().upstream_transport_failure_reason;
        let (flags, id) = (Some("UC".to_owned()), Some("refused".to_owned()));
        refusal.by_client =
            Some(Record { request_id: id, response_flags: flags, response_code: 503, ..Record::default() });
        refusal.by_server = Some(Record { downstream_transport_failure_reason: reason, ..Record::default() });
    });
    assert_eq!(seen, []);
}

/// Tampering: the plain-text client was let in; or something else dropped it.
#[test]
fn plain_text_let_in() {
    const CLAIM: &str = "plain-text-refused/cluster1";
    only(red(|_, e| e.refusals[2].reply = hello(0, "plain")), &[CLAIM]);
    let reset = |r: &mut Refusal| {
        let record = r.by_server.as_mut().unwrap();
        (record.response_flags, record.response_code_details) = (Some("UC".into()), None);
    };
    only(red(|_, e| reset(&mut e.refusals[2])), &[CLAIM]);
}
