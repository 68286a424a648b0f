//! What a claim says in plain English, what it means when it breaks, and what must have been observed to judge it.

use super::{Claim, Kind, Subject};

impl Claim {
    /// A sentence that is true when the claim holds. A fact's own is where the fact is.
    pub fn sentence(&self) -> String {
        let said = match &self.subject {
            Subject::Way(way) => about_way(self.kind, &way.from.0, &way.to.0),
            Subject::Pair(one, other) => format!("the trust bundles of {one} and {other} share no key"),
            Subject::Cluster(cluster) => about_cluster(self.kind, &cluster.0),
            Subject::Proxy { cluster, namespace, service_account } => {
                about_proxy(self.kind, &format!("{namespace}/{service_account} in {cluster}"))
            }
            Subject::After { scenario, cluster } => {
                format!("after {scenario} everything in {cluster} is as it was before")
            }
            Subject::Fact { scenario, name } => format!("{} ({scenario})", name.replace('-', " ")),
            Subject::Scenario(scenario) => format!("the scenario {scenario} runs to its end"),
        };
        match &self.when {
            Some(when) => format!("{said}, {}", when.replace('-', " ")),
            None => said,
        }
    }
}

fn about_way(kind: Kind, from: &str, to: &str) -> String {
    match kind {
        Kind::PeerBundleHeld => {
            format!("the SPIRE server of {from} holds the trust bundle that {to} publishes")
        }
        Kind::PeerBundleFetched => {
            format!(
                "the SPIRE server of {from} can itself fetch the trust bundle of {to}, as its relationship says"
            )
        }
        Kind::IstiodReadsPeer => format!("istiod in {from} has read {to}"),
        Kind::RemoteAnswers => format!("helloworld in {to} answers the client in {from}"),
        Kind::ThroughRemoteGateway => {
            format!("the client's sidecar connected to the east-west gateway of {to}")
        }
        Kind::GatewayCounted => format!("the east-west gateway of {to} counted the traffic"),
        Kind::ServerSvid => {
            format!("the server's SVID chains to the trust bundle of its own trust domain, that of {to}")
        }
        Kind::ClientSvid => {
            format!("the client's SVID chains to the trust bundle of its own trust domain, that of {from}")
        }
        Kind::OneConnection => {
            "client and server recorded one mutual TLS connection, with the remote service's SNI".to_owned()
        }
        Kind::NothingOfIstiodUsed => {
            "neither end of the handshake showed a certificate from istiod's CA".to_owned()
        }
        Kind::RefusedWithoutPeerBundle => {
            "without the peer's trust bundle the call is refused, because of the certificate".to_owned()
        }
        Kind::RefusedWithoutFederatesWith => {
            "without federatesWith the call is refused, because of the certificate".to_owned()
        }
        _ => unsaid(kind),
    }
}

fn about_cluster(kind: Kind, cluster: &str) -> String {
    match kind {
        Kind::OneEntryForEachPod => format!("exactly one registration entry matches each pod of {cluster}"),
        Kind::EntriesFederate => {
            format!("every workload of {cluster} has an entry that federates with the other trust domains")
        }
        Kind::NeverOfIstiod => {
            format!("at no time did a proxy of {cluster} hold anything from istiod's CA")
        }
        Kind::NeverCeasedToBelieve => {
            format!("at no time did a proxy of {cluster} cease to believe a trust domain")
        }
        Kind::EveryClusterAnswers => format!("the client in {cluster} gets answers from every cluster"),
        Kind::PlainTextRefused => format!("a plain-text client outside the mesh is refused in {cluster}"),
        _ => unsaid(kind),
    }
}

fn about_proxy(kind: Kind, proxy: &str) -> String {
    match kind {
        Kind::ProxySvid => format!("the proxy of {proxy} holds an SVID of its own SPIRE"),
        Kind::ProxyValidationContext => {
            format!("the validation context of {proxy} has exactly the trust bundles of the mesh")
        }
        Kind::ProxyNothingOfIstiod => format!("the proxy of {proxy} holds nothing from istiod's CA"),
        _ => unsaid(kind),
    }
}

/// A kind with a subject that it is not about: [`Claim`]s are made by `due` and read by `id`, which know better.
fn unsaid(kind: Kind) -> String {
    kind.name().replace('-', " ")
}

impl Kind {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Its sentence with `…` for every name.
    pub fn in_general(self) -> String {
        let any = || crate::topology::ClusterName::from("…");
        let name = || "…".to_owned();
        let subject = match self {
            Self::BundlesShareNoKey => Subject::Pair(any(), any()),
            Self::OneEntryForEachPod
            | Self::EntriesFederate
            | Self::NeverOfIstiod
            | Self::NeverCeasedToBelieve
            | Self::EveryClusterAnswers
            | Self::PlainTextRefused => Subject::Cluster(any()),
            Self::ProxySvid | Self::ProxyValidationContext | Self::ProxyNothingOfIstiod => {
                Subject::Proxy { cluster: any(), namespace: name(), service_account: name() }
            }
            Self::ClusterAsBefore => Subject::After { scenario: name(), cluster: any() },
            Self::ScenarioCompleted => Subject::Scenario(name()),
            Self::Fact => Subject::Fact { scenario: name(), name: name() },
            _ => Subject::Way(crate::topology::Way { from: any(), to: any() }),
        };
        Claim::of(self, subject).sentence()
    }

