//! Looking at clusters that others run: every part of the evidence that no traffic decides, all clusters at once, and
//! so many proxies at a time.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures::future::join_all;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use proof::evidence::repeat::{self, Reach};
use proof::evidence::{ClusterSeen, Evidence, Fetch, Part, Proxy, RemoteCluster, missing};
use proof::identity::{Authority, Bundle, Pem, TrustDomain, entries_of};

use super::config;
use super::find::{Found, Istiod, words};
use super::reach::Existing;
use super::rights::{CONFIG, PLUGGED_IN};
use crate::kube::fault;
use crate::progress::Note;
use crate::spire::Server;
use crate::{Code, Error, Result, istiod, patience, proxy, wait};

/// Proxies of one cluster that are asked at the same time: what a small API server takes.
const AT_ONCE: usize = 8;

/// Looks at all of them, and hands back what was seen. What could not be is part of it, with why.
pub async fn look(clusters: Vec<(Existing, Found)>, note: &Note) -> Evidence {
    let named: Vec<_> = clusters.iter().map(|(_, found)| found.cluster.clone()).collect();
    let reach = clusters.iter().map(|(existing, found)| (found.cluster.name.clone(), reach(existing, found)));
    let reach = reach.collect();
    let mut evidence = Evidence::of(&named, jiff::Timestamp::now());
    let domains: Vec<TrustDomain> = named.iter().filter_map(|one| one.trust_domain.parse().ok()).collect();
    let looks = evidence.clusters.iter_mut().zip(clusters).map(|(seen, (existing, found))| {
        let (domains, note) = (&domains, note.of(&format!("{}/look", seen.cluster.name)));
        Box::pin(async move {
            let (began, lane) = (Instant::now(), seen.cluster.name.0.clone());
            note.started(&lane, "look at SPIRE, istiod and proxies", None);
            let mut one = One { client: existing.client, seen, server: found.server };
            one.seen.unread = found.unread;
            (one.seen.istio_id, one.seen.gateway) = (found.istio_id, found.gateway);
            one.all(&found.istiods, found.proxies, domains, &note).await;
            note.finished(began.elapsed());
            (one.client, one.server, found.istiods.into_iter().next().map(|one| one.namespace))
        })
    });
    let asked: Vec<_> = join_all(looks).await;
    // Each needs what the others publish.
    let published: Vec<_> = evidence.clusters.iter().filter_map(|seen| seen.bundle.clone()).collect();
    let last = evidence.clusters.iter_mut().zip(asked).map(|(seen, (client, server, istiod))| {
        let mut one = One { client, seen, server };
        let published = &published;
        Box::pin(async move {
            one.fetches(published).await;
            one.plugged_in(istiod, published).await;
            one.still_the_same().await;
        })
    });
    join_all(last).await;
    evidence.collected_at = jiff::Timestamp::now();
    evidence.as_registered = true;
    evidence.repeat = repeat::all(&evidence, &reach);
    evidence
}

/// How a person asks it, with the context that was named.
fn reach(Existing { named, .. }: &Existing, found: &Found) -> Reach {
    let file = named.kubeconfig.as_ref().map(|file| format!(" --kubeconfig {}", file.display()));
    let kubectl = format!("kubectl{} --context {}", file.unwrap_or_default(), named.context);
    let istio =
        found.istiods.first().map_or_else(|| istiod::NAMESPACE.to_owned(), |one| one.namespace.clone());
    Reach { kubectl, spire_server: found.server.as_ref().map(Server::reach), istio }
}

/// One cluster while it is looked at.
struct One<'a> {
    client: Client,
    seen: &'a mut ClusterSeen,
    server: Option<Server>,
}

