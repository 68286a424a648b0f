//! What the mesh was told: a mesh that does as it is told is not broken, and what it was told is named.

use super::super::fixture::*;
use super::{only, red, unjudged};
use crate::envoy::Endpoint;
use crate::evidence::{Evidence, TlsSetting};
use crate::identity::Declared;
use crate::identity::declared::ISTIO;

const ONE: &str = "one-connection/cluster1→cluster2";
const FAR: &str = "remote-answers/cluster1→cluster2";

/// A mesh under a FIPS policy is told TLS 1.2, and speaks it.
#[test]
fn the_version_that_the_mesh_was_told_is_right() {
    let told = |e: &mut Evidence| e.clusters[1].proxies[1].latest_tls = Some("TLSv1_2".into());
    assert!(only(red(|_, e| told(e)), &[ONE]).contains("TLS seen by the client: TLSv1.3"));
    let all = |e: &mut Evidence| {
        told(e);
        for handshake in &mut e.handshakes {
            handshake.by_client.as_mut().unwrap().upstream_tls_version = Some("TLSv1.2".into());
            handshake.by_server.as_mut().unwrap().downstream_tls_version = Some("TLSv1.2".into());
        }
    };
    let seen = red(|_, e| {
        all(e);
        e.handshakes.retain(|handshake| handshake.way == way(0));
    });
    assert_eq!(seen, []);
}

/// Who a workload must be is what was declared: whoever has another name is somebody else, in every claim about it.
#[test]
fn identities_are_judged_as_declared() {
    let declare = |id: &str| {
        let declared = Declared([("istio-test/curl".to_owned(), id.to_owned())].into());
        red(move |_, e| e.identities = declared)
    };
    assert_eq!(declare(ISTIO), []);
    let seen = declare("spiffe://{trust_domain}/team/shop/{service_account}");
    let told = only(
        seen,
        &[
            "entries-federate/cluster1",
            "entries-federate/cluster2",
            "proxy-svid/cluster1/istio-test/curl",
            "proxy-svid/cluster2/istio-test/curl",
            "client-svid/cluster1→cluster2",
            "one-connection/cluster1→cluster2",
            "client-svid/cluster2→cluster1",
            "one-connection/cluster2→cluster1",
        ],
    );
    assert!(told.contains("spiffe://cluster1.local/team/shop/curl has no entry"), "{told}");
}

/// A rule that takes TLS off is named beside what it does.
#[test]
fn a_setting_that_takes_tls_off_is_named() {
    let setting = |object: &str, host: Option<&str>, mode: &str| TlsSetting {
        object: object.into(),
        host: host.map(str::to_owned),
        mode: mode.into(),
    };
    let seen = red(|_, e| {
        let rule = setting(
            "DestinationRule istio-test/plain",
            Some("helloworld-v2.istio-test.svc.cluster.local"),
            "DISABLE",
        );
        e.clusters[0].tls_settings = Some(vec![rule]);
        e.clusters[1].tls_settings = Some(vec![]);
        e.handshakes[0].reply.status = 503;
    });
    let observed = only(seen, &[FAR]);
    let named = "; in cluster1 DestinationRule istio-test/plain sets mutual TLS to DISABLE for helloworld-v2.istio-test.svc.cluster.local";
    assert!(observed.ends_with(named), "{observed}");
    let held = red(|_, e| {
        e.clusters[0].tls_settings =
            Some(vec![setting("PeerAuthentication istio-test/lax", None, "PERMISSIVE")]);
    });
    assert_eq!(held, [], "a setting alone breaks nothing");
}

/// A cluster's own claim is explained by its own settings; that every cluster answers it, by everybody's.
#[test]
fn a_setting_explains_where_it_can_be_the_cause() {
    let rule = |name: &str| TlsSetting { object: name.into(), host: None, mode: "DISABLE".into() };
    let mut evidence = crate::verdict::fixture::Fixture::good().evidence;
    evidence.clusters[0].tls_settings = Some(vec![rule("PeerAuthentication a/one")]);
    evidence.clusters[1].tls_settings = Some(vec![rule("PeerAuthentication b/two")]);
    let explained = |claim: &str| {
        let why = crate::verdict::settings::tls_settings(&evidence, &claim.parse().unwrap());
        let why = why.unwrap_or_default();
        (why.contains("a/one"), why.contains("b/two"))
    };
    assert_eq!(explained("plain-text-refused/cluster1"), (true, false));
    assert_eq!(explained("plain-text-refused/cluster2"), (false, true));
    assert_eq!(explained("every-cluster-answers/cluster1"), (true, true));
    assert_eq!(explained("remote-answers/cluster1→cluster2"), (true, true));
    assert_eq!(explained("peer-bundle-held/cluster1→cluster2"), (false, false), "bundles know no settings");
}

/// Where the mesh was told to stay at home, silence from afar is neither good nor bad, and is called what it is.
#[test]
fn locality_is_not_two_meshes() {
    let endpoints = |priority| {
        let one = |address: &str, priority| Endpoint { address: address.to_owned(), priority };
        Some(vec![one("10.10.0.7:5000", 0), one(&gateway(1), priority)])
    };
    let near = |e: &mut Evidence| e.replies[0].replies.retain(|reply| reply.version() == Some("v1"));
    let missing = unjudged(|_, e| {
        near(e);
        e.replies[0].endpoints = endpoints(1);
    });
    assert_eq!(missing.len(), 1);
    assert!(
        missing[0].contains("2 × v1; its endpoints are known, with a lower priority (locality"),
        "{missing:?}"
    );
    let equal = red(|_, e| {
        near(e);
        e.replies[0].endpoints = endpoints(0);
    });
    only(equal, &["every-cluster-answers/cluster1"]);
}
