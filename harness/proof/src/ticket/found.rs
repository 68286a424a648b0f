//! What a piece of a ticket was taken for, and the words that say so.

use crate::envoy::Record;
use crate::envoy::secrets::{Content, Trust};
use crate::evidence::{RemoteCluster, Workload};
use crate::identity::{Authority, Entry, Pem, TrustDomain};

use super::dump::Dump;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, relative to the ticket's folder.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The command that was typed before it, if the text has one.
    pub command: Option<String>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 | 1 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// A trust bundle as somebody's SPIRE server told it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Of whom, where the document says so.
    pub trust_domain: Option<TrustDomain>,
    /// Whether it was told as one that the server holds for another trust domain.
    pub of_peer: bool,
    /// Whether it was asked for by name, so that the server may hold others.
    pub alone: bool,
    /// Its authorities.
    pub authorities: Vec<Authority>,
}

/// What something was taken for.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A proxy's secrets.
    Proxy(Box<Dump>),
    /// A SPIRE server's trust bundle, its own or one that it holds.
    Bundle(Told),
    /// That a SPIRE server holds no other trust domain's bundle.
    NoPeers,
    /// Registration entries, and whether they are all of them.
    Entries {
        /// In order.
        entries: Vec<Entry>,
        /// Whether the server has no more.
        all: bool,
    },
    /// Records of requests, with certificates.
    Records(Vec<Record>),
    /// Records of requests in a format that prints no certificates.
    Calls {
        /// How many.
        requests: usize,
        /// The causes of those that failed, in words.
        failed: Vec<String>,
    },
    /// Certificates that a peer showed to `openssl s_client`, or that lie in a file of their own.
    Certificates(Pem),
    /// Pods, as Kubernetes knows them.
    Pods(Vec<Workload>),
    /// The root of istiod's own CA.
    IstiodRoot(Pem),
    /// What an istiod watches.
    Watched(Vec<RemoteCluster>),
    /// What came of fetching a peer's bundle now.
    Refresh {
        /// Whose, where the command says so.
        trust_domain: Option<TrustDomain>,
        /// Whether it came.
        came: bool,
        /// The server's words.
        said: String,
    },
    /// The address of an east-west gateway.
    Gateway(String),
    /// The mesh configuration's trust domain.
    MeshDomain(TrustDomain),
    /// Whom objects in Kubernetes name as a peer: what is wished, not what is.
    Wish {
        /// The object.
        object: String,
        /// The trust domains that it names.
        peers: Vec<TrustDomain>,
    },
    /// Something known that decides nothing, and why or what would.
    Idle(String),
    /// A private key or another secret: left out, never told.
    Secret(String),
    /// Nothing that is known here, and why.
    Unknown(String),
}

