//! When what a proxy holds changed, as whoever watches this world wrote it down: a scenario that changes trust asks of every
//! proxy since when it has been so.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::history::{self, Line};
use harness::kube::pods::{pods, workload_of};
use harness::patience::Limit;
use harness::progress::Note;
use harness::{Code, Error, Result, patience, wait};
use jiff::Timestamp;
use kube::ResourceExt as _;
use proof::envoy::{Held, Trust};
use proof::evidence::missing;
use proof::identity::Authority;
use proof::motion::{Bound, Took};

use crate::Nth;
use crate::fixture::Fixture;
use crate::pods::Pods;

/// What was written down so far, read as it grows.
pub struct Watched {
    file: PathBuf,
    read: u64,
    /// The state of each pod by its uid, and since when; the newest last.
    states: BTreeMap<String, Vec<(Timestamp, Held)>>,
}

impl Watched {
    /// That of this run.
    pub fn of(fixture: &Fixture<'_>) -> Result<Self> {
        let report =
            std::env::var_os("VOUCHSAFE_REPORT").ok_or_else(|| missing("what proxies held over time"))?;
        let file = history::file(Path::new(&report), &fixture.mesh.world().name);
        Ok(Self { file, read: 0, states: BTreeMap::new() })
    }

    /// Waits until `so` is true of what the proxy of each of these pods holds; how long after `since` that was. `what` says
    /// what is waited for.
    pub async fn all(
        &mut self,
        fixture: &Fixture<'_>,
        (clusters, of): (&[Nth], &[Pods<'_>]),
        (what, since, bound): (&str, Timestamp, &Bound),
        so: impl Fn(&Held) -> bool,
    ) -> Result<Took> {
        let limit = limit(bound);
        let began = std::time::Instant::now();
        loop {
            self.read_on()?;
            let (mut not, mut last, mut count) = (Vec::new(), since, 0);
            for cluster in clusters {
                for (pod, uid) in present(fixture, *cluster, of).await? {
                    count += 1;
                    match self.since(&uid, &so) {
                        Some(at) => last = last.max(at),
                        None => not.push(format!("{pod} in {}", fixture.cluster(*cluster)?.name)),
                    }
                }
            }
            if not.is_empty() && count > 0 {
                let took = Duration::try_from(last.duration_since(since)).unwrap_or_default();
                return Ok(Took::in_time(took, format!("{what}, in the last of {count} proxies")));
            }
            if began.elapsed() > limit {
                return Ok(Took::never(format!(
                    "{what}; not in {} of {count} proxies: {}",
                    not.len(),
                    not.join(", ")
                )));
            }
            wait::pause_for(patience::PAUSE * 3).await;
        }
    }

    /// How many SVIDs the proxy of each of these pods has shown one after the other since then.
    pub async fn svids(
        &mut self,
        fixture: &Fixture<'_>,
        (cluster, of): (Nth, &[Pods<'_>]),
        since: Timestamp,
    ) -> Result<Vec<(String, usize)>> {
        self.read_on()?;
        let shown = |uid: &str| {
            let states = self.states.get(uid).into_iter().flatten().filter(|(at, _)| *at >= since);
            let mut shown: Vec<_> = states.filter_map(|(_, held)| held.certificate("default")).collect();
            shown.dedup();
            shown.len()
        };
        let present = present(fixture, cluster, of).await?;
        Ok(present.into_iter().map(|(pod, uid)| (pod, shown(&uid))).collect())
    }

    /// Since when it has been true of what that pod's proxy holds; nothing when it is not.
    fn since(&self, uid: &str, so: impl Fn(&Held) -> bool) -> Option<Timestamp> {
        let states = self.states.get(uid)?;
        states.iter().rev().take_while(|(_, held)| so(held)).last().map(|(at, _)| *at)
    }

    fn read_on(&mut self) -> Result<()> {
        let unreadable = |e| missing(format!("what proxies held: {}", self.file.display())).because(e);
        let mut file = std::fs::File::open(&self.file).map_err(unreadable)?;
        file.seek(SeekFrom::Start(self.read)).map_err(unreadable)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unreadable)?;
        // A line that is being written is not there yet.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        for line in text[..whole].lines() {
            let line: Line = serde_json::from_str(line)
                .map_err(|e| Error::new(Code::Evidence, "a line of what proxies held").because(e))?;
            if let (Some(uid), Some(held)) = (line.seen.workload.uid, line.seen.held) {
                self.states.entry(uid).or_default().push((line.seen.at, held));
            }
        }
        Ok(())
    }
}

/// How long something with that bound is waited for: long enough to say how late it was.
pub fn limit(bound: &Bound) -> Duration {
    bound.length() + patience::BEYOND.stretched()
}

/// Name and uid of each pod that is there.
async fn present(fixture: &Fixture<'_>, cluster: Nth, of: &[Pods<'_>]) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for Pods(namespace, labels) in of {
        for pod in pods(fixture.api(cluster)?, namespace, labels).await? {
            if pod.metadata.deletion_timestamp.is_none() {
                found.push((
                    format!("{namespace}/{}", pod.name_any()),
                    workload_of(&pod).uid.unwrap_or_default(),
                ));
            }
        }
    }
    Ok(found)
}

/// Whether a proxy believes an authority of that trust domain.
pub fn believes(held: &Held, domain: &str, authority: &Authority) -> bool {
    let Some(Trust::PerTrustDomain(domains)) = held.trust("ROOTCA") else { return false };
    let of_it = domains.iter().filter(|one| one.trust_domain == domain);
    of_it
        .flat_map(|one| Authority::all_in(&one.bundle).unwrap_or_default())
        .any(|one| one.has_key_of(authority))
}

/// Whether the certificate that a proxy shows was signed by that authority.
pub fn shows(held: &Held, authority: &Authority) -> bool {
    let chain = held.certificate("default").and_then(|pem| pem.chain().ok());
    chain.is_some_and(|chain| chain.signer(std::slice::from_ref(authority)).is_some())
}

/// Looks until something is so, or it is long too late; how long after `since` it was first seen.
pub async fn seen_within<F>(
    what: &str,
    since: Timestamp,
    bound: &Bound,
    look: impl FnMut() -> F,
) -> Result<Took>
where
    F: Future<Output = Result<Option<String>>>,
{
    let limit = Limit::milliseconds(u64::try_from(limit(bound).as_millis()).unwrap_or(u64::MAX));
    let missing = |not: &Option<String>| not.clone();
    let not = wait::last_look(what, limit, &Note::silent(), look, missing).await?;
    let took = Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default();
    Ok(match not {
        None => Took::in_time(took, what),
        Some(why) => Took::never(format!("{what}: {why}")),
    })
}
