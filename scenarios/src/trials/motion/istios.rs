//! Two Istios in one cluster: its own, and another one beside it by a revision, as upstream upgrades (Istio's "Canary upgrades").

use harness::component::istioctl::{istio_beside, istio_of};
use harness::kube::apply::apply;
use harness::kube::pods::{one_ready_pod, pods};
use harness::kube::rollout::Workload;
use harness::layout::Layout;
use harness::progress::Note;
use harness::{Result, istiod};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::parts::{image, merge};
use crate::objects::deployment;
use crate::undo::Undo;
use crate::{Fixture, GATEWAY, Nth, Pods};

/// Two Istios, of which one is the cluster's own.
pub struct Istios {
    cluster: Nth,
    /// The newer one's revision, as its label has it.
    revision: String,
    /// What only the cluster's own Istio consists of.
    own: Vec<Value>,
    /// What only the newer one consists of.
    newer: Vec<Value>,
    /// What both have, as the newer one has it, where that is otherwise: definitions.
    shared: Vec<Value>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The cluster's own.
    Own,
    /// The one beside it.
    Newer,
}

/// Where pods ask for a proxy.
const NAMESPACES: [&str; 2] = ["istio-test", "motion"];
/// By which istiod a namespace's pods and a Gateway get their proxies, and each pod has got its own.
const REVISION: &str = "istio.io/rev";

impl Istios {
    /// That cluster's own, and one of the version that the other has.
    pub async fn of(fixture: &Fixture<'_>, (cluster, version_of): (Nth, Nth)) -> Result<Self> {
        let layout = Layout::find()?;
        let (name, other) = (&fixture.cluster(cluster)?.name, &fixture.cluster(version_of)?.name);
        let version = image(fixture, version_of, "IMAGE_PILOT");
        let revision = version.rsplit(':').next().unwrap_or_default().replace('.', "-");
        let own = istio_of(fixture.mesh.world(), &layout, name).await?;
        let newer = istio_beside(fixture.mesh.world(), &layout, (name, other), &revision).await?;
        let (own, newer, shared) = apart(own, newer);
        Ok(Self { cluster, revision, own, newer, shared })
    }

    /// Brings the newer one beside the cluster's own, its definitions first; which clusters it has read then.
    pub async fn bring_newer(&self, fixture: &mut Fixture<'_>) -> Result<String> {
        // Undone last: their proxies are of the cluster's own Istio again when they start.
        for name in ["curl", "helloworld"] {
            let undo = Undo::Restart("istio-test".to_owned(), name.to_owned(), Workload::Deployment);
            fixture.will_undo(self.cluster, undo)?;
        }
        for definition in &self.shared {
            fixture.replace(self.cluster, definition).await?;
        }
        fixture.bring_objects(self.cluster, self.newer.clone()).await?;
        fixture.ready(self.cluster, istiod::NAMESPACE, &format!("istiod-{}", self.revision)).await?;
        let labels = format!("app=istiod,{REVISION}={}", self.revision);
        let pod = one_ready_pod(fixture.api(self.cluster)?, istiod::NAMESPACE, &labels).await?;
        let read = async || {
            let all =
                istiod::clusters_of(fixture.api(self.cluster)?, istiod::NAMESPACE, &pod.name_any()).await?;
            let of_peers = all.iter().filter(|one| !one.secret_name.is_empty());
            let told: Vec<_> = of_peers.map(|one| format!("{} is {}", one.id, one.sync_status)).collect();
            Ok(format!("{}: {}", images(std::slice::from_ref(&pod)).join(" "), told.join(", ")))
        };
        fixture.until("the newer istiod to have read its peer", " is synced", read).await
    }

    /// Lets one of them make the proxies of the Gateway and of these Deployments anew, one after the other; when the gateway's
    /// was asked for, and when it was ready.
    pub async fn take_over(
        &self,
        fixture: &mut Fixture<'_>,
        (which, deployments): (Which, &[(&str, &str)]),
    ) -> Result<(Timestamp, Timestamp)> {
        let (injection, revision) = match which {
            Which::Own => (json!("enabled"), Value::Null),
            Which::Newer => (Value::Null, json!(self.revision)),
        };
        for name in NAMESPACES {
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            let labels = json!({ "istio-injection": injection, REVISION: revision });
            self.label(fixture, &namespace, labels).await?;
        }
        let gateway = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": { "name": "east-west", "namespace": istiod::NAMESPACE } });
        let since = Timestamp::now();
        self.label(fixture, &gateway, json!({ REVISION: revision })).await?;
        let wanted = self.proxy(fixture, which)?;
        let look = async || Ok(self.proxies(fixture, &[GATEWAY]).await?.join(", "));
        fixture.until("a gateway of the other istiod", &wanted, look).await?;
        fixture.ready(self.cluster, istiod::NAMESPACE, "east-west-istio").await?;
        let there = Timestamp::now();
        for (namespace, name) in deployments {
            self.roll(fixture, (namespace, name), which).await?;
        }
        Ok((since, there))
    }

