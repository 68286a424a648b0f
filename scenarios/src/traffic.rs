//! Traffic that notices: a client in a pod of each cluster asks the server of each other one, all the time, on connections of
//! both kinds, and every request is written down.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::try_join_all;
use harness::kube::pods::one_ready_pod;
use harness::kube::running::Running;
use harness::layout::Layout;
use harness::patience::Limit;
use harness::progress::Note;
use harness::wait::{self, Look};
use harness::{Code, Error, Result, kept, patience, traffic};
use jiff::Timestamp;
use kube::ResourceExt as _;
use proof::motion::{Bound, Connection, Flow, Request, Took};
use proof::topology::Way;
use serde_json::Value;

use crate::Nth;
use crate::fixture::Fixture;
use crate::objects::service;
use crate::pods::Pods;
use crate::watched::limit;

/// Who asks.
pub const CLIENT: Pods<'static> = Pods("motion", "app=client");
/// Who answers.
pub const SERVER: Pods<'static> = Pods("motion", "app=server");
/// Requests of each way and kind: enough that a second of silence is seen, few enough for two cores.
const EACH_SECOND: u64 = 40;
/// Longer than any scenario: the client ends when its scenario does.
const SECONDS: u64 = 900;
/// Good answers in a row after which traffic flows.
const FLOWS: usize = 50;

/// Traffic of all ways.
pub struct Traffic {
    sending: Vec<Sending>,
    since: Timestamp,
}

/// That of one way on connections of one kind.
struct Sending {
    way: Way,
    connection: Connection,
    version: String,
    running: Running,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Traffic {
    /// Brings a client and a server into every cluster, whose SVIDs live for so long (`60s`), and begins to ask. It counts
    /// from when every way is answered.
    pub async fn begin(fixture: &mut Fixture<'_>, svid_life: &str) -> Result<Self> {
        let ways = fixture.mesh.pairs();
        Self::begin_on(fixture, svid_life, &ways).await
    }

    /// The same, where only these ways are asked: a client's answers come by the kubelet of its node.
    pub async fn begin_on(fixture: &mut Fixture<'_>, svid_life: &str, ways: &[(Nth, Nth)]) -> Result<Self> {
        Self::bring(fixture, svid_life).await?;
        Self::asks(fixture, ways).await
    }

    /// Only brings them.
    pub async fn bring(fixture: &mut Fixture<'_>, svid_life: &str) -> Result<()> {
        let numbers: Vec<_> = fixture.mesh.numbers().collect();
        for here in &numbers {
            fixture.bring(*here, "rotation/pair.yaml", &[("SVID_LIFE", svid_life)]).await?;
            for there in &numbers {
                let version = fixture.cluster(*there)?.version.clone();
                fixture.bring(*here, "rotation/version.yaml", &[("VERSION", &version)]).await?;
            }
        }
        let fixture = &*fixture;
        try_join_all(numbers.iter().map(async |here| {
            fixture.ready(*here, "motion", "server").await?;
            fixture.ready(*here, "motion", "client").await
        }))
        .await
        .map(drop)
    }

    /// Begins to ask on these ways, from clients that are there.
    pub async fn asks(fixture: &Fixture<'_>, ways: &[(Nth, Nth)]) -> Result<Self> {
        let program = traffic::program(&Layout::find()?).await?;
        let numbers: Vec<_> = fixture.mesh.numbers().collect();
        try_join_all(numbers.iter().map(async |here| {
            let pod = one_ready_pod(fixture.api(*here)?, CLIENT.0, CLIENT.1).await?.name_any();
            traffic::put(fixture.api(*here)?, (CLIENT.0, &pod, "curl"), &program).await
        }))
        .await?;
        let mut sending = Vec::new();
        for &(from, to) in ways {
            for connection in [Connection::New, Connection::Kept] {
                sending.push(Sending::begin(fixture, from, to, connection).await?);
            }
        }
        let mut traffic = Self { sending, since: Timestamp::now() };
        traffic.flows().await?;
        traffic.since = Timestamp::now();
        Ok(traffic)
    }

    /// Waits until every way was answered some times in a row.
    pub async fn flows(&self) -> Result<()> {
        let look = || async {
            let not: Vec<_> = self.sending.iter().filter_map(Sending::does_not_flow).collect();
            if not.is_empty() { Look::Ready(()) } else { Look::NotYet(not.join("; ")) }
        };
        wait::eventually("traffic that is answered", patience::SETTLE, &Note::silent(), look).await
    }

    /// Waits for the first request of a way that fails; how long after `since` that was sent.
    pub async fn first_failure(
        &self,
        way: &Way,
        connection: Connection,
        (since, bound): (Timestamp, &Bound),
    ) -> Took {
        let of_it = self.sending.iter().find(|one| one.way == *way && one.connection == connection);
        let look = || async {
            match of_it.and_then(|one| one.first_failure(since)) {
                Some(failure) => Look::Ready(failure),
                None => Look::NotYet("every request was answered".to_owned()),
            }
        };
        let limit = Limit::milliseconds(u64::try_from(limit(bound).as_millis()).unwrap_or(u64::MAX));
        match wait::eventually("a request that fails", limit, &Note::silent(), look).await {
            Ok((at, why)) => {
                let took = Duration::try_from(at.duration_since(since)).unwrap_or_default();
                Took::in_time(took, format!("until the first was refused: {why}"))
            }
            Err(e) => Took::never(e.to_string()),
        }
    }

    /// Ends it; what came of all requests since it flowed.
    pub async fn end(self) -> Result<Vec<Flow>> {
        let since = self.since;
        let mut flows = Vec::new();
        for Sending { way, connection, version, running, requests } in self.sending {
            running.stop(patience::LAST_REQUESTS).await?;
            let requests = std::mem::take(&mut *requests.lock().unwrap_or_else(PoisonError::into_inner));
            let counted: Vec<_> = requests.into_iter().filter(|request| request.at() >= since).collect();
            let flow = Flow::of(way.clone(), connection, EACH_SECOND, &counted, &version);
            flows.push(flow.ok_or_else(|| proof::evidence::missing(format!("any request {way}")))?);
        }
        Ok(flows)
    }
}

impl Sending {
    async fn begin(fixture: &Fixture<'_>, from: Nth, to: Nth, connection: Connection) -> Result<Self> {
        let (way, version) = (fixture.mesh.way(from, to)?, fixture.cluster(to)?.version.clone());
        let kind = match connection {
            Connection::New => "new",
            Connection::Kept => "kept",
        };
        let name = format!("{kind}-{version}");
        fixture.knows(from, CLIENT, &format!("{name}.motion"), 5000).await?;
        nothing_is_tried_again(fixture, from, &name).await?;
        let at = fixture.read(from, &service("motion", &name)).await?;
        let address = at.data["spec"]["clusterIP"].as_str().unwrap_or_default();
        let address =
            if address.contains(':') { format!("[{address}]:5000") } else { format!("{address}:5000") };
        let (host, rate, seconds) = (format!("{name}.motion"), EACH_SECOND.to_string(), SECONDS.to_string());
        let argv = [traffic::PROGRAM, &address, &host, kind, &rate, &seconds];
        let api = fixture.api(from)?;
        let pod = one_ready_pod(api, CLIENT.0, CLIENT.1).await?.name_any();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, file) = (requests.clone(), file(fixture, &way, kind));
        let running = Running::start(api, (CLIENT.0, &pod, "curl"), &argv, move |line| {
            // One that cannot be read is missing in the count.
            if let Ok(request) = Request::read(line) {
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            }
            if let Some(file) = &file {
                let _ = kept::append(file, &format!("{line}\n"));
            }
        })
        .await?;
        Ok(Self { way, connection, version, running, requests })
    }

