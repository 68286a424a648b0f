//! Attaching to a world that was kept: what was written down about it is compared with what is, before anybody relies on it.
//!
//! A node that was stopped and started has another port on this machine, and where kind made it perhaps its neighbour's
//! address (seen: the two had swapped). A machine that slept has authorities that are over. A claim that is judged in such
//! a world is broken for a reason that no claim is about. So what can be mended is mended, and said; anything else is named.

mod node;
mod settle;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use futures::future::try_join_all;
use proof::identity::{Bundle, TrustDomain};
use proof::topology::ClusterName;

use crate::cluster::nodes;
use crate::engine::{Engine, Record};
use crate::error::Context as _;
use crate::kube::{self, object::dynamic};
use crate::progress::Note;
use crate::world::World;
use crate::world_id::LABEL;
use crate::{Code, Error, Result, spire};

/// One thing that is not as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The node does not run.
    Stopped(ClusterName),
    /// Its processes are held up.
    Paused(ClusterName),
    /// It has another address than its certificates and its peers know.
    Address {
        /// Whose node it is.
        cluster: ClusterName,
        /// As it was made.
        was: IpAddr,
        /// As it is.
        is: IpAddr,
    },
    /// Its API server is reached at another place.
    Server {
        /// Whose node it is.
        cluster: ClusterName,
        /// As its kubeconfig has it.
        was: SocketAddr,
        /// As it is.
        is: SocketAddr,
    },
}

impl Changed {
    /// Whose node it is.
    pub fn cluster(&self) -> &ClusterName {
        match self {
            Self::Stopped(cluster)
            | Self::Paused(cluster)
            | Self::Address { cluster, .. }
            | Self::Server { cluster, .. } => cluster,
        }
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(cluster) => write!(f, "the node of {cluster} has stopped"),
            Self::Paused(cluster) => write!(f, "the node of {cluster} is paused"),
            Self::Address { cluster, was, is } => {
                write!(f, "the node of {cluster} has the address {is}, and was made with {was}")
            }
            Self::Server { cluster, was, is } => {
                write!(f, "the API server of {cluster} is reached at {is}, and was at {was}")
            }
        }
    }
}

/// What is not as it was written down; nothing is touched.
///
/// # Errors
/// [`Code::EngineFailed`] and [`Code::ClusterFailed`] for what is gone for good; [`Code::ForeignCluster`] for what is there
/// in its place.
pub async fn changed(world: &World) -> Result<Vec<Changed>> {
    let engine = engine(world).await?;
    Ok(node::all(&engine, world).await?.iter().flat_map(|node| node.changed()).collect())
}

/// Attaches to the world: mends what can be mended, and tells each. Hands back whether nodes have started anew since the
/// world was made: then its workloads are ready, and what is between them may still be on its way.
///
/// # Errors
/// As [`changed`]; [`Code::Evidence`] when trust in it is over; [`Code::TimedOut`] when it does not come back.
pub async fn attach(world: &World, note: &Note) -> Result<bool> {
    let engine = engine(world).await?;
    node::mend(&engine, world, note).await?;
    let nodes = node::all(&engine, world).await?;
    let restarted = nodes.iter().any(|node| node.since > world.made);
    let clients = world.sites.iter().map(async |(name, access)| {
        let client = kube::connect(&access.kubeconfig).await?;
        settle::answers(&client, name, note).await?;
        belongs(&client, name, world).await?;
        Ok::<_, Error>((name.clone(), client))
    });
    let clients: BTreeMap<_, _> = try_join_all(clients).await?.into_iter().collect();
    if restarted {
        note.tell("nodes were started anew since this world was made: waiting until its pods are ready");
        let ready = nodes.iter().filter_map(|node| {
            let (name, client) = clients.get_key_value(node.cluster)?;
            Some(settle::ready(client, name, node.since, note))
        });
        try_join_all(ready).await?;
    }
    try_join_all(clients.iter().map(|(name, client)| still_valid(client, name, world))).await?;
    Ok(restarted)
}

async fn engine(world: &World) -> Result<Engine> {
    Engine::attach(&world.engine).await.map_err(|e| match &world.engine {
        Record::Private { .. } => {
            let what = "the private engine of this world does not run: it was ended or the machine was restarted, \
                        and its nodes went with it";
            Error::new(Code::EngineFailed, what).because(e).next("cargo xtask down, then up again")
        }
        Record::System { .. } => e,
    })
}

/// Whoever answers at the address that was written down must be the node that was made for this world.
async fn belongs(client: &::kube::Client, name: &ClusterName, world: &World) -> Result<()> {
    let node = nodes::name(name);
    let found = dynamic(client, "v1", "Node", None)?.get_opt(&node).await;
    let found = found.or_fail(Code::KubeFailed, || format!("cannot read the Node {node}"))?;
    let of = found.and_then(|node| node.metadata.labels?.remove(LABEL));
    if of.as_deref() == Some(world.id.as_str()) {
        return Ok(());
    }
    let what = format!("the API server that answers for {name} is not that of this world ({})", world.id);
    let seen = of
        .map_or_else(|| format!("it has no node {node} with our label"), |of| format!("its node is of {of}"));
    Err(Error::new(Code::ForeignCluster, what).seen(seen).next("cargo xtask down, then up again"))
}

/// A SPIRE server renews its authorities while it runs; one that stood still for too long has none left.
async fn still_valid(client: &::kube::Client, name: &ClusterName, world: &World) -> Result<()> {
    let domain = &world.topology.get(name)?.trust_domain;
    let domain: TrustDomain =
        domain.parse().or_fail(Code::Internal, || format!("the trust domain {domain}"))?;
    let bundle = Bundle::read(domain.clone(), &spire::bundle(client).await?)?;
    over(&bundle, jiff::Timestamp::now()).map_or(Ok(()), |since| {
        let what = format!(
            "every X.509 authority of {domain} is over since {since}: this world stood still for too long"
        );
        Err(Error::new(Code::Evidence, what).next("cargo xtask down, then up again"))
    })
}

/// When the last authority ended, if all have.
fn over(bundle: &Bundle, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let ends = bundle.authorities.iter().map(|authority| authority.certificate.not_after);
    ends.max().filter(|end| *end < now)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// A bundle of authorities that end in these years.
    fn ending(years: &[i32]) -> Bundle {
        let keys: Vec<_> = years
            .iter()
            .map(|year| {
                let mut params = CertificateParams::default();
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.not_after = date_time_ymd(*year, 1, 1);
                let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
                serde_json::json!({"kty": "EC", "use": "x509-svid", "x5c": [STANDARD.encode(made.der())]})
            })
            .collect();
        Bundle::read("c1.local".parse().unwrap(), &serde_json::json!({ "keys": keys }).to_string()).unwrap()
    }

    #[test]
    fn trust_is_over_when_the_last_authority_is() {
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        assert_eq!(over(&ending(&[2025, 2027]), now), None);
        assert_eq!(over(&ending(&[2026, 2025]), now), Some("2026-01-01T00:00:00Z".parse().unwrap()));
    }
}
