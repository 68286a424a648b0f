//! What to gather: one table, from which come the page that asks people for it, and the commands that a ticket still needs.

use super::sides::Side;
use crate::claim::Kind;
use crate::evidence::{ClusterSeen, Evidence};
use crate::topology::ClusterName;

/// One thing to gather in a cluster.
pub struct Row {
    /// Its name, as the page calls it.
    pub what: &'static str,
    /// Why: what it is good for.
    pub why: &'static str,
    /// The commands, with names in braces.
    pub commands: &'static [&'static str],
    /// The claims that need it.
    pub decides: &'static [Kind],
    /// Whether a cluster's evidence has it.
    has: fn(&ClusterSeen) -> bool,
}

/// All of them, the most telling first.
pub const TABLE: &[Row] = &[
    Row {
        what: "what the mesh proxies hold, of a client, a server and the east-west gateway",
        why: "which certificate each one shows, and whom it believes. Envoy takes private keys out",
        commands: &[
            "istioctl --context {context} proxy-config secret {pod} -n {namespace} -o json > {cluster}/{pod}.{namespace}.json",
        ],
        decides: &[
            Kind::ProxySvid,
            Kind::ProxyValidationContext,
            Kind::ProxyNothingOfIstiod,
            Kind::OneEntryForEachPod,
            Kind::EntriesFederate,
            Kind::OneConnection,
        ],
        has: |seen| !seen.proxies.is_empty(),
    },
    Row {
        what: "the SPIRE server's own trust bundle",
        why: "an issuer is a key: this says which keys are SPIRE's",
        commands: &[
            "kubectl --context {context} exec -n {spire} spire-server-0 -c spire-server -- /opt/spire/bin/spire-server bundle show -output json > {cluster}/bundle.json",
        ],
        decides: &[
            Kind::BundlesShareNoKey,
            Kind::PeerBundleHeld,
            Kind::ProxySvid,
            Kind::ProxyValidationContext,
            Kind::ProxyNothingOfIstiod,
            Kind::ServerSvid,
            Kind::ClientSvid,
            Kind::NothingOfIstiodUsed,
        ],
        has: |seen| seen.bundle.is_some(),
    },
    Row {
        what: "the trust bundles that it holds for others",
        why: "whether it has its peers', and whether they are the peers' present ones",
        commands: &[
            "kubectl --context {context} exec -n {spire} spire-server-0 -c spire-server -- /opt/spire/bin/spire-server bundle list -output json > {cluster}/bundles-of-peers.json",
        ],
        decides: &[Kind::PeerBundleHeld],
        has: |seen| seen.peer_bundles.is_some(),
    },
    Row {
        what: "its registration entries",
        why: "whom it gives which identity, and who gets the peers' bundles too",
        commands: &[
            "kubectl --context {context} exec -n {spire} spire-server-0 -c spire-server -- /opt/spire/bin/spire-server entry show -output json > {cluster}/entries.json",
        ],
        decides: &[Kind::OneEntryForEachPod, Kind::EntriesFederate],
        has: |seen| seen.entries.is_some(),
    },
    Row {
        what: "the pods, with their service accounts and UIDs",
        why: "who somebody is, by Kubernetes' word and not by the certificate's own",
        commands: &["kubectl --context {context} get pods -A -o json > {cluster}/pods.json"],
        decides: &[Kind::OneEntryForEachPod],
        has: |seen| seen.proxies.iter().any(|proxy| proxy.workload.uid.is_some()),
    },
    Row {
        what: "the root of istiod's own CA",
        why: "whether somebody fell back to it: under the same name, and it answers just as well",
        commands: &[
            "kubectl --context {context} get configmap istio-ca-root-cert -n istio-system -o json > {cluster}/istio-ca-root-cert.json",
        ],
        decides: &[Kind::ProxyNothingOfIstiod, Kind::NothingOfIstiodUsed],
        has: |seen| seen.istiod_root.is_some(),
    },
    Row {
        what: "the clusters that istiod has read",
        why: "whether clients there know any endpoint of the other cluster",
        commands: &[
            "kubectl --context {context} exec -n istio-system deploy/istiod -- pilot-discovery request GET /debug/clusterz > {cluster}/clusterz.json",
        ],
        decides: &[Kind::IstiodReadsPeer],
        has: |seen| seen.remote_clusters.is_some(),
    },
    Row {
        what: "an attempt of its SPIRE server to fetch the peer's bundle (it updates what that server holds, as its poll does)",
        why: "whether the federation lives on when the peer's keys change; no object's status says so",
        commands: &[
            "(echo \"\\$ spire-server federation refresh -id {peer}\"; kubectl --context {context} exec -n {spire} spire-server-0 -c spire-server -- /opt/spire/bin/spire-server federation refresh -id {peer} 2>&1) > {cluster}/refresh.txt",
        ],
        decides: &[Kind::PeerBundleFetched],
        has: |seen| seen.fetches.is_some(),
    },
    Row {
        what: "both sidecars' access logs of one request, in a format with the peers' certificates (accessLogFormat of Vouchsafe's manifests/istio/operator.yaml)",
        why: "what each side really saw in that handshake",
        commands: &[
            "kubectl --context {context} logs {pod} -n {namespace} -c istio-proxy --since=10m > {cluster}/{pod}.{namespace}.log",
        ],
        decides: &[
            Kind::ServerSvid,
            Kind::ClientSvid,
            Kind::OneConnection,
            Kind::NothingOfIstiodUsed,
            Kind::ThroughRemoteGateway,
        ],
        has: |_| false,
    },
    Row {
        what: "the east-west gateway's address",
        why: "whether requests went through it",
        commands: &[
            "kubectl --context {context} get service -n istio-system -o json > {cluster}/services.json",
        ],
        decides: &[Kind::ThroughRemoteGateway],
        has: |seen| seen.gateway.is_some(),
    },
];

