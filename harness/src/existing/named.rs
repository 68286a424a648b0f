//! Clusters as a user names them, on the command line or in a file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proof::identity::TrustDomain;
use proof::topology::ClusterName;
use serde::{Deserialize, Serialize};

use crate::error::Context as _;
use crate::{Code, Error, Result, render};

/// A cluster that somebody else runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// What it is called here.
    pub name: ClusterName,
    /// The file that has its context.
    pub kubeconfig: Option<PathBuf>,
    /// Its context there.
    pub context: String,
    /// Its trust domain, where its SPIRE server's configuration does not say it, or where clusters share it.
    pub trust_domain: Option<String>,
    /// Labels of its SPIRE server's pods.
    pub spire_server: Option<String>,
    /// The socket of its SPIRE server's API.
    pub spire_socket: Option<String>,
    /// Labels of its istiod's pods.
    pub istiod: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    clusters: Vec<Named>,
}

/// Reads a file of clusters; kubeconfigs lie beside it.
///
/// # Errors
/// [`Code::Usage`] with its place.
pub fn read(path: &Path) -> Result<Vec<Named>> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).or_fail(Code::Usage, || format!("cannot read {shown}"))?;
    let File { mut clusters } = render::parse_spanned(&text, Code::Usage, &shown)?;
    let beside = path.parent().unwrap_or(Path::new("."));
    for kubeconfig in clusters.iter_mut().filter_map(|one| one.kubeconfig.as_mut()) {
        *kubeconfig = beside.join(&*kubeconfig);
    }
    Ok(clusters)
}

/// `NAME=CONTEXT`.
impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').filter(|(name, context)| !name.is_empty() && !context.is_empty());
        let (name, context) = parts.ok_or_else(|| format!("`{text}` is not NAME=CONTEXT"))?;
        Ok(Self {
            name: name.into(),
            kubeconfig: None,
            context: context.to_owned(),
            trust_domain: None,
            spire_server: None,
            spire_socket: None,
            istiod: None,
        })
    }
}

/// Refuses what cannot be told apart, before anybody is asked.
///
/// # Errors
/// [`Code::Usage`].
pub(super) fn check(clusters: &[Named]) -> Result<()> {
    let refuse = |what: String| Err(Error::new(Code::Usage, what).next("correct it; nothing was touched"));
    if clusters.is_empty() {
        return Err(Error::new(Code::Usage, "no cluster is named")
            .next("--context NAME=CONTEXT for each cluster, or --clusters FILE; nothing was touched"));
    }
    let mut names = BTreeSet::new();
    for Named { name, trust_domain, .. } in clusters {
        // Claims' ids have names between their own signs.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if name.0.is_empty() || !name.0.chars().all(plain) {
            return refuse(format!("`{name}` is no name for a cluster (a-z, 0-9, `-`, `.` and `_`)"));
        }
        if !names.insert(name) {
            return refuse(format!("two clusters are called {name}"));
        }
        if let Some(e) = trust_domain.as_ref().and_then(|domain| domain.parse::<TrustDomain>().err()) {
            return refuse(format!("the trust domain of {name}: {e}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_context_make_a_cluster() {
        let one: Named = "a=arn:aws:eks:eu:1:cluster/x=y".parse().unwrap();
        assert_eq!((&*one.name.0, &*one.context), ("a", "arn:aws:eks:eu:1:cluster/x=y"));
        for bad in ["a", "=x", "a=", ""] {
            assert_eq!(bad.parse::<Named>().unwrap_err(), format!("`{bad}` is not NAME=CONTEXT"));
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        let said = |all: &[&str]| {
            let all: Vec<_> = all.iter().map(|one| one.parse().unwrap()).collect();
            check(&all).err().map(|e| e.what().to_owned()).unwrap_or_default()
        };
        assert_eq!(said(&["a=x", "b=x"]), "", "two names of one cluster are known only when it was asked");
        assert_eq!(said(&[]), "no cluster is named");
        assert_eq!(said(&["a=x", "a=y"]), "two clusters are called a");
        assert!(said(&["a→b=x"]).starts_with("`a→b` is no name for a cluster"));
    }

    #[test]
    fn a_file_of_clusters_is_read_strictly_and_its_kubeconfigs_lie_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("clusters.yaml");
        let written = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read(&file)
        };
        let one = written(
            "clusters:\n- { name: a, context: x, kubeconfig: a.kubeconfig, trust_domain: a.example }\n",
        );
        let one = one.unwrap().remove(0);
        assert_eq!(one.kubeconfig, Some(dir.path().join("a.kubeconfig")));
        assert_eq!(one.trust_domain.as_deref(), Some("a.example"));
        let e = written("clusters:\n- { name: a, context: x, trustDomain: a.example }\n").unwrap_err();
        assert!(e.code() == Code::Usage && e.what().contains("clusters.yaml:2:"), "{e}");
    }
}
