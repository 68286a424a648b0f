//! What SPIRE's components say, and what they were told.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::LogParams;
use proof::diagnosis::{Look, Observations, Server, last_failure, setting};
use proof::evidence::Fetch;
use proof::identity::{Bundle, TrustDomain, entries_of};
use serde_json::Value;

use super::objects::{Objects, in_configs, of};
use super::{Subject, look};
use crate::kube::logs::logs;
use crate::{Code, Error, Result, render, spire};

/// What a SPIRE agent's container is called, in its own manifests and in the chart.
const AGENT: &str = "spire-agent";
/// Of its log: longer than between two polls for a bundle without a hint whose authorities live a day.
const LATELY: i64 = 3600;
const MOST_LINES: i64 = 20_000;

/// What the SPIRE server of a cluster publishes, holds and issues. It is asked for the bundles of `domains`, and of those
/// that the cluster's objects name.
pub(super) async fn server(subject: &Subject, domains: &[&TrustDomain], objects: &Objects) -> Server {
    let client = &subject.client;
    let named = of(objects, "clusterfederatedtrustdomains.spire.spiffe.io").iter();
    let named = named.filter_map(|o| o.pointer("/spec/trustDomain")?.as_str());
    let asked = of(objects, "clusterspiffeids.spire.spiffe.io").iter();
    let asked = asked
        .filter_map(|o| o.pointer("/spec/federatesWith")?.as_array())
        .flatten()
        .filter_map(Value::as_str);
    let mut peers: Vec<_> = named.chain(asked).filter_map(|name| name.parse::<TrustDomain>().ok()).collect();
    peers.extend(domains.iter().copied().cloned());
    peers.retain(|domain| *domain != subject.trust_domain);
    peers.sort();
    peers.dedup();
    let bundle = async { Bundle::read(subject.trust_domain.clone(), &spire::bundle(client).await?) };
    let held = async {
        let mut held = Vec::new();
        for domain in peers {
            if let Some(json) = spire::bundle_of_peer(client, domain.as_str()).await? {
                held.push(Bundle::read(domain, &json)?);
            }
        }
        Ok(held)
    };
    let relationships = async {
        Observations::relationships(
            &spire::command(client, &["federation", "list", "-output", "json"]).await?,
        )
    };
    let entries = async { entries_of(&spire::entries(client).await?) };
    let (bundle, peers, relationships, entries) = tokio::join!(
        look("the SPIRE server's bundle", bundle),
        look("the bundles that it holds", held),
        look("its relationships", relationships),
        look("its entries", entries),
    );
    Server { bundle, peers, relationships, fetches: Look::NotReadable("not asked yet".to_owned()), entries }
}

/// Lets the server poll each peer that publishes what it holds already; of others its log may say that the last poll failed.
pub(super) async fn fetches(subject: &Subject, observed: &Observations) -> Look<Vec<Fetch>> {
    look("fetching peers' bundles", async {
        let unread = |why: proof::diagnosis::Unread| Error::new(Code::Evidence, why.0);
        let here = observed.clusters.iter().find(|cluster| cluster.name == subject.name);
        let here = here.ok_or_else(|| Error::internal("a cluster that was not looked at"))?;
        let related = here.server.relationships.get().map_err(unread)?;
        let mut fetches = Vec::new();
        for held in here.server.peers.get().map_err(unread)? {
            let domain = held.trust_domain.as_str();
            let peer = observed.clusters.iter().find(|cluster| cluster.trust_domain == held.trust_domain);
            let same = peer.is_some_and(|peer| {
                peer.server.bundle.get().is_ok_and(|published| held.same_keys(&published.authorities))
            });
            if !related.iter().any(|one| one.trust_domain == domain) {
                continue;
            }
            if same {
                let out = spire::fetch_bundle_of_peer(&subject.client, domain).await?;
                let said = format!("{} {}", out.stdout.trim(), out.stderr.trim()).trim().to_owned();
                fetches.push(Fetch { trust_domain: held.trust_domain.clone(), status: out.status, said });
            } else {
                // What cannot be read says no more than nothing.
                let log = logged(&subject.client).await.unwrap_or_default();
                fetches.extend(last_failure(&log, held, observed.collected_at));
            }
        }
        Ok(fetches)
    })
    .await
}

