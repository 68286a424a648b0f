//! What public reports contain, in their shapes; names are others, and every certificate is made here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::{Declaration, Ticket};
use super::{Folder, ids, items, judged, observed, said};
use crate::identity::forge::Ca;
use crate::verdict::Outcome;

fn file(name: &str, text: impl Into<String>) -> (String, String) {
    (name.to_owned(), text.into())
}

fn b64(text: &str) -> String {
    STANDARD.encode(text)
}

/// A part of `/config_dump` between fences, indented, with the comma of the list that it was in.
fn fragment(leaf: &str, domains: &[(&str, &str)]) -> String {
    let domains: Vec<_> = domains
        .iter()
        .map(|(name, pem)| format!("     {{\n      \"name\": \"{name}\",\n      \"trust_bundle\": {{ \"inline_bytes\": \"{}\" }}\n     }}", b64(pem)))
        .collect();
    format!(
        "```json\n\n  {{\n   \"@type\": \"type.googleapis.com/envoy.admin.v3.SecretsConfigDump\",\n   \"dynamic_active_secrets\": [\n    {{\n     \"name\": \"default\",\n     \"version_info\": \"2\",\n     \"last_updated\": \"2026-11-21T00:10:00Z\",\n     \"secret\": {{ \"name\": \"default\", \"tls_certificate\": {{\n       \"certificate_chain\": {{ \"inline_bytes\": \"{}\" }},\n       \"private_key\": {{ \"inline_bytes\": \"W3JlZGFjdGVkXQ==\" }} }} }}\n    }},\n    {{\n     \"name\": \"ROOTCA\",\n     \"secret\": {{ \"name\": \"ROOTCA\", \"validation_context\": {{ \"custom_validator_config\": {{\n       \"name\": \"envoy.tls.cert_validator.spiffe\", \"typed_config\": {{ \"trust_domains\": [\n{}\n       ] }} }} }} }}\n    }}\n   ]\n  }},\n```\n",
        b64(leaf),
        domains.join(",\n")
    )
}

fn entry(id: &str, uid: &str, federates: &str) -> String {
    let federates =
        if federates.is_empty() { String::new() } else { format!("FederatesWith    : {federates}\n") };
    format!(
        "Entry ID         : {uid}\nSPIFFE ID        : {id}\nParent ID        : spiffe://air.example/agent\nRevision         : 0\nTTL              : default\nSelector         : k8s:pod-uid:{uid}\n{federates}\n"
    )
}

/// spiffe/spire#3503 and istio/istio#41666: multi-primary on two networks. Dumps of both sides in the issue's text, and
/// entries that federate with nobody.
#[test]
fn the_ticket_in_which_no_entry_federates() {
    let (air, gas) = (Ca::named("SPIFFE"), Ca::named("SPIFFE"));
    let (sleep, hello) =
        ("spiffe://air.example/ns/sample/sa/sleep", "spiffe://gas.example/ns/sample/sa/helloworld");
    let shown = "kubectl --context kind-air exec --stdin spire-server-0 -c spire-server -n spire  -- /opt/spire/bin/spire-server entry show  -socketPath /run/spire/sockets/server.sock";
    let text = format!(
        "Config dump of sleep:\n\n{}\nand of helloworld:\n\n{}\n```\n{shown}\nFound 2 entries\n{}{}```\n",
        fragment(&air.svid(sleep), &[("air.example", &air.pem)]),
        fragment(&gas.svid(hello), &[("gas.example", &gas.pem)]),
        entry("spiffe://air.example/spire-agent", "node", ""),
        entry(sleep, "pod", ""),
    );
    let ticket = judged(&vec![file("issue.md", text)]);
    assert_eq!(
        ids(&ticket, Outcome::Broken),
        [
            "entries-federate/air.example",
            "proxy-validation-context/air.example/sample/sleep",
            "proxy-validation-context/gas.example/sample/helloworld"
        ]
    );
    assert!(observed(&ticket, "entries-federate/air.example").contains("federates with nobody"));
    assert!(
        observed(&ticket, "proxy-validation-context/air.example/sample/sleep")
            .contains("gas.example is not there")
    );
    let commands: Vec<_> = ticket.next.iter().flat_map(|next| next.commands.clone()).collect();
    assert!(
        commands.iter().any(|line| line.contains("--context kind-air exec -n spire spire-server-0")
            && line.contains("bundle show")),
        "{commands:#?}"
    );
    assert!(
        commands.iter().any(|line| line.contains("CONTEXT_OF_gas.example") && line.contains("entry show")),
        "{commands:#?}"
    );
}

