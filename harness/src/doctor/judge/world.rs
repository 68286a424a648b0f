//! What the world would collide with: names, addresses, and what an earlier run left.

use ipnet::Ipv4Net;

use super::{Check, Finding, Used, Wanted, used};
use crate::doctor::measured::{Facts, Measured};
use crate::engine::block;

pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = vec![leftovers(m)];
    if let Used::System(facts) = used(m, wanted) {
        findings.push(names(facts, wanted));
    }
    findings.push(subnets(m, wanted));
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

fn subnets(m: &Measured, wanted: &Wanted) -> Finding {
    let nets = || wanted.topology.clusters.iter().flat_map(|c| [(&c.name, c.pods), (&c.name, c.services)]);
    let networks = match used(m, wanted) {
        Used::System(facts) => facts.networks.as_slice(),
        Used::Private => {
            // The nodes themselves are there, so pods and nodes would have the same addresses.
            if let Some((name, net)) = nets().find(|(_, net)| overlap(net, &block::RANGE)) {
                let needed = format!("pods and services outside {}", block::RANGE);
                return Check::new("subnets", format!("{net} of {name}"), needed).fail(
                    "a private engine takes its addresses from there",
                    "cargo xtask e2e --topology <a file with other subnets>",
                );
            }
            &[]
        }
        Used::None(_) => &[],
    };
    let clashes: Vec<String> = nets()
        .flat_map(|(name, net)| {
            let routes = m.routes.iter().map(|(route, via)| (*route, format!("the route {route} by {via}")));
            let nets = networks
                .iter()
                .map(|(network, subnet)| (*subnet, format!("Docker's network {network} ({subnet})")));
            routes
                .chain(nets)
                .filter(move |(other, _)| overlap(other, &net))
                .map(move |(_, what)| format!("{net} of {name} and {what}"))
        })
        .collect();
    let needed = "pods and services where this machine routes nothing";
    if clashes.is_empty() {
        return Check::new("subnets", "apart", needed)
            .ok("the clusters' addresses hide nothing of this machine");
    }
    // Only the nodes lose sight of it, so a run works unless it needs exactly that network.
    Check::new("subnets", clashes.join("; "), needed).warn(
        "nodes cannot reach that part of your network (a VPN, for instance) while they run",
        "cargo xtask e2e --topology <a file with other subnets>",
    )
}

fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(b) || b.contains(a)
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

    use super::super::fit::{found, machine, wanted, with_engine};
    use crate::doctor::Level::{Fail, Ok, Warn};
    use crate::doctor::measured::{Container, DockerEngine, Program};
    use crate::ledger::Thing;

    use super::*;

    fn with(change: impl FnOnce(&mut Facts)) -> Measured {
        let mut facts = with_engine();
        change(&mut facts);
        Measured { engine: DockerEngine::Answers(Box::new(facts)), ..machine() }
    }

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
    fn routes_and_networks_inside_a_cluster_are_named() {
        let mut m = machine();
        m.routes = vec![("10.0.0.0/8".parse().unwrap(), "tun0".into())];
        let finding = found(&m, &wanted(), "subnets");
        assert_eq!(finding.level, Warn);
        assert!(
            finding.measured.contains("10.1.0.0/16 of cluster1 and the route 10.0.0.0/8 by tun0"),
            "{finding}"
        );
        let m = with(|f| f.networks = vec![("dev".into(), "10.2.3.0/24".parse().unwrap())]);
        assert!(found(&m, &wanted(), "subnets").measured.contains("Docker's network dev"));
    }

    #[test]
    fn a_private_engine_s_own_addresses_are_no_cluster_s() {
        let mut wanted = wanted();
        wanted.topology.clusters[0].pods = "198.18.0.0/15".parse().unwrap();
        let finding = found(&machine(), &wanted, "subnets");
        assert_eq!((finding.level, &*finding.measured), (Fail, "198.18.0.0/15 of cluster1"));
        assert_eq!(found(&with(|_| ()), &wanted, "subnets").level, Ok, "a Docker engine is elsewhere");
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
