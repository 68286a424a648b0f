//! The steps of a rotation, each waited for before the next, and the endpoint that peers fetch a bundle from.

use harness::kube::object::merge_patch;
use harness::progress::Note;
use harness::{Code, Error, Result};
use jiff::Timestamp;
use proof::envoy::Held;
use proof::identity::Authority;
use proof::motion::{Bound, Took};
use serde_json::{Value, json};

use super::bounds::Told;
use super::{EVERYONE, SHORT_LIVED, bounds};
use crate::authorities::Step;
use crate::fixture::Fixture;
use crate::objects::service;
use crate::pods::Pods;
use crate::watched::{Watched, believes, seen_within, shows};
use crate::{CLUSTER1, CLUSTER2, Nth};

/// What was waited for, and how long it took.
pub struct Waited {
    pub bound: Bound,
    pub took: Took,
}

/// What is waited for: of which proxies, since when, and for how long at most.
struct Waits<'a> {
    clusters: &'a [Nth],
    of: &'a [Pods<'a>],
    what: &'a str,
    since: Timestamp,
    bound: Bound,
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
        let bound = bounds::held_by_peer(&fixture.told(self.cluster).await?);
        let what = format!("until the server of {} holds it", fixture.cluster(self.peer)?.name);
        fixture.announces(&what, &bound)?;
        let look = || fixture.lacks(self.peer, self.cluster, &self.new);
        let took = seen_within(&what, since, &bound, look).await?;
        Ok(Waited { bound, took })
    }

    /// Every proxy of both clusters believes it: only then may it sign.
    pub async fn believed(&mut self, fixture: &Fixture<'_>, since: Timestamp) -> Result<Waited> {
        let bound = bounds::believed(&fixture.told(self.cluster).await?);
        let (new, domain) = (self.new.clone(), self.domain.clone());
        let clusters = [self.cluster, self.peer];
        let waits = Waits { clusters: &clusters, of: &EVERYONE, what: "until it is believed", since, bound };
        self.wait(fixture, waits, move |held| believes(held, &domain, &new)).await
    }

    /// Every proxy of its own cluster believes it.
    pub async fn at_home(&mut self, fixture: &Fixture<'_>, (what, bound): (&str, Bound)) -> Result<Waited> {
        let (new, domain, clusters) = (self.new.clone(), self.domain.clone(), [self.cluster]);
        let waits = Waits { clusters: &clusters, of: &EVERYONE, what, since: self.prepared, bound };
        self.wait(fixture, waits, move |held| believes(held, &domain, &new)).await
    }

    /// It signs, and what lives for a minute is renewed by it.
    pub async fn activate(&mut self, fixture: &Fixture<'_>) -> Result<Waited> {
        let bound = bounds::renewed(&fixture.told(self.cluster).await?);
        let what = "until it has signed every SVID that lives for a minute";
        self.go_on(fixture, Step::Activate, (&SHORT_LIVED, what, bound)).await
    }

    /// What the old one signed is renewed at once, whatever its life.
    pub async fn taint(&mut self, fixture: &Fixture<'_>) -> Result<Waited> {
        let bound = bounds::in_proxies(&fixture.told(self.cluster).await?);
        let what = "until nobody shows a certificate of the old authority";
        self.go_on(fixture, Step::Taint, (&EVERYONE, what, bound)).await
    }

    /// Nobody believes the old one any more.
    pub async fn revoke(&mut self, fixture: &Fixture<'_>) -> Result<Waited> {
        let bound = bounds::believed(&fixture.told(self.cluster).await?);
        let (old, domain) = (self.old.clone(), self.domain.clone());
        let (clusters, since) = ([self.cluster, self.peer], Timestamp::now());
        fixture.step(self.cluster, Step::Revoke, &self.old).await?;
        let what = "until nobody believes the old authority";
        let waits = Waits { clusters: &clusters, of: &EVERYONE, what, since, bound };
        let waited = self.wait(fixture, waits, move |held| !believes(held, &domain, &old)).await?;
        fixture.carry_what_is_published(self.cluster).await?;
        Ok(waited)
    }

    /// A step after which the new one has signed what these proxies of its cluster show.
    async fn go_on(
        &mut self,
        fixture: &Fixture<'_>,
        step: Step,
        (of, what, bound): (&[Pods<'_>], &str, Bound),
    ) -> Result<Waited> {
        let (new, clusters, since) = (self.new.clone(), [self.cluster], Timestamp::now());
        let authority = if matches!(step, Step::Activate) { &self.new } else { &self.old };
        fixture.step(self.cluster, step, authority).await?;
        let waits = Waits { clusters: &clusters, of, what, since, bound };
        self.wait(fixture, waits, move |held| shows(held, &new)).await
    }

    /// Says what is waited for and how long that may take, and waits.
    async fn wait(
        &mut self,
        fixture: &Fixture<'_>,
        Waits { clusters, of, what, since, bound }: Waits<'_>,
        so: impl Fn(&Held) -> bool,
    ) -> Result<Waited> {
        fixture.announces(what, &bound)?;
        let took = self.watched.all(fixture, (clusters, of), (what, since, &bound), so).await?;
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
                .seen(format!("{}; bound: {}", self.took, self.bound))
                .next("cargo xtask down before the next one: what was prepared stays, and SPIRE takes nothing back")),
        }
    }
}

impl Fixture<'_> {
    /// The timers of that cluster and of its peer.
    pub async fn told(&self, cluster: Nth) -> Result<Told> {
        Ok(Told { own: self.timers(cluster).await?, peer: self.timers(other(cluster)).await? })
    }
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
