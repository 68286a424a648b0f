//! From names to clusters: each context is there, answers, and is another cluster than the others.

use std::path::PathBuf;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::config::Kubeconfig;
use kube::{Api, Client, Error as Fault};

use super::named::{self, Named};
use crate::error::Context as _;
use crate::kube::{client, fault};
use crate::{Code, Error, Result, patience, wait};

/// The word for the user's own kubeconfig, which is read for no other.
pub(super) const OWN: &str = "default";

/// A cluster that answers.
pub struct Existing {
    /// As it was named.
    pub named: Named,
    /// The way to its API server.
    pub client: Client,
    /// What tells it from others.
    pub(super) identity: String,
}

/// Reaches all of them; `kubeconfig` is the file of those that name none.
///
/// # Errors
/// [`Code::Usage`] for names that mean no cluster, or one twice; [`Code::ClusterUnreachable`] for one that does not answer.
pub async fn reach(clusters: Vec<Named>, kubeconfig: Option<&str>) -> Result<Vec<Existing>> {
    named::check(&clusters)?;
    let mut ways = Vec::new();
    for mut named in clusters {
        let file = file_of(&named, kubeconfig)?;
        // Whoever is told of it later may be in another folder.
        let given = kubeconfig.filter(|file| *file != OWN).map(PathBuf::from);
        named.kubeconfig = named.kubeconfig.or(given).map(|file| std::path::absolute(&file).unwrap_or(file));
        let server = server_of(&file, &named)?;
        let made = client(file, Some(&named.context), &named.name.0).await;
        let unusable = || format!("the context {} of {} cannot be used", named.context, named.name);
        ways.push((made.or_fail(Code::Usage, unusable)?, server, named));
    }
    let asked = ways.into_iter().map(|(client, server, named)| Box::pin(existing(named, client, server)));
    let all: Vec<_> = join_all(asked).await.into_iter().collect::<Result<_>>()?;
    for (i, one) in all.iter().enumerate() {
        if let Some(other) = all[..i].iter().find(|other| other.identity == one.identity) {
            let what = format!("{} and {} are one cluster", other.named.name, one.named.name);
            return Err(Error::new(Code::Usage, what)
                .seen(format!("contexts {} and {}: {}", other.named.context, one.named.context, one.identity))
                .next("name each cluster once; nothing was touched"));
        }
    }
    Ok(all)
}

fn file_of(named: &Named, kubeconfig: Option<&str>) -> Result<Kubeconfig> {
    let read = |e, shown: &str| {
        Error::new(Code::Usage, format!("cannot read the kubeconfig {shown} of {}", named.name)).because(e)
    };
    match (&named.kubeconfig, kubeconfig) {
        (Some(file), _) => Kubeconfig::read_from(file).map_err(|e| read(e, &file.display().to_string())),
        (None, Some(OWN)) => Kubeconfig::read().map_err(|e| read(e, OWN)),
        (None, Some(file)) => Kubeconfig::read_from(file).map_err(|e| read(e, file)),
        (None, None) => Err(Error::new(Code::Usage, format!("no kubeconfig is named for {}", named.name))
            .next("--kubeconfig FILE; your own is read only if you say --kubeconfig default")),
    }
}

/// The API server of the context.
fn server_of(file: &Kubeconfig, named: &Named) -> Result<String> {
    let found = file.contexts.iter().find(|one| one.name == named.context);
    let context = found.and_then(|one| one.context.as_ref()).ok_or_else(|| {
        let known: Vec<_> = file.contexts.iter().map(|one| one.name.as_str()).collect();
        let known = if known.is_empty() { "no context at all".to_owned() } else { known.join(", ") };
        Error::new(Code::Usage, format!("there is no context {} for {}", named.context, named.name))
            .seen(known)
            .next("name a context of that kubeconfig; nothing was touched")
    })?;
    let cluster = file.clusters.iter().find(|one| one.name == context.cluster);
    Ok(cluster.and_then(|one| one.cluster.as_ref()?.server.clone()).unwrap_or_default())
}

async fn existing(named: Named, client: Client, server: String) -> Result<Existing> {
    let unreachable = |why: String| {
        let what = format!("cluster {} (context {}) cannot be reached: {why}", named.name, named.context);
        Error::new(Code::ClusterUnreachable, what)
            .next(format!("see what kubectl --context {} get --raw /version says", named.context))
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let asked = async { Ok(namespaces.get("kube-system").await) };
    let answer = wait::within("an answer of its API server", patience::ATTEMPT, asked).await;
    let identity = match answer.map_err(|e| unreachable(e.to_string().replace("\n  ", "; ")))? {
        Ok(system) => format!("namespace kube-system {}", system.metadata.uid.unwrap_or_default()),
        // It answers, and says less: then its address must do.
        Err(Fault::Api(status)) if status.code == 403 => server,
        Err(fault) => return Err(unreachable(fault::words(&fault))),
    };
    Ok(Existing { named, client, identity })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "apiVersion: v1\nkind: Config\nclusters: [{ name: one, cluster: { server: 'https://127.0.0.1:1' } }]\n\
        users: [{ name: me, user: {} }]\ncontexts: [{ name: first, context: { cluster: one, user: me } }]\n";

    async fn said(all: &[&str], kubeconfig: Option<&str>) -> (Code, String) {
        let all = all.iter().map(|one| one.parse().unwrap()).collect();
        let e = reach(all, kubeconfig).await.err().unwrap();
        (e.code(), e.to_string())
    }

    #[tokio::test]
    async fn what_means_no_cluster_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kubeconfig");
        std::fs::write(&file, FILE).unwrap();
        let file = file.to_str();
        let (code, e) = said(&["a=first"], None).await;
        assert!(code == Code::Usage && e.contains("no kubeconfig is named for a"), "{e}");
        let (code, e) = said(&["a=first"], Some("/no/such/file")).await;
        assert!(code == Code::Usage && e.contains("cannot read the kubeconfig /no/such/file of a"), "{e}");
        let (code, e) = said(&["a=second"], file).await;
        assert!(
            code == Code::Usage && e.contains("there is no context second for a\n  last seen: first"),
            "{e}"
        );
        let (code, e) = said(&["a=first"], file).await;
        assert_eq!(code, Code::ClusterUnreachable);
        assert!(e.starts_with("cluster a (context first) cannot be reached: "), "{e}");
    }
}
