//! Waiting for a workload: its controller and its pods are watched together, so that the reason is the pod's.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::Api;
use kube::core::Selector;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource, ResourceExt as _};

use super::conditions::{self, Standing};
use super::fault::watch_words;
use super::pod::{self, Trouble};
use super::watch::{self, Seen, Watched};
use super::why;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::patience::Limit;
use crate::progress::Note;
use crate::wait::{Deadline, glance};
use crate::{Error, Result, patience};

/// What makes pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Workload {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// `apps/v1` StatefulSet.
    StatefulSet,
}

impl Workload {
    /// What an object is, by its kind; nothing for one that is no workload.
    pub fn of(object: &Value) -> Option<Self> {
        match object["kind"].as_str()? {
            "Deployment" => Some(Self::Deployment),
            "DaemonSet" => Some(Self::DaemonSet),
            "StatefulSet" => Some(Self::StatefulSet),
            _ => None,
        }
    }
}

/// Waits until the workload exists and its present generation is rolled out.
///
/// Available is what the controller calls available: a container without a readiness probe is so as soon as it
/// runs. A pod of the generation before may still be on its way out; it gets no traffic any more.
///
/// # Errors
/// [`crate::Code::TimedOut`] with the controller's count, the worst pod's reason, its latest warning event and,
/// when it crashed, its last words.
pub async fn rolled_out(
    client: &Client,
    workload: Workload,
    namespace: &str,
    name: &str,
    limit: Limit,
    note: &Note,
) -> Result<()> {
    let waited = Waited { client, namespace, name, limit, note };
    match workload {
        Workload::Deployment => {
            waited
                .roll("deployment", conditions::deployment, |d: &Deployment| Some(&d.spec.as_ref()?.selector))
                .await
        }
        Workload::DaemonSet => {
            waited
                .roll("daemon set", conditions::daemon_set, |d: &DaemonSet| Some(&d.spec.as_ref()?.selector))
                .await
        }
        Workload::StatefulSet => {
            waited
                .roll("stateful set", conditions::stateful_set, |s: &StatefulSet| {
                    Some(&s.spec.as_ref()?.selector)
                })
                .await
        }
    }
}

struct Waited<'a> {
    client: &'a Client,
    namespace: &'a str,
    name: &'a str,
    limit: Limit,
    note: &'a Note,
}

/// What one of the two watches has seen.
enum Sight<K> {
    Workload(Option<K>),
    Pod(Box<Event<Pod>>),
    /// The API server, for a while, and how.
    Lost(String),
}

impl Waited<'_> {
    async fn roll<K>(
        &self,
        kind: &str,
        standing: fn(&K) -> Standing,
        selector: impl Fn(&K) -> Option<&LabelSelector>,
    ) -> Result<()>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        let Waited { client, namespace, name, limit, note } = *self;
        let what = format!("the roll-out of {kind} {namespace}/{name}");
        let deadline = Deadline::after(limit);
        let api: Api<K> = Api::namespaced(client.clone(), namespace);
        let found = watch::until(&api, name, &what, limit, note, |_| Standing::Ready).await?;
        let mut asked = match standing(&found) {
            Standing::Ready => return Ok(()),
            Standing::Not(why) => why,
        };
        let labels =
            labels(selector(&found)).ok_or_else(|| Error::internal(format!("{what}: no selector")))?;
        let mut sights = std::pin::pin!(sights(client, namespace, &api, name, &labels));
        let mut pods = Pods { known: BTreeMap::new(), listing: true };
        let mut seen = Seen::new(&what, note);
        loop {
            // Nothing moving for a while is the moment to ask the events, which nobody watches.
            let quiet = glance(patience::ATTEMPT.stretched(), sights.next());
            match deadline.bounds(quiet).await.flatten() {
                Some(None) => return Err(Error::internal(format!("the watch of {what} ended"))),
                Some(Some(Sight::Lost(words))) => {
                    seen.learn(words);
                    continue;
                }
                Some(Some(Sight::Workload(None))) => asked = String::from("it does not exist"),
                Some(Some(Sight::Workload(Some(object)))) => match standing(&object) {
                    Standing::Ready => return Ok(()),
                    Standing::Not(why) => asked = why,
                },
                Some(Some(Sight::Pod(event))) => pods.take(*event),
                None => {
                    let told = pods.told(&asked);
                    let more = why::not(client, namespace, name, pods.worst(), &told).await;
                    let full = [told].into_iter().chain(more).collect::<Vec<_>>().join("\n  ");
                    if deadline.passed() {
                        return Err(deadline.timed_out(&what, full));
                    }
                    seen.learn(full);
                    continue;
                }
            }
            if !pods.listing {
                seen.learn(pods.told(&asked));
            }
        }
    }
}

fn sights<K: Watched>(
    client: &Client,
    namespace: &str,
    api: &Api<K>,
    name: &str,
    labels: &Selector,
) -> impl Stream<Item = Sight<K>> + use<K> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let lost = |fault: watcher::Error| Sight::Lost(watch_words(&fault));
    let pods = watch::events(pods, watcher::Config::default().labels_from(labels));
    stream::select(
        watch::object(api.clone(), name).map(move |state| state.map_or_else(lost, Sight::Workload)),
        pods.map(move |event| event.map_or_else(lost, |event| Sight::Pod(Box::new(event)))),
    )
}

fn labels(selector: Option<&LabelSelector>) -> Option<Selector> {
    selector.and_then(|s| Selector::try_from(s.clone()).ok()).filter(|s| !s.selects_all())
}

/// The pods of the workload, as last seen.
struct Pods {
    known: BTreeMap<String, Pod>,
    /// Not all of them are known yet, so nothing should be said about them.
    listing: bool,
}

impl Pods {
    fn take(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => {
                self.known.clear();
                self.listing = true;
            }
            Event::InitApply(pod) | Event::Apply(pod) => {
                self.known.insert(pod.name_any(), pod);
            }
            Event::Delete(pod) => {
                self.known.remove(&pod.name_any());
            }
            Event::InitDone => self.listing = false,
        }
    }

    /// The pod whose trouble explains most.
    fn worst(&self) -> Option<(&Pod, Trouble)> {
        self.known
            .values()
            .filter_map(|p| Some((p, pod::trouble(p)?)))
            .max_by_key(|(_, trouble)| trouble.weight)
    }

    fn told(&self, asked: &str) -> String {
        match self.worst() {
            Some((pod, trouble)) => format!("{asked}; {}", pod::line(pod, &trouble)),
            None => asked.to_owned(),
        }
    }
}
