//! Which cluster each thing is of: by a declaration, by its folder, else by the trust domain that it names.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::found::{Found, Place};
use super::names::named;
use crate::envoy::{Held, Record, Trust};
use crate::identity::{SpiffeId, TrustDomain};

/// What somebody wrote into the folder's `ticket.yaml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// The mesh's clusters, by name: these and no others.
    #[serde(default)]
    pub clusters: BTreeMap<String, DeclaredSide>,
    /// Which SPIFFE IDs workloads must have, as a set-up of your own declares them.
    #[serde(default)]
    pub identities: crate::identity::Declared,
}

/// One of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredSide {
    /// Its trust domain, where no file tells.
    pub trust_domain: Option<TrustDomain>,
    /// How `kubectl --context` calls it.
    pub context: Option<String>,
    /// Its files or folders; `*` stands for any characters. The folder of its name is its own in any case.
    #[serde(default)]
    pub files: Vec<String>,
}

/// Something found, and where.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where.
    pub place: Place,
    /// What.
    pub found: Found,
}

/// A cluster of the ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Its name.
    pub name: String,
    /// Its trust domain.
    pub trust_domain: TrustDomain,
    /// How `kubectl --context` calls it, if anything tells.
    pub context: Option<String>,
    /// Those that it has to do with, by name of trust domain.
    pub peers: BTreeSet<TrustDomain>,
}

/// All of them, and whose each item is.
#[derive(Clone, Debug, Default)]
pub struct Sides {
    /// In the order of their names.
    pub all: Vec<Side>,
    /// For each item, the place of its cluster in `all`.
    pub of: Vec<Option<usize>>,
    /// What was concluded, and how.
    pub remarks: Vec<String>,
}