impl One<'_> {
    async fn all(&mut self, istiods: &[Istiod], proxies: Vec<Proxy>, domains: &[TrustDomain], note: &Note) {
        let client = &self.client;
        let asked = asked(client, proxies, note);
        let (proxies, remotes, root) = tokio::join!(asked, remotes(client, istiods), root(client, istiods));
        self.seen.proxies = proxies;
        if !self.seen.unread.contains_key(&Part::RemoteClusters) {
            self.seen.remote_clusters = self.read(Part::RemoteClusters, remotes);
        }
        if !self.seen.unread.contains_key(&Part::IstiodRoot) {
            self.seen.istiod_root = self.read(Part::IstiodRoot, root);
        }
        let (Some(server), Ok(own)) = (self.server.clone(), self.seen.trust_domain()) else { return };
        let (bundle, entries) =
            tokio::join!(bundle(&self.client, &server, &own), entries(&self.client, &server));
        self.seen.bundle = self.read(Part::Bundle, bundle);
        self.seen.entries = self.read(Part::Entries, entries);
        let named = self.seen.entries.iter().flatten().flat_map(|entry| &entry.federates_with);
        let mut peers: Vec<_> = named.chain(domains).filter(|domain| **domain != own).cloned().collect();
        peers.sort();
        peers.dedup();
        let held = held(&self.client, &server, peers).await;
        self.seen.peer_bundles = self.read(Part::PeerBundles, held);
    }

    /// What is missing is said with why.
    fn read<T>(&mut self, part: Part, looked: Result<T>) -> Option<T> {
        looked.map_err(|e| self.seen.unread.insert(part, words(&e))).ok()
    }

    /// Lets the server poll each peer here that publishes what it holds already. One that has no relationship refuses, and
    /// nothing changes either.
    async fn fetches(&mut self, published: &[Bundle]) {
        let (Some(server), Some(held), Ok(own)) =
            (&self.server, &self.seen.peer_bundles, self.seen.trust_domain())
        else {
            return;
        };
        let (mut fetches, mut failed, mut otherwise) = (Vec::new(), Ok(()), Vec::new());
        for peer in published.iter().filter(|peer| peer.trust_domain != own) {
            let holds = held.iter().find(|held| held.trust_domain == peer.trust_domain);
            if !holds.is_some_and(|held| held.same_keys(&peer.authorities)) {
                otherwise.push(peer.trust_domain.to_string());
                continue;
            }
            let domain = peer.trust_domain.clone();
            match server.fetch_bundle_of_peer(&self.client, domain.as_str()).await {
                Ok(out) => {
                    let said = format!("{} {}", out.stdout.trim(), out.stderr.trim()).trim().to_owned();
                    fetches.push(Fetch { trust_domain: domain, status: out.status, said });
                }
                Err(e) => failed = failed.and(Err(e)),
            }
        }
        self.seen.fetches = Some(fetches);
        if let Err(e) = failed {
            self.seen.unread.insert(Part::Fetches, words(&e));
        } else if !otherwise.is_empty() {
            let why = format!(
                "it does not hold what {} publishes, and a fetch would change that",
                otherwise.join(", ")
            );
            self.seen.unread.insert(Part::Fetches, why);
        }
    }

    /// What istiod signs with, where only that tells what it signed: its root is SPIRE's, too.
    async fn plugged_in(&mut self, istiod: Option<String>, published: &[Bundle]) {
        let roots =
            self.seen.istiod_root.as_ref().map(Authority::all_in).and_then(Result::ok).unwrap_or_default();
        let known =
            |root: &Authority| published.iter().flat_map(|one| &one.authorities).any(|a| a.has_key_of(root));
        let Some(namespace) = istiod.filter(|_| roots.iter().any(known)) else { return };
        let read = async {
            if let Some(denied) = PLUGGED_IN.denied(&self.client, Some(&namespace)).await {
                return Err(Error::new(Code::Evidence, denied));
            }
            let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
            let found = secrets.get_opt("cacerts").await;
            let found =
                found.map_err(|f| fault::failed("cannot see whether a CA is plugged in for istiod", &f))?;
            let certificate = found.and_then(|secret| secret.data?.remove("ca-cert.pem"));
            Ok(certificate.map(|pem| Pem::of(&String::from_utf8_lossy(&pem.0))))
        };
        match read.await {
            Ok(found) => self.seen.istiod_intermediate = found,
            Err(e) => drop(self.seen.unread.insert(Part::IstiodRoot, words(&e))),
        }
    }

    /// An authority that was added meanwhile makes what was seen before and after it differ, and neither wrong.
    async fn still_the_same(&mut self) {
        let (Some(server), Some(before)) = (&self.server, &self.seen.bundle) else { return };
        let why = match bundle(&self.client, server, &before.trust_domain).await {
            Ok(now) if now.same_keys(&before.authorities) => return,
            Ok(_) => "its authorities changed while it was looked at: look again".to_owned(),
            Err(e) => words(&e),
        };
        self.seen.bundle = None;
        self.seen.unread.insert(Part::Bundle, why);
    }
}

