//! Claims: what a run owes, known before anything is made.
//!
//! A claim is a kind and a subject, nothing else: its sentence, what it means when it breaks and what must have been
//! observed follow from these ([`sentence`]). Which claims are due in a topology is a function of data ([`due`]). A
//! verdict carries its claim's id, so that at the end of a run what is due is held against what was judged, and
//! absence has a name.

pub mod due;
mod expectation;
mod id;
pub mod sentence;

pub use expectation::Expectation;

use crate::topology::{ClusterName, Way};

/// Something that is either so or not so.
///
/// Written as `kind/subject`, with `@when` after it where other claims say the same at another time:
/// `server-svid/cluster1→cluster2@again-with-the-bundle-put-back`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// What it says.
    pub kind: Kind,
    /// Whom it says it of.
    pub subject: Subject,
    /// When it says so, in words with dashes: after a control was undone, for instance.
    pub when: Option<String>,
}

/// Whom a claim is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// An ordered pair of clusters.
    Way(Way),
    /// Two clusters, in the order of the topology.
    Pair(ClusterName, ClusterName),
    /// One cluster.
    Cluster(ClusterName),
    /// The proxies of all pods that run under a service account.
    Proxy {
        /// Where they are.
        cluster: ClusterName,
        /// The namespace.
        namespace: String,
        /// The service account.
        service_account: String,
    },
    /// A cluster after a scenario.
    After {
        /// The scenario.
        scenario: String,
        /// The cluster.
        cluster: ClusterName,
    },
    /// One fact of a scenario.
    Fact {
        /// The scenario.
        scenario: String,
        /// The fact's name within it.
        name: String,
    },
    /// A scenario as a whole.
    Scenario(String),
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal;)*) => {
        /// What a claim says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($(#[doc = $doc])+ $kind,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            /// Its name in an id.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// No key is in both trust bundles of a pair.
    BundlesShareNoKey = "bundles-share-no-key";
    /// The SPIRE server at the way's start holds the trust bundle that the one at its end publishes.
    PeerBundleHeld = "peer-bundle-held";
    /// The SPIRE server at the way's start can itself fetch the trust bundle of the one at its end.
    PeerBundleFetched = "peer-bundle-fetched";
    /// Exactly one registration entry matches each pod of a cluster that has a proxy.
    OneEntryForEachPod = "one-entry-for-each-pod";
    /// Every workload of a cluster has a registration entry that federates with all others.
    EntriesFederate = "entries-federate";
    /// The istiod at the way's start has read the cluster at its end.
    IstiodReadsPeer = "istiod-reads-peer";
    /// A proxy holds an SVID of its own SPIRE.
    ProxySvid = "proxy-svid";
    /// A proxy's validation context has exactly the mesh's trust bundles.
    ProxyValidationContext = "proxy-validation-context";
    /// A proxy holds nothing from istiod's CA.
    ProxyNothingOfIstiod = "proxy-nothing-of-istiod";
    /// No proxy of a cluster ever held anything from istiod's CA.
    NeverOfIstiod = "never-of-istiod";
    /// No proxy of a cluster ceased to believe a trust domain.
    NeverCeasedToBelieve = "never-ceased-to-believe";
    /// A client gets answers from every cluster.
    EveryClusterAnswers = "every-cluster-answers";
    /// The service of the way's end answers the client at its start.
    RemoteAnswers = "remote-answers";
    /// The client's sidecar connected to the east-west gateway at the way's end.
    ThroughRemoteGateway = "through-remote-gateway";
    /// That gateway counted the traffic.
    GatewayCounted = "gateway-counted";
    /// The server's SVID chains to the trust bundle of its own trust domain.
    ServerSvid = "server-svid";
    /// The client's SVID chains to the trust bundle of its own trust domain.
    ClientSvid = "client-svid";
    /// Client and server recorded one and the same connection.
    OneConnection = "one-connection";
    /// Neither end showed a certificate from istiod's CA.
    NothingOfIstiodUsed = "nothing-of-istiod-used";
    /// A plain-text client outside the mesh is refused.
    PlainTextRefused = "plain-text-refused";
    /// Without the peer's trust bundle the call is refused.
    RefusedWithoutPeerBundle = "refused-without-peer-bundle";
    /// Without `federatesWith` the call is refused.
    RefusedWithoutFederatesWith = "refused-without-federates-with";
    /// After a scenario everything in a cluster is as it was before.
    ClusterAsBefore = "cluster-as-before";
    /// A scenario ran to its end.
    ScenarioCompleted = "scenario-completed";
    /// What a scenario observed is so.
    Fact = "fact";
}

impl Claim {
    /// That claim.
    pub fn of(kind: Kind, subject: Subject) -> Self {
        Self { kind, subject, when: None }
    }

    /// About a way.
    pub fn way(kind: Kind, way: &Way) -> Self {
        Self::of(kind, Subject::Way(way.clone()))
    }

    /// About a cluster.
    pub fn cluster(kind: Kind, cluster: &ClusterName) -> Self {
        Self::of(kind, Subject::Cluster(cluster.clone()))
    }

    /// The same at another time; nothing leaves it as it is.
    #[must_use]
    pub fn when(mut self, when: Option<&str>) -> Self {
        self.when = when.map(str::to_owned).or(self.when);
        self
    }

    /// The way that it is about, if it is about one.
    pub fn about(&self) -> Option<&Way> {
        match &self.subject {
            Subject::Way(way) => Some(way),
            _ => None,
        }
    }
}
