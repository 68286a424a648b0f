//! What a run owes in one world, told before anything is made and held against what was judged at its end. Absence is
//! never green: a claim that is due and got no verdict is unjudged, whatever became of its trial.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use harness::setup::{Scenarios, Setup};
use harness::{Code, Error, Result};
use proof::claim::{Claim, Expectation};
use proof::topology::Topology;
use proof::verdict::{Line, Verdict};
use scenarios::{Failure, Owed, trials};

/// The claims of a world that are due.
#[derive(Clone, Debug)]
pub struct Due {
    /// The world's name.
    pub world: String,
    /// What is owed, trial by trial.
    pub trials: Vec<Owing>,
    /// How many claims a filter left out.
    pub left_out: usize,
}

/// A trial and what it owes.
#[derive(Clone, Debug)]
pub struct Owing {
    /// As a filter has it.
    pub name: String,
    /// As its evidence and its verdicts call it.
    pub scenario: String,
    /// The claims, and their sentences.
    pub claims: Vec<Owed>,
}

impl Due {
    /// What these modules of trials owe in that topology.
    ///
    /// # Errors
    /// [`harness::Code::Topology`] when they would prove less there than they say.
    pub fn of(world: &str, scenarios: &Scenarios, topology: &Topology) -> Result<Self> {
        let trials = trials::of(scenarios, topology)?;
        let owing = |trial: scenarios::Trial| Owing {
            name: trial.name,
            scenario: trial.scenario,
            claims: trial.owes,
        };
        Ok(Self { world: world.to_owned(), trials: trials.into_iter().map(owing).collect(), left_out: 0 })
    }

    /// What that set-up owes.
    ///
    /// # Errors
    /// As [`Due::of`]; [`harness::Code::Usage`] when it expects a claim to break that is not due, or one for two causes.
    pub fn of_setup(setup: &Setup) -> Result<Self> {
        let due = Self::of(&setup.world, &setup.scenarios, &setup.topology)?;
        let refused = |one: &Expectation, why: String| {
            Error::new(Code::Usage, format!("{}: {why}", one.at)).next("correct it; nothing was touched")
        };
        for (i, one) in setup.expect.iter().enumerate() {
            let meant: Vec<_> = due.claims().into_iter().filter(|claim| one.speaks_of(claim)).collect();
            if meant.is_empty() {
                let why = format!(
                    "no claim `{}` is due in this set-up, so none can be expected to break",
                    one.claim
                );
                let kind = one.claim.split('/').next().unwrap_or_default();
                let alike: Vec<_> = due
                    .claims()
                    .into_iter()
                    .filter(|c| c.kind.name() == kind)
                    .map(ToString::to_string)
                    .collect();
                let alike = if alike.is_empty() { "none of that kind".to_owned() } else { alike.join(", ") };
                return Err(refused(one, why)
                    .seen(alike)
                    .next("cargo xtask plan tells all that are due; nothing was touched"));
            }
            let before = &setup.expect[..i];
            if let Some((claim, other)) = meant
                .iter()
                .find_map(|claim| Some((claim, before.iter().find(|other| other.speaks_of(claim))?)))
            {
                let why = format!(
                    "{claim} is to break because of `{}`, and by {} because of `{}`",
                    one.because, other.at, other.because
                );
                return Err(refused(one, why));
            }
        }
        Ok(due)
    }

    /// How many claims are due.
    pub fn count(&self) -> usize {
        self.trials.iter().map(|trial| trial.claims.len()).sum()
    }

    /// All of them, in the order of their trials.
    pub fn claims(&self) -> Vec<&Claim> {
        self.trials.iter().flat_map(|trial| &trial.claims).map(|owed| &owed.claim).collect()
    }

    /// Only what these trials owe.
    #[must_use]
    pub fn only(mut self, names: &BTreeSet<String>) -> Self {
        let all = self.count();
        self.trials.retain(|trial| names.contains(&trial.name));
        self.left_out += all - self.count();
        self
    }

