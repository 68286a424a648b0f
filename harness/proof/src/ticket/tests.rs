//! Tickets of every kind: a whole one of a healthy mesh, the same spoilt in one way each, and what public reports contain,
//! with certificates made here.

mod public;
mod spoilt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Declaration, Item, Ticket, read};
use crate::envoy::secrets::Content;
use crate::envoy::{Held, Trust};
use crate::evidence::ClusterSeen;
use crate::identity::{Authority, Entry, Pem};
use crate::verdict::Outcome;
use crate::verdict::fixture::{self, Fixture};

/// A folder: names and texts.
pub(super) type Folder = Vec<(String, String)>;

/// Everything that a person can gather of a mesh in which all holds.
pub(super) fn whole() -> (Fixture, Folder) {
    let mut world = Fixture::good();
    logged(&mut world);
    let folder = folder(&world);
    (world, folder)
}

/// Gives each record what a real one has.
fn logged(world: &mut Fixture) {
    for met in &mut world.evidence.handshakes {
        let cluster = met.service.cluster();
        for (record, cluster) in
            [(&mut met.by_client, format!("{cluster};")), (&mut met.by_server, "inbound|5000||;".into())]
        {
            let record = record.as_mut().unwrap();
            record.upstream_cluster = Some(cluster);
            record.start_time = Some(crate::identity::forge::now().to_string());
        }
    }
}

pub(super) fn folder(world: &Fixture) -> Folder {
    let mut all = Folder::new();
    for (i, seen) in world.evidence.clusters.iter().enumerate() {
        let mut add = |name: &str, text: String| all.push((format!("{}/{name}", seen.cluster.name), text));
        for proxy in &seen.proxies {
            let name = format!("{}.{}.json", proxy.workload.pod, proxy.workload.namespace);
            add(&name, by_istioctl(proxy.held.as_ref().unwrap()).to_string());
        }
        add(
            "bundle.json",
            by_api(
                seen.bundle.as_ref().unwrap().trust_domain.as_str(),
                &seen.bundle.as_ref().unwrap().authorities,
            )
            .to_string(),
        );
        let peers: Vec<_> = seen
            .peer_bundles
            .iter()
            .flatten()
            .map(|one| by_api(one.trust_domain.as_str(), &one.authorities))
            .collect();
        add("peers.json", json!({ "bundles": peers }).to_string());
        add("entries.json", entries(seen.entries.as_deref().unwrap()).to_string());
        add("pods.json", pods(seen).to_string());
        add(
            "root.json",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio-ca-root-cert"},
            "data": {"root-cert.pem": seen.istiod_root.as_ref().unwrap().as_str()}})
            .to_string(),
        );
        add("clusterz.json", watched(seen).to_string());
        add(
            "refresh.txt",
            "$ spire-server federation refresh -id spiffe://x\nBundle refreshed\n"
                .replace("//x", &format!("//{}", fixture::domain(1 - i))),
        );
        let address = seen.gateway.as_ref().unwrap().split(':').next().unwrap();
        add(
            "services.json",
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "east-west"},
            "spec": {"ports": [{"port": 15443}]}, "status": {"loadBalancer": {"ingress": [{"ip": address}]}}})
            .to_string(),
        );
    }
    for met in &world.evidence.handshakes {
        let line =
            |record: &Option<crate::envoy::Record>| serde_json::to_string(record.as_ref().unwrap()).unwrap();
        all.push((
            format!("{}/log-{}.txt", met.way.from, met.reply.request),
            format!("{}\n", line(&met.by_client)),
        ));
        all.push((
            format!("{}/log-{}.txt", met.way.to, met.reply.request),
            format!("{}\n", line(&met.by_server)),
        ));
    }
    all
}

