//! The steps of a rotation, each waited for before the next, and the endpoint that peers fetch a bundle from.

use harness::kube::object::merge_patch;
use harness::progress::Note;
use harness::{Code, Error, Result};
use jiff::Timestamp;
use proof::identity::Authority;
use proof::motion::{Bound, Took};
use serde_json::{Value, json};

use super::{EVERYONE, SHORT_LIVED, SVID_LIFE};
use crate::authorities::{Step, noticed};
use crate::fixture::Fixture;
use crate::objects::service;
use crate::watched::{Watched, believes, seen_within, shows};
use crate::{CLUSTER1, CLUSTER2, Nth};

/// What was waited for, and how long it took.
pub struct Waited {
    pub bound: Bound,
    pub took: Took,
}

/// A rotation of one cluster's authority, as its steps went.
pub struct Rotation {
    pub cluster: Nth,
    pub peer: Nth,
    pub old: Authority,
    pub new: Authority,
    /// When it was prepared.
    pub prepared: Timestamp,
    domain: String,
    watched: Watched,
}

pub fn other(cluster: Nth) -> Nth {
    if cluster == CLUSTER1 { CLUSTER2 } else { CLUSTER1 }
}

impl Rotation {
    /// Makes the new authority.
    pub async fn prepare(fixture: &Fixture<'_>, cluster: Nth) -> Result<Self> {
        let prepared = Timestamp::now();
        let (new, old) = fixture.prepare(cluster).await?;
        let domain = fixture.cluster(cluster)?.trust_domain.clone();
        let watched = Watched::of(fixture)?;
        Ok(Self { cluster, peer: other(cluster), old, new, prepared, domain, watched })
    }

    /// The peer's server holds it. Its peer could fetch it from `since` on.
    pub async fn held_by_peer(&self, fixture: &Fixture<'_>, since: Timestamp) -> Result<Waited> {
        let bound = fetched(fixture, self.cluster).await? + noticed();
        let what = format!("until the server of {} holds it", fixture.cluster(self.peer)?.name);
        fixture.announces(&what, &bound)?;
        let look = || fixture.lacks(self.peer, self.cluster, &self.new);
        let took = seen_within(&what, since, &bound, look).await?;
        Ok(Waited { bound, took })
    }

    /// Every proxy of both clusters believes it: only then may it sign.
    pub async fn believed(&mut self, fixture: &Fixture<'_>, since: Timestamp) -> Result<Waited> {
        let bound = believed(fixture, self.cluster).await?;
        let (new, domain, clusters) = (&self.new, &self.domain, [self.cluster, self.peer]);
        let what = "until it is believed";
        fixture.announces(what, &bound)?;
        let so = |held: &_| believes(held, domain, new);
        let took = self.watched.all(fixture, (&clusters, &EVERYONE), (what, since, &bound), so).await?;
        Ok(Waited { bound, took })
    }

    /// Every proxy of its own cluster believes it.
    pub async fn at_home(&mut self, fixture: &Fixture<'_>, (what, bound): (&str, &Bound)) -> Result<Took> {
        let (new, domain, since) = (&self.new, &self.domain, self.prepared);
        let so = |held: &_| believes(held, domain, new);
        self.watched.all(fixture, (&[self.cluster], &EVERYONE), (what, since, bound), so).await
    }

    /// It signs, and what lives for a minute is renewed by it.
    pub async fn activate(&mut self, fixture: &Fixture<'_>) -> Result<Waited> {
        let own = fixture.timers(self.cluster).await?;
        let bound = own.renewed(std::time::Duration::from_secs(SVID_LIFE)) + noticed();
        let what = "until it has signed every SVID that lives for a minute";
        fixture.announces(what, &bound)?;
        let since = Timestamp::now();
        fixture.step(self.cluster, Step::Activate, &self.new).await?;
        let new = &self.new;
        let so = |held: &_| shows(held, new);
        let took =
            self.watched.all(fixture, (&[self.cluster], &SHORT_LIVED), (what, since, &bound), so).await?;
        Ok(Waited { bound, took })
    }

