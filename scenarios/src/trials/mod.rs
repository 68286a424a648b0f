//! What Vouchsafe proves, a module for each question. A set-up names modules; the topology says which trials they have.

mod bluegreen;
mod controls;
mod federation;
mod guide;
mod handshake;
mod identities;
mod ingress;
mod manual_bundle;
mod motion;
mod observability;
mod plain_text;
mod registration;
mod single_cluster;
mod templates;

use harness::setup::Scenarios;
use harness::{Code, Error, Result};
use proof::topology::Topology;

use crate::trial::{Scenario, Trial};

/// A module of trials.
struct Module {
    name: &'static str,
    /// In worlds of how many clusters it can run; nothing where that is any number that leaves it something to
    /// prove.
    clusters: Option<usize>,
    trials: fn(&Topology) -> Vec<Trial>,
}

const MODULES: [Module; 14] = [
    any("federation", federation::trials),
    any("identities", identities::trials),
    any("handshake", handshake::trials),
    any("plain_text", plain_text::trials),
    any("controls", controls::trials),
    of_clusters("bluegreen", 2, |world| scenarios(bluegreen::SCENARIOS, world)),
    of_clusters("guide", 2, |world| scenarios(guide::SCENARIOS, world)),
    of_clusters("ingress", 1, |world| scenarios(ingress::SCENARIOS, world)),
    of_clusters("manual_bundle", 2, |world| scenarios(&[manual_bundle::SCENARIOS], world)),
    of_clusters("motion", 2, |world| scenarios(motion::SCENARIOS, world)),
    of_clusters("observability", 2, |world| scenarios(observability::SCENARIOS, world)),
    of_clusters("registration", 1, |world| scenarios(registration::SCENARIOS, world)),
    of_clusters("single_cluster", 1, |world| scenarios(&[single_cluster::SCENARIOS], world)),
    of_clusters("templates", 1, |world| scenarios(templates::SCENARIOS, world)),
];