/// As `istioctl proxy-config secret -o json` prints it.
pub(super) fn by_istioctl(held: &Held) -> Value {
    let bytes = |pem: &Pem| json!({ "inlineBytes": STANDARD.encode(pem.as_str()) });
    let secret = |content: &Content| match content {
        Content::Certificate(chain) => {
            json!({"tlsCertificate": {"certificateChain": bytes(chain), "privateKey": {"inlineBytes": "W3JlZGFjdGVkXQ=="}}})
        }
        Content::Trust(Trust::PerTrustDomain(all)) => {
            let all: Vec<_> = all
                .iter()
                .map(|one| json!({"name": one.trust_domain, "trustBundle": bytes(&one.bundle)}))
                .collect();
            json!({"validationContext": {"trustedCa": {}, "customValidatorConfig": {"name": "envoy.tls.cert_validator.spiffe", "typedConfig": {"trustDomains": all}}}})
        }
        Content::Trust(Trust::AnyName(pem)) => json!({"validationContext": {"trustedCa": bytes(pem)}}),
        Content::Other => json!({}),
    };
    let all: Vec<_> = held.secrets.iter().map(|one| json!({"name": one.name, "lastUpdated": "2026-11-21T00:20:00Z", "secret": secret(&one.content)})).collect();
    json!({ "dynamicActiveSecrets": all })
}

/// As SPIRE's API has it.
pub(super) fn by_api(trust_domain: &str, authorities: &[Authority]) -> Value {
    let der = |one: &Authority| crate::identity::forge::x5c(one.certificate.pem().as_str());
    let all: Vec<_> = authorities.iter().map(|one| json!({"asn1": der(one), "tainted": false})).collect();
    json!({"trust_domain": trust_domain, "x509_authorities": all, "jwt_authorities": [], "refresh_hint": "0", "sequence_number": "3"})
}

pub(super) fn entries(all: &[Entry]) -> Value {
    let id = |id: &crate::identity::SpiffeId| json!({"trust_domain": id.trust_domain(), "path": id.path()});
    let one = |entry: &Entry| {
        let selectors: Vec<_> = entry
            .selectors
            .iter()
            .map(|one| one.split_once(':').unwrap())
            .map(|(kind, value)| json!({"type": kind, "value": value}))
            .collect();
        json!({"id": entry.id, "spiffe_id": id(&entry.spiffe_id), "parent_id": id(&entry.parent_id), "selectors": selectors, "federates_with": entry.federates_with})
    };
    json!({"entries": all.iter().map(one).collect::<Vec<_>>(), "next_page_token": ""})
}

fn pods(seen: &ClusterSeen) -> Value {
    let one = |proxy: &crate::evidence::Proxy| {
        let pod = &proxy.workload;
        json!({"kind": "Pod", "metadata": {"name": pod.pod, "namespace": pod.namespace, "uid": pod.uid}, "spec": {"serviceAccountName": pod.service_account}})
    };
    json!({"apiVersion": "v1", "kind": "List", "items": seen.proxies.iter().map(one).collect::<Vec<_>>()})
}

fn watched(seen: &ClusterSeen) -> Value {
    seen.remote_clusters
        .iter()
        .flatten()
        .map(|one| json!({"id": one.id, "secretName": one.secret_name, "syncStatus": one.sync_status}))
        .collect()
}

pub(super) fn items(folder: &Folder) -> Vec<Item> {
    folder
        .iter()
        .flat_map(|(name, text)| read(name, text, |_| Err("no YAML in these tests".into())))
        .collect()
}

pub(super) fn judged(folder: &Folder) -> Ticket {
    Ticket::of(&items(folder), &Declaration::default(), None).unwrap()
}

/// The ids of the claims with that outcome.
pub(super) fn ids(ticket: &Ticket, outcome: Outcome) -> Vec<String> {
    ticket
        .verdicts
        .iter()
        .filter(|verdict| verdict.verdict == outcome)
        .map(|verdict| verdict.id.to_string())
        .collect()
}

