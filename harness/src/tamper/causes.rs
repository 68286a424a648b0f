//! A fault for each cause that can be provoked for real, and put back: so that a diagnosis can be seen to name it.

use kube::Client;
use serde_json::{Value, json};

use super::change::{Change, Held, Place, Remote, Undo};
use super::client;
use crate::progress::Note;
use crate::world::World;
use crate::{Code, Error, Result};
use proof::topology::Cluster;

/// Makes a fault of the first cluster.
type Fault = fn(&Cluster) -> Vec<Change>;

/// By the name of the cause, in the order of the table of causes; the peer's data in hand. Not here: what a mesh cannot be
/// brought to on one machine within a minute (clocks, expiry), and what its controllers put right at once.
const FAULTS: [(&str, Fault); 35] = [
    ("spire-server-down", |_| vec![scaled("StatefulSet", "spire", "spire-server")]),
    ("class-filter-skips-resource", |peer| relationship(peer, json!({ "className": "other" }))),
    ("peer-bundle-missing", |_| vec![Change::Bundle(Held::Nothing)]),
    ("start-bundle-edit-ignored", |_| vec![Change::Bundle(Held::Own)]),
    ("bundle-endpoint-wrong-identity", |peer| {
        let id = format!("spiffe://{}/spire/bundles", peer.trust_domain);
        relationship(peer, json!({ "bundleEndpointProfile": { "endpointSPIFFEID": id } }))
    }),
    ("bundle-endpoint-silent", |peer| {
        relationship(peer, json!({ "bundleEndpointURL": "https://127.0.0.1:9443" }))
    }),
    ("identity-template-fails", |_| {
        identity(json!({ "spiffeIDTemplate": "spiffe://{{ .TrustDomain }}/{{ .Nothing }}" }))
    }),
    ("federates-with-unknown-domain", |_| identity(json!({ "federatesWith": ["nobody.example"] }))),
    ("entry-refused", |_| identity(json!({ "dnsNameTemplates": ["{{ .PodMeta.Name }}..empty-label"] }))),
    ("pod-not-selected", |_| identity(json!({ "podSelector": { "matchLabels": { "app": "nobody" } } }))),
    ("entry-doubled", |_| vec![Change::Entry("curl")]),
    ("entry-without-federation", |_| identity(json!({ "federatesWith": [] }))),
    ("agent-down", |_| vec![nowhere("spire-agent")]),
    ("wrong-sds-names", |_| {
        let edit = |text: &str| text.replace("default_bundle_name = \"null\" ", "");
        let again =
            json!({ "spec": { "template": { "metadata": { "annotations": { "tampered": "yes" } } } } });
        vec![
            Change::Text(config("spire", "spire-agent"), "agent.conf", edit),
            Change::Merge(workload("DaemonSet", "spire", "spire-agent"), again),
        ]
    }),
    ("csi-driver-down", |_| vec![nowhere("spiffe-csi-driver")]),
    ("csi-volume-not-read-only", |_| {
        let volume =
            json!({ "name": "workload-socket", "csi": { "driver": "csi.spiffe.io", "readOnly": false } });
        curl(json!({ "annotations": { TEMPLATES: "sidecar" } }), json!({ "volumes": [volume] }))
    }),
    ("socket-misnamed", |_| {
        let told = "proxyMetadata: { WORKLOAD_IDENTITY_SOCKET_FILE: other.sock }";
        curl(json!({ "annotations": { "proxy.istio.io/config": told } }), json!({}))
    }),
    ("container-doubled", |_| templates("sidecar,spire-documented")),
    ("template-refused", |_| templates("sidecar,nope")),
    ("pod-refused", |_| {
        let quota = json!({ "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": { "name": "tampered", "namespace": "istio-test" }, "spec": { "hard": { "pods": "1" } } });
        [vec![Change::Make(quota)], curl(json!({ "annotations": { "tampered": "yes" } }), json!({}))].concat()
    }),
    ("sidecar-not-injected", |_| {
        let home = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "istio-test" } });
        let none = json!({ "metadata": { "labels": { "istio-injection": null } } });
        let again = curl(json!({ "annotations": { "tampered": "yes" } }), json!({}));
        [vec![Change::Merge(home, none)], again].concat()
    }),
    ("outside-discovery-selectors", |_| {
        mesh(|text| {
            format!(
                "{text}\ndiscoverySelectors:\n- matchLabels: {{ kubernetes.io/metadata.name: istio-system }}\n"
            )
        })
    }),
    ("socket-not-mounted", |_| templates("sidecar")),
    ("istiod-down", |_| vec![scaled("Deployment", "istio-system", "istiod")]),
    ("remote-secret-missing", |peer| vec![Change::Remove(remote_secret(peer))]),
    ("remote-secret-expired", |peer| vec![Change::Remote(remote_secret(peer), Remote::Token)]),
    ("remote-secret-without-rights", |peer| vec![Change::Remote(remote_secret(peer), Remote::Account)]),
    ("remote-secret-unreachable", |peer| vec![Change::Remote(remote_secret(peer), Remote::Url)]),
    ("gateway-without-network-label", |_| {
        gateway(json!({ "metadata": { "labels": { "topology.istio.io/network": null } } }))
    }),
    ("listener-without-auto-passthrough", |_| {
        gateway(
            json!({ "spec": { "listeners": [{ "name": "cross-network", "port": 15443, "protocol": "TCP" }] } }),
        )
    }),
    ("gateway-without-address", |_| {
        let service = json!({ "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "east-west-istio", "namespace": "istio-system" } });
        vec![Change::Status(service, json!({ "status": { "loadBalancer": { "ingress": null } } }))]
    }),
    ("gateway-without-endpoint", |_| vec![scaled("Deployment", "istio-system", "east-west-istio")]),
    ("trust-domain-not-accepted", |_| {
        // The last of its lines, as istioctl writes it.
        mesh(|text| text.split("trustDomainAliases:").next().unwrap_or_default().to_owned())
    }),
    ("destination-rule-without-mtls", |_| {
        vec![Change::Make(json!({ "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": { "name": "tampered", "namespace": "istio-test" },
            "spec": { "host": "helloworld.istio-test.svc.cluster.local", "trafficPolicy": { "tls": { "mode": "DISABLE" } } } }))]
    }),
    ("policy-without-mtls", |_| {
        let policy = json!({ "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": { "name": "strict", "namespace": "istio-test" } });
        vec![Change::Merge(policy, json!({ "spec": { "mtls": { "mode": "DISABLE" } } }))]
    }),
];

const TEMPLATES: &str = "inject.istio.io/templates";

/// Every cause that can be provoked.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAULTS.iter().map(|(name, _)| *name)
}