/// istio/istio#26468: Envoy's `/certs`, which has names and serial numbers only.
#[test]
fn the_ticket_with_serial_numbers_only() {
    let certs = r#"and envoy has all certs
```
{
 "certificates": [
  {
   "ca_cert": [ { "path": "<inline>", "serial_number": "85", "subject_alt_names": [], "valid_from": "2019-06-30T19:21:41Z" } ],
   "cert_chain": [ { "path": "<inline>", "serial_number": "aa", "subject_alt_names": [ { "uri": "spiffe://cluster.local/ns/x/sa/default" } ] } ]
  }
 ]
}
```
"#;
    let folder = vec![file("issue.md", certs)];
    let e = Ticket::of(&items(&folder), &Declaration::default(), None).unwrap_err();
    assert_eq!(e.code().exit(), 4);
    assert!(e.to_string().contains("no keys") && e.to_string().contains("judge --gather"), "{e}");
}

/// istio/istio#39985: somebody careful wrote `xx` in the place of every certificate.
#[test]
fn the_ticket_whose_certificates_were_taken_out() {
    let dump = r#"{"@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump", "dynamic_active_secrets": [
        {"name": "default", "last_updated": "2022-07-19T19:32:30.735Z", "secret": {"name": "default",
         "tls_certificate": {"certificate_chain": {"inline_bytes": "xx"}, "private_key": {"inline_bytes": "xx"}}}},
        {"name": "ROOTCA", "last_updated": "2022-07-19T19:32:30.589Z", "secret": {"name": "ROOTCA", "validation_context": {"trusted_ca": {"inline_bytes": "xx"}}}}]}"#;
    let folder = vec![file("dump.json", dump)];
    let e = Ticket::of(&items(&folder), &Declaration::default(), None).unwrap_err();
    assert!(e.to_string().contains("default: it cannot be read; it was cut or replaced"), "{e}");
    // In a folder with another file that names the cluster it is judged no better.
    let pods = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "namespace": "x", "uid": "u"}, "spec": {"serviceAccountName": "web"}}"#;
    let bundle = super::by_api("a.example", &Ca::named("a").bundle("a.example").authorities).to_string();
    let ticket =
        judged(&vec![file("a/web-1.x.json", dump), file("a/pods.json", pods), file("a/bundle.json", bundle)]);
    assert!(
        ids(&ticket, Outcome::Broken).is_empty() && ids(&ticket, Outcome::Held).is_empty(),
        "{:#?}",
        ticket.verdicts
    );
}

/// istio/istio PR#53650: the table of `istioctl pc secret`, then the JSON of one proxy of one side, which believes two.
#[test]
fn the_ticket_of_one_side_asks_for_the_other() {
    let (east, west) = (Ca::named("East Root CA"), Ca::named("West Root CA"));
    let id = "spiffe://east.local/ns/istio-system/sa/federation-ingress-gateway";
    let table = "istioctl pc s deploy/federation-ingress-gateway -n istio-system\nRESOURCE NAME     TYPE           STATUS     VALID CERT     SERIAL NUMBER     NOT AFTER     NOT BEFORE     TRUST DOMAIN\ndefault           Cert Chain     ACTIVE     true   ba57   2026-11-21T01:00:00Z   2026-11-21T00:00:00Z\nROOTCA            CA             ACTIVE     true   529c   2034-10-23T13:23:05Z   2024-10-25T13:23:05Z     east.local\n";
    let dump = fragment(&east.svid(id), &[("east.local", &east.pem), ("west.local", &west.pem)]);
    let ticket = judged(&vec![file("table.txt", table), file("secrets.md", dump)]);
    assert!(
        said(&ticket, "table.txt").contains("the same command with -o json"),
        "{}",
        said(&ticket, "table.txt")
    );
    assert!(
        ids(&ticket, Outcome::Broken).is_empty() && ids(&ticket, Outcome::Held).is_empty(),
        "{:#?}",
        ticket.verdicts
    );
    assert!(
        ticket
            .remarks
            .iter()
            .any(|remark| remark.contains("west.local: secrets.md")
                && remark.contains("nothing of it is here")),
        "{:?}",
        ticket.remarks
    );
    let asks = |cluster: &str, words: &str| {
        ticket.next.iter().any(|next| next.cluster == cluster && next.commands[0].contains(words))
    };
    assert!(
        asks("east.local", "bundle show")
            && asks("west.local", "bundle show")
            && asks("west.local", "proxy-config secret"),
        "{:#?}",
        ticket.next
    );
    // Its own SPIRE's bundle decides whose certificate it is, and still not whom it should believe of the west.
    let bundle = super::by_api("east.local", &east.bundle("east.local").authorities).to_string();
    let more = judged(&vec![
        file("secrets.md", fragment(&east.svid(id), &[("east.local", &east.pem), ("west.local", &west.pem)])),
        file("bundle.json", bundle),
    ]);
    assert_eq!(ids(&more, Outcome::Held), ["proxy-svid/east.local/istio-system/federation-ingress-gateway"]);
}

