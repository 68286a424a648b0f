//! Everything about a cluster that explains a failure, in files, before the cluster is gone.
//!
//! Evidence is worth most when something is broken, so no item waits for another and none can fail the rest:
//! what could not be had is a line in the answer.

use std::path::{Path, PathBuf};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt as _};
use proof::scrub;
use serde_json::Value;

use super::conditions::Standing;
use super::{AT_ONCE, fault, logs, object, pod, why};
use crate::error::Context as _;
use crate::{Code, Error, Result, kept, patience, wait};

const EVENTS: usize = 50;
const LOG_LINES: i64 = 2000;

/// What to keep.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Pods, events and logs of these, and of namespaced objects those in these.
    pub namespaces: &'a [&'a str],
    /// Objects of these kinds, as `(apiVersion, kind)`.
    pub kinds: &'a [(&'a str, &'a str)],
}

/// Writes it all below `dir`; hands back what could not be had, one line each. Secrets' values, private keys
/// and tokens are removed ([`scrub`]).
///
/// `pods.txt` and `events.txt` of each namespace are for reading, the `.json` files for looking up.
pub async fn snapshot(client: &Client, dir: &Path, wanted: Wanted<'_>) -> Vec<String> {
    let listings = stream::iter(wanted.namespaces)
        .map(|ns| {
            let folder = dir.join(ns);
            async move {
                let events =
                    bounded(format!("events of {ns}"), events(client, ns, folder.join("events.txt")));
                let pods = bounded(format!("pods of {ns}"), pods(client, ns, &folder));
                let (events, pods) = tokio::join!(events, pods);
                (*ns, folder, events.err(), pods)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;

    let mut missing = Vec::new();
    let mut readings = Vec::new();
    for (ns, folder, events, pods) in listings {
        missing.extend(events);
        match pods {
            Ok(pods) => readings.extend(pods.iter().flat_map(|p| log_files(ns, &folder, p))),
            Err(line) => missing.push(line),
        }
    }
    let logs = stream::iter(readings)
        .map(|log| async move { bounded(log.name.clone(), log.fetch(client)).await.err() })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect::<Vec<_>>();
    let kinds = stream::iter(wanted.kinds)
        .map(|(version, kind)| {
            let file = dir.join(format!("{kind}.json").to_lowercase());
            let work = objects(client, version, kind, wanted.namespaces, file);
            async move { bounded(format!("{kind} ({version})"), work).await.err() }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect::<Vec<_>>();
    let (logs, kinds) = tokio::join!(logs, kinds);
    missing.extend(logs);
    missing.extend(kinds);
    missing.sort();
    missing
}

/// One item within its own limit; a failure becomes a line.
async fn bounded<T>(what: String, work: impl Future<Output = Result<T>>) -> Result<T, String> {
    wait::within(&what, patience::ATTEMPT, work).await.map_err(|e| format!("{what}: {e}").replace('\n', " "))
}

async fn pods(client: &Client, ns: &str, folder: &Path) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), ns);
    let pods = api.list(&ListParams::default()).await.map_err(|f| fault::failed("cannot list", &f))?.items;
    let lines = pods.iter().map(|p| match pod::pod(p) {
        Standing::Ready => format!("{}: ready\n", p.name_any()),
        Standing::Not(why) => format!("{}: {why}\n", p.name_any()),
    });
    write(&folder.join("pods.txt"), &lines.collect::<String>())?;
    let values = pods.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
    write_objects(&folder.join("pods.json"), values.or_fail(Code::Internal, || "a pod is not JSON".into())?)?;
    Ok(pods)
}

async fn events(client: &Client, ns: &str, file: PathBuf) -> Result<()> {
    let api: Api<Event> = Api::namespaced(client.clone(), ns);
    let listed = api.list(&ListParams::default()).await.map_err(|f| fault::failed("cannot list", &f))?;
    let mut events = listed.items;
    events.sort_by_key(why::when);
    let last = events.iter().skip(events.len().saturating_sub(EVENTS)).map(|e| {
        let when = why::when(e).map_or_else(|| String::from("-"), |t| t.to_string());
        let (about, text) = (&e.involved_object, |s: &Option<String>| s.clone().unwrap_or_default());
        format!(
            "{when} {} {} {}/{}: {} (x{})\n",
            text(&e.type_),
            text(&e.reason),
            text(&about.kind),
            text(&about.name),
            text(&e.message).trim(),
            e.count.unwrap_or(1)
        )
    });
    write(&file, &last.collect::<String>())
}

async fn objects(
    client: &Client,
    version: &str,
    kind: &str,
    namespaces: &[&str],
    file: PathBuf,
) -> Result<()> {
    let api = object::dynamic(client, version, kind, None)?;
    let listed = api.list(&ListParams::default()).await.map_err(|f| fault::failed("cannot list", &f))?;
    let ours = listed.items.into_iter().filter(|o| o.namespace().is_none_or(|n| namespaces.contains(&&*n)));
    let values = ours.map(|o| {
        let mut value = serde_json::to_value(o)?;
        // In a list the server leaves both to the list.
        value["apiVersion"] = Value::from(version);
        value["kind"] = Value::from(kind);
        Ok::<_, serde_json::Error>(value)
    });
    let values =
        values.collect::<Result<Vec<_>, _>>().or_fail(Code::Internal, || "an object is not JSON".into())?;
    write_objects(&file, values)
}

/// One log to fetch.
struct LogFile {
    name: String,
    namespace: String,
    pod: String,
    params: LogParams,
    file: PathBuf,
}

impl LogFile {
    async fn fetch(self, client: &Client) -> Result<()> {
        let text = logs::logs(client, &self.namespace, &self.pod, &self.params).await?;
        write(&self.file, &text)
    }
}

/// The log of every container that ever ran, and of its life before when it was restarted.
fn log_files(ns: &str, folder: &Path, pod: &Pod) -> Vec<LogFile> {
    let status = pod.status.clone().unwrap_or_default();
    let all = status.init_container_statuses.into_iter().chain(status.container_statuses).flatten();
    all.flat_map(|container| {
        let ran =
            container.state.as_ref().is_some_and(|s| s.waiting.is_none()) || container.restart_count > 0;
        let lives = [(ran, false), (container.restart_count > 0, true)];
        let of = |(there, previous): (bool, bool)| {
            let suffix = if previous { ".previous" } else { "" };
            let name = format!("{}.{}{suffix}.log", pod.name_any(), container.name);
            let params = LogParams {
                container: Some(container.name.clone()),
                previous,
                tail_lines: Some(LOG_LINES),
                ..LogParams::default()
            };
            there.then(|| LogFile {
                file: folder.join("logs").join(&name),
                name: format!("{ns}/{name}"),
                namespace: ns.to_owned(),
                pod: pod.name_any(),
                params,
            })
        };
        lives.into_iter().filter_map(of).collect::<Vec<_>>()
    })
    .collect()
}

fn write_objects(file: &Path, mut values: Vec<Value>) -> Result<()> {
    values.iter_mut().for_each(scrub::object);
    let text =
        serde_json::to_string_pretty(&values).or_fail(Code::Internal, || "objects are not JSON".into())?;
    write(file, &text)
}

fn write(file: &Path, text: &str) -> Result<()> {
    kept::write(file, text)
        .map_err(|e| Error::new(Code::Evidence, format!("cannot write {}", file.display())).because(e))
}