/// What each of these proxies holds.
async fn asked(client: &Client, proxies: Vec<Proxy>, note: &Note) -> Vec<Proxy> {
    let wanted = proxies.iter().filter(|proxy| is_asked(proxy)).count();
    let done = &AtomicUsize::new(0);
    let looks = proxies.into_iter().map(|mut proxy| async move {
        if is_asked(&proxy) {
            let held = proxy::held(client, &proxy.workload.namespace, &proxy.workload.pod);
            match within("what a proxy holds", held).await {
                Ok(held) => proxy.held = Some(held),
                Err(e) => proxy.unread = Some(words(&e)),
            }
            note.say(format!("{} of {wanted} proxies", done.fetch_add(1, Ordering::Relaxed) + 1));
        }
        proxy
    });
    stream::iter(looks).buffered(AT_ONCE).collect().await
}

fn is_asked(proxy: &Proxy) -> bool {
    proxy.unread.is_none() && !proxy.left_out
}

/// Which clusters all istiods watch: one that only some of them have read is not synced.
async fn remotes(client: &Client, istiods: &[Istiod]) -> Result<Vec<RemoteCluster>> {
    let looks = istiods.iter().map(|one| async move {
        let look = istiod::clusters_of(client, &one.namespace, &one.pod);
        Ok((one.pod.as_str(), within("istiod's clusters", look).await?))
    });
    let all: Vec<_> = join_all(looks).await.into_iter().collect::<Result<_>>()?;
    Ok(together(&all))
}

fn together(all: &[(&str, Vec<RemoteCluster>)]) -> Vec<RemoteCluster> {
    let mut merged: Vec<RemoteCluster> = Vec::new();
    for remote in all.iter().flat_map(|(_, remotes)| remotes) {
        if merged.iter().any(|one| one.id == remote.id) {
            continue;
        }
        let mut remote = remote.clone();
        for (pod, remotes) in all {
            match remotes.iter().find(|one| one.id == remote.id) {
                Some(one) if one.sync_status == "synced" => {}
                Some(one) => remote.sync_status = format!("{} in {pod}", one.sync_status),
                None => remote.sync_status = format!("not watched by {pod}"),
            }
        }
        merged.push(remote);
    }
    merged
}

async fn root(client: &Client, istiods: &[Istiod]) -> Result<Pem> {
    let one = istiods.first().ok_or_else(|| missing("istiod"))?;
    if let Some(denied) = CONFIG.denied(client, Some(&one.namespace)).await {
        return Err(Error::new(Code::Evidence, denied));
    }
    within("istiod's root", config::root(client, &one.namespace)).await
}

async fn bundle(client: &Client, server: &Server, own: &TrustDomain) -> Result<Bundle> {
    let read = async { Bundle::read(own.clone(), &server.bundle(client).await?) };
    within("the SPIRE server's bundle", read).await
}

async fn entries(client: &Client, server: &Server) -> Result<Vec<proof::identity::Entry>> {
    within("its entries", async { entries_of(&server.entries(client).await?) }).await
}

async fn held(client: &Client, server: &Server, peers: Vec<TrustDomain>) -> Result<Vec<Bundle>> {
    let mut held = Vec::new();
    for domain in peers {
        let look = server.bundle_of_peer(client, domain.as_str());
        if let Some(json) = within("a bundle that it holds", look).await? {
            held.push(Bundle::read(domain, &json)?);
        }
    }
    Ok(held)
}

/// Boxed: without optimisation the frames of a request do not fit into a thread's stack several times over.
async fn within<T>(what: &str, look: impl Future<Output = Result<T>>) -> Result<T> {
    wait::within(what, patience::ATTEMPT, Box::pin(look)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_istiod_has_not_read_is_not_synced() {
        let remote = |id: &str, status: &str| RemoteCluster {
            id: id.into(),
            secret_name: "s".into(),
            sync_status: status.into(),
        };
        let old = ("istiod-1", vec![remote("a", "synced"), remote("b", "synced"), remote("c", "synced")]);
        let canary = ("istiod-canary-1", vec![remote("a", "synced"), remote("b", "timeout")]);
        let told: Vec<_> = together(&[old, canary])
            .into_iter()
            .map(|one| format!("{} {}", one.id, one.sync_status))
            .collect();
        assert_eq!(told, ["a synced", "b timeout in istiod-canary-1", "c not watched by istiod-canary-1"]);
        assert_eq!(together(&[]), []);
    }
}