    /// As `kubectl rollout restart` does.
    pub async fn roll(
        &self,
        fixture: &mut Fixture<'_>,
        (namespace, name): (&str, &str),
        which: Which,
    ) -> Result<()> {
        let metadata = json!({ "annotations": { "rolled-for": format!("{which:?}").to_lowercase() } });
        let patch = json!({ "spec": { "template": { "metadata": metadata } } });
        let object = deployment(namespace, name);
        match (namespace, which) {
            ("istio-test", Which::Newer) => fixture.change(self.cluster, &object, &patch).await?,
            _ => merge(fixture, self.cluster, &object, &patch).await?,
        }
        fixture.ready(self.cluster, namespace, name).await
    }

    /// Takes the cluster's own away; what puts it back.
    pub async fn take_own_away(&self, fixture: &mut Fixture<'_>) -> Result<Vec<Value>> {
        let mut back = Vec::new();
        for object in &self.own {
            back.push(fixture.remove(self.cluster, object).await?);
        }
        Ok(back)
    }

    /// Puts it back.
    pub async fn put_own_back(&self, fixture: &Fixture<'_>, back: &[Value]) -> Result<()> {
        apply(fixture.api(self.cluster)?, back, &Note::silent()).await?;
        fixture.ready(self.cluster, istiod::NAMESPACE, "istiod").await
    }

    /// Which istiods there are, by their images.
    pub async fn istiods(&self, fixture: &Fixture<'_>) -> Result<String> {
        let mut all = pods(fixture.api(self.cluster)?, istiod::NAMESPACE, "app=istiod").await?;
        all.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(images(&all).join(", "))
    }

    /// Whose proxy each of these pods has, and of which image; each once.
    pub async fn proxies(&self, fixture: &Fixture<'_>, of: &[Pods<'_>]) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for Pods(namespace, labels) in of {
            let mut all = pods(fixture.api(self.cluster)?, namespace, labels).await?;
            all.retain(|pod| pod.metadata.deletion_timestamp.is_none());
            found.extend(all.iter().map(|pod| {
                let by = pod.annotations().get(REVISION).map_or("nobody", String::as_str);
                format!("{} of {by}", proxy_image(pod))
            }));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// What [`Istios::proxies`] says of one's proxy.
    pub fn proxy(&self, fixture: &Fixture<'_>, which: Which) -> Result<String> {
        let version_of = match which {
            Which::Own => self.cluster,
            Which::Newer => super::steps::other(self.cluster),
        };
        let by = if which == Which::Own { "default" } else { &self.revision };
        Ok(format!("{} of {by}", image(fixture, version_of, "IMAGE_PROXYV2")))
    }

    /// The image of the newer one's istiod.
    pub fn istiod(&self, fixture: &Fixture<'_>) -> String {
        image(fixture, super::steps::other(self.cluster), "IMAGE_PILOT")
    }

    /// What is not this scenario's own is put back at its end; once is enough.
    async fn label(&self, fixture: &mut Fixture<'_>, object: &Value, labels: Value) -> Result<()> {
        let patch = json!({ "metadata": { "labels": labels } });
        if labels[REVISION].is_null() || object["metadata"]["name"] == "motion" {
            return merge(fixture, self.cluster, object, &patch).await;
        }
        fixture.change(self.cluster, object, &patch).await
    }
}

/// What only one of two Istios consists of, each, and what both have and the newer one has otherwise.
fn apart(own: Vec<Value>, newer: Vec<Value>) -> (Vec<Value>, Vec<Value>, Vec<Value>) {
    let (shared, newer): (Vec<_>, Vec<_>) =
        newer.into_iter().partition(|one| own.iter().any(|other| same(one, other)));
    let otherwise: Vec<_> = shared.iter().filter(|one| !own.contains(one)).cloned().collect();
    let own = own.into_iter().filter(|one| !shared.iter().any(|other| same(one, other))).collect();
    (own, newer, otherwise)
}

/// One object, at two moments or in two versions.
fn same(one: &Value, other: &Value) -> bool {
    let text = |object: &Value, pointer| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    ["/kind", "/metadata/namespace", "/metadata/name"].iter().all(|at| text(one, at) == text(other, at))
}

fn images(pods: &[Pod]) -> Vec<String> {
    let specs = pods.iter().filter_map(|pod| pod.spec.as_ref());
    specs.flat_map(|spec| &spec.containers).filter_map(|one| one.image.clone()).collect()
}

fn proxy_image(pod: &Pod) -> String {
    let spec = pod.spec.as_ref();
    let sidecars = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
    let all = spec.into_iter().flat_map(|spec| &spec.containers).chain(sidecars);
    let mut proxies = all.filter(|one| one.name == "istio-proxy").filter_map(|one| one.image.clone());
    proxies.next().unwrap_or_else(|| "no proxy".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If an object that both have went with the older one, the newer one would lose its definitions.
    #[test]
    fn what_both_have_stays_when_the_older_one_goes() {
        let object = |kind: &str, name: &str, spec: u8| json!({ "kind": kind, "metadata": { "name": name, "namespace": "istio-system" }, "spec": spec });
        let (definition, newer) =
            (object("CustomResourceDefinition", "a", 1), object("CustomResourceDefinition", "a", 2));
        let (same, one, other) = (
            object("ServiceAccount", "reader", 1),
            object("Deployment", "istiod", 1),
            object("Deployment", "istiod-9", 1),
        );
        let old = vec![definition, same.clone(), one.clone()];
        let parts = apart(old, vec![newer.clone(), same, other.clone()]);
        assert_eq!(parts, (vec![one], vec![other], vec![newer]));
    }
}
