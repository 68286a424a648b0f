//! Addresses: those of nodes, of pods and Services, and of what this machine reaches by itself.

use ipnet::Ipv4Net;

use super::{Check, Finding, Used, Wanted, used};
use crate::cluster::network;
use crate::doctor::measured::{Facts, Measured};
use crate::engine::block;

/// Where Docker takes subnets from when nobody has told it, each with its prefix length (moby, libnetwork/ipamutils).
const POOLS: [(&str, u8); 7] = [
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16),
    ("192.168.0.0/16", 20),
];
const CURE: &str = "cargo xtask e2e --topology <a file with other subnets>";

pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    match used(m, wanted) {
        Used::System(facts) => vec![nodes(m, facts, wanted), hidden(m, &facts.networks, wanted)],
        Used::Private => vec![private(wanted).unwrap_or_else(|| hidden(m, &[], wanted))],
        Used::None(_) => vec![hidden(m, &[], wanted)],
    }
}

/// The engine chooses the nodes' subnet, and it may be one of the pods': then neither finds the other.
fn nodes(m: &Measured, facts: &Facts, wanted: &Wanted) -> Finding {
    let needed = "nodes outside the clusters' pods and services";
    let Some(net) = next_subnet(m, facts) else {
        return Check::new("node-addresses", "not foreseeable", needed)
            .ok("the engine's choice is compared once it is made");
    };
    let check = Check::new("node-addresses", net.to_string(), needed);
    match network::within(net, &wanted.topology) {
        None => check.ok("the engine will put the nodes beside the clusters' own addresses"),
        Some(what) => check.fail(
            format!("the engine would put the nodes at {net}, which is in {what}"),
            format!(
                "{CURE}; or give the engine another pool: default-address-pools in /etc/docker/daemon.json"
            ),
        ),
    }
}

/// The subnet that the engine gives the next network: the first of its pools that meets no network of its own and no
/// route of this machine. A network of ours that is there already is the one that is used.
fn next_subnet(m: &Measured, facts: &Facts) -> Option<Ipv4Net> {
    if let Some((_, net)) = facts.networks.iter().find(|(name, _)| name == network::NAME) {
        return Some(*net);
    }
    let usual = || POOLS.iter().filter_map(|(net, length)| Some((net.parse().ok()?, *length))).collect();
    let pools: Vec<(Ipv4Net, u8)> = if facts.pools.is_empty() { usual() } else { facts.pools.clone() };
    let taken = |net: &Ipv4Net| {
        let networks = facts.networks.iter().map(|(_, other)| other);
        networks.chain(m.routes.iter().map(|(route, _)| route)).any(|other| overlap(other, net))
    };
    pools.iter().filter_map(|(pool, length)| pool.subnets(*length).ok()).flatten().find(|net| !taken(net))
}

/// The nodes themselves are there, so pods and nodes would have the same addresses.
fn private(wanted: &Wanted) -> Option<Finding> {
    let (name, net) = nets(wanted).find(|(_, net)| overlap(net, &block::RANGE))?;
    let needed = format!("pods and services outside {}", block::RANGE);
    let check = Check::new("subnets", format!("{net} of {name}"), needed);
    Some(check.fail("a private engine takes its addresses from there", CURE))
}

fn hidden(m: &Measured, networks: &[(String, Ipv4Net)], wanted: &Wanted) -> Finding {
    let clashes: Vec<String> = nets(wanted)
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
    Check::new("subnets", clashes.join("; "), needed)
        .warn("nodes cannot reach that part of your network (a VPN, for instance) while they run", CURE)
}

fn nets(wanted: &Wanted) -> impl Iterator<Item = (&str, Ipv4Net)> {
    wanted.topology.clusters.iter().flat_map(|c| [(&*c.name.0, c.pods), (&*c.name.0, c.services)])
}

fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(b) || b.contains(a)
}

#[cfg(test)]
mod tests {
    use super::super::fit::{found, machine, wanted, with};
    use crate::doctor::Level::{Fail, Ok, Warn};

    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn an_engine_that_would_put_nodes_among_the_pods_is_refused() {
        let judged = |m: &Measured| found(m, &wanted(), "node-addresses");
        // Docker moved off its usual place: a pool that is exactly the pods of cluster1.
        let mut m = with(|f| f.pools = vec![(net("10.1.0.0/16"), 24)]);
        let finding = judged(&m);
        assert_eq!((finding.level, &*finding.measured), (Fail, "10.1.0.0/24"));
        assert_eq!(
            finding.finding,
            "the engine would put the nodes at 10.1.0.0/24, which is in the pods of cluster1 (10.1.0.0/16)"
        );
        assert!(
            finding
                .cure
                .is_some_and(|cure| cure.contains("--topology") && cure.contains("default-address-pools"))
        );
        // What is taken there does not come again, and the next may be another pool.
        m.routes.push((net("10.1.0.0/16"), "eth1".into()));
        assert_eq!(judged(&m).measured, "not foreseeable");
        let m = with(|f| f.pools = vec![(net("10.0.0.0/8"), 16)]);
        assert_eq!((judged(&m).level, &*judged(&m).measured), (Ok, "10.0.0.0/16"));
    }

    #[test]
    fn a_docker_that_nobody_configured_takes_the_first_free_of_its_own() {
        let m = with(|_| ());
        assert_eq!(found(&m, &wanted(), "node-addresses").measured, "172.18.0.0/16");
        let mut w = wanted();
        w.topology.clusters[0].services = net("172.16.0.0/12");
        assert_eq!(found(&m, &w, "node-addresses").level, Fail);
        let ours = with(|f| f.networks.push((network::NAME.to_owned(), net("10.2.9.0/24"))));
        assert!(found(&ours, &wanted(), "node-addresses").finding.contains("in the services of cluster1"));
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
}
