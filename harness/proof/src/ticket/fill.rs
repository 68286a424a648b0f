//! From what was found to a document of evidence, the same that a run collects, and to what limits it: who a proxy is by
//! its certificate's word alone, which lists are not whole, when each thing was seen.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use jiff::Timestamp;

use super::dump::Dump;
use super::found::{Found, Told};
use super::handshakes;
use super::names::named;
use super::sides::{Item, Sides, leaf_of, ns_sa};
use crate::envoy::{Held, Record};
use crate::evidence::{ClusterSeen, Evidence, Fetch, Proxy, Workload};
use crate::identity::{Authority, Bundle, Declared, TrustDomain};
use crate::topology::{Cluster, ClusterName};

/// What was asked of a proxy, beside what it answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its cluster and its place among the cluster's proxies.
    pub at: (usize, usize),
    /// The item that it comes from.
    pub item: usize,
    /// Its own words.
    pub dump: Dump,
    /// Whether nothing but its certificate says who it is.
    pub by_itself: bool,
}

/// What limits what a cluster's files tell.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// The entries may be some of several.
    pub some_entries: bool,
    /// The peers' bundles may be some of several.
    pub some_peers: bool,
    /// istiod's list names clusters of which it is not known which they are.
    pub strange_clusters: bool,
}

/// A pod, and its cluster as far as that is known.
type Known = (Option<usize>, Workload);

/// The evidence of a ticket.
#[derive(Clone, Debug)]
pub struct Filled {
    /// As a run would have collected it.
    pub evidence: Evidence,
    /// The proxies.
    pub asked: Vec<Asked>,
    /// Of each cluster.
    pub limits: Vec<Limits>,
    /// What an item was taken for, beyond its own words, by its place in the list.
    pub said: BTreeMap<usize, String>,
}

/// Puts everything in its place. Validity is judged at `at`.
pub fn fill(items: &[Item], sides: &Sides, identities: &Declared, at: Timestamp) -> Filled {
    let clusters: Vec<_> = sides.all.iter().map(|side| cluster(&side.name, &side.trust_domain)).collect();
    let mut evidence = Evidence::of(&clusters, at);
    evidence.identities = identities.clone();
    let mut filled = Filled {
        evidence,
        asked: Vec::new(),
        limits: vec![Limits::default(); clusters.len()],
        said: BTreeMap::new(),
    };
    let pods: Vec<Known> = items
        .iter()
        .zip(&sides.of)
        .flat_map(|(item, side)| {
            let pods = if let Found::Pods(pods) = &item.found { pods.as_slice() } else { &[] };
            pods.iter().map(|pod| (*side, pod.clone()))
        })
        .collect();
    for (i, (item, side)) in items.iter().zip(&sides.of).enumerate() {
        match side {
            Some(side) => filled.take(i, item, *side, sides, &pods),
            None => filled.unplaced(i, item, sides),
        }
    }
    filled.name_watched(items, sides);
    let records: Vec<(Option<usize>, Option<String>, &Record)> = items
        .iter()
        .zip(&sides.of)
        .flat_map(|(item, side)| {
            let pod = named(&item.place).pod;
            let records = if let Found::Records(records) = &item.found { records.as_slice() } else { &[] };
            records.iter().map(move |record| (*side, pod.clone(), record))
        })
        .collect();
    filled.evidence.handshakes = handshakes::all(&filled.evidence, &records);
    filled
}

impl Filled {
    fn seen(&mut self, side: usize) -> &mut ClusterSeen {
        &mut self.evidence.clusters[side]
    }

    fn take(&mut self, i: usize, item: &Item, side: usize, sides: &Sides, pods: &[Known]) {
        let own = &sides.all[side].trust_domain;
        match &item.found {
            Found::Proxy(dump) => self.proxy(i, item, side, dump, pods),
            Found::Bundle(told) => self.bundle(i, told, side, own),
            Found::NoPeers => drop(self.seen(side).peer_bundles.get_or_insert_default()),
            Found::Entries { entries, all } => {
                self.limits[side].some_entries |= !all;
                self.seen(side).entries.get_or_insert_default().extend(entries.iter().cloned());
            }
            Found::IstiodRoot(pem) => self.seen(side).istiod_root = Some(pem.clone()),
            Found::Watched(all) => self.seen(side).remote_clusters = Some(all.clone()),
            Found::Refresh { trust_domain, came, said } => {
                let peers: Vec<_> = sides.all[side].peers.iter().collect();
                let only = if let [one] = peers.as_slice() { Some((*one).clone()) } else { None };
                match trust_domain.clone().or(only) {
                    Some(trust_domain) => {
                        let fetch = Fetch { trust_domain, status: i32::from(!came), said: said.clone() };
                        self.seen(side).fetches.get_or_insert_default().push(fetch);
                    }
                    None => {
                        drop(self.said.insert(i, "nothing says of whose bundle, so it is not used".into()))
                    }
                }
            }
            Found::Gateway(address) => self.seen(side).gateway = Some(address.clone()),
            _ => {}
        }
    }

