//! Looking at a world: each look fills in one part of the evidence, for all clusters at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::future::{join_all, try_join_all};
use harness::kube::conditions::Standing;
use harness::kube::pod::pod;
use harness::kube::pods::{one_ready_pod, pods, workload_of};
use harness::kube::{connect, forward};
use harness::mesh::ENVOY_ADMIN;
use harness::world::{Access, World};
use harness::{Code, Error, Result, istiod, spire};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use proof::envoy::{Counters, Held, maximum_tls};
use proof::evidence::{ClusterSeen, Evidence, Fetch, Proxy, Workload, missing};
use proof::identity::{Bundle, Pem, TrustDomain, entries_of};
use proof::topology::{Cluster, ClusterName, Way};

use crate::disturbance::Journal;
use crate::pods::{PROXIES, Pods};

/// A cluster by its number in the topology: a scenario that is written for so many clusters names them as the documents
/// do, and a topology of one's own may call them otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nth(usize);

/// The first cluster of the topology.
pub const CLUSTER1: Nth = Nth(0);
/// The second.
pub const CLUSTER2: Nth = Nth(1);

/// A visit to a world that is up.
pub struct Mesh {
    world: World,
    file: PathBuf,
    clients: BTreeMap<ClusterName, Client>,
}

impl Mesh {
    /// Attaches to the world that `xtask` names.
    ///
    /// # Errors
    /// [`Code::Usage`] when none is up.
    pub async fn visit() -> Result<Self> {
        let path = std::env::var_os(crate::WORLD).map(PathBuf::from);
        let path =
            path.ok_or_else(|| Error::new(Code::Usage, "no world is named").next("cargo xtask verify"))?;
        Self::of(&path).await
    }

    /// Attaches to the world of that file.
    pub(crate) async fn of(file: &Path) -> Result<Self> {
        let world = World::at(file)?;
        let mut clients = BTreeMap::new();
        for (name, access) in &world.sites {
            clients.insert(name.clone(), connect(&access.kubeconfig).await?);
        }
        Ok(Self { world, file: file.to_owned(), clients })
    }

    /// Where what is changed in it is written down.
    pub(crate) fn journal(&self) -> Journal {
        Journal::of(&self.world, &self.file)
    }

    /// The world as it was made.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// That cluster, as it was made.
    pub(crate) fn access(&self, cluster: Nth) -> Result<&Access> {
        let name = &self.cluster(cluster)?.name;
        self.world.sites.get(name).ok_or_else(|| Error::internal(format!("the world has no {name}")))
    }

    /// The address of the node, which is also that of its gateway and its bundle endpoint.
    ///
    /// # Errors
    /// As [`Mesh::cluster`].
    pub fn address(&self, cluster: Nth) -> Result<std::net::IpAddr> {
        Ok(self.access(cluster)?.address)
    }

    /// The clusters as data.
    pub fn clusters(&self) -> &[Cluster] {
        &self.world.topology.clusters
    }

    /// That cluster, as data.
    ///
    /// # Errors
    /// [`Code::Internal`]: a module of scenarios says how many clusters it needs.
    pub fn cluster(&self, cluster: Nth) -> Result<&Cluster> {
        self.clusters()
            .get(cluster.0)
            .ok_or_else(|| Error::internal(format!("the world has no cluster {}", cluster.0 + 1)))
    }

    /// Every cluster, by its number.
    pub fn numbers(&self) -> impl Iterator<Item = Nth> + use<> {
        (0..self.clusters().len()).map(Nth)
    }

    /// Every ordered pair of clusters.
    pub fn ways(&self) -> Vec<Way> {
        self.world.topology.ways()
    }

    /// The same, by their numbers.
    pub fn pairs(&self) -> Vec<(Nth, Nth)> {
        let all = || self.numbers();
        all().flat_map(|from| all().map(move |to| (from, to))).filter(|(from, to)| from != to).collect()
    }

    /// The way between these clusters.
    ///
    /// # Errors
    /// As [`Mesh::cluster`].
    pub fn way(&self, from: Nth, to: Nth) -> Result<Way> {
        Ok(Way { from: self.cluster(from)?.name.clone(), to: self.cluster(to)?.name.clone() })
    }

    /// The cluster of that name, as data.
    pub(crate) fn named(&self, name: &ClusterName) -> Result<&Cluster> {
        self.world.topology.get(name)
    }

    /// A cluster's API.
    pub(crate) fn api(&self, name: &ClusterName) -> Result<&Client> {
        self.clients.get(name).ok_or_else(|| Error::internal(format!("no client for {name}")))
    }

    /// Each SPIRE server's own bundle: what certificates are judged by.
    pub async fn published(&self, seen: &mut Evidence) -> Result<()> {
        self.each(seen, async |client, one| {
            one.bundle = Some(Bundle::read(one.trust_domain()?, &spire::bundle(client).await?)?);
            Ok(())
        })
        .await
    }

    /// Each SPIRE server's own bundle, what it holds for the others, and whether it can fetch theirs.
    pub async fn bundles(&self, seen: &mut Evidence) -> Result<()> {
        self.published(seen).await?;
        self.each(seen, async |client, one| {
            let mut held = Vec::new();
            for peer in self.clusters().iter().filter(|c| c.name != one.cluster.name) {
                if let Some(json) = spire::bundle_of_peer(client, &peer.trust_domain).await? {
                    held.push(Bundle::read(domain(peer)?, &json)?);
                }
            }
            one.peer_bundles = Some(held);
            // After the look at what is held: a fetch may change it.
            let mut fetches = Vec::new();
            for peer in self.clusters().iter().filter(|c| c.name != one.cluster.name) {
                let out = spire::fetch_bundle_of_peer(client, &peer.trust_domain).await?;
                let said = format!("{} {}", out.stdout.trim(), out.stderr.trim()).trim().to_owned();
                fetches.push(Fetch { trust_domain: domain(peer)?, status: out.status, said });
            }
            one.fetches = Some(fetches);
            Ok(())
        })
        .await
    }