    /// A line for each claim that is due and that no verdict of this world speaks of, with why, as far as it is known.
    pub fn never_judged(&self, lines: &[Line], failures: &[Failure]) -> Vec<Line> {
        let judged: BTreeSet<_> =
            lines.iter().filter(|line| line.world == self.world).map(|line| &line.verdict.id).collect();
        let missing = self.trials.iter().flat_map(|trial| trial.claims.iter().map(move |owed| (trial, owed)));
        missing
            .filter(|(_, owed)| !judged.contains(&owed.claim))
            .map(|(trial, owed)| {
                let here = |failure: &&Failure| failure.world.is_empty() || failure.world == self.world;
                let failure = failures.iter().filter(here).rfind(|failure| failure.trial == trial.scenario);
                let why = match failure {
                    Some(failure) => format!("its trial `{}` ended early: {}", trial.name, failure.error),
                    None => format!("its trial `{}` never said a word of it", trial.name),
                };
                self.unjudged(trial, owed, why)
            })
            .collect()
    }

    fn unjudged(&self, trial: &Owing, Owed { claim, sentence }: &Owed, why: String) -> Line {
        let verdict = Verdict::unjudged(claim, sentence.clone(), why);
        Line { world: self.world.clone(), trial: trial.scenario.clone(), verdict, expectation: None }
    }

