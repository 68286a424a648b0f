//! What was seen of one cluster: its SPIRE server, its istiod, its proxies.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeldAt, Workload, missing};
use crate::envoy::Held;
use crate::error::Context;
use crate::identity::{Authority, Bundle, Entry, Pem, TrustDomain};
use crate::topology::Cluster;
use crate::{Code, Error, Result};

/// One cluster, as observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterSeen {
    /// Who it is.
    pub cluster: Cluster,
    /// What the istiods of the mesh call it, where that was looked up: somebody else's cluster may have another name here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub istio_id: Option<String>,
    /// Why parts of it could not be looked at, where that is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<Part, String>,
    /// Address and port at which its east-west gateway is reached from outside.
    pub gateway: Option<String>,
    /// What its SPIRE server publishes.
    pub bundle: Option<Bundle>,
    /// What its SPIRE server holds for others; empty when it holds none.
    pub peer_bundles: Option<Vec<Bundle>>,
    /// What came of fetching each peer's bundle, by the relationship that it has with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetches: Option<Vec<Fetch>>,
    /// Its SPIRE server's registration entries.
    pub entries: Option<Vec<Entry>>,
    /// The root of istiod's own CA.
    pub istiod_root: Option<Pem>,
    /// The intermediate that its istiod signs with, when its CA was plugged in below a root (`ca-cert.pem` of the
    /// Secret `cacerts`). Where SPIRE has the same root, nothing else tells the two apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub istiod_intermediate: Option<Pem>,
    /// Which other clusters its istiod watches.
    pub remote_clusters: Option<Vec<RemoteCluster>>,
    /// What else than mutual TLS by istiod's certificates its mesh was told to speak, and to whom; empty when nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_settings: Option<Vec<TlsSetting>>,
    /// Its mesh proxies, sidecars and gateways.
    pub proxies: Vec<Proxy>,
    /// What they and others before them held since they were watched, in the order in which it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<HeldAt>>,
}

/// A SPIRE server's attempt to fetch a peer's bundle now, as its poller does: from the URL and as the identity that its
/// relationship names (`spire-server federation refresh`, which answers when the fetch has ended).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// Whose bundle.
    pub trust_domain: TrustDomain,
    /// The command's exit status: 0 when the bundle came.
    pub status: i32,
    /// The server's own words.
    pub said: String,
}

/// A DestinationRule or PeerAuthentication that takes mutual TLS off, or makes it optional.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSetting {
    /// The object: `DestinationRule istio-test/plain`.
    pub object: String,
    /// For which host a client is told so; nothing where a server is.
    pub host: Option<String>,
    /// The mode: `DISABLE`, `SIMPLE`, `PERMISSIVE`.
    pub mode: String,
}

/// A part of what is seen of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What its SPIRE server publishes.
    Bundle,
    /// What its SPIRE server holds for others.
    PeerBundles,
    /// Its SPIRE server fetching peers' bundles.
    Fetches,
    /// Its registration entries.
    Entries,
    /// The root of istiod's own CA.
    IstiodRoot,
    /// Which other clusters its istiod watches.
    RemoteClusters,
    /// Which pods have a proxy.
    Proxies,
}

/// A proxy of the mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Whose it is.
    pub workload: Workload,
    /// What else of its pod a registration entry may select by, as selectors (`k8s:pod-label:app:curl`); empty where nobody
    /// looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selectors: Vec<String>,
    /// What it holds.
    pub held: Option<Held>,
    /// Why that could not be seen, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// Whether it was not asked because enough others of its workload were: a sample was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
    /// The latest TLS version that its inbound listener was told to take, in Envoy's words: `TLSv1_2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_tls: Option<String>,
}

/// A cluster that an istiod watches, as its debug endpoint `clusterz` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoteCluster {
    /// The cluster's name.
    pub id: String,
    /// The remote secret that it comes from; empty for the istiod's own cluster.
    #[serde(alias = "secretName", default)]
    pub secret_name: String,
    /// `synced` when all of it was read.
    #[serde(alias = "syncStatus")]
    pub sync_status: String,
}

