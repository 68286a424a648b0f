//! The X.509 authorities of a SPIRE server, and the timers by which the mesh notices that they change.

use harness::kube::object::merge_patch;
use harness::progress::Note;
use harness::{Code, Error, Result, patience, spire};
use proof::identity::{Authority, Bundle, TrustDomain};
use proof::motion::{Bound, Timers};
use serde_json::{Value, json};

use crate::Nth;
use crate::fixture::Fixture;
use crate::objects::{AGENT, SERVER};

/// A step of an authority's life, by SPIRE's own word.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A prepared one signs from now on.
    Activate,
    /// Whatever the old one signed is to be renewed.
    Taint,
    /// Nobody believes the old one any more.
    Revoke,
}

impl Fixture<'_> {
    /// The timers that this cluster was told.
    pub async fn timers(&self, cluster: Nth) -> Result<Timers> {
        let (server, agent) = (
            self.setting(cluster, SERVER, "server.conf").await?,
            self.setting(cluster, AGENT, "agent.conf").await?,
        );
        Timers::read(&self.cluster(cluster)?.name.0, &server, &agent)
    }

    /// Makes a new authority, which signs nothing yet; it, and the one that signs.
    pub async fn prepare(&self, cluster: Nth) -> Result<(Authority, Authority)> {
        let api = self.api(cluster)?;
        if let Some(left) =
            authorities(&self.local_authorities(cluster).await?)?["prepared"]["authority_id"].as_str()
        {
            return Err(left_prepared(&self.cluster(cluster)?.name.0, left));
        }
        spire::command(api, &["localauthority", "x509", "prepare"]).await?;
        let said = self.local_authorities(cluster).await?;
        let state = authorities(&said)?;
        let published = self.published(cluster).await?.authorities;
        let find = |which: &str| {
            let id = state[which]["authority_id"].as_str().unwrap_or_default();
            let found = published.iter().find(|one| one.key_id() == id).cloned();
            found.ok_or_else(|| {
                Error::new(Code::Evidence, format!("no {which} authority is in the server's bundle"))
                    .seen(&said)
            })
        };
        Ok((find("prepared")?, find("active")?))
    }

    async fn local_authorities(&self, cluster: Nth) -> Result<String> {
        spire::command(self.api(cluster)?, &["localauthority", "x509", "show", "-output", "json"]).await
    }

    /// Goes on with an authority.
    pub async fn step(&self, cluster: Nth, step: Step, authority: &Authority) -> Result<()> {
        let word = match step {
            Step::Activate => "activate",
            Step::Taint => "taint",
            Step::Revoke => "revoke",
        };
        let words = ["localauthority", "x509", word, "-authorityID", &authority.key_id()];
        spire::command(self.api(cluster)?, &words).await.map(drop)
    }

    /// What the server publishes now.
    pub async fn published(&self, cluster: Nth) -> Result<Bundle> {
        Bundle::read(self.trust_domain(cluster)?, &spire::bundle(self.api(cluster)?).await?)
    }

    /// Whether the server of `holder` holds that authority of `of`; why not.
    pub async fn lacks(&self, holder: Nth, of: Nth, authority: &Authority) -> Result<Option<String>> {
        let domain = self.trust_domain(of)?;
        let held = spire::bundle_of_peer(self.api(holder)?, domain.as_str()).await?;
        let Some(held) = held else { return Ok(Some("it holds no bundle of its peer".to_owned())) };
        let all = Bundle::read(domain, &held)?.authorities;
        let has = all.iter().any(|one| one.has_key_of(authority));
        let ids: Vec<_> = all.iter().map(Authority::key_id).collect();
        Ok((!has).then(|| format!("it holds {}", ids.join(", "))))
    }

    /// Lets each peer's relationship carry what `cluster` publishes now: who makes a relationship anew from one that carries
    /// a replaced authority cuts the trust domains apart.
    pub async fn carry_what_is_published(&self, cluster: Nth) -> Result<()> {
        let mut bundle: Value = serde_json::from_str(&spire::bundle(self.api(cluster)?).await?)
            .map_err(|e| Error::new(Code::Evidence, "the server's bundle").because(e))?;
        bundle["spiffe_refresh_hint"] = json!(self.timers(cluster).await?.refresh_hint.as_secs());
        let name = self.cluster(cluster)?.name.0.clone();
        for peer in self.mesh.numbers().filter(|peer| *peer != cluster) {
            let object = json!({
                "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterFederatedTrustDomain",
                "metadata": { "name": name }
            });
            let patch = json!({ "spec": { "trustDomainBundle": bundle.to_string() } });
            merge_patch(self.api(peer)?, &object, &patch, &Note::silent()).await?;
        }
        Ok(())
    }

    fn trust_domain(&self, cluster: Nth) -> Result<TrustDomain> {
        let name = &self.cluster(cluster)?.trust_domain;
        name.parse().map_err(|e| Error::new(Code::Evidence, format!("the trust domain {name}")).because(e))
    }
}

fn authorities(said: &str) -> Result<Value> {
    serde_json::from_str(said)
        .map_err(|e| Error::new(Code::Evidence, "the server's authorities cannot be read").because(e))
}

/// Another prepared beside it would stay in the bundle until its life is over, and none of them signs.
fn left_prepared(cluster: &str, authority: &str) -> Error {
    Error::new(
        Code::Evidence,
        format!("an earlier rotation in {cluster} was not gone on with, so none is begun"),
    )
    .seen(format!(
        "the authority {authority} is prepared and signs nothing; SPIRE has no command that takes it back"
    ))
    .next("cargo xtask down, then up again; the claim that broke first says why that rotation ended")
}

/// What every bound has: our looks, and a busy machine.
pub fn noticed() -> Bound {
    Bound::of(patience::NOTICED.stretched(), "until we notice (VOUCHSAFE_PATIENCE stretches it)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_that_was_left_is_named() {
        let said = r#"{"active":{"authority_id":"a1"},"prepared":{"authority_id":"b2"}}"#;
        let left = authorities(said).unwrap()["prepared"]["authority_id"].as_str().map(str::to_owned);
        let e = left_prepared("cluster2", &left.unwrap()).to_string();
        assert!(
            e.contains("an earlier rotation in cluster2 was not gone on with") && e.contains("b2"),
            "{e}"
        );
        let none = r#"{"active":{"authority_id":"a1"}}"#;
        assert_eq!(authorities(none).unwrap()["prepared"]["authority_id"].as_str(), None);
        assert_eq!(authorities("spire-server: no").unwrap_err().code(), Code::Evidence);
    }
}
