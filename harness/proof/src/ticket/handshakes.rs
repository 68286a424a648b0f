//! Requests that both sidecars' logs have, joined by their ids.

use std::collections::BTreeSet;

use super::sides::{ns_sa, own_id};
use crate::envoy::Record;
use crate::evidence::{Evidence, Handshake, Reply, Service, Workload};
use crate::topology::Way;

/// A record, with the cluster and the pod that wrote it as far as they are known.
pub type Written<'a> = (Option<usize>, Option<String>, &'a Record);

/// Those from one cluster of the evidence to another, the first of each connection: what comes after it on the same one
/// shows no handshake of its own. (A run's own requests have a connection each; other people's clients keep theirs.)
pub fn all(evidence: &Evidence, records: &[Written<'_>]) -> Vec<Handshake> {
    let clients = records.iter().filter(|(_, _, record)| sent(record, "outbound|"));
    let mut met = Vec::new();
    let mut known = BTreeSet::new();
    for handshake in clients.filter_map(|client| one(evidence, client, answered(client.2, records)?)) {
        let connections = [
            (
                handshake.way.from.0.clone(),
                handshake.client.pod.clone(),
                "out",
                handshake.by_client.as_ref().and_then(|one| one.upstream_connection_id),
            ),
            (
                handshake.way.to.0.clone(),
                handshake.server.pod.clone(),
                "in",
                handshake.by_server.as_ref().and_then(|one| one.connection_id),
            ),
        ];
        let new = connections.iter().filter(|one| one.3.is_some()).all(|one| !known.contains(one));
        known.extend(connections);
        if new {
            met.push(handshake);
        }
    }
    met
}

fn sent(record: &Record, to: &str) -> bool {
    record.upstream_cluster.as_deref().is_some_and(|name| name.starts_with(to))
}

/// The server's record of that very request. Programs hand an id on from hop to hop, and some use one twice: the service
/// that was asked for must be the same, and of several that one in which each end met the other.
fn answered<'a>(client: &Record, records: &'a [Written<'a>]) -> Option<&'a Written<'a>> {
    let asked = service(client.upstream_cluster.as_deref()?)?.sni();
    let same = |record: &Record| record.request_id == client.request_id && record.request_id.is_some();
    let meets = |server: &Record| {
        server.downstream_peer_uri_san == client.upstream_local_uri_san
            && server.downstream_local_uri_san == client.upstream_peer_uri_san
    };
    let mut servers: Vec<_> = records
        .iter()
        .filter(|(_, _, record)| {
            same(record)
                && sent(record, "inbound|")
                && record.requested_server_name.as_deref() == Some(&asked)
        })
        .collect();
    let clients = records.iter().filter(|(_, _, record)| same(record) && sent(record, "outbound|")).count();
    if servers.len() > 1 || clients > 1 {
        servers.retain(|(_, _, record)| meets(record));
    }
    if let [one] = servers.as_slice() { Some(one) } else { None }
}

fn one(evidence: &Evidence, client: &Written<'_>, server: &Written<'_>) -> Option<Handshake> {
    let (from, by_client) = (side(evidence, client)?, client.2);
    let (to, by_server) = (side(evidence, server)?, server.2);
    if from == to {
        return None;
    }
    let name = |side: usize| evidence.clusters[side].cluster.name.clone();
    let reply = Reply {
        request: by_client.request_id.clone()?,
        status: by_client.response_code,
        body: String::new(),
        exit: 0,
    };
    Some(Handshake {
        way: Way { from: name(from), to: name(to) },
        client: writer(evidence, from, client)?,
        server: writer(evidence, to, server)?,
        service: service(by_client.upstream_cluster.as_deref()?)?,
        reply,
        by_client: Some(by_client.clone()),
        by_server: Some(by_server.clone()),
    })
}

/// The cluster that wrote it: that of its folder, else that of the trust domain that it calls itself of.
fn side(evidence: &Evidence, (side, _, record): &Written<'_>) -> Option<usize> {
    let by_name = || {
        let domain = own_id(record)?.trust_domain().to_string();
        evidence.clusters.iter().position(|seen| seen.cluster.trust_domain == domain)
    };
    side.or_else(by_name)
}

/// The pod that wrote it. Where the log does not say which, the one proxy of that service account that is known.
fn writer(evidence: &Evidence, side: usize, (_, pod, record): &Written<'_>) -> Option<Workload> {
    let proxies: Vec<_> = evidence.clusters[side].proxies.iter().map(|proxy| &proxy.workload).collect();
    if let Some(known) = proxies.iter().find(|one| Some(&one.pod) == pod.as_ref()) {
        return Some((*known).clone());
    }
    let (namespace, service_account) = ns_sa(&own_id(record)?)?;
    let own: Vec<_> = proxies
        .iter()
        .filter(|one| one.namespace == namespace && one.service_account == service_account)
        .collect();
    if let [one] = own.as_slice() {
        return Some((**one).clone());
    }
    let pod = pod.clone().unwrap_or_else(|| format!("a pod of {service_account}"));
    Some(Workload { namespace, pod, service_account, uid: None })
}

/// `outbound|5000||helloworld.istio-test.svc.cluster.local;`
fn service(cluster: &str) -> Option<Service> {
    let mut parts = cluster.trim_end_matches(';').split('|').skip(1);
    let port = parts.next()?.parse().ok()?;
    let mut host = parts.nth(1)?.split('.');
    Some(Service { name: host.next()?.to_owned(), namespace: host.next()?.to_owned(), port })
}
