//! The Kubernetes side: one client a cluster, objects applied, waits that say why, and looks inside pods.
//!
//! Nothing here calls kubectl, and nothing here reads the user's own kubeconfig. Whatever can be watched is
//! watched ([`watch`], [`rollout`]); what a wait last saw is part of its error ([`conditions`], [`pod`]).

use std::path::Path;

use ::kube::client::ClientBuilder;
use ::kube::config::{KubeConfigOptions, Kubeconfig};
use ::kube::{Api, Client, Config};
use k8s_openapi::api::core::v1::Namespace;

use crate::error::Context as _;
use crate::{Code, Result, patience};

use asked::Asked;

pub mod apply;
mod asked;
pub mod conditions;
mod definition;
pub mod delete;
pub mod exec;
pub mod fault;
pub mod forward;
pub mod inventory;
pub(crate) mod kinds;
pub mod logs;
pub mod object;
pub mod pod;
pub mod pods;
pub mod rollout;
pub mod running;
pub mod snapshot;
pub(crate) mod stands;
pub mod stuck;
pub mod watch;
mod why;

#[cfg(test)]
mod tests;

/// Every object that Vouchsafe applies names this as its field manager.
pub const FIELD_MANAGER: &str = "vouchsafe";

/// How many requests to one API server run at the same time; more only queue in a small control plane.
const AT_ONCE: usize = 8;

/// Whether the API server answers us with something out of etcd.
///
/// # Errors
/// [`Code::KubeFailed`] with what it says instead, or that it does not answer.
pub async fn answers(client: &Client) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let asked = namespaces.get("kube-system").await;
    asked.map_err(|fault| fault::failed("cannot read the namespace kube-system", &fault)).map(drop)
}

/// A client for the current context of `kubeconfig`, and of that file only.
///
/// It is not asked anything yet: a cluster whose API server is still starting gets a client as well.
///
/// # Errors
/// [`Code::KubeFailed`] when the file is missing, malformed, or holds credentials that cannot be used.
pub async fn connect(kubeconfig: &Path) -> Result<Client> {
    let unusable = || format!("the kubeconfig {} cannot be used", kubeconfig.display());
    let file = Kubeconfig::read_from(kubeconfig).or_fail(Code::KubeFailed, unusable)?;
    let cluster = kubeconfig.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    client(file, None, &cluster).await.or_fail(Code::KubeFailed, unusable)
}

/// A client for a context of a kubeconfig, its current one where none is named; the log calls it `cluster`.
///
/// # Errors
/// When it names no such context, or credentials that cannot be used.
pub async fn client(
    file: Kubeconfig,
    context: Option<&str>,
    cluster: &str,
) -> std::result::Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    // Two TLS users (kube and reqwest) share one provider. Whoever comes second finds it there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let names_a_proxy =
        file.clusters.iter().filter_map(|c| c.cluster.as_ref()).any(|c| c.proxy_url.is_some());
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(file, &options).await?;
    if !names_a_proxy {
        // kube would take HTTPS_PROXY from the environment, and a proxy cannot reach a cluster on this machine.
        config.proxy_url = None;
    }
    // kube's own retry is silent and waits up to 1000 s; ours are in `fault`, bounded and told.
    config.default_retry = false;
    // kube itself never gives up on an answer that has begun.
    config.connect_timeout = Some(patience::SILENCE.stretched());
    config.read_timeout = Some(patience::API_SILENCE.stretched());
    Ok(ClientBuilder::try_from(config)?.with_layer(&Asked { cluster: cluster.into() }).build())
}