    /// What says of itself neither whose it is, nor lies with what does.
    fn unplaced(&mut self, i: usize, item: &Item, sides: &Sides) {
        let holders = |domain: &TrustDomain| -> Vec<usize> {
            (0..sides.all.len()).filter(|side| sides.all[*side].trust_domain != *domain).collect()
        };
        match &item.found {
            // Of two servers, the other one holds it.
            Found::Bundle(told) if told.of_peer => {
                match told.trust_domain.as_ref().map(&holders).as_deref() {
                    Some([side]) => self.bundle(i, told, *side, &sides.all[*side].trust_domain),
                    _ => drop(
                        self.said.insert(i, "nothing says whose server holds it, so it is not used".into()),
                    ),
                }
            }
            Found::Bundle(_)
            | Found::IstiodRoot(_)
            | Found::Watched(_)
            | Found::NoPeers
            | Found::Refresh { .. }
            | Found::Gateway(_)
                if sides.all.len() == 1 =>
            {
                self.take(i, item, 0, sides, &[]);
            }
            Found::Proxy(_)
            | Found::Bundle(_)
            | Found::IstiodRoot(_)
            | Found::Watched(_)
            | Found::NoPeers
            | Found::Refresh { .. }
            | Found::Gateway(_) => {
                self.said.insert(i, "nothing says of which cluster it is, so it is not used: put it into a folder with that cluster's other files".into());
            }
            _ => {}
        }
    }

    fn bundle(&mut self, i: usize, told: &Told, side: usize, own: &TrustDomain) {
        let domain = told.trust_domain.clone().unwrap_or_else(|| own.clone());
        let name = self.evidence.clusters[side].cluster.name.clone();
        let bundle = Bundle {
            trust_domain: domain.clone(),
            sequence: None,
            refresh_hint: None,
            authorities: told.authorities.clone(),
        };
        if told.of_peer || domain != *own {
            if !told.of_peer {
                self.said.insert(i, format!("taken for what the SPIRE server of {name} holds for {domain}, for it lies with {name}'s files"));
            }
            self.limits[side].some_peers |= told.alone;
            let peers = self.seen(side).peer_bundles.get_or_insert_default();
            peers.retain(|held| held.trust_domain != domain);
            peers.push(bundle);
            return;
        }
        if told.trust_domain.is_none() {
            self.said.insert(i, format!("taken for the bundle of {domain}, for it lies with {name}'s files"));
        }
        let seen = self.seen(side);
        match &seen.bundle {
            Some(known) if !known.same_keys(&bundle.authorities) => {
                self.said.insert(i, format!("another bundle of {domain} with other keys is here too; which is the newer one, nothing says, so the first is used"));
            }
            _ => seen.bundle = Some(bundle),
        }
    }

    fn proxy(&mut self, i: usize, item: &Item, side: usize, dump: &Dump, pods: &[Known]) {
        let Some((workload, by_itself)) = workload(item, side, dump, pods) else {
            let advice = "nothing says whose it is, so it is not used: name the file POD.NAMESPACE.json, and add kubectl get pods -o json";
            self.said.insert(i, advice.into());
            return;
        };
        // An ID of another shape than Istio's is as it should be where an entry gives it to that very pod.
        if let Some(id) = leaf_of(&dump.held).filter(|id| ns_sa(id).is_none()) {
            let entries = self.evidence.clusters[side].entries.iter().flatten();
            let own = [
                format!("k8s:pod-uid:{}", workload.uid.as_deref().unwrap_or("-")),
                format!("k8s:sa:{}", workload.service_account),
            ];
            let given = entries
                .filter(|entry| entry.spiffe_id == id)
                .any(|entry| entry.selectors.iter().any(|selector| own.contains(selector)));
            let key = format!("{}/{}", workload.namespace, workload.service_account);
            if given {
                self.evidence.identities.0.entry(key).or_insert_with(|| id.to_string());
            }
        }
        if self.again(side, dump, &workload, by_itself) {
            return;
        }
        let proxies = &mut self.evidence.clusters[side].proxies;
        self.asked.push(Asked { at: (side, proxies.len()), item: i, dump: dump.clone(), by_itself });
        let latest_tls = dump.latest_tls.clone();
        proxies.push(Proxy { latest_tls, ..Proxy::of(workload, Some(dump.held.clone())) });
    }

    /// Whether it is a dump of a proxy that another dump is of: nobody else has its certificate. The one that knows better
    /// whose it is names both.
    fn again(&mut self, side: usize, dump: &Dump, workload: &Workload, by_itself: bool) -> bool {
        let same = |held: &Held| {
            held.certificate("default").is_some()
                && held.certificate("default") == dump.held.certificate("default")
                && held.trust("ROOTCA") == dump.held.trust("ROOTCA")
        };
        let known = self.asked.iter_mut().find(|one| one.at.0 == side && same(&one.dump.held));
        let Some(known) = known else { return false };
        if known.by_itself && !by_itself {
            known.by_itself = false;
            self.evidence.clusters[side].proxies[known.at.1].workload = workload.clone();
        }
        true
    }