    /// What the old one signed is renewed at once, whatever its life.
    pub async fn taint(&mut self, fixture: &Fixture<'_>) -> Result<Waited> {
        let bound = fixture.timers(self.cluster).await?.in_proxies() + noticed();
        let what = "until nobody shows a certificate of the old authority";
        fixture.announces(what, &bound)?;
        let since = Timestamp::now();
        fixture.step(self.cluster, Step::Taint, &self.old).await?;
        let new = &self.new;
        let so = |held: &_| shows(held, new);
        let took = self.watched.all(fixture, (&[self.cluster], &EVERYONE), (what, since, &bound), so).await?;
        Ok(Waited { bound, took })
    }

    /// Nobody believes the old one any more.
    pub async fn revoke(&mut self, fixture: &Fixture<'_>) -> Result<Waited> {
        let bound = believed(fixture, self.cluster).await?;
        let what = "until nobody believes the old authority";
        fixture.announces(what, &bound)?;
        let since = Timestamp::now();
        fixture.step(self.cluster, Step::Revoke, &self.old).await?;
        let (old, domain, clusters) = (&self.old, &self.domain, [self.cluster, self.peer]);
        let so = |held: &_| !believes(held, domain, old);
        let took = self.watched.all(fixture, (&clusters, &EVERYONE), (what, since, &bound), so).await?;
        fixture.carry_what_is_published(self.cluster).await?;
        Ok(Waited { bound, took })
    }

    /// The rest of it, for a scenario that is about something else; it goes on only where the step before is done.
    pub async fn finish(&mut self, fixture: &Fixture<'_>) -> Result<()> {
        self.taint(fixture).await?.done()?;
        self.revoke(fixture).await?.done()
    }
}

impl Waited {
    /// It happened at all: the next step would cut trust apart where it did not.
    pub fn done(&self) -> Result<()> {
        match self.took.ms {
            Some(_) => Ok(()),
            None => Err(Error::new(Code::Evidence, "a rotation was not gone on with: its step was not done")
                .seen(format!("{}; bound: {}", self.took, self.bound))),
        }
    }
}

/// Until the peer has fetched what a cluster publishes.
pub async fn fetched(fixture: &Fixture<'_>, cluster: Nth) -> Result<Bound> {
    let (own, peers) = (fixture.timers(cluster).await?, fixture.timers(other(cluster)).await?);
    Ok(own.fetched_by(&peers))
}

/// Until what a cluster publishes is in every proxy: its peer's are the last.
pub async fn believed(fixture: &Fixture<'_>, cluster: Nth) -> Result<Bound> {
    let peers = fixture.timers(other(cluster)).await?;
    Ok(fetched(fixture, cluster).await? + peers.in_proxies() + noticed())
}

/// Where peers fetch a cluster's bundle, closed: they are refused there.
pub struct Closed {
    cluster: Nth,
    ports: Value,
}

impl Closed {
    /// Closes it.
    pub async fn endpoint(fixture: &mut Fixture<'_>, cluster: Nth) -> Result<Self> {
        let server = service("spire", "spire-server");
        let ports = fixture.read(cluster, &server).await?.data["spec"]["ports"].clone();
        let mut others = ports.clone();
        if let Some(others) = others.as_array_mut() {
            others.retain(|port| port["name"] != "federation");
        }
        fixture.change(cluster, &server, &json!({ "spec": { "ports": others } })).await?;
        Ok(Self { cluster, ports })
    }

    /// Opens it again; since when it is open.
    pub async fn open(self, fixture: &Fixture<'_>) -> Result<Timestamp> {
        let server = service("spire", "spire-server");
        let patch = json!({ "spec": { "ports": self.ports } });
        merge_patch(fixture.api(self.cluster)?, &server, &patch, &Note::silent()).await?;
        Ok(Timestamp::now())
    }
}
