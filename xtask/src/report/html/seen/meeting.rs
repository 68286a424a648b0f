//! Who met whom on a way, and whose keys had signed the certificates that each was shown.

use proof::evidence::{Evidence, Handshake, Workload};
use proof::identity::{Certificate, Chain, Pem};
use proof::topology::Way;

use super::place::Place;
use super::{Edge, Group, Look, State, cluster, is_gateway};
use crate::report::shorter;

impl Look<'_> {
    /// The handshakes of a way.
    pub(super) fn meeting(&self, clusters: &[Group], way: &Way) -> Option<Edge> {
        let mark = self.mark(&Place::Meeting(way.clone()));
        let seen = self.see(&mark, |document| {
            let evidence = &document.evidence;
            let met: Vec<_> = evidence.handshakes.iter().filter(|met| met.way == *way).collect();
            (!met.is_empty()).then_some((evidence, met))
        });
        let end = |name, who: Option<Place>| self.end(clusters, name, |place| Some(place) == who.as_ref());
        let Some((evidence, met)) = seen else {
            return match mark.state {
                State::NotDue => None,
                _ => Some(Edge {
                    is_bundle: false,
                    from: end(&way.from, None)?,
                    to: end(&way.to, None)?,
                    via: None,
                    title: format!("a handshake {way}"),
                    facts: vec!["none was seen".to_owned()],
                    mark,
                }),
            };
        };
        let first = met.first()?;
        let through = passed(evidence, way, &met);
        let gateway = |place: &Place| matches!(place, Place::Proxy(_, _, account) if is_gateway(account));
        let via = through.then(|| self.end(clusters, &way.to, gateway)).flatten();
        let via = via.filter(|via| via.node.is_some());
        let server = end(&way.to, Some(Place::proxy(&way.to, &first.server)))?;
        // No record of the server's: what the client's says ends at the gateway.
        let arrived = met.iter().any(|one| one.by_server.is_some());
        let (via, to) = if arrived { (via, server) } else { (None, via.unwrap_or(server)) };
        Some(Edge {
            is_bundle: false,
            from: end(&way.from, Some(Place::proxy(&way.from, &first.client)))?,
            to,
            via,
            title: title(first),
            facts: facts(evidence, &met, through),
            mark,
        })
    }
}

fn title(met: &Handshake) -> String {
    let named = |who: &Workload| format!("{}/{}", who.namespace, who.service_account);
    format!("{} of {} asks {} of {}", named(&met.client), met.way.from, named(&met.server), met.way.to)
}

fn facts(evidence: &Evidence, met: &[&Handshake], through: bool) -> Vec<String> {
    let known = evidence.intermediates();
    let signed = |pem: Option<&Pem>| pem.map_or("not seen".to_owned(), |pem| issuer(evidence, &known, pem));
    let by_client = || met.iter().map(|one| one.by_client.as_ref());
    let by_server = || met.iter().map(|one| one.by_server.as_ref());
    let servers =
        by_client().map(|record| signed(record.and_then(|record| record.upstream_peer_cert.as_ref())));
    let clients =
        by_server().map(|record| signed(record.and_then(|record| record.downstream_peer_cert.as_ref())));
    let tls = by_client().map(|record| {
        let version = record.and_then(|record| record.upstream_tls_version.clone());
        version.unwrap_or_else(|| "no TLS seen".to_owned())
    });
    let hosts = by_client().map(|record| {
        let host = record.and_then(|record| record.upstream_host.clone());
        host.unwrap_or_else(|| "nowhere that was seen".to_owned())
    });
    let hosts = distinct(hosts);
    let way = if through { format!("through the gateway at {hosts}") } else { format!("to {hosts}") };
    let how_many = if met.len() == 1 { "one request".to_owned() } else { format!("{} requests", met.len()) };
    vec![
        format!("server's leaf: {}", distinct(servers)),
        format!("client's leaf: {}", distinct(clients)),
        format!("{}, {way}, {how_many}", distinct(tls)),
    ]
}

/// Whether every request went to the address of the gateway at the way's end.
fn passed(evidence: &Evidence, way: &Way, met: &[&Handshake]) -> bool {
    let Some(gateway) = cluster(evidence, &way.to).and_then(|seen| seen.gateway.as_ref()) else {
        return false;
    };
    let host = |one: &Handshake| one.by_client.as_ref()?.upstream_host.clone();
    met.iter().all(|one| host(one).as_ref() == Some(gateway))
}

/// Who the leaves say they are, and whose keys signed them: a line or two for replicas that are alike.
pub(super) fn leaves(evidence: &Evidence, all: &[&Pem]) -> Option<Vec<String>> {
    let ids = all.iter().map(|pem| match pem.chain().map(|chain| chain.leaf.uris.join(", ")) {
        Ok(id) if !id.is_empty() => id,
        Ok(_) => "a certificate without a SPIFFE ID".to_owned(),
        Err(flaw) => flaw.to_string(),
    });
    // What it holds it shows: the intermediates must be with it.
    let signed = all.iter().map(|pem| issuer(evidence, &[], pem));
    (!all.is_empty()).then(|| vec![distinct(ids), format!("leaf: {}", distinct(signed))])
}

/// Whose key signed a leaf: only signatures count, never names.
pub fn issuer(evidence: &Evidence, known: &[Certificate], pem: &Pem) -> String {
    let chain = match pem.chain() {
        Ok(chain) => chain.with(known),
        Err(flaw) => return flaw.to_string(),
    };
    let by_spire = evidence.clusters.iter().find_map(|seen| {
        let path = chain.signed(&seen.bundle.as_ref()?.authorities).ok()?;
        // Where both are below one root, the intermediate tells whose it is.
        let istiods = |one: &Certificate| plugged(evidence).any(|key| key == one.public_key);
        let spires = !path.intermediates.iter().any(|one| istiods(one));
        spires.then(|| format!("key {}, SPIRE of {}", shorter(&path.authority.key_id()), seen.cluster.name))
    });
    by_spire.or_else(|| by_istiod(evidence, &chain)).unwrap_or_else(|| {
        format!("signed by nobody whom the evidence knows; it names {}", chain.leaf.issuer)
    })
}

fn by_istiod(evidence: &Evidence, chain: &Chain) -> Option<String> {
    evidence.clusters.iter().find_map(|seen| {
        let key = chain.signer(&seen.istiod().ok()?.roots)?.key_id();
        Some(format!("key {}, istiod of {}", shorter(&key), seen.cluster.name))
    })
}

/// The keys of those intermediates that istiods sign with.
fn plugged(evidence: &Evidence) -> impl Iterator<Item = Vec<u8>> {
    let all = evidence.clusters.iter().filter_map(|seen| seen.istiod().ok()?.intermediate);
    all.map(|intermediate| intermediate.certificate.public_key)
}

/// Each once, in the order in which they came.
fn distinct(all: impl Iterator<Item = String>) -> String {
    let mut each: Vec<String> = Vec::new();
    all.for_each(|one| {
        if !each.contains(&one) {
            each.push(one);
        }
    });
    each.join(" and ")
}
