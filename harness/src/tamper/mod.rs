//! Breaking a world that is up, in one named way, so that anyone can see the named claim go red.
//!
//! A harness that has never been seen red proves nothing. Each of these is a fault that still answers `200`: peers
//! that stop at "curl answered" would call the world healthy. [`causes`] has faults by the causes that a diagnosis names, and
//! [`written`] changes as a file says them.

pub mod causes;
mod change;
mod faults;
mod merges;
pub mod written;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::cluster::nodes;
use crate::engine::Engine;
use crate::error::Context as _;
use crate::kube::object::merge_patch;
use crate::kube::pods::one_ready_pod;
use crate::kube::rollout::{Workload, rolled_out};
use crate::kube::{connect, watch};
use crate::progress::Note;
use crate::world::World;
use crate::{Code, Error, Result, patience};
use proof::topology::{Cluster, ClusterName};

/// A way to break a world of two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first cluster's SPIRE server gets a new authority; its proxies still hold what the old one signed.
    WrongAuthority,
    /// The first cluster's curl loses SPIRE's socket, so istiod signs its certificate, under the same SPIFFE ID.
    IstiodIssued,
    /// The first cluster's workloads are no longer told about the second trust domain.
    MissingTrustDomain,
    /// The second cluster's helloworld claims to be in the first network, and the nodes have routes: traffic goes
    /// from pod to pod, around the gateway.
    AroundTheGateway,
}

/// Breaks it. The world stays broken: take it down afterwards.
///
/// # Errors
/// [`Code::Usage`] for a world of one cluster; what Kubernetes or the node refuses.
pub async fn tamper(world: &World, fault: Fault, note: &Note) -> Result<()> {
    let [near, far, ..] = world.topology.clusters.as_slice() else {
        return Err(Error::new(Code::Usage, "tampering needs a world of two clusters"));
    };
    match fault {
        Fault::WrongAuthority => wrong_authority(world, near, note).await,
        Fault::IstiodIssued => {
            let templates = json!({ "inject.istio.io/templates": "sidecar" });
            change_pods(&client(world, &near.name).await?, "curl", &json!({ "annotations": templates }), note)
                .await
        }
        Fault::MissingTrustDomain => {
            let object = json!({ "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterSPIFFEID",
                "metadata": { "name": "istio-test" } });
            let nobody = json!({ "spec": { "federatesWith": [] } });
            merge_patch(&client(world, &near.name).await?, &object, &nobody, note).await.map(drop)
        }
        Fault::AroundTheGateway => {
            connect_pods(world, near, far).await?;
            let network = json!({ "labels": { "topology.istio.io/network": near.network } });
            change_pods(&client(world, &far.name).await?, "helloworld", &network, note).await
        }
    }
}

async fn client(world: &World, name: &ClusterName) -> Result<Client> {
    let place = world.sites.get(name).ok_or_else(|| Error::internal(format!("the world has no {name}")))?;
    connect(&place.kubeconfig).await
}

/// The server forgets everything, authority and entries, and starts anew.
async fn wrong_authority(world: &World, cluster: &Cluster, note: &Note) -> Result<()> {
    let engine = Engine::attach(&world.engine).await?;
    let node = nodes::name(&cluster.name);
    nodes::exec(&engine, &node, &["sh", "-c", "rm -rf /var/lib/spire/*"]).await?;
    let client = client(world, &cluster.name).await?;
    let pod = one_ready_pod(&client, "spire", "app=spire-server").await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "spire");
    let fail = || "cannot restart the SPIRE server".to_owned();
    pods.delete(&pod.name_any(), &Default::default()).await.or_fail(Code::KubeFailed, fail)?;
    let uid = pod.uid().unwrap_or_default();
    watch::gone(&pods, &pod.name_any(), &uid, "the end of the old server", patience::STEP, note).await?;
    rolled_out(&client, Workload::StatefulSet, "spire", "spire-server", patience::STEP, note).await
}

/// Changes the pod template of a workload and waits for the new pod.
async fn change_pods(client: &Client, name: &str, metadata: &Value, note: &Note) -> Result<()> {
    let object = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "istio-test" } });
    let patch = json!({ "spec": { "template": { "metadata": metadata } } });
    merge_patch(client, &object, &patch, note).await?;
    rolled_out(client, Workload::Deployment, "istio-test", name, patience::STEP, note).await
}

/// A route to the other's pods, on each node.
async fn connect_pods(world: &World, near: &Cluster, far: &Cluster) -> Result<()> {
    let engine = Engine::attach(&world.engine).await?;
    for (here, there) in [(near, far), (far, near)] {
        let address = world.sites.get(&there.name).map(|place| place.address.to_string()).unwrap_or_default();
        let pods = there.pods.to_string();
        let route = ["ip", "route", "replace", &pods, "via", &address];
        nodes::exec(&engine, &nodes::name(&here.name), &route).await?;
    }
    Ok(())
}