impl Proxy {
    /// What one holds, and nothing else of it.
    pub fn of(workload: Workload, held: Option<Held>) -> Self {
        Self { workload, selectors: Vec::new(), held, unread: None, left_out: false, latest_tls: None }
    }
}

impl RemoteCluster {
    /// Reads istiod's `/debug/clusterz`.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it is something else.
    pub fn all_in(json: &str) -> Result<Vec<Self>> {
        serde_json::from_str(json)
            .or_fail(Code::Evidence, || "istiod's list of clusters cannot be read".into())
    }
}

impl ClusterSeen {
    /// Nothing seen of it yet.
    pub fn of(cluster: Cluster) -> Self {
        Self {
            cluster,
            istio_id: None,
            unread: BTreeMap::new(),
            gateway: None,
            bundle: None,
            peer_bundles: None,
            fetches: None,
            entries: None,
            istiod_root: None,
            istiod_intermediate: None,
            remote_clusters: None,
            tls_settings: None,
            proxies: Vec::new(),
            history: None,
        }
    }

    /// Its trust domain.
    ///
    /// # Errors
    /// [`Code::Evidence`] when the document has a name that is none.
    pub fn trust_domain(&self) -> Result<TrustDomain> {
        let what = || format!("the trust domain of {}", self.cluster.name);
        self.cluster.trust_domain.parse().or_fail(Code::Evidence, what)
    }

    /// What its SPIRE server publishes.
    ///
    /// # Errors
    /// [`Code::Evidence`] when that was not collected, or is somebody else's.
    pub fn published(&self) -> Result<&Bundle> {
        let name = &self.cluster.name;
        let what = || self.lacks(Part::Bundle, format!("the bundle of {name}"));
        let bundle = self.bundle.as_ref().ok_or_else(what)?;
        if bundle.trust_domain != self.trust_domain()? {
            let what = format!("the bundle of {name}");
            return Err(missing(what).seen(format!("a bundle of {} in its place", bundle.trust_domain)));
        }
        Ok(bundle)
    }

    /// The error of a claim for which that part is missing, with why, where that is known.
    pub fn lacks(&self, part: Part, what: impl std::fmt::Display) -> Error {
        match self.unread.get(&part) {
            Some(why) => missing(what).seen(why),
            None => missing(what),
        }
    }

    /// What the istiods of the mesh call it.
    pub fn called(&self) -> &str {
        self.istio_id.as_deref().unwrap_or(&self.cluster.name.0)
    }

    /// Its istiod's CA.
    ///
    /// # Errors
    /// [`Code::Evidence`] when its root was not collected, or something of it cannot be read.
    pub fn istiod(&self) -> Result<IstiodCa> {
        let read = |pem: &Pem, what: &str| {
            let what = || missing(format!("istiod's {what} in {}", self.cluster.name));
            Authority::all_in(pem).map_err(|flaw| what().seen(flaw.to_string()))
        };
        let what = || self.lacks(Part::IstiodRoot, format!("istiod's root in {}", self.cluster.name));
        let roots = read(self.istiod_root.as_ref().ok_or_else(what)?, "root")?;
        let chain = self.istiod_intermediate.as_ref().map(|pem| read(pem, "intermediate")).transpose()?;
        // What may follow the intermediate is above it, and perhaps above SPIRE's too.
        let intermediate = chain.and_then(|chain| chain.into_iter().next());
        Ok(IstiodCa { roots, intermediate })
    }
}

/// What istiod makes certificates with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IstiodCa {
    /// What it tells everybody to believe.
    pub roots: Vec<Authority>,
    /// What it signs with, when that is not its root.
    pub intermediate: Option<Authority>,
}

impl IstiodCa {
    /// All of them.
    pub fn authorities(&self) -> impl Iterator<Item = &Authority> {
        self.roots.iter().chain(&self.intermediate)
    }

    /// Whether it signs with that key, or with something below it that is not known.
    pub fn may_sign_with(&self, authority: &Authority) -> bool {
        match &self.intermediate {
            Some(intermediate) => intermediate.has_key_of(authority),
            None => self.roots.iter().any(|root| root.has_key_of(authority)),
        }
    }
}
