//! A good world's evidence for tests, made with real signatures; each test then spoils one thing.

use crate::envoy::secrets::{Content, DomainTrust, Secret};
use crate::envoy::{Counters, Held, Record, Trust};
use crate::evidence::*;
use crate::identity::forge::{self, Ca};
use crate::identity::{Entry, Pem, SpiffeId};
use crate::topology::{Cluster, ClusterName, Way};

/// Two clusters, their SPIREs, their istiods, and what was seen of them.
pub struct Fixture {
    /// The authorities of the two trust domains.
    pub spire: [Ca; 2],
    /// The two istiods' own.
    pub istiod: [Ca; 2],
    /// All of it held.
    pub evidence: Evidence,
}

/// `(name, namespace)` of every mesh workload.
pub const WORKLOADS: [(&str, &str); 3] =
    [("curl", "istio-test"), ("helloworld", "istio-test"), ("east-west-istio", "istio-system")];

/// From the first cluster to the second, or back.
pub fn way(from: usize) -> Way {
    Way { from: name(from), to: name(1 - from) }
}

pub fn name(i: usize) -> ClusterName {
    ClusterName(format!("cluster{}", i + 1))
}

pub fn domain(i: usize) -> String {
    format!("cluster{}.local", i + 1)
}

pub fn id(i: usize, workload: usize) -> String {
    let (account, namespace) = WORKLOADS[workload];
    format!("spiffe://{}/ns/{namespace}/sa/{account}", domain(i))
}

pub fn workload(which: usize) -> Workload {
    let (account, namespace) = WORKLOADS[which];
    let pod = format!("{account}-7d4b-x");
    let uid = Some(format!("uid-of-{account}"));
    Workload { namespace: namespace.into(), pod, service_account: account.into(), uid }
}

/// helloworld of one cluster alone.
pub fn service(i: usize) -> Service {
    Service { name: format!("helloworld-v{}", i + 1), namespace: "istio-test".into(), port: 5000 }
}

/// The gateway's address as the other cluster's clients reach it.
pub fn gateway(i: usize) -> String {
    format!("172.18.0.{}:15443", i + 2)
}

pub fn hello(i: usize, request: &str) -> Reply {
    let body = format!("Hello version: v{}, instance: {}\n", i + 1, workload(1).pod);
    Reply { request: request.into(), status: 200, body, exit: 0 }
}

impl Fixture {
    pub fn good() -> Self {
        let spire = [Ca::named("cluster1.local"), Ca::named("cluster2.local")];
        let istiod = [Ca::named("cluster.local"), Ca::named("cluster.local")];
        let clusters = [0, 1].map(|i| Cluster {
            name: name(i),
            trust_domain: domain(i),
            network: format!("network{}", i + 1),
            pods: format!("10.{}0.0.0/16", i + 1).parse().unwrap(),
            services: format!("10.{}1.0.0/16", i + 1).parse().unwrap(),
            version: format!("v{}", i + 1),
        });
        let mut evidence = Evidence::of(&clusters, forge::now());
        for i in [0, 1] {
            let seen = &mut evidence.clusters[i];
            seen.gateway = Some(gateway(i));
            seen.bundle = Some(spire[i].bundle(&domain(i)));
            seen.peer_bundles = Some(vec![spire[1 - i].bundle(&domain(1 - i))]);
            let fetch =
                Fetch { trust_domain: domain(1 - i).parse().unwrap(), status: 0, said: "refreshed".into() };
            seen.fetches = Some(vec![fetch]);
            seen.istiod_root = Some(Pem::of(&istiod[i].pem));
            seen.remote_clusters =
                Some(vec![remote(i, ""), remote(1 - i, "istio-system/istio-remote-secret")]);
            seen.entries = Some((0..3).map(|w| entry(i, w)).collect());
            seen.proxies = (0..3).map(|w| proxy(&spire, i, w)).collect();
            as_from_the_start(seen);
            let service = Service { name: "helloworld".into(), ..service(i) };
            let replies = (0..4).map(|n| hello(n % 2, &format!("spread-{n}"))).collect();
            evidence.replies.push(Replies { from: name(i), service, replies, endpoints: None });
        }
        for from in [0, 1] {
            let met: Vec<_> = (0..2).map(|n| handshake(&evidence.clusters, from, n)).collect();
            evidence.handshakes.extend(met);
            evidence.crossings.push(crossing(from));
        }
        evidence.refusals = vec![
            refused_certificate(Control::PeerBundleTakenAway),
            refused_certificate(Control::FederatesWithAbsent),
            refused_plain_text(),
        ];
        Self { spire, istiod, evidence }
    }
}

