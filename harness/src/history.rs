//! What every proxy of the mesh holds, from its start on: written down whenever it changes, for claims about all the time.
//! A fallback to istiod's CA that lasted a second is over when anybody looks afterwards.
//!
//! It only looks: each proxy's admin interface, through the API server, over one connection that stays open. What that costs
//! is told at the end of a run.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use proof::envoy::Held;
use proof::evidence::{HeldAt, Workload};
use proof::topology::{ClusterName, Topology};
use serde::{Deserialize, Serialize};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use crate::error::Context as _;
use crate::kube::forward::Connection;
use crate::kube::{connect, pods, watch};
use crate::layout::Layout;
use crate::mesh::ENVOY_ADMIN;
use crate::proxy::{SECRETS, runs_in};
use crate::wait::pause_for;
use crate::{Code, Result, clock, kept, log, patience, world};

/// Where a report keeps what was seen in that world.
pub fn file(report: &Path, world: &str) -> PathBuf {
    report.join(format!("held-{world}.jsonl"))
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// In which cluster.
    pub cluster: ClusterName,
    /// What was seen.
    pub seen: HeldAt,
}

/// What was written down so far, in order; nothing where nobody watches. A line that is being written is not there yet.
///
/// # Errors
/// [`Code::Evidence`] for a line that is none.
pub fn read(file: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let unreadable = || format!("{} has a line that cannot be read", file.display());
    whole.lines().map(|line| serde_json::from_str(line).or_fail(Code::Evidence, unreadable)).collect()
}

/// Watches until this is dropped, on a thread of its own: whatever is done there is what watching costs.
#[must_use = "it watches until it is dropped"]
pub struct Watching {
    /// Dropped to end it.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop.take();
        // It ends at its next await.
        self.thread.take().map(JoinHandle::join);
    }
}

/// What watching has cost so far, of all worlds of a run: known of each when it has ended.
#[derive(Clone, Debug, Default)]
pub struct Cost(Arc<Mutex<Option<Duration>>>);

impl Cost {
    fn add(&self, more: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default() += more;
    }

    /// In CPU-seconds; nothing where nothing was watched, or the kernel keeps no account.
    pub fn cpu_seconds(&self) -> Option<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|cost| cost.as_secs_f64())
    }
}

/// Begins to watch the clusters of a world, also before they are made; `file` is what it writes.
///
/// # Errors
/// [`Code::NotFit`] where the machine gives no thread for it.
pub fn watch(layout: &Layout, topology: &Topology, file: PathBuf, cost: Cost) -> Result<Watching> {
    let fail = || "proxies cannot be watched".to_owned();
    let runtime = runtime::Builder::new_current_thread().enable_all().build().or_fail(Code::NotFit, fail)?;
    let names = topology.clusters.iter().map(|one| one.name.clone());
    let clusters: Vec<_> = names.map(|name| (world::kubeconfig(layout, &name), name)).collect();
    let (stop, stopped) = oneshot::channel();
    let work = move || {
        let file = Arc::new(file);
        runtime.block_on(async {
            let mut all = JoinSet::new();
            for (kubeconfig, name) in clusters {
                all.spawn(cluster(kubeconfig, name, file.clone()));
            }
            // An error is that the sender is gone, which is how it is told.
            let _ = stopped.await;
        });
        drop(runtime);
        clock::of_this_thread().into_iter().for_each(|took| cost.add(took));
    };
    let thread =
        thread::Builder::new().name("watching".to_owned()).spawn(work).or_fail(Code::NotFit, fail)?;
    Ok(Watching { stop: Some(stop), thread: Some(thread) })
}

/// Watches the pods of a cluster for ever, and each proxy among them.
async fn cluster(kubeconfig: PathBuf, name: ClusterName, file: Arc<PathBuf>) {
    let mut proxies = Proxies::default();
    loop {
        // It is written when the cluster is made, and says another port when its node was started anew.
        let leads = std::fs::read_to_string(&kubeconfig).ok();
        if let Ok(client) = connect(&kubeconfig).await {
            let all: Api<Pod> = Api::all(client.clone());
            let mut events = pin!(watch::events(all, watcher::Config::default()));
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => {
                        proxies.take(event, |pod| proxy(client.clone(), pod, (name.clone(), file.clone())))
                    }
                    // The watch begins again by itself. A client costs more than a request: it stays while it leads there.
                    Err(_) if std::fs::read_to_string(&kubeconfig).ok() == leads => {}
                    Err(_) => break,
                }
            }
        }
        pause_for(patience::PAUSE).await;
    }
}

