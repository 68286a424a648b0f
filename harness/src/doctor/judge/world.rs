//! What the world would collide with: names, addresses, and what an earlier run left.

use super::{Check, Finding, Used, Wanted, addresses, used};
use crate::doctor::measured::{Facts, Measured};

pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = vec![leftovers(m)];
    if let Used::System(facts) = used(m, wanted) {
        findings.push(names(facts, wanted));
    }
    findings.extend(addresses::judge(m, wanted));
    findings.extend(kind(m));
    findings
}

fn leftovers(m: &Measured) -> Finding {
    let check = |seen: String| Check::new("leftovers", seen, "none");
    match &m.ledger {
        Err(why) => {
            check(why.clone()).fail("the ledger of an earlier run cannot be read", "cargo xtask down")
        }
        Ok(things) if things.is_empty() => check("none".to_owned()).ok("no world of an earlier run"),
        Ok(things) => check(format!("{} things in the ledger", things.len()))
            .warn("a world is up, or an earlier run was killed", "cargo xtask down"),
    }
}

fn names(facts: &Facts, wanted: &Wanted) -> Finding {
    let theirs = |name: &str| {
        let node = format!("{name}-control-plane");
        facts.containers.iter().any(|c| !c.ours && (c.cluster.as_deref() == Some(name) || c.name == node))
    };
    let names = wanted.topology.clusters.iter().map(|c| c.name.0.as_str());
    let foreign: Vec<_> = names.filter(|name| theirs(name)).collect();
    let needed = "no kind cluster of these names that is not ours";
    let Some(first) = foreign.first() else {
        return Check::new("names", "free", needed).ok("the clusters' names are free");
    };
    Check::new("names", format!("{} exist", foreign.join(", ")), needed).fail(
        "a cluster that is not ours has the name of one of ours; it is never deleted for you",
        format!("kind delete cluster --name {first}, if you do not need it"),
    )
}

fn kind(m: &Measured) -> Option<Finding> {
    let names = ["KIND_EXPERIMENTAL_PROVIDER", "KIND_EXPERIMENTAL_DOCKER_NETWORK", "KIND_CLUSTER_NAME"];
    let set: Vec<_> = names.into_iter().filter(|name| m.variables.contains_key(name)).collect();
    if let [_, ..] = set[..] {
        let check = Check::new("kind", format!("{} set", set.join(", ")), "none of kind's variables");
        return Some(
            check.warn("variables of kind's would change what it makes", format!("unset {}", set.join(" "))),
        );
    }
    let own = m.programs.get("kind")?;
    let check = Check::new("kind", own.path.display().to_string(), "any");
    Some(check.ok("your own kind is left alone; the pinned one is used"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::fit::{found, machine, wanted, with};
    use crate::doctor::Level::{Fail, Ok, Warn};
    use crate::doctor::measured::{Container, Program};
    use crate::ledger::Thing;

    #[test]
    fn a_ledger_with_things_in_it_is_shown() {
        let mut m = machine();
        m.ledger = Result::Ok(vec![Thing::PrivateEngine {
            state: "/cache/engine".into(),
            programs: "/cache".into(),
        }]);
        assert_eq!(found(&m, &wanted(), "leftovers").level, Warn);
        m.ledger = Err("Permission denied".into());
        assert_eq!(found(&m, &wanted(), "leftovers").level, Fail);
    }

    #[test]
    fn somebody_elses_cluster_stops_a_run_and_ours_does_not() {
        let node = |name: &str, cluster: Option<&str>, ours| Container {
            name: name.into(),
            cluster: cluster.map(str::to_owned),
            ours,
        };
        let judged = |container| found(&with(|f| f.containers = vec![container]), &wanted(), "names");
        let finding = judged(node("cluster1-worker", Some("cluster1"), false));
        assert_eq!(finding.level, Fail);
        assert!(finding.cure.is_some_and(|cure| cure.starts_with("kind delete cluster --name cluster1")));
        assert_eq!(judged(node("cluster1-control-plane", None, false)).level, Fail);
        assert_eq!(judged(node("cluster1-control-plane", Some("cluster1"), true)).level, Ok);
        assert_eq!(judged(node("other-control-plane", Some("other"), false)).level, Ok);
    }

    #[test]
    fn kinds_own_variables_are_warned_about() {
        let mut m = machine();
        m.programs.insert("kind", Program { path: PathBuf::from("/usr/bin/kind"), version: None });
        assert_eq!(found(&m, &wanted(), "kind").level, Ok);
        m.variables.insert("KIND_EXPERIMENTAL_PROVIDER", "podman".into());
        let finding = found(&m, &wanted(), "kind");
        assert_eq!(finding.level, Warn);
        assert_eq!(finding.cure.as_deref(), Some("unset KIND_EXPERIMENTAL_PROVIDER"));
    }
}