    /// Calls the clusters of istiods' lists by the names of the ticket. Istio's own come from the proxies' bootstraps.
    fn name_watched(&mut self, items: &[Item], sides: &Sides) {
        let mut names: BTreeMap<String, ClusterName> = BTreeMap::new();
        for (item, side) in items.iter().zip(&sides.of) {
            if let (Found::Proxy(dump), Some(side)) = (&item.found, side)
                && let Some(id) = dump.node.as_ref().and_then(|node| node.cluster.clone())
            {
                names.insert(id, self.evidence.clusters[*side].cluster.name.clone());
            }
        }
        let ours: Vec<_> = self.evidence.clusters.iter().map(|seen| seen.cluster.name.clone()).collect();
        for (side, seen) in self.evidence.clusters.iter_mut().enumerate() {
            let peers: Vec<_> = ours.iter().filter(|name| **name != seen.cluster.name).collect();
            let remotes = seen.remote_clusters.iter_mut().flatten();
            let mut strange: Vec<_> = remotes.filter(|one| !one.secret_name.is_empty()).collect();
            strange.iter_mut().for_each(|one| {
                if let Some(name) = names.get(&one.id) {
                    one.id.clone_from(&name.0);
                }
            });
            strange.retain(|one| !ours.iter().any(|name| name.0 == one.id));
            match (strange.as_mut_slice(), peers.as_slice()) {
                ([one], [peer]) => one.id.clone_from(&peer.0),
                (strange, _) => self.limits[side].strange_clusters = !strange.is_empty(),
            }
        }
    }
}

/// Who the proxy is, and whether its certificate alone says so.
fn workload(item: &Item, side: usize, dump: &Dump, pods: &[Known]) -> Option<(Workload, bool)> {
    let named = named(&item.place);
    let node = dump.node.as_ref();
    let leaf = leaf_of(&dump.held).and_then(|id| ns_sa(&id));
    let pod = node.map(|node| node.pod.clone()).or(named.pod.clone());
    let namespace = node.map(|node| node.namespace.clone()).or(named.namespace);
    let near = || pods.iter().filter(|(of, _)| of.is_none_or(|of| of == side)).map(|(_, pod)| pod);
    let of_name = near().find(|known| {
        Some(&known.pod) == pod.as_ref() && namespace.as_ref().is_none_or(|own| *own == known.namespace)
    });
    // A file may be called by a pod's name and more.
    if let Some(known) = of_name.or_else(|| near().find(|known| item.place.file.contains(&known.pod))) {
        return Some((known.clone(), false));
    }
    let account = node.and_then(|node| node.service_account.clone());
    let by_itself = account.is_none();
    let namespace = namespace.or_else(|| leaf.as_ref().map(|(namespace, _)| namespace.clone()))?;
    let service_account = account.or_else(|| leaf.map(|(_, account)| account))?;
    let pod = pod.unwrap_or_else(|| format!("a pod of {service_account}"));
    Some((Workload { namespace, pod, service_account, uid: None }, by_itself))
}

/// A cluster of which no address is known: none is said to be a pod's.
fn cluster(name: &str, trust_domain: &TrustDomain) -> Cluster {
    let nowhere = Ipv4Net::default();
    let nowhere = Ipv4Net::new(nowhere.addr(), 32).unwrap_or(nowhere);
    Cluster {
        name: name.into(),
        trust_domain: trust_domain.to_string(),
        network: String::new(),
        pods: nowhere,
        services: nowhere,
        version: String::new(),
    }
}

/// The moment at which a ticket's things were so: the newest that it names, and who names it.
pub fn newest(items: &[Item]) -> Option<(Timestamp, String)> {
    let told = |what: &str, item: &Item, at: Timestamp| (at, format!("{what} in {}", item.place));
    let seen = items.iter().filter_map(|item| match &item.found {
        Found::Proxy(dump) => Some(told("the newest last_updated", item, dump.newest?)),
        Found::Records(all) => {
            Some(told("the newest start_time", item, all.iter().filter_map(Record::began).max()?))
        }
        _ => None,
    });
    let by_events = seen.max_by_key(|(at, _)| *at);
    let leaves = items.iter().filter_map(|item| match &item.found {
        Found::Proxy(dump) => dump
            .held
            .chains()
            .filter_map(|pem| Some(pem.chain().ok()?.leaf.not_before))
            .max()
            .map(|at| told("the newest not-before", item, at)),
        Found::Bundle(told_bundle) => told_bundle
            .authorities
            .iter()
            .map(|one: &Authority| one.certificate.not_before)
            .max()
            .map(|at| told("the newest not-before", item, at)),
        _ => None,
    });
    // A certificate's beginning is known to lie before the moment of looking, and so is an update.
    by_events.into_iter().chain(leaves.max_by_key(|(at, _)| *at)).max_by_key(|(at, _)| *at)
}