fn remote(i: usize, secret: &str) -> RemoteCluster {
    RemoteCluster { id: name(i).0, secret_name: secret.into(), sync_status: "synced".into() }
}

fn entry(i: usize, w: usize) -> Entry {
    Entry {
        id: format!("cluster{}.{w}", i + 1),
        spiffe_id: id(i, w).parse::<SpiffeId>().unwrap(),
        parent_id: format!("spiffe://{}/spire/agent/k8s_psat/x/y", domain(i)).parse().unwrap(),
        selectors: vec![format!("k8s:pod-uid:uid-of-{}", WORKLOADS[w].0)],
        federates_with: vec![domain(1 - i).parse().unwrap()],
    }
}

fn proxy(spire: &[Ca; 2], i: usize, w: usize) -> Proxy {
    let held = Some(held(spire, i, w));
    Proxy { latest_tls: Some("TLSv1_3".into()), ..Proxy::of(workload(w), held) }
}

fn held(spire: &[Ca; 2], i: usize, w: usize) -> Held {
    let svid = Content::Certificate(Pem::of(&spire[i].svid(&id(i, w))));
    let both = [0, 1].map(|n| DomainTrust { trust_domain: domain(n), bundle: Pem::of(&spire[n].pem) });
    let roots = Content::Trust(Trust::PerTrustDomain(both.into()));
    let secret = |name: &str, content| Secret { name: name.into(), last_updated: None, content };
    Held { secrets: vec![secret("ROOTCA", roots), secret("default", svid)] }
}

/// What its proxies hold they held from their start.
pub fn as_from_the_start(seen: &mut ClusterSeen) {
    let first = |proxy: &Proxy| HeldAt {
        at: forge::now(),
        longest_ms: None,
        pod_created: None,
        workload: proxy.workload.clone(),
        held: proxy.held.clone(),
    };
    seen.history = Some(seen.proxies.iter().map(first).collect());
}

/// Both sides show the leaf that their proxy holds.
fn handshake(seen: &[ClusterSeen], from: usize, n: u64) -> Handshake {
    let request = &*format!("far-{from}-{n}");
    let shown =
        |i: usize, w: usize| seen[i].proxies[w].held.as_ref().unwrap().certificate("default").cloned();
    let to = 1 - from;
    let text = |text: &str| Some(text.to_owned());
    let by_client = Record {
        request_id: text(request),
        response_code: 200,
        upstream_host: text(&gateway(to)),
        upstream_tls_version: text("TLSv1.3"),
        upstream_local_uri_san: text(&id(from, 0)),
        upstream_peer_cert: shown(to, 1),
        upstream_connection_id: Some(10 + n),
        ..Record::default()
    };
    let by_server = Record {
        request_id: text(request),
        response_code: 200,
        downstream_tls_version: text("TLSv1.3"),
        requested_server_name: text(&service(to).sni()),
        downstream_local_uri_san: text(&id(to, 1)),
        downstream_peer_cert: shown(from, 0),
        connection_id: Some(20 + n),
        ..Record::default()
    };
    Handshake {
        way: way(from),
        client: workload(0),
        server: workload(1),
        service: service(to),
        reply: hello(to, request),
        by_client: Some(by_client),
        by_server: Some(by_server),
    }
}

fn crossing(from: usize) -> Crossing {
    let service = service(1 - from);
    let at = |n: u64| Counters::from_iter([(format!("{}::10.20.0.7:5000::cx_total", service.sni()), n)]);
    Crossing { way: way(from), before: at(3), after: at(5), service }
}

fn refused_certificate(control: Control) -> Refusal {
    let reason = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_no_trust_bundle_store:TLS_error_end";
    let by_client = Record {
        request_id: Some("refused".into()),
        response_code: 503,
        response_flags: Some("UF".into()),
        upstream_transport_failure_reason: Some(reason.into()),
        ..Record::default()
    };
    let reply =
        Reply { request: "refused".into(), status: 503, body: "upstream connect error".into(), exit: 0 };
    Refusal { control, way: way(0), service: service(1), reply, by_client: Some(by_client), by_server: None }
}

fn refused_plain_text() -> Refusal {
    let by_server = Record {
        response_flags: Some("NR".into()),
        response_code_details: Some("filter_chain_not_found".into()),
        ..Record::default()
    };
    let body = "curl: (56) Recv failure: Connection reset by peer".into();
    let reply = Reply { request: "plain".into(), status: 0, body, exit: 56 };
    let way = Way { from: name(0), to: name(0) };
    let control = Control::PlainText;
    Refusal { control, way, service: service(0), reply, by_client: None, by_server: Some(by_server) }
}