pub(super) fn observed<'a>(ticket: &'a Ticket, id: &str) -> &'a str {
    let found = ticket.verdicts.iter().find(|verdict| verdict.id.to_string() == id);
    &found.unwrap_or_else(|| panic!("{id} is not due: {:#?}", ticket.verdicts)).observed
}

/// Everything that was said of a file.
pub(super) fn said(ticket: &Ticket, file: &str) -> String {
    let of_file = ticket.taken.iter().filter(|(place, _)| place.file == file);
    of_file.map(|(_, said)| said.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_whole_ticket_of_a_healthy_mesh_holds_and_wants_nothing() {
    let (_, folder) = whole();
    let ticket = judged(&folder);
    let wrong: Vec<_> = ticket.verdicts.iter().filter(|verdict| !verdict.held()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // One pair; of each way two bundles, istiod and five of the handshake; of each cluster two lists and three proxies.
    assert_eq!(ticket.verdicts.len(), 1 + 2 * (3 + 5) + 2 * (2 + 3 * 3));
    assert_eq!(ticket.next, []);
    let names: Vec<_> =
        ticket.sides.iter().map(|side| (side.name.as_str(), side.trust_domain.as_str())).collect();
    assert_eq!(names, [("cluster1", "cluster1.local"), ("cluster2", "cluster2.local")]);
    let curl = ticket
        .verdicts
        .iter()
        .find(|verdict| verdict.id.to_string() == "proxy-svid/cluster1/istio-test/curl")
        .unwrap();
    assert_eq!(curl.evidence, "cluster1/curl-7d4b-x.istio-test.json");
    assert!(curl.issuer_key.is_some() && !curl.observed.contains("alone says"), "{curl:?}");
}

/// Of everything in one folder the trust domains tell the clusters apart; what has none is named.
#[test]
fn without_folders_the_trust_domains_tell() {
    let (_, folder) = whole();
    let flat: Folder = folder.into_iter().map(|(name, text)| (name.replace('/', "-"), text)).collect();
    let ticket = judged(&flat);
    assert!(ids(&ticket, Outcome::Broken).is_empty(), "{ticket:#?}");
    let held = ids(&ticket, Outcome::Held);
    for id in [
        "bundles-share-no-key/cluster1.local↔cluster2.local",
        "peer-bundle-held/cluster1.local→cluster2.local",
        "server-svid/cluster1.local→cluster2.local",
    ] {
        assert!(held.contains(&id.to_owned()), "{id}: {held:#?}");
    }
    assert!(said(&ticket, "cluster1-root.json").contains("nothing says of which cluster it is"));
    let nothing = "proxy-nothing-of-istiod/cluster1.local/istio-test/curl";
    assert!(observed(&ticket, nothing).contains("istiod's root"), "{}", observed(&ticket, nothing));
    assert!(
        ticket
            .next
            .iter()
            .any(|next| next.what.contains("root of istiod") && next.decides.contains(&nothing.to_owned()))
    );
}

/// One pasted text of everything, as in an issue's body.
#[test]
fn one_pasted_text_is_as_good_as_a_folder() {
    let (_, folder) = whole();
    let mut pasted = String::from("Hi, here is everything:\n");
    for (name, text) in folder.iter().filter(|(name, _)| name.contains("curl") || name.contains("bundle")) {
        pasted.push_str(&format!("<details>{name}\n\n```json\n{text}\n```\n</details>\n"));
    }
    let ticket = judged(&vec![("issue.md".into(), pasted.replace('\n', "\r\n").replace("\r\n", "\n"))]);
    let held = ids(&ticket, Outcome::Held);
    assert!(held.contains(&"proxy-svid/cluster2.local/istio-test/curl".to_owned()), "{ticket:#?}");
    assert!(
        observed(&ticket, "proxy-svid/cluster2.local/istio-test/curl").contains("the certificate alone says")
    );
    assert!(ids(&ticket, Outcome::Broken).is_empty());
}
