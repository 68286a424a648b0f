//! Requests, and what each witness recorded of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::envoy::{Counters, Endpoint, Record};
use crate::error::Context;
use crate::identity::{Declared, SpiffeId, TrustDomain};
use crate::topology::{ClusterName, Way};
use crate::{Code, Result};

/// A pod with an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// The service account it runs under, as Kubernetes says: by this its identity is known.
    pub service_account: String,
    /// Its pod's UID, by which the controller manager's registration entries select it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

impl Workload {
    /// Whether it is the same pod, as far as both are known: a name may come again with another UID.
    pub(crate) fn is_the_pod_of(&self, other: &Self) -> bool {
        let one_is_unknown = self.uid.is_none() || other.uid.is_none();
        (&self.namespace, &self.pod) == (&other.namespace, &other.pod)
            && (one_is_unknown || self.uid == other.uid)
    }

    /// Who it must be, as its set-up declares.
    ///
    /// # Errors
    /// [`Code::Evidence`] when the names cannot be part of a SPIFFE ID.
    pub fn id(&self, trust_domain: &TrustDomain, declared: &Declared) -> Result<SpiffeId> {
        declared
            .id(trust_domain, &self.namespace, &self.service_account)
            .or_fail(Code::Evidence, || format!("the identity of {}/{}", self.namespace, self.pod))
    }
}

/// A service that was called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its port.
    pub port: u16,
}

impl Service {
    /// What a client's sidecar calls the cluster of all that may answer for it. (Istio's `BuildSubsetKey`.)
    pub fn cluster(&self) -> String {
        format!("outbound|{}||{}.{}.svc.cluster.local", self.port, self.name, self.namespace)
    }

    /// What a client's sidecar asks an east-west gateway for; also the name of the gateway's own cluster.
    /// (Istio's `BuildDNSSrvSubsetKey`, without a subset.)
    pub fn sni(&self) -> String {
        format!("outbound_.{}_._.{}.{}.svc.cluster.local", self.port, self.name, self.namespace)
    }
}

/// What a client program got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The request id that it sent.
    pub request: String,
    /// The HTTP status; 0 when there was no answer at all.
    pub status: u16,
    /// The body, or curl's words when there is none.
    pub body: String,
    /// curl's own exit status: 56 is a reset connection, 52 an empty answer, 7 a refused connection.
    pub exit: i32,
}

impl Reply {
    /// The version that helloworld answered with: `Hello version: v2, instance: helloworld-v2-…`.
    pub fn version(&self) -> Option<&str> {
        self.word_after("Hello version: ").filter(|_| self.status == 200)
    }

    /// The pod that answered.
    pub fn instance(&self) -> Option<&str> {
        self.word_after("instance: ").filter(|_| self.status == 200)
    }

    fn word_after(&self, mark: &str) -> Option<&str> {
        let rest = self.body.split_once(mark)?.1;
        rest.split([',', ' ', '\n']).next().filter(|word| !word.is_empty())
    }
}

/// Answers to one client that asked a service of all clusters, again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replies {
    /// Where the client is.
    pub from: ClusterName,
    /// Whom it asked.
    pub service: Service,
    /// In order.
    pub replies: Vec<Reply>,
    /// The endpoints that the client's sidecar knew for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<Endpoint>>,
}

/// One request from one cluster to another, and what the two sidecars recorded of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// From the client's cluster to the server's.
    pub way: Way,
    /// Who asked.
    pub client: Workload,
    /// Who answered.
    pub server: Workload,
    /// The service that was asked for.
    pub service: Service,
    /// What came back.
    pub reply: Reply,
    /// The client's sidecar's record of it: what the server showed.
    pub by_client: Option<Record>,
    /// The server's sidecar's record of it: what the client showed.
    pub by_server: Option<Record>,
}

/// The counters of the server's east-west gateway around the handshakes of a way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crossing {
    /// The way; the gateway is that of its end.
    pub way: Way,
    /// The service that was asked for.
    pub service: Service,
    /// Before the first request.
    pub before: Counters,
    /// After the last.
    pub after: Counters,
}

/// What was changed so that a call must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The peer's bundle was taken from the client's SPIRE server.
    PeerBundleTakenAway,
    /// The client's registration entry no longer federates with the peer.
    FederatesWithAbsent,
    /// The client is outside the mesh and speaks plain text.
    PlainText,
}

/// A call that was to be refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// What was changed.
    pub control: Control,
    /// From the client's cluster to the server's; both may be the same.
    pub way: Way,
    /// The service that was asked for.
    pub service: Service,
    /// What came back.
    pub reply: Reply,
    /// The client's sidecar's record, where the client has one.
    pub by_client: Option<Record>,
    /// The server's sidecar's record, where it kept one.
    pub by_server: Option<Record>,
}
