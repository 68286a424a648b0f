//! Tampering with handshakes, paths, the federation's set-up and the controls.

use super::super::world::*;
use super::{only, red, unjudged};
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
fn a_server_without_papers_from_home() {
    let impostor = Ca::named("cluster2.local");
    let seen = red(|_, e| by_client(e).upstream_peer_cert = Some(Pem::of(&impostor.svid(&id(1, 1)))));
    assert!(
        only(seen, &[SERVER, NOT_ISTIOD]).starts_with("in 1 of 2 handshakes: no authority of the bundle")
    );
    let leaked = red(|w, e| by_client(e).upstream_peer_cert = Some(Pem::of(&w.spire[0].svid(&id(1, 1)))));
    only(leaked, &[SERVER]);
    let istiod = red(|w, e| by_client(e).upstream_peer_cert = Some(Pem::of(&w.istiod[1].svid(&id(1, 1)))));
    only(istiod, &[SERVER, NOT_ISTIOD]);
    let near = red(|w, e| by_client(e).upstream_peer_cert = Some(Pem::of(&w.istiod[0].svid(&id(1, 1)))));
    only(near, &[SERVER, NOT_ISTIOD]);
}

/// Tampering: the same at the client's end.
#[test]
fn a_client_without_papers_from_home() {
    let seen = red(|w, e| by_server(e).downstream_peer_cert = Some(Pem::of(&w.istiod[0].svid(&id(0, 0)))));
    only(seen.clone(), &[CLIENT, NOT_ISTIOD]);
    assert!(seen[1].1.contains("the client's certificate: istiod's CA signed it"), "{seen:?}");
    only(
        red(|w, e| by_server(e).downstream_peer_cert = Some(Pem::of(&w.spire[1].svid(&id(0, 0))))),
        &[CLIENT],
    );
    let damaged =
        red(|w, e| by_server(e).downstream_peer_cert = Some(Pem::of(&damaged(&w.spire[0].svid(&id(0, 0))))));
    only(damaged, &[CLIENT, NOT_ISTIOD]);
}

/// Tampering: valid papers of somebody else at home.
#[test]
fn another_workload_of_the_right_trust_domain() {
    let seen = red(|w, e| by_client(e).upstream_peer_cert = Some(Pem::of(&w.spire[1].svid(&id(1, 0)))));
    assert!(only(seen, &[SERVER]).contains("it is spiffe://cluster2.local/ns/istio-test/sa/curl, not "));
}

/// Tampering: the record says that no certificate was shown: plain text.
#[test]
fn no_certificate_at_all() {
    let seen = red(|_, e| by_client(e).upstream_peer_cert = None);
    assert!(only(seen, &[SERVER, NOT_ISTIOD]).contains("there is no certificate"));
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
    only(red(|_, e| e.handshakes[0].server.pod = "helloworld-other".into()), &[FAR]);
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
    assert!(only(seen, &[CLAIM]).contains("/sa/curl has no entry"));
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
