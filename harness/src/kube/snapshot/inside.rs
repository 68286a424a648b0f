//! What programs in pods say about themselves: Envoy's admin interface in every mesh proxy, and the SPIRE server's own
//! commands.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt as _};

use super::{all_of, write};
use crate::kube::forward;
use crate::mesh::ENVOY_ADMIN;
use crate::{Result, proxy, spire};

/// What is asked of each: the whole configuration, where Envoy itself removes private keys; endpoints with what became of
/// connections to them; every counter that was ever counted.
const PAGES: [(&str, &str); 3] =
    [("/config_dump", "config_dump.json"), ("/clusters", "clusters.txt"), ("/stats?usedonly", "stats.txt")];

/// What is asked of the SPIRE server: what it trusts, whom it asks, what it issues to whom, and through which agents.
const COMMANDS: [(&str, &[&str]); 5] = [
    ("bundle.json", &["bundle", "show", "-format", "spiffe"]),
    ("bundles-of-peers.txt", &["bundle", "list", "-format", "spiffe"]),
    ("relationships.txt", &["federation", "list"]),
    ("entries.txt", &["entry", "show"]),
    ("agents.txt", &["agent", "list"]),
];

pub(super) async fn proxies(client: &Client, dir: &Path, pods: &[(String, Pod)]) -> Vec<String> {
    let running = pods.iter().filter(|(_, pod)| proxy::runs_in(pod));
    let pages = running.flat_map(|(ns, pod)| {
        PAGES.map(|(path, file)| {
            let (pod, file) = (pod.name_any(), format!("{}.{file}", pod.name_any()));
            let to = dir.join(ns).join("proxies").join(&file);
            (format!("{ns}/{file}"), page(client, ns, pod, path, to))
        })
    });
    all_of(pages).await
}

async fn page(client: &Client, ns: &str, pod: String, path: &str, to: PathBuf) -> Result<()> {
    write(to, forward::get(client, ns, &pod, ENVOY_ADMIN, path).await?).await
}

pub(super) async fn server(client: &Client, namespaces: &[String], dir: &Path) -> Vec<String> {
    if !namespaces.iter().any(|ns| ns == spire::NAMESPACE) {
        return Vec::new();
    }
    let dir = dir.join(spire::NAMESPACE).join("server");
    all_of(COMMANDS.map(|(file, words)| {
        (format!("spire-server {}", words.join(" ")), said(client, words, dir.join(file)))
    }))
    .await
}

async fn said(client: &Client, words: &[&str], to: PathBuf) -> Result<()> {
    write(to, spire::command(client, words).await?).await
}