/// The proxies of a cluster that are looked at, by their pods' uids.
#[derive(Default)]
struct Proxies {
    looking: JoinSet<()>,
    known: HashMap<String, AbortHandle>,
    /// Of a listing that has begun, those that are in it.
    listed: HashSet<String>,
}

impl Proxies {
    fn take<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        event: Event<Pod>,
        look: impl FnOnce(Pod) -> F,
    ) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => {
                self.listed.insert(pod.uid().unwrap_or_default());
                self.meet(pod, look);
            }
            Event::Apply(pod) => self.meet(pod, look),
            Event::Delete(pod) => self.forget(|uid| pod.metadata.uid.as_ref() == Some(uid)),
            // What went while nobody watched is not in it.
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.forget(|uid| !listed.contains(uid));
            }
        }
    }

    fn meet<F: Future<Output = ()> + Send + 'static>(&mut self, pod: Pod, look: impl FnOnce(Pod) -> F) {
        if runs_in(&pod) {
            let uid = pod.uid().unwrap_or_default();
            self.known.entry(uid).or_insert_with(|| self.looking.spawn(look(pod)));
        }
    }

    fn forget(&mut self, is_gone: impl Fn(&String) -> bool) {
        self.known.retain(|uid, looking| {
            let gone = is_gone(uid);
            if gone {
                looking.abort();
            }
            !gone
        });
    }
}

/// Looks at a proxy until the pod is gone. Its Envoy may not listen yet, and may start anew.
async fn proxy(client: Client, pod: Pod, (cluster, file): (ClusterName, Arc<PathBuf>)) {
    let workload = pods::workload_of(&pod);
    let pod_created = pod.metadata.creation_timestamp.map(|at| at.0);
    let mut record = Record { cluster, file, workload, pod_created, before: None };
    loop {
        let Workload { namespace, pod, .. } = &record.workload;
        if let Ok(mut connection) = Connection::open(&client, namespace, pod, ENVOY_ADMIN).await {
            while let Ok(dump) = connection.get(SECRETS).await {
                record.saw(dump);
                pause_for(patience::PROXY_LOOK).await;
            }
        }
        // Each attempt is a process in the node, and Envoy listens a second after its container runs.
        pause_for(patience::PAUSE * 3).await;
    }
}

/// What was seen of one proxy.
struct Record {
    cluster: ClusterName,
    file: Arc<PathBuf>,
    workload: Workload,
    pod_created: Option<Timestamp>,
    before: Option<Before>,
}

struct Before {
    looked: Instant,
    written: Instant,
    dump: String,
    longest: Duration,
}

