//! The commands that repeat a look by hand: at what is stored, with nothing but `jq` and `openssl`; and at the world
//! itself, as long as it is up.

use std::fmt::Write as _;

use harness::spire;
use harness::world::Access;
use maud::{Markup, html};
use proof::envoy::Record;
use proof::evidence::{Handshake, Workload};
use proof::topology::ClusterName;

use super::run::{Document, Shown};

/// About one handshake.
pub fn of(shown: &Shown, document: &Document, i: usize, met: &Handshake) -> Markup {
    let stored = stored(document, i, met);
    let live = live(shown, met);
    html! {
        p { "In this report's folder, also without a cluster:" }
        pre tabindex="0" { (stored) }
        @match live {
            Some(live) => {
                p { "In the world itself while it is up; each cluster has a kubeconfig with its one context:" }
                pre tabindex="0" { (live) }
            }
            None => { p { "How the clusters are reached was not written down in this folder." } }
        }
    }
}

fn stored(document: &Document, i: usize, met: &Handshake) -> String {
    let mut out = String::new();
    let ends = [
        ("server", &met.way.to, "by_client.upstream_peer_cert", met.by_client.as_ref()),
        ("client", &met.way.from, "by_server.downstream_peer_cert", met.by_server.as_ref()),
    ];
    let file = quoted(&document.file);
    // An access log has the leaf alone; what is between it and an authority is with those who hold it.
    let between = !document.evidence.intermediates().is_empty();
    if between {
        let all = ".clusters[].proxies[].held.secrets[]?.content | objects | .certificate // empty";
        let _ = writeln!(out, "jq -r '{all}' {file} > between.pem");
    }
    for (who, cluster, field, record) in ends {
        let Some(c) = document.evidence.clusters.iter().position(|seen| seen.cluster.name == *cluster) else {
            continue;
        };
        let at = record.and_then(Record::began).unwrap_or(document.evidence.collected_at).as_second();
        let untrusted = if between { " -untrusted between.pem" } else { "" };
        let _ = writeln!(
            out,
            "# what the {who} showed, and the bundle that its SPIRE server published\n\
             jq -r '.handshakes[{i}].{field}' {file} > {who}.pem\n\
             jq -r '.clusters[{c}].bundle.authorities' {file} > {who}-bundle.pem\n\
             openssl x509 -in {who}.pem -noout -serial -issuer -dates -ext subjectAltName,authorityKeyIdentifier\n\
             openssl verify -attime {at} -partial_chain -CAfile {who}-bundle.pem{untrusted} {who}.pem"
        );
    }
    let _ = writeln!(
        out,
        "# in a checkout, with the way to this folder: all of this document, judged again\ncargo xtask judge {file}"
    );
    out
}

fn live(shown: &Shown, met: &Handshake) -> Option<String> {
    let sites = &shown.world.as_ref()?.sites;
    let ends = [(&met.way.from, &met.client), (&met.way.to, &met.server)];
    let mut out = String::new();
    for (cluster, who) in ends {
        one_end(&mut out, sites.get(cluster)?, cluster, who, &met.reply.request);
    }
    Some(out)
}

fn one_end(out: &mut String, site: &Access, cluster: &ClusterName, who: &Workload, request: &str) {
    let kubeconfig = quoted(&site.kubeconfig.display().to_string());
    let (pod, namespace) = (quoted(&who.pod), quoted(&who.namespace));
    let _ = writeln!(
        out,
        "# {cluster}: what its SPIRE server publishes and holds for others, what the proxy holds, what its sidecar wrote\n\
         {}\n{}\n\
         istioctl --kubeconfig {kubeconfig} proxy-config secret {pod} -n {namespace} -o json\n\
         kubectl --kubeconfig {kubeconfig} logs {pod} -n {namespace} -c istio-proxy | grep -F {}",
        spire::by_hand(&kubeconfig, &["bundle", "show"]),
        spire::by_hand(&kubeconfig, &["bundle", "list"]),
        quoted(request),
    );
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@=+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
