//! How to make an observation again: for each part of a document the command that asks the same of the same.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClusterSeen, Evidence, Handshake, Service, Workload};
use crate::topology::ClusterName;

/// What a proxy holds, by its own admin interface.
const HELD: &str = "pilot-agent request GET 'config_dump?resource=dynamic_active_secrets'";

/// A command, and what it observes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// The part of this document, as a JSON pointer.
    pub at: String,
    /// The cluster that is asked.
    pub cluster: ClusterName,
    /// A line for a shell.
    pub command: String,
}

/// How a cluster is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// `kubectl` with whatever names the cluster.
    pub kubectl: String,
    /// Its SPIRE server, where one was found.
    pub spire_server: Option<SpireServer>,
    /// The namespace of its istiod.
    pub istio: String,
}

/// How a SPIRE server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpireServer {
    /// For `kubectl exec`, up to and with its program: `-n spire spire-server-0 -c spire-server -- spire-server`.
    pub program: String,
    /// The socket of its API.
    pub socket: String,
}

/// The commands of everything in the document that is of one of these clusters. What a scenario showed as a fact has none:
/// it is in the scenario.
pub fn all(evidence: &Evidence, reach: &BTreeMap<ClusterName, Reach>) -> Vec<Repeat> {
    let mut all = Vec::new();
    for (i, seen) in evidence.clusters.iter().enumerate() {
        if let Some(reach) = reach.get(&seen.cluster.name) {
            let commands = of_cluster(seen, reach).into_iter();
            all.extend(
                commands.map(|(at, command)| (format!("/clusters/{i}/{at}"), &seen.cluster.name, command)),
            );
        }
    }
    let of = |name: &ClusterName| reach.get(name).map(|reach| reach.kubectl.as_str());
    for (i, asked) in evidence.replies.iter().enumerate() {
        let command = of(&asked.from).map(|kubectl| asks(kubectl, "deploy/curl", &asked.service, None));
        all.extend(command.map(|command| (format!("/replies/{i}"), &asked.from, command)));
    }
    for (i, met) in evidence.handshakes.iter().enumerate() {
        let commands = of_handshake(met, of(&met.way.from), of(&met.way.to)).into_iter();
        all.extend(
            commands.map(|(at, cluster, command)| (format!("/handshakes/{i}/{at}"), cluster, command)),
        );
    }
    for (i, crossing) in evidence.crossings.iter().enumerate() {
        let to = &crossing.way.to;
        let gateway = reach.get(to).map(|reach| {
            format!(
                "{} exec -n {} deploy/east-west-istio -- pilot-agent request GET clusters",
                reach.kubectl, reach.istio
            )
        });
        all.extend(gateway.map(|command| (format!("/crossings/{i}"), to, command)));
    }
    for (i, refusal) in evidence.refusals.iter().enumerate() {
        let from = &refusal.way.from;
        let pod = if refusal.by_client.is_some() { "deploy/curl" } else { "deploy/outsider" };
        let command =
            of(from).map(|kubectl| asks(kubectl, pod, &refusal.service, Some(&refusal.reply.request)));
        all.extend(command.map(|command| (format!("/refusals/{i}"), from, command)));
    }
    all.into_iter().map(|(at, cluster, command)| Repeat { at, cluster: cluster.clone(), command }).collect()
}

impl Evidence {
    /// The commands that observe again what a pointer into the document names.
    pub fn repeats(&self, pointer: &str) -> Vec<&Repeat> {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.repeat.iter().filter(|one| within(pointer, &one.at) || within(&one.at, pointer)).collect()
    }
}

fn of_cluster(seen: &ClusterSeen, reach: &Reach) -> Vec<(String, String)> {
    let Reach { kubectl, spire_server, istio } = reach;
    let mut all = Vec::new();
    let mut add = |is_seen: bool, at: &str, command: String| {
        if is_seen {
            all.push((at.to_owned(), command));
        }
    };
    if let Some(SpireServer { program, socket }) = spire_server {
        let spire = |words: &str, flags: &str| {
            format!("{kubectl} exec {program} {words} -socketPath {socket} {flags}")
        };
        add(seen.bundle.is_some(), "bundle", spire("bundle show", "-format spiffe"));
        add(seen.peer_bundles.is_some(), "peer_bundles", spire("bundle list", "-format spiffe"));
        add(seen.entries.is_some(), "entries", spire("entry show", "-output json"));
        for (i, fetch) in seen.fetches.iter().flatten().enumerate() {
            let id = format!("-id spiffe://{}", fetch.trust_domain);
            add(true, &format!("fetches/{i}"), spire("federation refresh", &id));
        }
    }
    let get = |what: &str| format!("{kubectl} get {what}");
    add(seen.gateway.is_some(), "gateway", get("services -A --field-selector spec.type=LoadBalancer"));
    add(
        seen.istiod_root.is_some(),
        "istiod_root",
        get(&format!("configmap istio-ca-root-cert -n {istio} -o yaml")),
    );
    // Of the Secret the certificate alone.
    let certificate = format!("secret cacerts -n {istio} -o jsonpath='{{.data.ca-cert\\.pem}}' | base64 -d");
    add(seen.istiod_intermediate.is_some(), "istiod_intermediate", get(&certificate));
    let clusters =
        format!("{kubectl} exec -n {istio} deploy/istiod -- pilot-discovery request GET /debug/clusterz");
    add(seen.remote_clusters.is_some(), "remote_clusters", clusters);
    let settings =
        get("destinationrules.networking.istio.io,peerauthentications.security.istio.io -A -o yaml");
    add(seen.tls_settings.is_some(), "tls_settings", settings);
    for (i, proxy) in seen.proxies.iter().enumerate() {
        add(proxy.held.is_some(), &format!("proxies/{i}"), admin(kubectl, &proxy.workload));
    }
    let each = format!("{kubectl} exec -n NAMESPACE POD -c istio-proxy -- {HELD} # each second, of each pod");
    add(seen.history.is_some(), "history", each);
    all
}