/// What nobody can gather by hand: it takes requests made on purpose, changes, or time.
pub const NOT_IN_TICKETS: &[Kind] = &[
    Kind::NeverOfIstiod,
    Kind::NeverCeasedToBelieve,
    Kind::EveryClusterAnswers,
    Kind::RemoteAnswers,
    Kind::GatewayCounted,
    Kind::PlainTextRefused,
    Kind::RefusedWithoutPeerBundle,
    Kind::RefusedWithoutFederatesWith,
    Kind::ClusterAsBefore,
    Kind::ScenarioCompleted,
    Kind::Fact,
];

/// A command to run next, and how many claims wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Of which cluster.
    pub cluster: String,
    /// What it gathers.
    pub what: &'static str,
    /// The lines to type, as far as names are known.
    pub commands: Vec<String>,
    /// The claims, by id.
    pub decides: Vec<String>,
}

/// What the ticket lacks for those claims: each a kind, the clusters that it is about, and its id.
pub fn next(
    evidence: &Evidence,
    sides: &[Side],
    spire: &str,
    undecided: &[(Kind, Vec<ClusterName>, String)],
) -> Vec<Next> {
    let mut all = Vec::new();
    for (seen, side) in evidence.clusters.iter().zip(sides) {
        for row in TABLE {
            let met =
                row.decides.contains(&Kind::ServerSvid) && row.decides.contains(&Kind::ThroughRemoteGateway);
            let has = (row.has)(seen) || met && !evidence.handshakes.is_empty();
            let wanting = undecided.iter().filter(|(kind, clusters, _)| {
                row.decides.contains(kind) && clusters.contains(&seen.cluster.name)
            });
            let decides: Vec<_> = wanting.map(|(_, _, id)| id.clone()).collect();
            if !has && !decides.is_empty() {
                let commands = row.commands.iter().map(|command| filled(command, side, spire)).collect();
                all.push(Next { cluster: side.name.clone(), what: row.what, commands, decides });
            }
        }
    }
    all
}

fn filled(command: &str, side: &Side, spire: &str) -> String {
    let peer = side
        .peers
        .iter()
        .next()
        .map_or_else(|| "spiffe://PEER".to_owned(), |peer| format!("spiffe://{peer}"));
    let context = side.context.clone().unwrap_or_else(|| format!("CONTEXT_OF_{}", side.name));
    let known =
        [("{context}", context.as_str()), ("{cluster}", &side.name), ("{spire}", spire), ("{peer}", &peer)];
    let command =
        known.iter().fold(command.to_owned(), |command, (name, value)| command.replace(name, value));
    command.replace("{pod}", "POD").replace("{namespace}", "NAMESPACE")
}

/// The page that tells people what to gather.
pub fn page() -> String {
    let mut page = String::from(
        "# What to gather for a ticket about federated SPIRE and Istio\n\n\
         A folder for each cluster; in it, the output of these commands. The names of the files are free, and several \
         outputs may be in one file. Put the names of your contexts, namespaces and pods into the commands. SPIRE's \
         namespace is `spire` or `spire-server`; in OpenShift's images the program is `/spire-server`.\n\n\
         Nothing of it is secret: Envoy writes `[redacted]` in the place of private keys. Never add Secrets or key files.\n\n\
         `cargo xtask judge --from FOLDER` then says which claims hold, which do not, and what is still missing.\n",
    );
    for row in TABLE {
        let kinds: Vec<_> = row.decides.iter().map(|kind| format!("`{}`", kind.name())).collect();
        page.push_str(&format!("\n## {}{}\n\n", row.what[..1].to_uppercase(), &row.what[1..]));
        page.push_str(&format!(
            "{}{}. For the claims {}.\n\n```sh\n",
            row.why[..1].to_uppercase(),
            &row.why[1..],
            kinds.join(", ")
        ));
        for command in row.commands {
            let command = command
                .replace("{context}", "\"$CONTEXT\"")
                .replace("{spire}", "\"$SPIRE\"")
                .replace("{peer}", "spiffe://$PEER");
            let command = command
                .replace("{pod}", "\"$POD\"")
                .replace("{namespace}", "\"$NAMESPACE\"")
                .replace("{cluster}", "\"$CLUSTER\"");
            page.push_str(&command);
            page.push('\n');
        }
        page.push_str("```\n");
    }
    let kinds: Vec<_> = NOT_IN_TICKETS.iter().map(|kind| format!("`{}`", kind.name())).collect();
    page.push_str(&format!(
        "\n## What no ticket decides\n\nThese claims take requests made on purpose, changes, or a look at every moment: {}. \
         `cargo xtask e2e` makes a world in which they are judged.\n",
        kinds.join(", ")
    ));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_is_asked_for_or_said_to_be_beyond_tickets() {
        for kind in Kind::ALL {
            let asked = TABLE.iter().any(|row| row.decides.contains(kind));
            assert!(asked != NOT_IN_TICKETS.contains(kind), "{}", kind.name());
        }
        let page = page();
        assert!(Kind::ALL.iter().all(|kind| page.contains(&format!("`{}`", kind.name()))));
        assert!(!page.contains('{'), "a name without a variable: {page}");
    }
}