/// What the server has written lately.
async fn logged(client: &Client) -> Result<String> {
    let server = spire::Server::ours();
    let params = LogParams {
        container: Some(server.container),
        since_seconds: Some(LATELY),
        tail_lines: Some(MOST_LINES),
        ..LogParams::default()
    };
    logs(client, &server.namespace, &server.pod, &params).await
}

/// The trust domain of the cluster's SPIRE server, by the server's own configuration; where that says none, by what others
/// were told of it, for a server without one is worth a look.
pub(super) fn trust_domain(configs: &Look<Vec<ConfigMap>>) -> Result<TrustDomain> {
    let what = || Error::new(Code::Evidence, "no SPIRE server's configuration was found");
    let maps = configs.get().map_err(|why| Error::new(Code::Evidence, why.0))?;
    let texts = || maps.iter().flat_map(|map| map.data.iter().flatten().map(|(_, text)| text.as_str()));
    let own =
        texts().filter(|text| text.contains("bind_port")).find_map(|text| setting(text, "trust_domain"));
    let agents =
        || texts().filter(|text| text.contains("socket_path")).find_map(|text| setting(text, "trust_domain"));
    // Of the controller manager, and of istiod.
    let others = || {
        let mut lines =
            texts().flat_map(str::lines).filter_map(|line| line.trim().strip_prefix("trustDomain:"));
        lines.find_map(|value| Some(value.trim().trim_matches('"')).filter(|value| !value.is_empty()))
    };
    let told = own.or_else(agents).or_else(others);
    told.ok_or_else(what)?.parse().map_err(|e| what().because(e))
}

/// Each configuration of a controller manager.
pub(super) fn managers(configs: &Look<Vec<ConfigMap>>) -> Look<Vec<Value>> {
    in_configs(configs, |maps| {
        let texts = maps.iter().flat_map(|map| map.data.iter().flatten().map(|(_, text)| text));
        let managers = texts.filter(|text| text.contains("kind: ControllerManagerConfig"));
        managers.map(|text| render::parse(text, Code::Evidence, "a ControllerManagerConfig")).collect()
    })
}

/// Each configuration that a DaemonSet of SPIRE agents mounts.
pub(super) fn agents(configs: &Look<Vec<ConfigMap>>, objects: &Objects) -> Look<Vec<String>> {
    let text =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let list = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let runs = |o: &&Value| {
        let containers = list(o, "/spec/template/spec/containers");
        containers.iter().any(|c| text(c, "/name").as_deref() == Some(AGENT))
    };
    let daemons = of(objects, "daemonsets.apps").iter().filter(runs);
    let mounted: Vec<_> = daemons
        .flat_map(|o| {
            let volumes = list(o, "/spec/template/spec/volumes");
            let names: Vec<_> = volumes.iter().filter_map(|v| text(v, "/configMap/name")).collect();
            let namespace = text(o, "/metadata/namespace");
            names.into_iter().map(move |name| (namespace.clone(), Some(name)))
        })
        .collect();
    in_configs(configs, |maps| {
        let of_agents = maps
            .iter()
            .filter(|map| mounted.contains(&(map.metadata.namespace.clone(), map.metadata.name.clone())));
        let texts = of_agents.flat_map(|map| map.data.iter().flatten().map(|(_, text)| text.clone()));
        let found: Vec<_> = texts.filter(|text| text.contains("socket_path")).collect();
        match found.is_empty() {
            true => Err(Error::new(Code::Evidence, "no DaemonSet mounts a SPIRE agent's configuration")),
            false => Ok(found),
        }
    })
}