fn of_handshake<'a>(
    met: &'a Handshake,
    from: Option<&str>,
    to: Option<&str>,
) -> Vec<(&'static str, &'a ClusterName, String)> {
    let request = &met.reply.request;
    let log = |kubectl: &str, who: &Workload| {
        format!("{kubectl} logs -n {} {} -c istio-proxy | grep -F {request}", who.namespace, who.pod)
    };
    let mut all = Vec::new();
    if let Some(kubectl) = from {
        all.push(("reply", &met.way.from, asks(kubectl, &met.client.pod, &met.service, Some(request))));
        all.push(("by_client", &met.way.from, log(kubectl, &met.client)));
    }
    if let Some(kubectl) = to {
        all.push(("by_server", &met.way.to, log(kubectl, &met.server)));
    }
    all
}

fn admin(kubectl: &str, who: &Workload) -> String {
    format!("{kubectl} exec -n {} {} -c istio-proxy -- {HELD}", who.namespace, who.pod)
}

/// A request of the same form; with another id it is another one in the logs.
fn asks(kubectl: &str, pod: &str, service: &Service, request: Option<&str>) -> String {
    let Service { name, namespace, port } = service;
    let client = if pod == "deploy/outsider" { "outside" } else { namespace };
    let header = request.map(|id| format!(" -H 'x-request-id: {id}-again'")).unwrap_or_default();
    format!(
        "{kubectl} exec -n {client} {pod} -c curl -- curl -sS -m 10{header} http://{name}.{namespace}:{port}/hello"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::fixture::{Fixture, name};

    fn reach() -> BTreeMap<ClusterName, Reach> {
        let of = |i: usize| {
            let program = "-n spire spire-server-0 -c spire-server -- spire-server".to_owned();
            let spire_server = Some(SpireServer { program, socket: "/api.sock".into() });
            (
                name(i),
                Reach {
                    kubectl: format!("kubectl --context c{i}"),
                    spire_server,
                    istio: "istio-system".into(),
                },
            )
        };
        [of(0), of(1)].into()
    }

    /// Whatever a document has must be told how to see again, also what comes later.
    #[test]
    fn everything_that_was_seen_has_its_command() {
        let mut evidence = Fixture::good().evidence;
        evidence.repeat = all(&evidence, &reach());
        let document = serde_json::to_value(&evidence).unwrap();
        let mut pointers = Vec::new();
        let not_observed = ["cluster", "istio_id", "unread"];
        for (i, cluster) in document["clusters"].as_array().unwrap().iter().enumerate() {
            let seen = cluster.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
            let fields = seen.filter(|(field, _)| !not_observed.contains(&field.as_str()));
            pointers.extend(fields.map(|(field, _)| format!("/clusters/{i}/{field}")));
        }
        for list in ["replies", "handshakes", "crossings", "refusals"] {
            let all = document[list].as_array().unwrap();
            pointers.extend((0..all.len()).map(|i| format!("/{list}/{i}")));
        }
        assert!(pointers.len() > 20, "{pointers:?}");
        let silent: Vec<_> = pointers.iter().filter(|at| evidence.repeats(at).is_empty()).collect();
        assert_eq!(silent, Vec::<&String>::new());
        for one in &evidence.repeat {
            assert!(document.pointer(&one.at).is_some(), "{} is nowhere", one.at);
            let of = if one.cluster == name(0) { "kubectl --context c0 " } else { "kubectl --context c1 " };
            assert!(one.command.starts_with(of), "{}: {}", one.at, one.command);
        }
    }

    #[test]
    fn a_pointer_finds_what_is_around_it_and_within() {
        let mut evidence = Fixture::good().evidence;
        evidence.repeat = all(&evidence, &reach());
        let at = |pointer: &str| {
            evidence.repeats(pointer).into_iter().map(|one| one.at.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(at("/clusters/0/proxies/1/held"), ["/clusters/0/proxies/1"]);
        assert_eq!(at("/handshakes/0").len(), 3);
        assert!(at("/clusters/1").len() > 5, "a whole cluster");
        assert_eq!(at("/nothing"), Vec::<&str>::new());
        let told = evidence.repeats("/clusters/0/bundle")[0];
        assert_eq!(
            told.command,
            "kubectl --context c0 exec -n spire spire-server-0 -c spire-server -- spire-server bundle show -socketPath /api.sock -format spiffe"
        );
    }
}