/// Tells them apart.
pub fn sides(items: &[Item], declaration: &Declaration) -> Sides {
    let declared = !declaration.clusters.is_empty();
    let groups: Vec<Option<String>> = items.iter().map(|item| group(item, declaration)).collect();
    let mut named: BTreeMap<String, TrustDomain> = BTreeMap::new();
    let mut remarks = Vec::new();
    for name in groups.iter().flatten().chain(declaration.clusters.keys()).collect::<BTreeSet<_>>() {
        let of_group =
            items.iter().zip(&groups).filter(|(_, group)| group.as_ref() == Some(name)).map(|(item, _)| item);
        let told = declaration.clusters.get(name).and_then(|side| side.trust_domain.clone());
        match told.or_else(|| domain_of(of_group)) {
            Some(domain) => {
                named.insert(name.clone(), domain);
            }
            None if declared => {
                remarks.push(format!("{name}: no file tells its trust domain; write it into ticket.yaml"))
            }
            None => {}
        }
    }
    let distinct: BTreeSet<_> = named.values().collect();
    if distinct.len() < named.len() {
        let names: Vec<_> = named.iter().map(|(name, domain)| format!("{name} ({domain})")).collect();
        let what = if declared { "the clusters of ticket.yaml" } else { "the folders" };
        remarks.push(format!(
            "{what} share a trust domain: {}; there is nothing to federate between them, and they are taken as one cluster",
            names.join(", ")
        ));
        named.clear();
    }
    let by_folder = !named.is_empty();
    let name_of = |domain: &TrustDomain| {
        named
            .iter()
            .find(|(_, own)| *own == domain)
            .map_or_else(|| domain.to_string(), |(name, _)| name.clone())
    };
    let contexts = contexts(items);
    let files = files(items);
    let mut names: Vec<Option<(String, TrustDomain)>> = Vec::new();
    for (item, group) in items.iter().zip(&groups) {
        let folder = group
            .as_ref()
            .filter(|_| by_folder)
            .and_then(|name| Some((name.clone(), named.get(name)?.clone())));
        let itself = || own_domain(&item.found).map(|(_, domain)| domain);
        let near = || {
            context(item)
                .and_then(|context| contexts.get(&context).cloned())
                .or_else(|| files.get(&item.place.file).cloned())
        };
        names.push(folder.or_else(|| itself().or_else(near).map(|domain| (name_of(&domain), domain))));
    }
    let mut all: BTreeMap<TrustDomain, Side> = BTreeMap::new();
    let mut add = |name: String, domain: &TrustDomain| {
        let fresh = || Side { name, trust_domain: domain.clone(), context: None, peers: BTreeSet::new() };
        all.entry(domain.clone()).or_insert_with(fresh);
    };
    named.iter().for_each(|(name, domain)| add(name.clone(), domain));
    names.iter().flatten().filter(|_| !declared).for_each(|(name, domain)| add(name.clone(), domain));
    for (item, name) in items.iter().zip(&names) {
        for peer in mentioned(&item.found) {
            if !declared && !all.contains_key(&peer) {
                remarks.push(format!("{peer}: {} names it, and nothing of it is here", item.place));
                let side = Side {
                    name: peer.to_string(),
                    trust_domain: peer.clone(),
                    context: None,
                    peers: BTreeSet::new(),
                };
                all.insert(peer.clone(), side);
            }
            if let Some(side) =
                name.as_ref().and_then(|(_, own)| all.get_mut(own)).filter(|side| side.trust_domain != peer)
            {
                side.peers.insert(peer);
            }
        }
    }
    relate(&mut all, declared);
    for (domain, side) in &mut all {
        let known = contexts.iter().find(|(_, of)| *of == domain).map(|(context, _)| context.clone());
        side.context = declaration.clusters.get(&side.name).and_then(|side| side.context.clone()).or(known);
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let of = names.iter().map(|name| {
        name.as_ref().and_then(|(_, domain)| all.iter().position(|side| side.trust_domain == *domain))
    });
    Sides { of: of.collect(), all, remarks }
}

/// Two sides of a ticket, and those that were declared, belong together; of more, those that speak of one another.
fn relate(all: &mut BTreeMap<TrustDomain, Side>, declared: bool) {
    let domains: Vec<_> = all.keys().cloned().collect();
    let told: Vec<_> = all
        .values()
        .flat_map(|side| side.peers.iter().map(|peer| (peer.clone(), side.trust_domain.clone())))
        .collect();
    for (domain, side) in all {
        if declared || domains.len() == 2 {
            side.peers.extend(domains.iter().cloned());
        }
        side.peers.extend(told.iter().filter(|(peer, _)| peer == domain).map(|(_, from)| from.clone()));
        side.peers.remove(domain);
        side.peers.retain(|peer| domains.contains(peer));
    }
}

/// The cluster that an item was declared to be of, or its first folder.
fn group(item: &Item, declaration: &Declaration) -> Option<String> {
    let folder = item.place.file.split_once('/').map(|(folder, _)| folder.to_owned());
    if declaration.clusters.is_empty() {
        return folder;
    }
    let theirs = |side: &DeclaredSide| side.files.iter().any(|pattern| matches(pattern, &item.place.file));
    let by_file = declaration.clusters.iter().find(|(_, side)| theirs(side)).map(|(name, _)| name.clone());
    let by_context = || {
        let context = context(item)?;
        declaration
            .clusters
            .iter()
            .find(|(_, side)| side.context.as_ref() == Some(&context))
            .map(|(name, _)| name.clone())
    };
    by_file.or_else(by_context).or_else(|| folder.filter(|folder| declaration.clusters.contains_key(folder)))
}

/// `*` stands for any characters; a folder stands for all in it.
fn matches(pattern: &str, file: &str) -> bool {
    let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = file.strip_prefix(first) else { return false };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    pattern.ends_with('*') || rest.is_empty() || rest.starts_with('/')
}

fn context(item: &Item) -> Option<String> {
    named(&item.place).context
}

/// The contexts that commands name, each with the trust domain of what they printed.
fn contexts(items: &[Item]) -> BTreeMap<String, TrustDomain> {
    let told = items.iter().filter_map(|item| Some((context(item)?, own_domain(&item.found)?)));
    best(told)
}

fn files(items: &[Item]) -> BTreeMap<String, TrustDomain> {
    best(items.iter().filter_map(|item| Some((item.place.file.clone(), own_domain(&item.found)?))))
}

/// The trust domain that the weightiest say, where they agree.
fn best(told: impl Iterator<Item = (String, (u8, TrustDomain))>) -> BTreeMap<String, TrustDomain> {
    let mut all: BTreeMap<String, Vec<(u8, TrustDomain)>> = BTreeMap::new();
    told.for_each(|(key, domain)| all.entry(key).or_default().push(domain));
    all.into_iter().filter_map(|(key, told)| Some((key, agreed(told)?))).collect()
}

fn agreed(told: Vec<(u8, TrustDomain)>) -> Option<TrustDomain> {
    let first = told.iter().map(|(rank, _)| *rank).min()?;
    let names: BTreeSet<_> =
        told.into_iter().filter(|(rank, _)| *rank == first).map(|(_, domain)| domain).collect();
    if names.len() == 1 { names.into_iter().next() } else { None }
}

fn domain_of<'a>(items: impl Iterator<Item = &'a Item>) -> Option<TrustDomain> {
    agreed(items.filter_map(|item| own_domain(&item.found)).collect())
}

