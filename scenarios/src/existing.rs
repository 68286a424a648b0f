//! Who meets whom between clusters that others run, by the workloads that a probe brought there: asked and recorded as in our
//! own worlds.

use futures::future::join_all;
use harness::existing::NAMESPACE;
use harness::{Error, Result};
use kube::Client;
use proof::evidence::{Evidence, Service, missing};
use proof::topology::{ClusterName, Topology, Way};

use crate::pods::Pods;
use crate::requests::{Ends, answered, ask_around, meet};

const CURL: Pods<'static> = Pods(NAMESPACE, "app=curl");
const HELLOWORLD: Pods<'static> = Pods(NAMESPACE, "app=helloworld");

/// A cluster that a probe came to.
pub struct Visited {
    /// Its name.
    pub name: ClusterName,
    /// The way to its API server.
    pub client: Client,
    /// Namespace and labels of its east-west gateway's pods, where there are any.
    pub crossing: Option<(String, String)>,
}

/// Lets every client ask every cluster, and each way be gone. What could not be seen of one keeps nobody from seeing the
/// others; why comes back.
pub async fn met(visited: &[Visited], seen: &mut Evidence) -> Vec<Error> {
    let topology = Topology { clusters: seen.clusters.iter().map(|one| one.cluster.clone()).collect() };
    let ways = topology.ways();
    let settling = ways.iter().map(|way| settled(visited, way, seen));
    join_all(settling.map(Box::pin)).await;
    let mut missed = Vec::new();
    for one in visited {
        let asked = ask_around(seen, &one.name, &one.client, CURL, service("helloworld"));
        missed.extend(Box::pin(asked).await.err());
    }
    for way in &ways {
        missed.extend(Box::pin(between(visited, way, seen)).await.err());
    }
    missed
}

/// istiod tells a sidecar of endpoints a moment after they are there. Where it never does, the claims say so.
async fn settled(visited: &[Visited], way: &Way, seen: &Evidence) {
    let Some(near) = visited.iter().find(|one| one.name == way.from) else { return };
    let Ok(far) = seen.cluster(&way.to) else { return };
    let service = service(&format!("helloworld-{}", far.cluster.version));
    drop(answered(way, &near.client, CURL, &service).await);
}

async fn between(visited: &[Visited], way: &Way, seen: &mut Evidence) -> Result<()> {
    let of = |name: &ClusterName| visited.iter().find(|one| one.name == *name);
    let both = of(&way.from).zip(of(&way.to));
    let (near, far) = both.ok_or_else(|| Error::internal(format!("nobody came to both ends of {way}")))?;
    let crossing = far.crossing.as_ref().ok_or_else(|| missing(format!("the gateway of {}", way.to)))?;
    let version = seen.cluster(&way.to)?.cluster.version.clone();
    let ends = Ends {
        way,
        near: &near.client,
        far: &far.client,
        client: CURL,
        server: HELLOWORLD,
        gateway: Pods(&crossing.0, &crossing.1),
        service: service(&format!("helloworld-{version}")),
    };
    meet(seen, &ends).await
}

fn service(name: &str) -> Service {
    Service { name: name.to_owned(), namespace: NAMESPACE.to_owned(), port: 5000 }
}
