//! Client and server speak of one and the same connection: their records agree on it, the leaf that each saw is the one
//! that the other's proxy holds, and no two requests shared a connection.

use std::collections::BTreeSet;

use super::handshake::{Records, each};
use super::mesh::registered_id;
use super::{Finding, Located};
use crate::Result;
use crate::evidence::{Evidence, Handshake, Workload, missing};
use crate::identity::{Pem, SpiffeId};
use crate::topology::{ClusterName, Way};

/// What proxies speak where nobody tells them otherwise (Istio's default for traffic within the mesh).
const LATEST: &str = "TLSv1_3";
/// The SDS name of a proxy's own certificate.
const SVID: &str = "default";
/// Documents of the first form have neither connections' numbers nor what the proxies held.
const FIRST: u32 = 1;

/// Both sidecars recorded one mutual TLS connection.
///
/// # Errors
/// [`crate::Code::Evidence`] when a record, a connection's number, or what a proxy held is missing.
pub fn one_connection(evidence: &Evidence, way: &Way) -> Result<Located> {
    let (from, to) = (evidence.cluster(&way.from)?, evidence.cluster(&way.to)?);
    let (finding, at) = each(evidence, way, |handshake| {
        let (client, server) = (
            registered_id(evidence, from, &handshake.client)?,
            registered_id(evidence, to, &handshake.server)?,
        );
        let met = Records::of(handshake)?;
        let agreed =
            same_connection(&met, (&client, &server), &handshake.service.sni(), &told(evidence, handshake));
        if evidence.version == FIRST {
            return Ok(agreed);
        }
        let server =
            leaf_held(evidence, &way.to, &handshake.server, met.by_client.upstream_peer_cert.as_ref())?;
        let client =
            leaf_held(evidence, &way.from, &handshake.client, met.by_server.downstream_peer_cert.as_ref())?;
        Ok(agreed.and(server).and(client))
    })?;
    let shared = if evidence.version == FIRST { None } else { shared(evidence, way)? };
    Ok((shared.filter(|_| finding.held).unwrap_or(finding), at))
}

/// Both witnesses describe the same connection, encrypted as the mesh was told, asking for the right service.
pub fn same_connection(
    met: &Records<'_>,
    (client, server): (&SpiffeId, &SpiffeId),
    sni: &str,
    tls: &str,
) -> Finding {
    let (c, s) = (met.by_client, met.by_server);
    let (client, server) = (&*client.to_string(), &*server.to_string());
    let facts = [
        ("TLS seen by the client", &c.upstream_tls_version, tls),
        ("TLS seen by the server", &s.downstream_tls_version, tls),
        ("SNI", &s.requested_server_name, sni),
        ("the client called itself", &c.upstream_local_uri_san, client),
        ("the server called itself", &s.downstream_local_uri_san, server),
    ];
    let expected = format!("{tls} on both sides, SNI {sni}, between {client} and {server}");
    let wrong = facts.iter().find(|(_, seen, wanted)| seen.as_deref() != Some(*wanted));
    match wrong {
        None => Finding::new(true, expected.clone(), expected),
        Some((what, seen, _)) => {
            Finding::new(false, expected, format!("{what}: {}", seen.as_deref().unwrap_or("nothing")))
        }
    }
}

/// The TLS version that the two agree on: the latest that the server's proxy was told to take. A mesh under a FIPS
/// policy is told 1.2, and is no worse for it.
fn told(evidence: &Evidence, handshake: &Handshake) -> String {
    let latest =
        proxies(evidence, &handshake.way.to, &handshake.server).find_map(|proxy| proxy.latest_tls.as_deref());
    latest.unwrap_or(LATEST).replacen('_', ".", 1)
}

/// The leaf that was shown is one that the peer's own proxy held around that moment: before, after, or both. The same
/// name with another key would be somebody else.
fn leaf_held(
    evidence: &Evidence,
    cluster: &ClusterName,
    peer: &Workload,
    shown: Option<&Pem>,
) -> Result<Finding> {
    let print = |pem: &Pem| pem.chain().ok().map(|chain| chain.leaf.fingerprint());
    let held: BTreeSet<String> = proxies(evidence, cluster, peer)
        .filter_map(|proxy| proxy.held.as_ref()?.certificate(SVID).and_then(print))
        .collect();
    if held.is_empty() {
        return Err(missing(format!("what the proxy of {} in {cluster} held meanwhile", peer.pod)));
    }
    let expected = format!("the leaf that the proxy of {} in {cluster} holds", peer.pod);
    let short = |print: &str| print.get(..16).unwrap_or(print).to_owned();
    Ok(match shown.and_then(print) {
        Some(print) => {
            let told: Vec<_> = held.iter().map(|print| short(print)).collect();
            let observed = format!("leaf {} was shown, and {} is held", short(&print), told.join(" or "));
            Finding::new(held.contains(&print), expected, observed)
        }
        None => Finding::new(false, expected, "no leaf that can be read was shown"),
    })
}

/// A finding that is broken when two requests of the way went over one connection: a record tells of the handshake of
/// its connection, so the second would be a witness of the first's.
fn shared(evidence: &Evidence, way: &Way) -> Result<Option<Finding>> {
    let of_way: Vec<_> = evidence.handshakes.iter().filter(|handshake| handshake.way == *way).collect();
    let mut seen = BTreeSet::new();
    for handshake in &of_way {
        let met = Records::of(handshake)?;
        let number = |number: Option<u64>, whose: &str| {
            let what = format!("the number of the connection in the {whose} sidecar's log");
            number.ok_or_else(|| missing(what))
        };
        let out =
            ("client", &handshake.client.pod, number(met.by_client.upstream_connection_id, "client's")?);
        let came = ("server", &handshake.server.pod, number(met.by_server.connection_id, "server's")?);
        for one in [out, came] {
            if !seen.insert(one) {
                let expected = format!("a connection of its own for each of {} requests", of_way.len());
                let observed = format!("connection {} at the {} {} carried two of them", one.2, one.0, one.1);
                return Ok(Some(Finding::new(false, expected, observed)));
            }
        }
    }
    Ok(None)
}

fn proxies<'a>(
    evidence: &'a Evidence,
    cluster: &ClusterName,
    of: &Workload,
) -> impl Iterator<Item = &'a crate::evidence::Proxy> {
    let seen = evidence.clusters.iter().find(|seen| seen.cluster.name == *cluster);
    let proxies = seen.into_iter().flat_map(|seen| &seen.proxies);
    proxies.filter(move |proxy| proxy.workload.pod == of.pod && proxy.workload.namespace == of.namespace)
}