/// The trust domain that something is of by its own words, and how much they weigh: less is more.
fn own_domain(found: &Found) -> Option<(u8, TrustDomain)> {
    match found {
        Found::MeshDomain(domain) => Some((0, domain.clone())),
        Found::Entries { entries, .. } => Some((1, entries.first()?.spiffe_id.trust_domain().clone())),
        Found::Proxy(dump) => Some((2, leaf_of(&dump.held)?.trust_domain().clone())),
        Found::Records(records) => Some((3, records.iter().find_map(own_id)?.trust_domain().clone())),
        Found::Bundle(told) if !told.of_peer => Some((4, told.trust_domain.clone()?)),
        _ => None,
    }
}

/// Whom a proxy's certificate names.
pub(super) fn leaf_of(held: &Held) -> Option<SpiffeId> {
    held.certificate("default")?.chain().ok()?.leaf.spiffe_id().ok()
}

/// Namespace and service account of an ID of Istio's form.
pub(super) fn ns_sa(id: &SpiffeId) -> Option<(String, String)> {
    let parts: Vec<_> = id.path().split('/').collect();
    match parts.as_slice() {
        ["", "ns", namespace, "sa", account] => Some(((*namespace).to_owned(), (*account).to_owned())),
        _ => None,
    }
}

/// Whom the sidecar that wrote the record called itself.
pub(super) fn own_id(record: &Record) -> Option<SpiffeId> {
    let outbound = record.upstream_cluster.as_deref().is_some_and(|name| name.starts_with("outbound|"));
    let id = if outbound { &record.upstream_local_uri_san } else { &record.downstream_local_uri_san };
    id.as_deref()?.parse().ok()
}

/// The other trust domains that something speaks of.
fn mentioned(found: &Found) -> Vec<TrustDomain> {
    match found {
        Found::Proxy(dump) => match dump.held.trust("ROOTCA") {
            Some(Trust::PerTrustDomain(all)) => {
                all.iter().filter_map(|one| one.trust_domain.parse().ok()).collect()
            }
            _ => Vec::new(),
        },
        Found::Entries { entries, .. } => {
            entries.iter().flat_map(|entry| entry.federates_with.clone()).collect()
        }
        Found::Bundle(told) if told.of_peer => told.trust_domain.iter().cloned().collect(),
        Found::Refresh { trust_domain, .. } => trust_domain.iter().cloned().collect(),
        Found::Wish { peers, .. } => peers.clone(),
        _ => Vec::new(),
    }
}
