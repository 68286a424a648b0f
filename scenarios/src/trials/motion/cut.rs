//! The network between the clusters, spoilt by a firewall in a node: what comes from the peer's node is dropped or refused
//! there. Whoever runs the harness reaches the node by another address, and is not cut off.

use harness::Result;
use jiff::Timestamp;

use super::steps::other;
use crate::Nth;
use crate::fixture::Fixture;

/// What a node does with what comes from its peer's.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// Drops the connections that the peer opened; those that this side opens go on.
    OpenedByPeer,
    /// Drops everything.
    All,
    /// Drops so many packets of a hundred, by chance.
    Some(u8),
    /// Refuses connections to its API server, and ends those that there are.
    ApiServer,
}

/// A network that is spoilt.
pub struct Spoilt {
    cluster: Nth,
    /// Since when, at the earliest.
    pub since: Timestamp,
}

/// It goes with everything that is in it.
const GONE: &str = "nft 'add table inet vouchsafe; delete table inet vouchsafe'";

impl Cut {
    /// Lets the node of `cluster` do so, until the end of the scenario or until [`Spoilt::mend`].
    pub async fn at(self, fixture: &mut Fixture<'_>, cluster: Nth) -> Result<Spoilt> {
        let peer = fixture.address(other(cluster))?;
        let family = if peer.contains(':') { "ip6" } else { "ip" };
        let (hook, rule) = match self {
            Self::OpenedByPeer => ("prerouting", format!("ct original {family} saddr {peer} counter drop")),
            Self::All => ("prerouting", format!("{family} saddr {peer} counter drop")),
            Self::Some(percent) => (
                "prerouting",
                format!("{family} saddr {peer} numgen random mod 100 < {percent} counter drop"),
            ),
            Self::ApiServer => {
                ("input", format!("{family} saddr {peer} tcp dport 6443 counter reject with tcp reset"))
            }
        };
        let mut line = format!(
            "nft 'add table inet vouchsafe; add chain inet vouchsafe cut {{ type filter hook {hook} priority mangle; }}; \
             add rule inet vouchsafe cut {rule}'"
        );
        if matches!(self, Self::ApiServer) {
            line += &format!(" && ss --kill --tcp dst {peer} sport = 6443");
        }
        let since = Timestamp::now();
        fixture.change_node(cluster, &line, GONE).await?;
        Ok(Spoilt { cluster, since })
    }
}

impl Spoilt {
    /// How many packets met the rule so far.
    pub async fn packets(&self, fixture: &Fixture<'_>) -> Result<u64> {
        let said = fixture.on_node(self.cluster, "nft list table inet vouchsafe").await?;
        let count =
            said.split_once("counter packets ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        Ok(count.unwrap_or_default())
    }

    /// As it was before; since when, at the latest.
    pub async fn mend(self, fixture: &Fixture<'_>) -> Result<Timestamp> {
        fixture.on_node(self.cluster, GONE).await?;
        Ok(Timestamp::now())
    }
}
