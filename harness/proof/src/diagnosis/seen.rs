//! What a diagnosis looks at: everything that a mesh was told, and what became of it, as it was found.
//!
//! A look that failed stays one: what could not be read never excludes a cause. Names, namespaces and trust domains come
//! from here, so that a mesh that is configured otherwise is judged by what it was told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::envoy::Held;
use crate::error::Context;
use crate::evidence::{Fetch, RemoteCluster};
use crate::identity::{Bundle, Entry, Pem, TrustDomain};
use crate::{Code, Error, Result};

/// The version of the document's form; grows with every change that an old reader would misread.
const VERSION: u32 = 1;

/// Everything that was looked at, in all clusters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observations {
    version: u32,
    /// When: the moment at which validity is judged.
    pub collected_at: Timestamp,
    /// What did not hold before, in the words of the verdicts. Some settings are a cause only of a certain symptom.
    #[serde(default)]
    pub symptoms: Vec<String>,
    /// Each cluster.
    pub clusters: Vec<ClusterLook>,
}

/// One look: what was there, or why nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look<T> {
    /// It was there, perhaps empty.
    Seen(T),
    /// It could not be read, and why.
    NotReadable(String),
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterLook {
    /// Its name, as the run calls it.
    pub name: String,
    /// The trust domain of its SPIRE server.
    pub trust_domain: TrustDomain,
    /// Its objects by kind, as `kubectl` calls kinds: `clusterspiffeids.spire.spiffe.io`.
    pub objects: BTreeMap<String, Look<Vec<Value>>>,
    /// Each configuration of a SPIRE controller manager.
    pub managers: Look<Vec<Value>>,
    /// Each SPIRE agent's configuration, as it is written.
    pub agents: Look<Vec<String>>,
    /// Istio's mesh configuration.
    pub mesh: Look<Value>,
    /// Networks that istiod was told the gateways of, by name.
    pub mesh_networks: Look<Value>,
    /// What the SPIRE server says.
    pub server: Server,
    /// The root of istiod's own CA.
    pub istiod_root: Look<Pem>,
    /// Which clusters its istiod reads.
    pub remotes: Look<Vec<RemoteCluster>>,
    /// What its istiod was given to read others with.
    pub remote_secrets: Look<Vec<RemoteSecret>>,
    /// What each mesh proxy holds.
    pub proxies: Vec<ProxyLook>,
    /// What its API server takes for the time of the look.
    pub clock: Look<Timestamp>,
}

/// A SPIRE server, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// What it publishes.
    pub bundle: Look<Bundle>,
    /// What it holds for others.
    pub peers: Look<Vec<Bundle>>,
    /// Whom it asks for bundles.
    pub relationships: Look<Vec<Relationship>>,
    /// What came of asking now; where the answer would change something, for other keys are published than held, what the
    /// server's log says of its last poll, if that failed.
    pub fetches: Look<Vec<Fetch>>,
    /// Its registration entries.
    pub entries: Look<Vec<Entry>>,
}

/// Whom a SPIRE server asks for a bundle, and as whom it expects the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relationship {
    /// Whose bundle.
    pub trust_domain: String,
    /// From where.
    pub url: String,
    /// The SPIFFE ID of the endpoint; nothing with a web certificate.
    pub endpoint_id: Option<String>,
}

/// What an istiod reads another cluster with; the token itself is never kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteSecret {
    /// `namespace/name` of the Secret.
    pub object: String,
    /// The cluster that it is of.
    pub cluster: String,
    /// The API server's URL.
    pub server: String,
    /// When its token ends, if the token says so.
    pub expires: Option<Timestamp>,
    /// What the other cluster makes of the token.
    pub reader: Look<Reader>,
}

/// A token, as the cluster that it is of sees it (TokenReview, SubjectAccessReview).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reader {
    /// Whose it is; nothing when it is not taken.
    pub user: Option<String>,
    /// Which of the kinds that istiod reads it may not list.
    pub denied: Vec<String>,
    /// Where that cluster's API server is, by its own endpoints: `address:port`.
    pub api: Vec<String>,
}

/// A mesh proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyLook {
    /// Its pod's namespace.
    pub namespace: String,
    /// Its pod.
    pub pod: String,
    /// What it holds.
    pub held: Look<Held>,
}

/// That something could not be read: a cause that needs it stays open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread(pub String);

impl<T> Look<T> {
    /// What was seen.
    ///
    /// # Errors
    /// Why it was not.
    pub fn get(&self) -> std::result::Result<&T, Unread> {
        match self {
            Self::Seen(seen) => Ok(seen),
            Self::NotReadable(why) => Err(Unread(why.clone())),
        }
    }

    /// From a look that may have failed.
    pub fn of(look: Result<T>) -> Self {
        look.map_or_else(|e| Self::NotReadable(e.to_string().replace('\n', " ")), Self::Seen)
    }
}

impl Observations {
    /// Of these clusters, at that moment.
    pub fn of(clusters: Vec<ClusterLook>, symptoms: Vec<String>, collected_at: Timestamp) -> Self {
        Self { version: VERSION, collected_at, symptoms, clusters }
    }

    /// Reads a stored document.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it is another kind of document, or of another version.
    pub fn read(json: &str) -> Result<Self> {
        let what = || "these are no observations of Vouchsafe".to_owned();
        let read: Self = serde_json::from_str(json).or_fail(Code::Evidence, what)?;
        if read.version == VERSION {
            return Ok(read);
        }
        let what =
            format!("the observations have version {}, and this release reads {VERSION}", read.version);
        Err(Error::new(Code::Evidence, what))
    }

    /// The document to store.
    ///
    /// # Errors
    /// [`Code::Internal`], in practice never.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .or_fail(Code::Internal, || "observations cannot be written".to_owned())
    }

    /// What `spire-server federation list -output json` prints.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it is something else.
    pub fn relationships(json: &str) -> Result<Vec<Relationship>> {
        let what = || "the SPIRE server's relationships cannot be read".to_owned();
        let listed: Value = serde_json::from_str(json).or_fail(Code::Evidence, what)?;
        let all = listed["federation_relationships"].as_array();
        let all = all.ok_or_else(|| Error::new(Code::Evidence, what()))?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let one = |one: &Value| Relationship {
            trust_domain: text(&one["trust_domain"]).unwrap_or_default(),
            url: text(&one["bundle_endpoint_url"]).unwrap_or_default(),
            endpoint_id: text(&one["https_spiffe"]["endpoint_spiffe_id"]),
        };
        Ok(all.iter().map(one).collect())
    }
}
