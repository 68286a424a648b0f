//! A fact that a scenario owes: its name and its sentence are known before it runs, so that one that is skipped is
//! missed by name.

use proof::claim::{Claim, Kind, Subject};
use proof::topology::{ClusterName, Topology, Way};

use crate::owed::Owed;

/// What a scenario shows, once or for each part of the topology. Made by [`scenarios!`](crate::scenarios).
#[derive(Clone, Copy, Debug)]
pub struct Shows {
    /// Its name in the table.
    pub name: &'static str,
    /// How often.
    pub each: Each,
    /// The sentence that is true when the fact holds.
    pub says: &'static str,
}

/// How often a fact is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// Once in the scenario.
    Once,
    /// For every ordered pair of clusters.
    Way,
    /// For every cluster.
    Cluster,
}

/// The words of the table.
#[macro_export]
macro_rules! each {
    () => {
        $crate::shows::Each::Once
    };
    (way) => {
        $crate::shows::Each::Way
    };
    (cluster) => {
        $crate::shows::Each::Cluster
    };
}

/// A fact about something: its name within the scenario, and its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    name: String,
    says: String,
}

impl Shows {
    /// The claims that are due for it in that topology.
    pub fn due(&self, scenario: &str, topology: &Topology) -> Vec<Owed> {
        let all: Vec<Shown> = match self.each {
            Each::Once => vec![(*self).into()],
            Each::Way => topology.ways().iter().map(|way| self.on(way)).collect(),
            Each::Cluster => topology.clusters.iter().map(|one| self.of(&one.name)).collect(),
        };
        all.into_iter().map(|shown| Owed { claim: shown.id(scenario), sentence: shown.says }).collect()
    }

    /// The fact about that way.
    pub fn on(&self, way: &Way) -> Shown {
        let says = self.says.replace("{from}", &way.from.0).replace("{to}", &way.to.0);
        Shown { name: format!("{}/{way}", self.id()), says }
    }

    /// The fact about that cluster.
    pub fn of(&self, cluster: &ClusterName) -> Shown {
        Shown { name: format!("{}/{cluster}", self.id()), says: self.says.replace("{cluster}", &cluster.0) }
    }

    fn id(&self) -> String {
        self.name.to_lowercase().replace('_', "-")
    }
}

impl From<Shows> for Shown {
    fn from(once: Shows) -> Self {
        Self { name: once.id(), says: once.says.to_owned() }
    }
}

impl Shown {
    /// The claim that it is.
    pub(crate) fn id(&self, scenario: &str) -> Claim {
        let (scenario, name) = (scenario.to_owned(), self.name.clone());
        Claim::of(Kind::Fact, Subject::Fact { scenario, name })
    }

    /// Its sentence.
    pub(crate) fn says(self) -> String {
        self.says
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACHED: Shows =
        Shows { name: "GATEWAY_REACHED", each: Each::Way, says: "[S4-1] {to} is reached from {from}" };

    #[test]
    fn a_fact_is_due_for_every_part_of_the_topology() {
        let read =
            |name| harness::setup::Setup::read(std::path::Path::new("../manifests"), &[name], None, false);
        let two = read("federated").unwrap().remove(0).topology;
        let ids = |fact: Shows| {
            let owed = fact.due("reached", &two);
            owed.iter().map(|owed| owed.claim.to_string()).collect::<Vec<_>>()
        };
        let ways = ["cluster1→cluster2", "cluster2→cluster1"]
            .map(|way| format!("fact/reached/gateway-reached/{way}"));
        assert_eq!(ids(REACHED), ways);
        assert_eq!(ids(Shows { each: Each::Once, ..REACHED }), ["fact/reached/gateway-reached"]);
        assert_eq!(ids(Shows { each: Each::Cluster, ..REACHED }).len(), 2);
        let shown = REACHED.on(&two.ways()[0]);
        assert_eq!(shown.id("reached").to_string(), ways[0]);
        assert_eq!(shown.says(), "[S4-1] cluster2 is reached from cluster1");
        assert_eq!(REACHED.due("reached", &two)[1].sentence, "[S4-1] cluster1 is reached from cluster2");
    }
}