/// The trials of these modules (`guide`, or a part of one, `guide::paths`) in that topology, by name.
///
/// # Errors
/// [`Code::Topology`] when a module would prove nothing there, or less than it says; [`Code::Internal`] for a name that
/// is no module's, which a test of the checkout sees too.
pub fn of(scenarios: &Scenarios, topology: &Topology) -> Result<Vec<Trial>> {
    let mut all = Vec::new();
    for wanted in scenarios.reads.iter().chain(&scenarios.changes) {
        let name = wanted.split("::").next().unwrap_or_default();
        let module = MODULES.iter().find(|module| module.name == name);
        let module = module.ok_or_else(|| Error::internal(format!("there are no scenarios `{wanted}`")))?;
        module.fits(topology)?;
        let of_it = |trial: &Trial| {
            trial.name.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with("::"))
        };
        let trials: Vec<_> = (module.trials)(topology).into_iter().filter(of_it).collect();
        if trials.iter().all(|trial| trial.owes.is_empty()) {
            let what =
                format!("`{wanted}` proves nothing in a world of {}", clusters(topology.clusters.len()));
            return Err(Error::new(Code::Topology, what)
                .next("name a topology of more clusters; nothing was touched"));
        }
        all.extend(trials);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Every trial that exists in worlds of that many clusters, for whoever lists them without a set-up.
pub fn everything(topology: &Topology) -> Vec<Trial> {
    let fitting = MODULES.iter().filter(|module| module.fits(topology).is_ok());
    fitting.flat_map(|module| (module.trials)(topology)).filter(|trial| !trial.owes.is_empty()).collect()
}

impl Module {
    fn fits(&self, topology: &Topology) -> Result<()> {
        let there = topology.clusters.len();
        match self.clusters {
            Some(wanted) if wanted != there => {
                let what = format!(
                    "`{}` runs in a world of {}, and this topology has {there}",
                    self.name,
                    clusters(wanted)
                );
                Err(Error::new(Code::Topology, what)
                    .next("name a set-up whose questions are asked of any number, such as federated; nothing was touched"))
            }
            _ => Ok(()),
        }
    }
}

const fn any(name: &'static str, trials: fn(&Topology) -> Vec<Trial>) -> Module {
    Module { name, clusters: None, trials }
}

const fn of_clusters(name: &'static str, clusters: usize, trials: fn(&Topology) -> Vec<Trial>) -> Module {
    Module { name, clusters: Some(clusters), trials }
}

fn scenarios(tables: &[&'static [Scenario]], topology: &Topology) -> Vec<Trial> {
    tables.iter().copied().flatten().map(|scenario| Trial::of(scenario, topology)).collect()
}

fn clusters(count: usize) -> String {
    if count == 1 { "one cluster".to_owned() } else { format!("{count} clusters") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use harness::setup::{ALL, Setup};
    use proof::claim::Kind;

    use super::*;
    use crate::owed::Owed;

    fn setups(topology: Option<&Path>) -> Vec<Setup> {
        Setup::read(Path::new("../manifests"), &[ALL], topology, false).unwrap()
    }

    /// An id that two trials owe would be judged twice, and one of them could be forgotten.
    #[test]
    fn every_set_up_owes_something_and_nothing_twice() {
        for setup in setups(None) {
            let trials = of(&setup.scenarios, &setup.topology).unwrap();
            assert!(trials.iter().all(|trial| !trial.owes.is_empty()), "{}", setup.name);
            let owed: Vec<_> = trials.iter().flat_map(|trial| &trial.owes).map(|owed| &owed.claim).collect();
            let mut seen = BTreeSet::new();
            let twice: Vec<_> =
                owed.into_iter().filter(|claim| !seen.insert(*claim)).map(ToString::to_string).collect();
            assert!(twice.is_empty(), "{}: {twice:?}", setup.name);
            let names: BTreeSet<_> = trials.iter().map(|trial| &trial.scenario).collect();
            assert_eq!(names.len(), trials.len(), "{}: two trials write one file", setup.name);
        }
    }

    /// A blank that is filled for no way and no cluster would be read as it is written.
    #[test]
    fn a_sentence_has_no_blank_and_is_said_once() {
        for setup in setups(None) {
            let trials = of(&setup.scenarios, &setup.topology).unwrap();
            for trial in &trials {
                let mut seen = BTreeSet::new();
                let facts = trial.owes.iter().filter(|owed| owed.claim.kind == Kind::Fact);
                for Owed { claim, sentence } in facts {
                    assert!(!sentence.contains(['{', '}', '\n']), "{claim}: {sentence}");
                    assert!(
                        seen.insert(sentence),
                        "{claim} says what another fact of {} says",
                        trial.scenario
                    );
                }
            }
        }
    }

    /// What no set-up names is never run. A question that may be asked of any world is asked of one at least.
    #[test]
    fn every_trial_is_of_a_set_up() {
        let all = setups(None);
        let run: BTreeSet<String> = all
            .iter()
            .flat_map(|setup| of(&setup.scenarios, &setup.topology).unwrap())
            .map(|trial| trial.name)
            .collect();
        let asked = |name: &str| run.iter().any(|trial| trial.starts_with(name));
        for module in &MODULES {
            let fitting =
                all.iter().find(|setup| module.clusters.is_none_or(|n| n == setup.topology.clusters.len()));
            let trials = (module.trials)(&fitting.unwrap().topology);
            let never: Vec<_> = trials
                .iter()
                .filter(|trial| match module.clusters {
                    Some(_) => !run.contains(&trial.name),
                    None => !asked(&format!("{}::", module.name)),
                })
                .map(|trial| &trial.name)
                .collect();
            assert!(never.is_empty(), "{never:?}");
        }
    }

    #[test]
    fn a_world_in_which_nothing_would_be_proven_is_refused() {
        let one = Topology { clusters: setups(None).remove(0).topology.clusters.drain(..1).collect() };
        let asked = |name: &str| of(&Scenarios { reads: vec![name.to_owned()], changes: vec![] }, &one);
        let Err(e) = asked("handshake") else { panic!("a way in a world of one cluster") };
        assert_eq!(
            (e.code(), e.what()),
            (Code::Topology, "`handshake` proves nothing in a world of one cluster")
        );
        let Err(e) = asked("guide::paths") else { panic!("two clusters of one") };
        assert_eq!(e.what(), "`guide` runs in a world of 2 clusters, and this topology has 1");
        assert!(asked("handsh").is_err_and(|e| e.what() == "there are no scenarios `handsh`"));
    }
}
