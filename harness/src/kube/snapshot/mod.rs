//! Everything about a cluster that explains a failure, in files, before the cluster is gone or changed again.
//!
//! A failure may lie in any namespace and any kind, so none is chosen beforehand. Evidence is worth most when something is
//! broken, so no item waits for another and none can fail the rest: what could not be had is a line in the answer.

mod inside;
mod objects;
mod pods;

use std::path::{Path, PathBuf};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::{AT_ONCE, fault};
use crate::{Code, Error, Result, kept, patience, wait};

/// Where nothing runs, and nobody puts anything.
const KUBERNETES_OWN: [&str; 2] = ["kube-node-lease", "kube-public"];

/// Writes it all below `dir`; hands back what could not be had, one line each. Secrets' values, private keys and tokens
/// are removed ([`kept`]).
///
/// | file | holds |
/// | --- | --- |
/// | `NAMESPACE/pods.txt`, `events.txt` | to be read: what each pod lacks, the last events |
/// | `NAMESPACE/pods.json` | its pods, as the API server has them |
/// | `NAMESPACE/logs/` | each container's log, and that of its life before |
/// | `NAMESPACE/proxies/` | what Envoy holds in each mesh proxy: configuration with its secrets, endpoints, counters |
/// | `spire/server/` | the SPIRE server's bundles, relationships, entries and agents |
/// | `kinds/` | every other object, a file for each kind |
pub async fn snapshot(client: &Client, dir: &Path) -> Vec<String> {
    let kinds = dir.join("kinds");
    let (namespaces, kinds) =
        tokio::join!(bounded("namespaces".into(), namespaces(client)), objects::all(client, &kinds));
    let mut missing = kinds;
    let (listings, asked): (Vec<_>, _) = match namespaces {
        Ok(namespaces) => {
            let listings = stream::iter(namespaces.clone())
                .map(|ns| Box::pin(pods::listed(client, ns, dir)))
                .buffer_unordered(AT_ONCE)
                .collect();
            tokio::join!(listings, Box::pin(inside::server(client, &namespaces, dir)))
        }
        Err(line) => (Vec::new(), vec![line]),
    };
    missing.extend(asked);
    let mut running = Vec::new();
    for listing in listings {
        missing.extend(listing.missing);
        running.extend(listing.pods.into_iter().map(|pod| (listing.namespace.clone(), pod)));
    }
    let (logs, proxies) =
        tokio::join!(Box::pin(logs(client, dir, &running)), Box::pin(inside::proxies(client, dir, &running)));
    missing.extend(logs);
    missing.extend(proxies);
    missing.sort();
    missing
}

/// What each pod lacks, and the last events: as much as there is time for when a person has stopped a run.
pub async fn brief(client: &Client, dir: &Path) -> Vec<String> {
    match bounded("namespaces".into(), namespaces(client)).await {
        Ok(namespaces) => {
            let listings = stream::iter(namespaces).map(|ns| Box::pin(pods::listed(client, ns, dir)));
            let listings: Vec<_> = listings.buffer_unordered(AT_ONCE).collect().await;
            listings.into_iter().flat_map(|listing| listing.missing).collect()
        }
        Err(line) => vec![line],
    }
}

async fn namespaces(client: &Client) -> Result<Vec<String>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let listed = api.list(&ListParams::default()).await.map_err(|f| fault::failed("cannot list", &f))?;
    let names = listed.items.iter().map(ResourceExt::name_any);
    Ok(names.filter(|name| !KUBERNETES_OWN.contains(&name.as_str())).collect())
}

async fn logs(client: &Client, dir: &Path, running: &[(String, Pod)]) -> Vec<String> {
    let files = running.iter().flat_map(|(ns, pod)| pods::log_files(ns, &dir.join(ns), pod));
    all_of(files.map(|log| (log.name.clone(), log.fetch(client)))).await
}

/// Runs all of them, some at once, each within its own limit; hands back a line for each that failed.
async fn all_of<W: Future<Output = Result<()>>>(work: impl IntoIterator<Item = (String, W)>) -> Vec<String> {
    stream::iter(work)
        .map(|(what, work)| async move { bounded(what, work).await.err() })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// One item within its own limit; a failure becomes a line. Boxed: without optimisation the frames of a request do not fit
/// into a thread's usual 2 MiB several times over.
async fn bounded<T>(what: String, work: impl Future<Output = Result<T>>) -> Result<T, String> {
    wait::within(&what, patience::ATTEMPT, Box::pin(work))
        .await
        .map_err(|e| format!("{what}: {e}").replace('\n', " "))
}

async fn write(file: PathBuf, text: String) -> Result<()> {
    // Megabytes are searched for secrets, while others wait for answers.
    let written = tokio::task::spawn_blocking(move || {
        kept::write(&file, &text)
            .map_err(|e| Error::new(Code::Evidence, format!("cannot write {}", file.display())).because(e))
    });
    written.await.map_err(|e| Error::internal("a file was not written").because(e))?
}
