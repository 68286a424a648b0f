//! Looking at a mesh for a diagnosis: read only, all clusters at once, each item within its own limit. What could not be
//! read is part of the answer, for it excludes no cause ([`proof::diagnosis`]).
//!
//! One look asks somebody to act: a SPIRE server is made to poll a peer's bundle, as it does by itself, where that peer
//! publishes what is held already, so that the answer changes nothing.

mod istio;
mod objects;
mod remote;
mod spire;

use std::future::Future;
use std::path::{Path, PathBuf};

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use proof::diagnosis::{ClusterLook, Look, Observations};
use proof::error::Context as _;
use proof::identity::TrustDomain;

use crate::kube::connect;
use crate::{Code, Error, Result, istiod, kept, patience, wait};

/// A cluster to look at, once its trust domain is known.
struct Subject {
    name: String,
    trust_domain: TrustDomain,
    client: Client,
    configs: Look<Vec<ConfigMap>>,
}

/// Looks at the cluster of each of these kubeconfigs, which are called after their clusters. `symptoms` is what is known not
/// to hold. Returns beside it why a cluster could not be looked at at all.
pub async fn observe(kubeconfigs: &[PathBuf], symptoms: Vec<String>) -> (Observations, Vec<String>) {
    let at = Timestamp::now();
    let (mut subjects, mut missing) = (Vec::new(), Vec::new());
    for found in join_all(kubeconfigs.iter().map(|path| Box::pin(subject(path)))).await {
        match found {
            Ok(subject) => subjects.push(subject),
            Err(e) => missing.push(e.to_string().replace('\n', " ")),
        }
    }
    let domains: Vec<_> = subjects.iter().map(|subject| &subject.trust_domain).collect();
    let looks = join_all(subjects.iter().map(|subject| Box::pin(cluster(subject, &domains, at)))).await;
    let mut observed = Observations::of(looks, symptoms, at);
    // Both need what was seen of the others.
    let fetches = join_all(subjects.iter().map(|subject| Box::pin(spire::fetches(subject, &observed)))).await;
    let secrets =
        join_all(subjects.iter().map(|subject| Box::pin(remote::secrets(subject, &subjects, &observed))))
            .await;
    for (one, (fetched, read)) in observed.clusters.iter_mut().zip(fetches.into_iter().zip(secrets)) {
        one.server.fetches = fetched;
        one.remote_secrets = read;
    }
    (observed, missing)
}

async fn subject(kubeconfig: &Path) -> Result<Subject> {
    let name = kubeconfig.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let client = connect(kubeconfig).await?;
    let configs = look("the configuration", objects::configs(&client)).await;
    let trust_domain = spire::trust_domain(&configs).map_err(|e| {
        Error::new(Code::Evidence, format!("nothing says the trust domain of {name}")).because(e)
    })?;
    Ok(Subject { name, trust_domain, client, configs })
}

/// Every document of a report's folder: one for each time that something failed.
pub fn kept_in(report: &Path) -> Vec<PathBuf> {
    (1..).map(|n| file(report, n)).take_while(|file| file.exists()).collect()
}

/// Keeps what was observed in a report's folder, beside what was kept before.
///
/// # Errors
/// [`Code::Internal`] when it cannot be written.
pub fn keep(observed: &Observations, report: &Path) -> Result<()> {
    let path = file(report, kept_in(report).len() + 1);
    kept::write(&path, &observed.to_json()?)
        .or_fail(Code::Internal, || format!("cannot write {}", path.display()))
}

fn file(report: &Path, number: usize) -> PathBuf {
    let name = match number {
        1 => "observations.json".to_owned(),
        more => format!("observations-{more}.json"),
    };
    report.join("diagnosis").join(name)
}

async fn cluster(subject: &Subject, domains: &[&TrustDomain], at: Timestamp) -> ClusterLook {
    let client = &subject.client;
    let configs = &subject.configs;
    let (objects, remotes, clock) = tokio::join!(
        Box::pin(objects::all(client)),
        look("istiod's clusters", istiod::clusters(client)),
        look("the clock", istio::clock(client, at)),
    );
    let (server, proxies) = tokio::join!(
        Box::pin(spire::server(subject, domains, &objects)),
        Box::pin(istio::proxies(client, &objects))
    );
    ClusterLook {
        name: subject.name.clone(),
        trust_domain: subject.trust_domain.clone(),
        managers: spire::managers(configs),
        agents: spire::agents(configs, &objects),
        mesh: istio::mesh(configs),
        mesh_networks: istio::mesh_networks(configs),
        istiod_root: istio::root(configs),
        objects,
        server,
        remotes,
        remote_secrets: Look::NotReadable("not asked yet".to_owned()),
        proxies,
        clock,
    }
}

/// One look within its own limit. Boxed: without optimisation the frames of a request do not fit into a thread's stack
/// several times over.
async fn look<T>(what: &str, work: impl Future<Output = Result<T>>) -> Look<T> {
    Look::of(wait::within(what, patience::ATTEMPT, Box::pin(work)).await)
}
