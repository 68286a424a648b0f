//! The pods of a namespace, its events, and what its containers wrote.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt as _};

use super::objects::write_objects;
use super::{bounded, write};
use crate::error::Context as _;
use crate::kube::conditions::Standing;
use crate::kube::{fault, logs, pod, why};
use crate::{Code, Result};

const EVENTS: usize = 50;
const LOG_LINES: i64 = 2000;

/// What a namespace has.
pub(super) struct Listing {
    pub(super) namespace: String,
    pub(super) pods: Vec<Pod>,
    pub(super) missing: Vec<String>,
}

/// Writes down the events and the pods of a namespace.
pub(super) async fn listed(client: &Client, namespace: String, dir: &Path) -> Listing {
    let folder = dir.join(&namespace);
    let ns = namespace.as_str();
    let (events, pods) = tokio::join!(
        bounded(format!("events of {ns}"), events(client, ns, folder.join("events.txt"))),
        bounded(format!("pods of {ns}"), pods(client, ns, &folder))
    );
    let missing = events.err().into_iter().chain(pods.as_ref().err().cloned()).collect();
    Listing { pods: pods.unwrap_or_default(), missing, namespace }
}

async fn pods(client: &Client, ns: &str, folder: &Path) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), ns);
    let pods = api.list(&ListParams::default()).await.map_err(|f| fault::failed("cannot list", &f))?.items;
    let lines = pods.iter().map(|p| match pod::pod(p) {
        Standing::Ready => format!("{}: ready\n", p.name_any()),
        Standing::Not(why) => format!("{}: {why}\n", p.name_any()),
    });
    write(folder.join("pods.txt"), lines.collect()).await?;
    let values = pods.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
    let values = values.or_fail(Code::Internal, || "a pod is not JSON".into())?;
    write_objects(folder.join("pods.json"), values).await?;
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
    write(file, last.collect()).await
}

/// One log to fetch.
pub(super) struct LogFile {
    pub(super) name: String,
    namespace: String,
    pod: String,
    params: LogParams,
    file: PathBuf,
}

impl LogFile {
    pub(super) async fn fetch(self, client: &Client) -> Result<()> {
        let text = logs::logs(client, &self.namespace, &self.pod, &self.params).await?;
        write(self.file, text).await
    }
}

/// The log of every container that ever ran, and of its life before when it was restarted.
pub(super) fn log_files(ns: &str, folder: &Path, pod: &Pod) -> Vec<LogFile> {
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
