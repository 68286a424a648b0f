//! Each handshake: the leaf that each side showed, as the other side's sidecar recorded it, both records, and how to look
//! again by hand.

use std::collections::BTreeSet;

use maud::{Markup, html};
use proof::envoy::Record;
use proof::evidence::{Evidence, Handshake};
use proof::identity::{Certificate, Pem};
use proof::topology::ClusterName;
use serde_json::{Map, Value};

use super::run::{Document, Shown};
use super::seen::issuer;
use super::{Handshakes, Page, by_hand, heading};

/// The handshakes of a world, by the document that they are in.
pub fn of(page: &Page<'_>, shown: &Shown) -> Markup {
    let met = |document: &&Document| !document.evidence.handshakes.is_empty();
    let documents: Vec<_> = shown.documents.iter().filter(met).collect();
    html! {
        section {
            (heading(page.level, "Handshakes"))
            @if documents.is_empty() { p { "No handshake was recorded." } }
            @else {
                p { "Each side's certificate is shown as the sidecar of the " em { "other" } " side recorded it for that request." }
            }
            @for document in documents {
                (heading(page.level + 1, &document.file))
                @let known = document.evidence.intermediates();
                @for (i, met) in document.evidence.handshakes.iter().enumerate() {
                    (one(page, shown, document, &known, (i, met)))
                }
            }
        }
    }
}

fn one(
    page: &Page<'_>,
    shown: &Shown,
    document: &Document,
    known: &[Certificate],
    (i, met): (usize, &Handshake),
) -> Markup {
    let (by_client, by_server) = (met.by_client.as_ref(), met.by_server.as_ref());
    let tls = by_client.and_then(|record| record.upstream_tls_version.as_deref()).unwrap_or("no TLS seen");
    let summary = html! {
        (met.way) ": " (met.client.namespace) "/" (met.client.service_account) " asks " (met.server.namespace) "/"
        (met.server.service_account) ", status " (met.reply.status) ", " (tls)
    };
    if page.handshakes == Handshakes::Named {
        return html! { p { (summary) ", " code { (document.file) "#/handshakes/" (i) } } };
    }
    let server = Leaf::of(document, known, &met.way.to, by_client, |one| one.upstream_peer_cert.as_ref());
    let client = Leaf::of(document, known, &met.way.from, by_server, |one| one.downstream_peer_cert.as_ref());
    html! {
        details {
            summary { (summary) }
            p {
                "Pod " code { (met.client.namespace) "/" (met.client.pod) } " of " (met.way.from) " asked "
                code { (met.service.name) "." (met.service.namespace) ":" (met.service.port) } "; pod "
                code { (met.server.namespace) "/" (met.server.pod) } " of " (met.way.to) " answered. Request "
                code { (met.reply.request) } ", kept as " code { (document.file) "#/handshakes/" (i) } "."
            }
            div.wide tabindex="0" role="group" aria-label={ "Both leaves, " (met.way) ", request " (i + 1) } {
                table {
                    thead { tr { th scope="col" { "leaf" } th scope="col" { "the server's" } th scope="col" { "the client's" } } }
                    tbody {
                        @for ((name, server), (_, client)) in server.rows.iter().zip(&client.rows) {
                            tr { th scope="row" { (name) } td { code { (server) } } td { code { (client) } } }
                        }
                    }
                }
            }
            @if page.handshakes == Handshakes::Whole { (both(i, met)) } @else { p { "What both sidecars recorded is left out here for its length, and kept there." } }
            details {
                summary { "By hand" }
                (by_hand::of(shown, document, i, met))
            }
        }
    }
}

/// What is told of a leaf, row by row.
struct Leaf {
    rows: Vec<(&'static str, String)>,
}

impl Leaf {
    fn of(
        document: &Document,
        known: &[Certificate],
        cluster: &ClusterName,
        record: Option<&Record>,
        shown: impl Fn(&Record) -> Option<&Pem>,
    ) -> Self {
        let evidence = &document.evidence;
        let pem = record.and_then(shown);
        let leaf = pem.and_then(|pem| pem.chain().ok()).map(|chain| chain.leaf);
        let told =
            |tell: &dyn Fn(&Certificate) -> String| leaf.as_ref().map_or_else(|| "not seen".to_owned(), tell);
        let at = record.and_then(Record::began).unwrap_or(evidence.collected_at);
        let verified = pem.map_or_else(
            || "nothing to verify".to_owned(),
            |pem| verified(evidence, known, cluster, pem, at),
        );
        let rows = vec![
            ("SPIFFE ID", told(&|leaf| leaf.uris.join(", "))),
            ("signed by", pem.map_or_else(|| "not seen".to_owned(), |pem| issuer(evidence, known, pem))),
            ("verified", verified),
            ("issuer's name (shown, never judged)", told(&|leaf| leaf.issuer.clone())),
            ("serial", told(&|leaf| leaf.serial.clone())),
            ("valid from", told(&|leaf| leaf.not_before.to_string())),
            ("valid until", told(&|leaf| leaf.not_after.to_string())),
            ("SHA-256", told(&Certificate::fingerprint)),
        ];
        Self { rows }
    }
}

/// Whether the bundle that its own trust domain publishes vouches for it, as the claim asks.
fn verified(
    evidence: &Evidence,
    known: &[Certificate],
    cluster: &ClusterName,
    pem: &Pem,
    at: jiff::Timestamp,
) -> String {
    let published = match evidence.cluster(cluster).and_then(|seen| seen.published()) {
        Ok(published) => published,
        Err(e) => return e.what().to_owned(),
    };
    let path = pem.chain().map(|chain| chain.with(known));
    let path = path.and_then(|chain| published.path(&chain, at).map(|path| path.to_string()));
    match path {
        Ok(path) => format!("by the bundle of {}: signed by {path}", published.trust_domain),
        Err(flaw) => format!("✗ not by the bundle of {}: {flaw}", published.trust_domain),
    }
}

/// What the two sidecars wrote, but for the certificates, which are told above.
fn both(i: usize, met: &Handshake) -> Markup {
    let (client, server) = (fields(met.by_client.as_ref()), fields(met.by_server.as_ref()));
    let names: BTreeSet<_> = client.keys().chain(server.keys()).collect();
    let field = |of: &Map<String, Value>, name: &str| match of.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "–".to_owned(),
    };
    html! {
        @if names.is_empty() { p { "Neither sidecar recorded it." } }
        @else {
            div.wide tabindex="0" role="group" aria-label={ "Both records, " (met.way) ", request " (i + 1) } {
                table {
                    thead { tr { th scope="col" { "record" } th scope="col" { "by the client's sidecar" } th scope="col" { "by the server's" } } }
                    tbody {
                        @for name in names {
                            tr { th scope="row" { (name) } td { code { (field(&client, name)) } } td { code { (field(&server, name)) } } }
                        }
                    }
                }
            }
        }
    }
}

fn fields(record: Option<&Record>) -> Map<String, Value> {
    let Some(Ok(Value::Object(mut all))) = record.map(serde_json::to_value) else { return Map::new() };
    all.retain(|name, value| !value.is_null() && !name.ends_with("_peer_cert"));
    all
}