    /// Each SPIRE server's registration entries.
    pub async fn entries(&self, seen: &mut Evidence) -> Result<()> {
        self.each(seen, async |client, one| {
            one.entries = Some(entries_of(&spire::entries(client).await?)?);
            Ok(())
        })
        .await
    }

    /// What every mesh proxy holds, by its own admin interface.
    pub async fn proxies(&self, seen: &mut Evidence) -> Result<()> {
        self.each(seen, async |client, one| {
            let looks = PROXIES.map(async |pods| {
                let replicas = workloads(client, pods).await?;
                try_join_all(replicas.into_iter().map(|one| proxy(client, one))).await
            });
            // One kind that is not there says nothing about the others.
            let mut missing = Ok(());
            for look in join_all(looks).await {
                match look {
                    Ok(proxies) => one.proxies.extend(proxies),
                    Err(e) => missing = missing.and(Err(e)),
                }
            }
            missing
        })
        .await
    }

    /// The root of each istiod's own CA, as it gives it to every namespace.
    pub async fn istiod_roots(&self, seen: &mut Evidence) -> Result<()> {
        self.each(seen, async |client, one| {
            let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "istio-test");
            let map = maps.get("istio-ca-root-cert").await;
            let map = map.map_err(|e| missing("istiod's root").because(e))?;
            let root = map.data.and_then(|mut data| data.remove("root-cert.pem"));
            one.istiod_root = Some(Pem::of(&root.ok_or_else(|| missing("istiod's root"))?));
            one.istiod_intermediate = plugged_in(client).await?;
            Ok(())
        })
        .await
    }

    /// Which clusters each istiod watches.
    pub async fn remote_clusters(&self, seen: &mut Evidence) -> Result<()> {
        self.each(seen, async |client, one| {
            one.remote_clusters = Some(istiod::clusters(client).await?);
            Ok(())
        })
        .await
    }

    /// Where each east-west gateway is reached.
    pub fn gateways(&self, seen: &mut Evidence) -> Result<()> {
        for (name, access) in &self.world.sites {
            seen.cluster_mut(name)?.gateway = Some(format!("{}:15443", access.address));
        }
        Ok(())
    }

    /// Looks at every cluster, also when one look fails: what the others saw is judged all the same.
    pub(crate) async fn each(
        &self,
        seen: &mut Evidence,
        look: impl AsyncFn(&Client, &mut ClusterSeen) -> Result<()>,
    ) -> Result<()> {
        let looks =
            seen.clusters.iter_mut().map(async |one| look(self.api(&one.cluster.name.clone())?, one).await);
        join_all(looks).await.into_iter().collect()
    }
}

/// The pod behind a selector, and the identity that Kubernetes gives it.
pub(crate) async fn workload(client: &Client, Pods(namespace, selector): Pods<'_>) -> Result<Workload> {
    let pod = one_ready_pod(client, namespace, selector).await?;
    Ok(workload_of(&pod))
}

/// The certificate that istiod signs with where a CA was plugged in for it: of the Secret only this leaves the look. (Istio's
/// "Plug in CA Certificates" names the Secret and its parts.)
async fn plugged_in(client: &Client) -> Result<Option<Pem>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "istio-system");
    let found = secrets.get_opt("cacerts").await;
    let found = found.map_err(|e| missing("whether a CA is plugged in for istiod").because(e))?;
    let certificate = found.and_then(|secret| secret.data?.remove("ca-cert.pem"));
    Ok(certificate.map(|pem| Pem::of(&String::from_utf8_lossy(&pem.0))))
}

/// Every ready pod behind a selector: its replicas.
pub(crate) async fn workloads(client: &Client, Pods(namespace, selector): Pods<'_>) -> Result<Vec<Workload>> {
    let all = pods(client, namespace, selector).await?;
    let ready: Vec<_> = all.into_iter().filter(|one| matches!(pod(one), Standing::Ready)).collect();
    if ready.is_empty() {
        // Says why none is.
        return Ok(vec![workload(client, Pods(namespace, selector)).await?]);
    }
    Ok(ready.iter().map(workload_of).collect())
}

/// A gateway's own counters, of all its pods together: a connection may pass any of them.
pub(crate) async fn counters(client: &Client, gateway: Pods<'_>) -> Result<Counters> {
    let gateways = workloads(client, gateway).await?;
    let looks = gateways.iter().map(async |gateway| {
        let answer = forward::get(client, &gateway.namespace, &gateway.pod, ENVOY_ADMIN, "/clusters").await?;
        Counters::of_clusters(&answer)
    });
    Ok(try_join_all(looks).await?.into_iter().fold(Counters::default(), Counters::plus))
}

/// What a pod's proxy holds now, and what it was told.
pub(crate) async fn proxy(client: &Client, workload: Workload) -> Result<Proxy> {
    let path = "/config_dump?resource=dynamic_listeners&name_regex=virtualInbound";
    let (held, listener) = tokio::try_join!(
        held(client, &workload),
        forward::get(client, &workload.namespace, &workload.pod, ENVOY_ADMIN, path)
    )?;
    Ok(Proxy { latest_tls: maximum_tls(&listener), ..Proxy::of(workload, Some(held)) })
}

/// What a proxy holds now.
pub(crate) async fn held(client: &Client, of: &Workload) -> Result<Held> {
    harness::proxy::held(client, &of.namespace, &of.pod).await
}

fn domain(cluster: &Cluster) -> Result<TrustDomain> {
    ClusterSeen::of(cluster.clone()).trust_domain()
}