/// A fault that was made, and how to put everything back.
pub struct Provoked {
    near: Client,
    far: Client,
    domains: (String, String),
    undo: Vec<Undo>,
}

/// Makes a cause true in the first cluster of a world.
///
/// # Errors
/// [`Code::Usage`] for a name that is none, or a world of one cluster; what Kubernetes or SPIRE refuses.
pub async fn provoke(world: &World, name: &str, note: &Note) -> Result<Provoked> {
    let fault = FAULTS.iter().find(|(known, _)| *known == name);
    let (_, fault) = fault.ok_or_else(|| Error::new(Code::Usage, format!("no fault is called `{name}`")))?;
    let [near, far, ..] = world.topology.clusters.as_slice() else {
        return Err(Error::new(Code::Usage, "tampering needs a world of two clusters"));
    };
    let mut provoked = Provoked {
        near: client(world, &near.name).await?,
        far: client(world, &far.name).await?,
        domains: (near.trust_domain.clone(), far.trust_domain.clone()),
        undo: Vec::new(),
    };
    for change in fault(far) {
        match change.make(&provoked.place(), note).await {
            Ok(undo) => provoked.undo.push(undo),
            Err(e) => {
                provoked.put_back(note).await?;
                return Err(e);
            }
        }
    }
    Ok(provoked)
}

impl Provoked {
    /// Puts everything back in the order in which it was changed, for a workload that was restarted after its configuration
    /// was changed must be so again; and waits for the workloads.
    ///
    /// # Errors
    /// What Kubernetes or SPIRE refuses.
    pub async fn put_back(mut self, note: &Note) -> Result<()> {
        for undo in std::mem::take(&mut self.undo) {
            undo.make(&self.place(), note).await?;
        }
        Ok(())
    }

    fn place(&self) -> Place<'_> {
        Place { near: &self.near, far: &self.far, domains: (&self.domains.0, &self.domains.1) }
    }
}

fn relationship(peer: &Cluster, spec: Value) -> Vec<Change> {
    let object = json!({ "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterFederatedTrustDomain",
        "metadata": { "name": peer.name } });
    vec![Change::Merge(object, json!({ "spec": spec }))]
}

fn identity(spec: Value) -> Vec<Change> {
    let object = json!({ "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterSPIFFEID",
        "metadata": { "name": "istio-test" } });
    vec![Change::Merge(object, json!({ "spec": spec }))]
}

fn workload(kind: &str, namespace: &str, name: &str) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name, "namespace": namespace } })
}

fn config(namespace: &str, name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": namespace } })
}

fn scaled(kind: &str, namespace: &str, name: &str) -> Change {
    Change::Merge(workload(kind, namespace, name), json!({ "spec": { "replicas": 0 } }))
}

/// A DaemonSet of SPIRE's that no node is selected for.
fn nowhere(name: &str) -> Change {
    let none = json!({ "spec": { "template": { "spec": { "nodeSelector": { "tampered": "yes" } } } } });
    Change::Merge(workload("DaemonSet", "spire", name), none)
}

fn curl(metadata: Value, spec: Value) -> Vec<Change> {
    let template = json!({ "spec": { "template": { "metadata": metadata, "spec": spec } } });
    vec![Change::Merge(workload("Deployment", "istio-test", "curl"), template)]
}

fn templates(names: &str) -> Vec<Change> {
    curl(json!({ "annotations": { TEMPLATES: names } }), json!({}))
}

fn mesh(edit: fn(&str) -> String) -> Vec<Change> {
    vec![Change::Text(config("istio-system", "istio"), "mesh", edit)]
}

fn remote_secret(peer: &Cluster) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": format!("istio-remote-secret-{}", peer.name), "namespace": "istio-system" } })
}

fn gateway(patch: Value) -> Vec<Change> {
    let object = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "name": "east-west", "namespace": "istio-system" } });
    vec![Change::Merge(object, patch)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_called_as_the_cause_that_it_makes_true() {
        let causes: Vec<_> = proof::diagnosis::causes().map(|rule| rule.name).collect();
        let unknown: Vec<_> = names().filter(|name| !causes.contains(name)).collect();
        assert_eq!(unknown, Vec::<&str>::new());
    }
}