impl Record {
    /// Writes down what is new, and now and then that nothing is.
    fn saw(&mut self, dump: String) {
        let is_new = self.before.as_ref().is_none_or(|before| before.dump != dump);
        let mut held = None;
        if is_new {
            held = Held::read(&dump).ok().filter(|held| !held.secrets.is_empty());
            // A proxy that waits for its first secret holds nothing, and cannot be talked to.
            if held.is_none() {
                return;
            }
        }
        let now = Instant::now();
        if let Some(before) = &mut self.before {
            before.longest = before.longest.max(now - before.looked);
            before.looked = now;
            if !is_new && now - before.written < patience::PROXY_LOOK * 5 {
                return;
            }
        }
        let seen = HeldAt {
            at: Timestamp::now(),
            longest_ms: self.before.as_ref().map(|before| log::ms(before.longest)),
            pod_created: self.pod_created,
            workload: self.workload.clone(),
            held,
        };
        let line = serde_json::to_string(&Line { cluster: self.cluster.clone(), seen });
        // Whoever reads it says what is missing.
        let _ = line.map(|line| kept::append(&self.file, &format!("{line}\n")));
        self.before = Some(Before { looked: now, written: now, dump, longest: Duration::ZERO });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Setup;

    const DUMP: &str = include_str!("../proof/src/envoy/testdata/config_dump.json");

    #[test]
    fn what_is_new_is_written_down_once() {
        let report = tempfile::tempdir().unwrap();
        let file = file(report.path(), "federated");
        let workload = Workload {
            namespace: "istio-test".into(),
            pod: "curl".into(),
            service_account: "curl".into(),
            uid: None,
        };
        let (cluster, file) = (ClusterName::from("cluster1"), Arc::new(file));
        let mut record = Record { cluster, file: file.clone(), workload, pod_created: None, before: None };
        let lines = || read(&file).unwrap().into_iter().map(|line| line.seen).collect::<Vec<_>>();
        record.saw("{}".into());
        assert_eq!(lines(), [], "a proxy that has no secret yet");
        record.saw(DUMP.into());
        record.saw(DUMP.into());
        assert_eq!(lines().len(), 1, "the same again");
        assert_eq!((lines()[0].longest_ms, &lines()[0].held), (None, &Some(Held::read(DUMP).unwrap())));
        let newer = DUMP.replace("2026-11-21T01:45:02.073Z", "2026-11-21T01:46:02.073Z");
        record.saw(newer.clone());
        assert!(lines()[1].held.is_some() && lines()[1].longest_ms.is_some(), "{:?}", lines());
        record.before.as_mut().unwrap().written -= patience::PROXY_LOOK * 5;
        record.saw(newer);
        assert_eq!((lines().len(), &lines()[2].held), (3, &None), "that nothing is new is said now and then");
    }

    #[tokio::test]
    async fn what_went_while_nobody_watched_is_looked_at_no_more() {
        let pod = |uid: &str| -> Pod {
            let running = serde_json::json!({"name": "istio-proxy", "ready": true, "restartCount": 0, "image": "",
                "imageID": "", "state": {"running": {}}});
            let pod =
                serde_json::json!({"metadata": {"uid": uid}, "status": {"containerStatuses": [running]}});
            serde_json::from_value(pod).unwrap()
        };
        let mut proxies = Proxies::default();
        let mut after = |event| {
            proxies.take(event, |_| std::future::pending());
            let mut known: Vec<_> = proxies.known.keys().cloned().collect();
            known.sort();
            known.join(" ")
        };
        assert_eq!(after(Event::Init), "");
        assert_eq!(after(Event::InitApply(pod("a"))), "a");
        assert_eq!(after(Event::InitDone), "a");
        assert_eq!(after(Event::Apply(pod("b"))), "a b");
        assert_eq!(after(Event::Apply(pod("c"))), "a b c");
        assert_eq!(after(Event::Delete(pod("b"))), "a c");
        // The watch broke, and lists again.
        assert_eq!(after(Event::Init), "a c");
        assert_eq!(after(Event::InitApply(pod("c"))), "a c");
        assert_eq!(after(Event::InitApply(pod("d"))), "a c d");
        assert_eq!(after(Event::InitDone), "c d", "a is gone");
    }

    #[test]
    fn it_ends_when_it_is_dropped_and_its_cost_is_known_then() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().into(), repo: dir.path().into() };
        let setup = Setup::read(Path::new("../manifests"), &["federated"], None, false).unwrap().remove(0);
        let (topology, cost) = (setup.topology, Cost::default());
        let watching = watch(&layout, &topology, file(dir.path(), "w"), cost.clone()).unwrap();
        assert_eq!(cost.cpu_seconds(), None, "it watches");
        drop(watching);
        // The kernel counts a moment as none.
        assert!(cost.cpu_seconds().is_some());
    }

    #[test]
    fn a_line_that_is_being_written_is_not_there_yet() {
        let report = tempfile::tempdir().unwrap();
        let file = file(report.path(), "federated");
        assert_eq!(read(&file).unwrap().len(), 0);
        std::fs::write(&file, "{\"cluster\":\"c").unwrap();
        assert_eq!(read(&file).unwrap().len(), 0);
        std::fs::write(&file, "{\"cluster\":\"c\n{").unwrap();
        assert_eq!(read(&file).unwrap_err().code(), Code::Evidence);
    }
}
