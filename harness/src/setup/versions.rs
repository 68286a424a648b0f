//! Which version of each component a cluster of a set-up has: the lock's first, unless others are asked for, everywhere or
//! in one cluster. Several in one mesh are what an upgrade is.

use std::collections::BTreeMap;

use super::Setup;
use crate::lock::{Lock, Versions, With};
use crate::{Code, Error, Result};
use proof::topology::{ClusterName, Topology};

/// The versions in each cluster.
pub type InClusters = BTreeMap<ClusterName, Versions>;

/// The lock's first ones, everywhere.
pub(super) fn first(lock: &Lock, topology: &Topology) -> InClusters {
    topology.clusters.iter().map(|cluster| (cluster.name.clone(), lock.now())).collect()
}

impl Setup {
    /// Takes these versions instead.
    ///
    /// # Errors
    /// As [`choose`].
    pub fn choose(&mut self, lock: &Lock, asked: &[With]) -> Result<()> {
        choose(&mut self.versions, lock, asked)
    }
}

/// Takes these versions instead. What is asked for in one cluster weighs more than what is asked for in all.
///
/// # Errors
/// [`Code::Usage`] for a component, a version or a cluster that there is not, or two versions of one thing.
pub fn choose(versions: &mut InClusters, lock: &Lock, asked: &[With]) -> Result<()> {
    for (i, one) in asked.iter().enumerate() {
        let other = |other: &&With| {
            other.cluster == one.cluster && other.component == one.component && other.version != one.version
        };
        if let Some(other) = asked[..i].iter().find(other) {
            return Err(Error::new(Code::Usage, format!("{other} and {one} contradict each other"))
                .next("name one of them; nothing was touched"));
        }
    }
    let (everywhere, somewhere): (Vec<_>, Vec<_>) = asked.iter().partition(|one| one.cluster.is_none());
    for one in everywhere.into_iter().chain(somewhere) {
        let version = lock.version(&one.component, &one.version)?;
        if let Some(stranger) = one.cluster.as_ref().filter(|cluster| !versions.contains_key(cluster)) {
            let known: Vec<_> = versions.keys().map(|cluster| cluster.0.as_str()).collect();
            return Err(Error::new(Code::Usage, format!("{one}: no cluster is called {stranger}"))
                .seen(format!("clusters: {}", known.join(", ")))
                .next("name one of them; nothing was touched"));
        }
        let is_meant = |cluster: &ClusterName| one.cluster.as_ref().is_none_or(|meant| meant == cluster);
        for (_, chosen) in versions.iter_mut().filter(|(cluster, _)| is_meant(cluster)) {
            chosen.insert(one.component.clone(), version.to_owned());
        }
    }
    Ok(())
}

/// A line for all clusters that have the same versions, for a person.
pub fn lines(versions: &InClusters) -> Vec<String> {
    let mut alike: Vec<(&Versions, Vec<&str>)> = Vec::new();
    for (cluster, of_it) in versions {
        match alike.iter_mut().find(|(other, _)| *other == of_it) {
            Some((_, clusters)) => clusters.push(&cluster.0),
            None => alike.push((of_it, vec![&cluster.0])),
        }
    }
    let several = alike.len() > 1;
    let line = |(versions, clusters): (&Versions, Vec<&str>)| {
        let all: Vec<_> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let place = if several { format!(" in {}", clusters.join(", ")) } else { String::new() };
        format!("{}{place}", all.join(", "))
    };
    alike.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn chosen(asked: &[&str]) -> Result<InClusters> {
        let manifests = Path::new("../manifests");
        let mut setup = Setup::read(manifests, &["federated"], None, false)?.remove(0);
        let asked: Vec<With> = asked.iter().map(|text| text.parse().unwrap()).collect();
        setup.choose(&Lock::read(manifests)?, &asked)?;
        Ok(setup.versions)
    }

    fn spire(asked: &[&str]) -> [String; 2] {
        let all = chosen(asked).unwrap();
        ["cluster1", "cluster2"].map(|name| all[&ClusterName::from(name)]["spire"].clone())
    }

    #[test]
    fn the_cluster_weighs_more_than_everywhere_whatever_comes_first() {
        assert_eq!(spire(&[]), ["1.15.3", "1.15.3"]);
        assert_eq!(spire(&["spire=1.13"]), ["1.13.3", "1.13.3"]);
        assert_eq!(spire(&["cluster2:spire=1.13"]), ["1.15.3", "1.13.3"]);
        assert_eq!(spire(&["cluster1:spire=1.15", "spire=1.13"]), ["1.15.3", "1.13.3"]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |asked: &[&str]| chosen(asked).unwrap_err();
        let e = refused(&["cluster3:spire=1.13"]);
        assert_eq!((e.code(), e.what()), (Code::Usage, "cluster3:spire=1.13: no cluster is called cluster3"));
        assert!(e.to_string().contains("clusters: cluster1, cluster2"), "{e}");
        let e = refused(&["spire=1.13", "spire=1.15"]);
        assert_eq!(e.what(), "spire=1.13 and spire=1.15 contradict each other");
        assert_eq!(refused(&["spire=2"]).what(), "there is no version 2 of spire");
    }

    #[test]
    fn clusters_that_are_alike_share_a_line() {
        assert_eq!(lines(&chosen(&[]).unwrap()).len(), 1);
        let mixed = lines(&chosen(&["cluster2:spire=1.13"]).unwrap());
        assert_eq!(mixed.len(), 2);
        assert!(mixed[1].contains("spire 1.13.3") && mixed[1].ends_with(" in cluster2"), "{mixed:?}");
    }
}