impl Found {
    /// What it was taken for, in words.
    pub fn said(&self) -> String {
        match self {
            Self::Proxy(dump) => proxy(dump),
            Self::Bundle(told) => bundle(told),
            Self::NoPeers => "a SPIRE server's list of other trust domains' bundles: it holds none".into(),
            Self::Entries { entries, all } => {
                let part = if *all { "" } else { ", perhaps not all of them" };
                format!(
                    "{} of a SPIRE server{part}",
                    counted(entries.len(), "registration entry", "registration entries")
                )
            }
            Self::Records(records) => {
                format!(
                    "a sidecar's access log: {} with the peers' certificates",
                    counted(records.len(), "record", "records")
                )
            }
            Self::Calls { requests, failed } => {
                let mut said = format!(
                    "a sidecar's access log without certificates: {}, so it decides no claim",
                    counted(*requests, "request", "requests")
                );
                if let Some(cause) = failed.first() {
                    said.push_str(&format!("; {} failed: {cause}", failed.len()));
                }
                said
            }
            Self::Certificates(pem) => certificates(pem),
            Self::Pods(pods) => {
                let names: Vec<_> =
                    pods.iter().take(3).map(|pod| format!("{}/{}", pod.namespace, pod.pod)).collect();
                let more = if pods.len() > 3 { ", …" } else { "" };
                format!("{} ({}{more})", counted(pods.len(), "pod", "pods"), names.join(", "))
            }
            Self::IstiodRoot(pem) => {
                format!("the root of istiod's CA: {}", keys(&Authority::all_in(pem).unwrap_or_default()))
            }
            Self::Watched(all) => {
                let ids: Vec<_> = all.iter().map(|one| format!("{} {}", one.id, one.sync_status)).collect();
                format!("the clusters that an istiod watches: {}", ids.join(", "))
            }
            Self::Refresh { came, .. } => {
                let came = if *came { "it came" } else { "it did not come" };
                format!("a SPIRE server's attempt to fetch a peer's bundle: {came}")
            }
            Self::Gateway(address) => format!("an east-west gateway, reached at {address}"),
            Self::MeshDomain(domain) => format!("Istio's mesh configuration: trust domain {domain}"),
            Self::Wish { object, peers } => {
                let peers: Vec<_> = peers.iter().map(TrustDomain::as_str).collect();
                let peers = if peers.is_empty() { "nobody".to_owned() } else { peers.join(", ") };
                format!(
                    "{object}: asks for federation with {peers}; what came of it, entries and bundles tell"
                )
            }
            Self::Idle(what) => what.clone(),
            Self::Secret(what) => format!(
                "WARNING: {what}; it is left out. Do not send this file to anybody, and renew what it holds"
            ),
            Self::Unknown(why) => format!("not understood: {why}"),
        }
    }
}

fn proxy(dump: &Dump) -> String {
    let mut parts: Vec<_> = dump
        .held
        .secrets
        .iter()
        .map(|secret| match &secret.content {
            Content::Certificate(chain) => {
                let id = chain.chain().ok().and_then(|chain| chain.leaf.spiffe_id().ok());
                let id = id.map_or_else(|| "no SPIFFE ID".to_owned(), |id| id.to_string());
                format!("{} ({id})", secret.name)
            }
            Content::Trust(Trust::AnyName(_)) => format!("{} (one pool of roots)", secret.name),
            Content::Trust(Trust::PerTrustDomain(all)) => {
                let names: Vec<_> = all.iter().map(|one| one.trust_domain.as_str()).collect();
                format!("{} ({})", secret.name, names.join(", "))
            }
            Content::Other => secret.name.clone(),
        })
        .collect();
    parts.extend(dump.waiting.iter().map(|name| format!("waits for {name}")));
    parts.extend(dump.lost.iter().cloned());
    if parts.is_empty() {
        parts.push("none".to_owned());
    }
    let what = if dump.whole { "a proxy's secrets" } else { "a part of a proxy's secrets" };
    format!("{what}: {}", parts.join("; "))
}

fn bundle(told: &Told) -> String {
    let whose = told.trust_domain.as_ref().map(|domain| format!(" of {domain}")).unwrap_or_default();
    let holder = if told.of_peer { ", as a peer's server holds it" } else { "" };
    format!("a trust bundle{whose}{holder}: {}", keys(&told.authorities))
}

fn certificates(pem: &Pem) -> String {
    let Ok(all) = pem.certificates() else { return "certificates that cannot be read".to_owned() };
    let name =
        |one: &crate::identity::Certificate| one.spiffe_id().map_or(one.subject.clone(), |id| id.to_string());
    let names: Vec<_> = all.iter().map(name).collect();
    format!(
        "{} ({}): nothing says who showed or holds them, so they decide no claim",
        counted(all.len(), "certificate", "certificates"),
        names.join(", ")
    )
}

/// `key ab12…, key cd34…`.
pub(super) fn keys(authorities: &[Authority]) -> String {
    let keys: Vec<_> = authorities.iter().map(|one| format!("key {}", one.key_id())).collect();
    if keys.is_empty() { "no key".to_owned() } else { keys.join(", ") }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl Found {
    /// Whether it is something of a cluster's that is judged.
    pub fn is_evidence(&self) -> bool {
        !matches!(
            self,
            Self::Calls { .. }
                | Self::Certificates(_)
                | Self::Wish { .. }
                | Self::Idle(_)
                | Self::Secret(_)
                | Self::Unknown(_)
        )
    }
}