    /// What it means when the claim breaks: what a mesh engineer would have to fear.
    pub fn if_broken(self) -> &'static str {
        match self {
            Self::BundlesShareNoKey => "each trust domain can make identities of the other",
            Self::PeerBundleHeld => "handshakes fail, or succeed with a key that was withdrawn",
            Self::PeerBundleFetched => {
                "the federation ends when the peer's authority rotates, and nobody is told before"
            }
            Self::OneEntryForEachPod => "the workload gets no SVID, or one of several by chance",
            Self::EntriesFederate => {
                "the workload never gets the peer's trust bundle and refuses everybody from there"
            }
            Self::IstiodReadsPeer => "clients there know no remote endpoint",
            Self::ProxySvid => "the workload meets others as somebody else, or as istiod's creature",
            Self::ProxyValidationContext => {
                "the workload believes somebody whom it should not, or refuses a peer"
            }
            Self::ProxyNothingOfIstiod => "the workload fell back to istiod's CA, which answers just as well",
            Self::NeverOfIstiod => {
                "pods start before SPIRE's socket is there, and some day one of them stays with istiod's CA"
            }
            Self::NeverCeasedToBelieve => {
                "requests failed meanwhile, for a reason that is gone when somebody looks"
            }
            Self::EveryClusterAnswers => {
                "the mesh is two meshes, and nobody who looks at status codes notices"
            }
            Self::RemoteAnswers => "there is no way to the other cluster",
            Self::ThroughRemoteGateway => "traffic takes a way that nobody guards",
            Self::GatewayCounted => "somebody else stands at the gateway's address",
            Self::ServerSvid | Self::ClientSvid => {
                "federation leaked, or another CA is in use instead of SPIRE"
            }
            Self::OneConnection => "something in between opened the connection",
            Self::NothingOfIstiodUsed => "a silent fallback carried the request",
            Self::PlainTextRefused => "STRICT lets plain text in, and every other claim is about volunteers",
            Self::RefusedWithoutPeerBundle => "trust outlives its bundle",
            Self::RefusedWithoutFederatesWith => {
                "a workload trusts those whom its registration does not name"
            }
            Self::ClusterAsBefore => "the claims after this one are about another world",
            Self::ScenarioCompleted => "what the scenario would have shown after that moment is unknown",
            Self::Fact => "what the source document says is not so here",
        }
    }

    /// What must have been observed for it to be judged.
    pub fn needs(self) -> &'static str {
        match self {
            Self::BundlesShareNoKey => "each SPIRE server's trust bundle",
            Self::PeerBundleHeld => "each SPIRE server's trust bundle, and what it holds for its peers",
            Self::PeerBundleFetched => "the SPIRE server's own attempt to fetch it",
            Self::OneEntryForEachPod => "the SPIRE server's registration entries, and each pod's UID",
            Self::EntriesFederate => "the SPIRE server's registration entries, and the pods with a proxy",
            Self::IstiodReadsPeer => "istiod's list of clusters",
            Self::ProxySvid | Self::ProxyValidationContext => "the proxy's secrets, and each trust bundle",
            Self::ProxyNothingOfIstiod => "the proxy's secrets, each trust bundle, and istiod's root",
            Self::NeverOfIstiod => {
                "what each proxy held since it was watched, each trust bundle, and istiod's root"
            }
            Self::NeverCeasedToBelieve => "what each proxy held since it was watched",
            Self::EveryClusterAnswers => "a client's replies",
            Self::RemoteAnswers => "a request to the remote service",
            Self::ThroughRemoteGateway => "the client's record of a request, and the gateway's address",
            Self::GatewayCounted => "the gateway's counters before and after",
            Self::ServerSvid => "the client's record of a request, and the server's trust bundle",
            Self::ClientSvid => "the server's record of a request, and the client's trust bundle",
            Self::OneConnection => "both sidecars' records of a request",
            Self::NothingOfIstiodUsed => "both sidecars' records of a request, and each istiod's root",
            Self::PlainTextRefused | Self::RefusedWithoutPeerBundle | Self::RefusedWithoutFederatesWith => {
                "a call under the control, and a sidecar's record of why it failed"
            }
            Self::ClusterAsBefore => "everything in the cluster before and after the scenario",
            Self::ScenarioCompleted => "the scenario, to its end",
            Self::Fact => "the scenario's own observation",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::due;
    use crate::topology::tests::of_size;

    #[test]
    fn a_sentence_names_one_claim() {
        let claims = due::everything(&of_size(3));
        let mut sentences: Vec<_> = claims
            .iter()
            .map(|claim| {
                format!("{} {}", claim.about().map(ToString::to_string).unwrap_or_default(), claim.sentence())
            })
            .collect();
        sentences.sort();
        sentences.dedup();
        assert_eq!(sentences.len(), claims.len());
        let named = |word: &str| sentences.iter().any(|sentence| sentence.contains(word));
        assert!(
            !super::super::Kind::ALL.iter().any(|kind| sentences.contains(&kind.name().replace('-', " ")))
        );
        assert!(named("again with the bundle put back"), "{sentences:#?}");
    }
}