    /// All of it for a person, before anything is made.
    pub fn text(&self, expect: &[Expectation]) -> String {
        let broken =
            self.claims().iter().filter(|claim| expect.iter().any(|one| one.speaks_of(claim))).count();
        let expected =
            if broken == 0 { String::new() } else { format!("; {broken} of them are expected to break") };
        let mut out = format!("{} claims will be proven in {}{expected}\n", self.count(), self.world);
        for trial in &self.trials {
            let _ = writeln!(out, "  {}", trial.name);
            for Owed { claim, sentence } in &trial.claims {
                let _ = writeln!(out, "    {claim}\n        {sentence}");
                if let Some(one) = expect.iter().find(|one| one.speaks_of(claim)) {
                    let _ = writeln!(out, "        must break, because of `{}` ({})", one.because, one.at);
                }
            }
        }
        out
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use proof::verdict::Outcome;

    use super::*;

    /// What the main set-up owes.
    pub(crate) fn main_set_up() -> Due {
        due("federated")
    }

    fn due(name: &str) -> Due {
        Due::of_setup(&setup(name)).unwrap()
    }

    fn setup(name: &str) -> Setup {
        Setup::read(Path::new("../manifests"), &[name], None, false).unwrap().remove(0)
    }

    /// The main set-up with these expectations, a claim and a cause each.
    fn expecting(all: &[(&str, &str)]) -> Result<Due> {
        let mut setup = setup("federated");
        setup.expect = all
            .iter()
            .enumerate()
            .map(|(line, (claim, because))| Expectation {
                at: format!("s.yaml:{line}:1"),
                claim: (*claim).into(),
                because: (*because).into(),
            })
            .collect();
        let told = setup.expect.clone();
        Due::of_setup(&setup)
            .inspect(|due| assert_eq!(due.text(&told).contains("must break"), !told.is_empty()))
    }

    #[test]
    fn only_what_is_due_can_be_expected_to_break_and_for_one_cause() {
        let due =
            expecting(&[("peer-bundle-fetched/*", "x"), ("server-svid/cluster1→cluster2", "y")]).unwrap();
        assert_eq!(due.count(), main_set_up().count());
        let e = expecting(&[("server-svid/*", "x"), ("server-svid/cluster1→cluster3", "y")]).err().unwrap();
        assert_eq!(e.code(), Code::Usage);
        assert!(e.what().starts_with("s.yaml:1:1: no claim `server-svid/cluster1→cluster3` is due"), "{e}");
        assert!(e.to_string().contains(", server-svid/cluster1→cluster2, "), "{e}");
        let e = expecting(&[("server-svid/cluster1→cluster2", "x"), ("server-svid/*", "y")]).err().unwrap();
        let told = "s.yaml:1:1: server-svid/cluster1→cluster2 is to break because of `y`, and by s.yaml:0:1 because of `x`";
        assert_eq!(e.what(), told);
    }

    /// A line for each claim, all held.
    pub(crate) fn all_held(due: &Due) -> Vec<Line> {
        let claims = due.trials.iter().flat_map(|trial| trial.claims.iter().map(move |owed| (trial, owed)));
        let held = |(trial, owed): (&Owing, &Owed)| {
            let mut line = due.unjudged(trial, owed, "seen".to_owned());
            line.verdict.verdict = Outcome::Held;
            line
        };
        claims.map(held).collect()
    }

    /// Each claim of the main set-up, taken away: it is missed, and nothing else is.
    #[test]
    fn every_claim_that_is_not_judged_is_named() {
        let due = main_set_up();
        let lines = all_held(&due);
        assert!(due.never_judged(&lines, &[]).is_empty() && due.count() > 70, "{}", due.count());
        for (i, gone) in lines.iter().enumerate() {
            let mut without = lines.clone();
            without.remove(i);
            let missed = due.never_judged(&without, &[]);
            let [missed] = missed.as_slice() else { panic!("{}: {missed:?}", gone.verdict.id) };
            assert_eq!((&missed.verdict.id, &missed.trial), (&gone.verdict.id, &gone.trial));
            assert_eq!(missed.verdict.verdict, Outcome::Unjudged);
            assert!(missed.verdict.observed.contains("never said a word of it"));
        }
    }

    /// A fact's words are those of its scenario's table, before the run and after one that never showed it.
    #[test]
    fn a_fact_is_told_in_its_own_words() {
        let due = due("guide");
        let (id, says) = (
            "fact/reached/gateway-reached/cluster1→cluster2",
            "[S4-1] port 15443 of cluster2 is reached from cluster1",
        );
        assert!(due.text(&[]).contains(&format!("    {id}\n        {says}\n")), "{}", due.text(&[]));
        let missed = due.never_judged(&[], &[]);
        let missed = missed.iter().find(|line| line.verdict.id.to_string() == id).unwrap();
        assert_eq!((&*missed.verdict.claim, &*missed.trial), (says, "reached"));
    }

    #[test]
    fn a_verdict_of_another_world_settles_nothing_here() {
        let due = main_set_up();
        let mut lines = all_held(&due);
        lines.iter_mut().for_each(|line| line.world = "example".to_owned());
        assert_eq!(due.never_judged(&lines, &[]).len(), due.count());
    }

    #[test]
    fn the_reason_of_a_trial_that_ended_is_told() {
        let due = main_set_up();
        let failure = |world: &str, trial: &str, error: &str| Failure {
            world: world.to_owned(),
            trial: trial.to_owned(),
            error: error.to_owned(),
        };
        let here = failure("federated", "federation-bundles", "no world is up");
        let elsewhere = failure("federated-three", "identities-proxies", "another world's");
        let missed = due.never_judged(&[], &[here, elsewhere]);
        let of = |trial: &str| missed.iter().find(|line| line.trial == trial).unwrap();
        assert!(of("federation-bundles").verdict.observed.ends_with("ended early: no world is up"));
        assert!(of("identities-proxies").verdict.observed.contains("never said"));
    }

    #[test]
    fn a_filter_narrows_what_is_due_and_says_by_how_much() {
        let due = main_set_up();
        let all = due.count();
        let one = BTreeSet::from(["handshake::cluster1→cluster2".to_owned()]);
        let due = due.only(&one);
        assert_eq!((due.trials.len(), due.count() + due.left_out), (1, all));
        assert!(due.text(&[]).contains("server-svid/cluster1→cluster2\n        the server's SVID chains"));
    }
}