/// spiffe/helm-charts PR#361: one entry, asked for by its ID, that federates.
#[test]
fn the_ticket_with_one_entry() {
    let text = format!(
        "```\nspire-server-0 -- spire-server entry show -spiffeID spiffe://box-4.example/ns/dw/sa/web\nDefaulted container \"spire-server\" out of: spire-server, wait (init)\nFound 1 entry\n{}```\n",
        entry("spiffe://box-4.example/ns/dw/sa/web", "40e0", "box-3.example")
    );
    let folder = vec![file("pr.md", text)];
    let e = Ticket::of(&items(&folder), &Declaration::default(), None).unwrap_err();
    assert!(e.to_string().contains("--at"), "it names no moment: {e}");
    let ticket =
        Ticket::of(&items(&folder), &Declaration::default(), Some("2023-06-22T12:00Z".parse().unwrap()))
            .unwrap();
    assert!(
        ids(&ticket, Outcome::Broken).is_empty() && ids(&ticket, Outcome::Held).is_empty(),
        "{:#?}",
        ticket.verdicts
    );
    assert!(
        said(&ticket, "pr.md").contains("1 registration entry of a SPIRE server, perhaps not all of them"),
        "{}",
        said(&ticket, "pr.md")
    );
    assert!(
        ticket
            .next
            .iter()
            .any(|next| next.cluster == "box-4.example" && next.commands[0].contains("proxy-config secret"))
    );
}

/// istio/istio#32501 and #52356: log lines in Istio's own format. They tell a cause and no certificate.
#[test]
fn the_ticket_with_istios_own_log_lines() {
    let (air, id) = (Ca::named("SPIFFE"), "spiffe://air.example/ns/sample/sa/sleep");
    let log = "[2026-11-21T00:10:10.000Z] \"GET /hello HTTP/1.1\" 503 UF,URX upstream_reset_before_response_started{remote_connection_failure} - \"TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_no_trust_bundle_store:TLS_error_end\" 0 152 54 - \"-\" \"curl\" \"x\" \"helloworld.sample:5000\" \"10.0.0.1:15443\" outbound|5000||helloworld.sample.svc.cluster.local - - - - default\n";
    let ticket = judged(&vec![
        file("sleep.md", fragment(&air.svid(id), &[("air.example", &air.pem)])),
        file("log.txt", log),
    ]);
    let said = said(&ticket, "log.txt");
    assert!(said.contains("1 request, so it decides no claim; 1 failed: certificate verification: no bundle for the peer's trust domain"), "{said}");
}

/// spiffe/spire PR#2012: PEM files with headings. An intermediate's root says of no trust domain that it is its own.
#[test]
fn the_ticket_with_loose_pem_files() {
    let (root, other): (Ca, Folder) = (Ca::named("a.example"), Vec::new());
    let middle = root.intermediate("SPIFFE", |_| {});
    let svid = middle.svid("spiffe://a.example/ns/x/sa/web");
    let text = format!(
        "#### Trust Bundles\n```\n/opt/spire # cat bundle.0.pem\n{}```\n#### SVID\n```\n/opt/spire # cat svid.0.pem\n{svid}{}```\n",
        root.pem, middle.pem
    );
    let folder = [other, vec![file("issue.md", text)]].concat();
    let e = Ticket::of(&items(&folder), &Declaration::default(), None).unwrap_err();
    assert!(e.to_string().contains("nothing says who showed or holds them"), "{e}");
}

/// istio/ztunnel PR#434, spire PR#595: known, and not judged here.
#[test]
fn what_is_known_and_decides_nothing_says_what_would() {
    let ztunnel = r#"{"certificates": [{"identity": "spiffe://cluster.local/ns/istio-system/sa/ztunnel", "leaf": "-----BEGIN"}]}"#;
    let fetch = "SPIFFE ID:\t\tspiffe://a.example/host\nSVID Valid After:\t2018-09-28 15:28:32 +0000 UTC\nCA #1 Valid After:\t2018-05-13\n";
    let found = items(&vec![file("z.json", ztunnel), file("fetch.txt", fetch)]);
    let said: Vec<_> = found.iter().map(|item| item.found.said()).collect();
    assert!(said[0].contains("ambient mode") && said[1].contains("-write"), "{said:?}");
}