    fn first_failure(&self, since: Timestamp) -> Option<(Timestamp, String)> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failed = requests.iter().filter(|request| request.at() >= since);
        failed.find_map(|request| Some((request.at(), request.failure(&self.version)?)))
    }

    fn does_not_flow(&self) -> Option<String> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let last: Vec<_> = requests.iter().rev().take(FLOWS).collect();
        let failure = last.iter().find_map(|request| request.failure(&self.version));
        match failure {
            None if last.len() == FLOWS => None,
            None => Some(format!("{}: {} answers", self.way, last.len())),
            Some(why) => Some(format!("{}: {why}", self.way)),
        }
    }
}

/// Where a report keeps each request.
fn file(fixture: &Fixture<'_>, way: &Way, kind: &str) -> Option<PathBuf> {
    let report = std::env::var_os("VOUCHSAFE_REPORT")?;
    let name = format!("traffic-{}-{}-{}-{kind}.jsonl", fixture.scenario(), way.from, way.to);
    Some(Path::new(&report).join(name))
}

/// A request that the sidecar tries a second time is one that failed and that nobody notices.
async fn nothing_is_tried_again(fixture: &Fixture<'_>, from: Nth, service: &str) -> Result<()> {
    let path = "/config_dump?resource=dynamic_route_configs";
    let host = format!("{service}.motion.svc.cluster.local:5000");
    let look = || async {
        let dump: Value = serde_json::from_str(&fixture.admin(from, CLIENT, path).await?).unwrap_or_default();
        Ok(retries(&dump, &host))
    };
    let missing = |retries: &Option<String>| match retries.as_deref() {
        Some("") => None,
        Some(policy) => Some(policy.to_owned()),
        None => Some(format!("no route to {host}")),
    };
    let what = format!("a route to {service} without retries");
    let seen = wait::last_look(&what, patience::SETTLE, &Note::silent(), look, &missing).await?;
    match missing(&seen) {
        None => Ok(()),
        Some(why) => {
            let what =
                format!("the sidecar may try requests to {service} again, so that failures are not noticed");
            Err(Error::new(Code::Evidence, what).seen(why))
        }
    }
}

/// The retry policies of that virtual host's routes; nothing where there is no such host.
fn retries(dump: &Value, host: &str) -> Option<String> {
    let configs = dump["configs"].as_array().into_iter().flatten();
    let hosts = configs.flat_map(|one| one["route_config"]["virtual_hosts"].as_array().into_iter().flatten());
    let of_it = |one: &&Value| one["name"].as_str() == Some(host);
    let found: Vec<_> = hosts.filter(of_it).collect();
    let routes = found.iter().flat_map(|one| one["routes"].as_array().into_iter().flatten());
    let policies = routes.filter_map(|route| route["route"].get("retry_policy").map(Value::to_string));
    let policies: Vec<_> = policies.collect();
    (!found.is_empty()).then(|| policies.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_route_that_tries_again_is_seen() {
        let route = |route: Value| {
            json!({ "configs": [{ "route_config": { "virtual_hosts": [
            { "name": "a:5000", "routes": [{ "route": route }] }, { "name": "b:5000", "routes": [] }] } }] })
        };
        assert_eq!(retries(&route(json!({ "cluster": "x" })), "a:5000").as_deref(), Some(""));
        let again = route(json!({ "retry_policy": { "num_retries": 2 } }));
        assert_eq!(retries(&again, "a:5000").as_deref(), Some("{\"num_retries\":2}"));
        assert_eq!(retries(&again, "b:5000").as_deref(), Some(""));
        assert_eq!(retries(&again, "c:5000"), None);
    }
}
