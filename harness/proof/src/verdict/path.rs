//! Every cluster's version answers, and what goes to another cluster goes through its east-west gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::handshake::{Records, each};
use super::{Finding, Located};
use crate::Result;
use crate::envoy::{Endpoint, Record};
use crate::evidence::{ClusterSeen, Crossing, Evidence, Handshake, Replies, missing};
use crate::topology::{ClusterName, Way};

/// A client that asks again and again gets answers from every cluster.
///
/// # Errors
/// [`crate::Code::Evidence`] when nothing was asked.
pub fn every_cluster_answers(evidence: &Evidence, from: &ClusterName) -> Result<Located> {
    let asked = |replies: &Replies| replies.from == *from && !replies.replies.is_empty();
    let at = evidence.replies.iter().position(asked);
    let at = at.ok_or_else(|| missing(format!("replies to the client in {from}")))?;
    let replies = &evidence.replies[at];
    let mut counts = BTreeMap::<&str, usize>::new();
    for reply in &replies.replies {
        *counts.entry(reply.version().unwrap_or("no version")).or_default() += 1;
    }
    let versions: Vec<_> = evidence.clusters.iter().map(|seen| seen.cluster.version.as_str()).collect();
    let silent: Vec<_> =
        evidence.clusters.iter().filter(|seen| !counts.contains_key(seen.cluster.version.as_str())).collect();
    let seen: Vec<_> = counts.iter().map(|(version, count)| format!("{count} × {version}")).collect();
    let seen = seen.join(", ");
    if let Some(kept) = silent.iter().find(|one| kept_at_home(replies, one)) {
        let what =
            format!("an answer of {} to {from}: the mesh was told to prefer others", kept.cluster.version);
        let known = "its endpoints are known, with a lower priority (locality, by a DestinationRule with outlier detection)";
        return Err(missing(what).seen(format!("{seen}; {known}")).next(
            "scale the preferred version to zero, or take the outlier detection away, and verify again",
        ));
    }
    let expected = format!("answers of {}", versions.join(" and "));
    Ok((Finding::new(silent.is_empty(), expected, seen), format!("/replies/{at}")))
}

/// Whether the client's sidecar knows that cluster's gateway, but only as a second choice.
fn kept_at_home(replies: &Replies, silent: &ClusterSeen) -> bool {
    let known = || replies.endpoints.iter().flatten();
    let first = known().map(|endpoint| endpoint.priority).min();
    let theirs = |endpoint: &&Endpoint| silent.gateway.as_ref() == Some(&endpoint.address);
    let mut there = known().filter(theirs).peekable();
    there.peek().is_some() && there.all(|endpoint| Some(endpoint.priority) > first)
}

/// The far cluster answered each request that was addressed to it alone.
///
/// # Errors
/// [`crate::Code::Evidence`] when nothing was asked.
pub fn remote_answers(evidence: &Evidence, way: &Way) -> Result<Located> {
    let version = &evidence.cluster(&way.to)?.cluster.version;
    let (finding, at) = each(evidence, way, |handshake| {
        let reply = &handshake.reply;
        let observed = match reply.version() {
            Some(version) => format!("{version} from {}", reply.instance().unwrap_or("an unnamed pod")),
            None => format!("status {}, exit {}: {}", reply.status, reply.exit, reply.body.trim()),
        };
        let server = &handshake.server.pod;
        let held = reply.version() == Some(version) && reply.instance() == Some(server);
        Ok(Finding::new(held, format!("{version} from {server}"), observed))
    })?;
    Ok((finding, format!("{at}/reply")))
}

/// The client's sidecar connected to the far gateway, and to nothing behind it.
///
/// # Errors
/// [`crate::Code::Evidence`] when a record or the gateway's address is missing.
pub fn through_remote_gateway(evidence: &Evidence, way: &Way) -> Result<Located> {
    let far = evidence.cluster(&way.to)?;
    let gateway =
        far.gateway.as_ref().ok_or_else(|| missing(format!("the gateway's address of {}", way.to)))?;
    let (finding, at) = each(evidence, way, |handshake| {
        let finding = passed(Records::of(handshake)?.by_client, gateway);
        Ok(Finding { observed: format!("{}{}", finding.observed, whose(evidence, handshake)), ..finding })
    })?;
    Ok((finding, format!("{at}/by_client/upstream_host")))
}

/// The request was sent to that address and port.
pub fn passed(by_client: &Record, gateway: &str) -> Finding {
    let host = by_client.upstream_host.as_deref().unwrap_or("nowhere");
    Finding::new(host == gateway, format!("sent to {gateway}"), format!("sent to {host}"))
}

/// `, a pod of cluster2`, when the request went straight there: every cluster has its own pod addresses.
fn whose(evidence: &Evidence, handshake: &Handshake) -> String {
    let host = handshake.by_client.as_ref().and_then(|record| record.upstream_host.as_deref());
    let Some(SocketAddr::V4(address)) = host.and_then(|host| host.parse().ok()) else { return String::new() };
    let owner = evidence.clusters.iter().find(|seen| seen.cluster.pods.contains(address.ip()));
    owner.map(|seen| format!(", a pod of {}", seen.cluster.name)).unwrap_or_default()
}

/// The gateway itself counted what passed. The client's word alone would not show who stood at that address.
///
/// # Errors
/// [`crate::Code::Evidence`] when its counters were not collected.
pub fn gateway_counted(evidence: &Evidence, way: &Way) -> Result<Located> {
    let at = evidence.crossings.iter().position(|crossing| crossing.way == *way);
    let at = at.ok_or_else(|| missing(format!("the gateway's counters {way}")))?;
    Ok((moved(&evidence.crossings[at])?, format!("/crossings/{at}")))
}

/// Counters that only traffic moves rose between the two looks.
///
/// # Errors
/// [`crate::Code::Evidence`] when the gateway prints no such counter, so that it could not have moved.
pub fn moved(crossing: &Crossing) -> Result<Finding> {
    let sni = crossing.service.sni();
    let (before, after) = (crossing.before.passing(&sni), crossing.after.passing(&sni));
    if after.is_empty() {
        let what = format!("a counter of {sni} at the gateway of {}", crossing.way.to);
        return Err(missing(what).next("read /clusters too: Istio leaves most counters out of /stats"));
    }
    let risen: Vec<_> = after.risen_since(&before).iter().map(|(name, by)| format!("{name} +{by}")).collect();
    let observed = if risen.is_empty() { "no counter moved".to_owned() } else { risen.join(", ") };
    Ok(Finding::new(!risen.is_empty(), format!("counters of {sni} rose"), observed))
}
