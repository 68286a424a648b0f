//! The clusters as data: who they are, whom they trust, which addresses are theirs.
//!
//! Pure: reads no file. A [`Way`] is an ordered pair of clusters; scenarios are named after it.

mod limits;

use std::collections::BTreeSet;
use std::fmt;

use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Code, Error, Result};

/// A cluster's name, also its kind name and its `clusterName` in Istio.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ClusterName(pub String);

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ClusterName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// A DNS label, short enough for its node's name.
    pub name: ClusterName,
    /// The SPIFFE trust domain that its SPIRE server speaks for; a DNS name too, for Istio.
    pub trust_domain: String,
    /// Istio's network name.
    pub network: String,
    /// Pod addresses. Every cluster has its own, so that an address names its cluster.
    #[schemars(with = "String")]
    pub pods: Ipv4Net,
    /// Service addresses.
    #[schemars(with = "String")]
    pub services: Ipv4Net,
    /// The version that helloworld answers with here: a reply names its cluster.
    pub version: String,
}

/// All clusters of a world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// In the order in which they are shown.
    pub clusters: Vec<Cluster>,
}

/// From one cluster to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Way {
    /// Where the client is.
    pub from: ClusterName,
    /// Where the server is.
    pub to: ClusterName,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}→{}", self.from, self.to)
    }
}

impl Topology {
    /// So many clusters, with names, trust domains, networks and addresses in order.
    ///
    /// # Errors
    /// [`Code::Topology`] for none, and for more than there are subnets of this form.
    pub fn of_size(clusters: u8) -> Result<Self> {
        let net = |second: Option<u8>| second.and_then(|n| Ipv4Net::new([10, n, 0, 0].into(), 16).ok());
        let cluster = |i: u8| {
            let tens = i.checked_mul(10);
            let (pods, services) = (net(tens), net(tens.and_then(|n| n.checked_add(1))));
            let enough = || refuse(format!("there are no subnets for {clusters} clusters"));
            Ok(Cluster {
                name: ClusterName(format!("cluster{i}")),
                trust_domain: format!("cluster{i}.local"),
                network: format!("network{i}"),
                pods: pods.ok_or_else(enough)?,
                services: services.ok_or_else(enough)?,
                version: format!("v{i}"),
            })
        };
        let topology = Self { clusters: (1..=clusters).map(cluster).collect::<Result<_>>()? };
        topology.validate().map(|()| topology)
    }

    /// Refuses what could not work, before anything is touched.
    ///
    /// # Errors
    /// [`Code::Topology`] naming the first contradiction.
    pub fn validate(&self) -> Result<()> {
        if self.clusters.is_empty() {
            return Err(refuse("it names no cluster"));
        }
        for cluster in &self.clusters {
            cluster.validate()?;
        }
        distinct("cluster name", self.clusters.iter().map(|c| &c.name.0))?;
        distinct("trust domain", self.clusters.iter().map(|c| &c.trust_domain))?;
        distinct("network", self.clusters.iter().map(|c| &c.network))?;
        distinct("helloworld version", self.clusters.iter().map(|c| &c.version))?;
        let nets: Vec<_> = self
            .clusters
            .iter()
            .flat_map(|c| {
                [(format!("{} pods", c.name), c.pods), (format!("{} services", c.name), c.services)]
            })
            .collect();
        for (i, (a_name, a)) in nets.iter().enumerate() {
            for (b_name, b) in &nets[i + 1..] {
                if a.contains(b) || b.contains(a) {
                    return Err(refuse(format!("the subnets of {a_name} ({a}) and {b_name} ({b}) overlap")));
                }
            }
        }
        Ok(())
    }

    /// Every ordered pair.
    pub fn ways(&self) -> Vec<Way> {
        let names = || self.clusters.iter().map(|c| &c.name);
        names()
            .flat_map(|from| {
                names().filter(move |to| *to != from).map(|to| Way { from: from.clone(), to: to.clone() })
            })
            .collect()
    }

    /// The cluster of that name.
    ///
    /// # Errors
    /// [`Code::Internal`]: names come from the topology itself.
    pub fn get(&self, name: &ClusterName) -> Result<&Cluster> {
        self.clusters
            .iter()
            .find(|c| c.name == *name)
            .ok_or_else(|| Error::internal(format!("no cluster is called {name}")))
    }

    /// All clusters but that one.
    pub fn peers(&self, name: &ClusterName) -> impl Iterator<Item = &Cluster> {
        self.clusters.iter().filter(move |c| c.name != *name)
    }
}

fn distinct<'a>(what: &str, values: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(refuse(format!("two clusters have the same {what} `{value}`")));
        }
    }
    Ok(())
}

fn refuse(why: impl fmt::Display) -> Error {
    Error::new(Code::Topology, format!("the topology cannot work: {why}"))
        .next("correct the topology file; nothing was touched")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// So many clusters, with names in order.
    pub(crate) fn of_size(clusters: usize) -> Topology {
        Topology::of_size(u8::try_from(clusters).unwrap()).unwrap()
    }

    pub(crate) fn cluster(i: u8) -> Cluster {
        of_size(i.into()).clusters.pop().unwrap()
    }

    fn broken(change: impl FnOnce(&mut Vec<Cluster>)) -> String {
        let mut clusters = vec![cluster(1), cluster(2)];
        change(&mut clusters);
        Topology { clusters }.validate().unwrap_err().to_string()
    }

    #[test]
    fn two_clusters_have_two_ways() {
        let topology = Topology { clusters: vec![cluster(1), cluster(2)] };
        topology.validate().unwrap();
        let ways: Vec<_> = topology.ways().iter().map(Way::to_string).collect();
        assert_eq!(ways, ["cluster1→cluster2", "cluster2→cluster1"]);
    }

    #[test]
    fn there_are_as_many_as_there_are_subnets() {
        for size in 1..=25 {
            assert_eq!(Topology::of_size(size).unwrap().clusters.len(), usize::from(size));
        }
        let refused = |size| Topology::of_size(size).unwrap_err().to_string();
        assert!(
            refused(0).contains("names no cluster") && refused(26).contains("no subnets for 26 clusters")
        );
    }

    #[test]
    fn contradictions_are_named() {
        assert!(broken(|c| c.clear()).contains("names no cluster"));
        assert!(broken(|c| c[1].trust_domain = c[0].trust_domain.clone()).contains("same trust domain"));
        assert!(broken(|c| c[1].name = c[0].name.clone()).contains("same cluster name"));
        assert!(
            broken(|c| c[1].pods = "10.10.4.0/22".parse().unwrap())
                .contains("cluster1 pods (10.10.0.0/16) and cluster2 pods (10.10.4.0/22) overlap")
        );
    }
}
