//! Requests across the mesh, and what both sidecars wrote about each of them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use harness::kube::forward;
use harness::kube::logs::logs;
use harness::kube::pods::one_ready_pod;
use harness::mesh::ENVOY_ADMIN;
use harness::progress::Note;
use harness::wait::{self, Look};
use harness::{Error, Result, mesh, patience};
use jiff::Timestamp;
use kube::Client;
use kube::api::LogParams;
use proof::envoy::{Endpoint, Record};
use proof::evidence::{
    Control, Crossing, Evidence, Handshake, Refusal, Replies, Reply, Service, Workload, missing,
};
use proof::topology::{Cluster, ClusterName, Way};

use crate::Mesh;
use crate::look::{counters, proxy, workload, workloads};
use crate::pods::{CURL, GATEWAY, HELLOWORLD, OUTSIDER, Pods};

/// Requests of a way: enough to see that they agree, few enough to read.
const HANDSHAKES: usize = 3;
/// Refusals in a row that show that a refusal lasts.
const REFUSALS: usize = 3;
/// Requests after which a balancer that knows all clusters has chosen each of them, but for one in a million.
const SAMPLE: usize = 24;

/// Both ends of a way: who asks whom, and which gateway is between them.
pub(crate) struct Ends<'a> {
    /// The way.
    pub(crate) way: &'a Way,
    /// The cluster of the client.
    pub(crate) near: &'a Client,
    /// The cluster of the server.
    pub(crate) far: &'a Client,
    /// Who asks.
    pub(crate) client: Pods<'a>,
    /// Who answers.
    pub(crate) server: Pods<'a>,
    /// The server's east-west gateway.
    pub(crate) gateway: Pods<'a>,
    /// What is asked for: it stands in the server's cluster alone.
    pub(crate) service: Service,
}

impl Mesh {
    /// Asks the service that exists in every cluster until each has answered, or the sample is spent.
    pub async fn replies(&self, seen: &mut Evidence, from: &ClusterName) -> Result<()> {
        ask_around(seen, from, self.api(from)?, CURL, service("helloworld")).await
    }

    /// Asks the far version alone, each time on a new connection, and joins both sidecars' records.
    pub async fn handshakes(&self, seen: &mut Evidence, way: &Way) -> Result<()> {
        let ends = Ends {
            way,
            near: self.api(&way.from)?,
            far: self.api(&way.to)?,
            client: CURL,
            server: HELLOWORLD,
            gateway: GATEWAY,
            service: far_service(self.named(&way.to)?),
        };
        meet(seen, &ends).await
    }

    /// Asks the far version several times in a row, expecting to be refused each time, and keeps what the client's
    /// sidecar wrote: a refusal that does not last is none.
    pub async fn refused(&self, control: Control, way: &Way) -> Result<Vec<Refusal>> {
        let near = self.api(&way.from)?;
        let client = workload(near, CURL).await?;
        let service = far_service(self.named(&way.to)?);
        let mut replies = Vec::new();
        for _ in 0..REFUSALS {
            replies.push(mesh::ask(near, &service.name, &request_id()).await?);
        }
        let requests: Vec<_> = replies.iter().map(|reply| reply.request.clone()).collect();
        let written = records(near, &client, &requests).await?;
        let refusal = |reply: Reply| {
            let by_client = Record::by_client(&written, &reply.request).cloned();
            let (way, service) = (way.clone(), service.clone());
            Refusal { control, way, service, reply, by_client, by_server: None }
        };
        Ok(replies.into_iter().map(refusal).collect())
    }

    /// Asks in plain text, from outside the mesh, and keeps what the server's sidecar wrote about that connection: it
    /// has no request id, and is joined by the client's address and the moment.
    pub async fn plain_text(&self, cluster: &ClusterName) -> Result<Refusal> {
        let here = self.named(cluster)?;
        let api = self.api(&here.name)?;
        let outsider = one_ready_pod(api, OUTSIDER.0, OUTSIDER.1).await?;
        let address = outsider.status.and_then(|status| status.pod_ip).and_then(|ip| ip.parse().ok());
        let address: IpAddr = address.ok_or_else(|| missing("the address of the client outside the mesh"))?;
        let service = far_service(here);
        let since = Timestamp::now();
        let reply = mesh::ask_from_outside(api, &service.name, &request_id()).await?;
        let mut by_server = None;
        for server in workloads(api, HELLOWORLD).await? {
            let is_it = |all: &[Record]| Record::of_connection(all, address, since).cloned();
            by_server = is_it(&written(api, &server, |all| is_it(all).is_some()).await?);
            if by_server.is_some() {
                break;
            }
        }
        let way = Way { from: here.name.clone(), to: here.name.clone() };
        Ok(Refusal { control: Control::PlainText, way, service, reply, by_client: None, by_server })
    }

    /// Waits until the far version answers: what a mesh does by itself after its trust was put back.
    pub async fn answers_again(&self, way: &Way) -> Result<()> {
        let (from, to) = (self.named(&way.from)?, self.named(&way.to)?);
        answered(way, self.api(&from.name)?, CURL, &far_service(to)).await
    }
}

/// Waits until a service of the far cluster answers.
///
/// # Errors
/// [`harness::Code::TimedOut`], with the last answer.
pub(crate) async fn answered(way: &Way, near: &Client, of: Pods<'_>, service: &Service) -> Result<()> {
    let what = format!("an answer of {} to {}", way.to, way.from);
    wait::eventually(&what, patience::SETTLE, &Note::silent(), || async {
        match ask(near, of, service).await {
            Ok(reply) if reply.status == 200 => Look::Ready(()),
            Ok(reply) => Look::NotYet(format!("{} {}", reply.status, reply.body.trim())),
            Err(e) => Look::not_yet(e),
        }
    })
    .await
}

/// Asks a service that exists in every cluster until each has answered, or the sample is spent.
pub(crate) async fn ask_around(
    seen: &mut Evidence,
    from: &ClusterName,
    client: &Client,
    of: Pods<'_>,
    service: Service,
) -> Result<()> {
    let versions: Vec<_> = seen.clusters.iter().map(|one| one.cluster.version.clone()).collect();
    let mut replies: Vec<Reply> = Vec::new();
    let answered = |replies: &[Reply], by: &String| replies.iter().any(|r| r.version() == Some(by.as_str()));
    while replies.len() < SAMPLE && !versions.iter().all(|by| answered(&replies, by)) {
        replies.push(ask(client, of, &service).await?);
    }
    let curl = workload(client, of).await?;
    let known =
        forward::get(client, &curl.namespace, &curl.pod, ENVOY_ADMIN, "/clusters?format=json").await?;
    let endpoints = Some(Endpoint::all_in(&known, &service.cluster())?);
    seen.replies.push(Replies { from: from.clone(), service, replies, endpoints });
    Ok(())
}

/// Asks across a way, each time on a new connection, and joins both sidecars' records. Any of the server's replicas may
/// answer; what both proxies hold is looked at before and after, for a leaf may rotate meanwhile.
pub(crate) async fn meet(seen: &mut Evidence, ends: &Ends<'_>) -> Result<()> {
    let Ends { way, near, far, service, .. } = ends;
    // A gateway that is not there to be asked is no reason not to ask for its service.
    let before = counters(far, ends.gateway).await;
    let (client, servers) = tokio::try_join!(workload(near, ends.client), workloads(far, ends.server))?;
    hold(seen, ends, &client, &servers).await?;
    let mut replies = Vec::new();
    for _ in 0..HANDSHAKES {
        replies.push(ask(near, ends.client, service).await?);
    }
    let requests: Vec<_> = replies.iter().map(|reply| reply.request.clone()).collect();
    let by_client = records(near, &client, &requests).await?;
    if by_client.is_empty() {
        return Err(silent(&client));
    }
    let mut met = Vec::new();
    for reply in replies {
        // Nobody answered, or somebody else: whoever should have is looked at, and the claim says so.
        let answered = |server: &&Workload| reply.instance() == Some(&server.pod);
        let server = servers.iter().find(answered).unwrap_or(&servers[0]);
        let by_server = records(far, server, std::slice::from_ref(&reply.request)).await?;
        met.push(Handshake {
            way: (*way).clone(),
            client: client.clone(),
            server: server.clone(),
            service: service.clone(),
            by_client: Record::by_client(&by_client, &reply.request).cloned(),
            by_server: Record::by_server(&by_server, &reply.request).cloned(),
            reply,
        });
    }
    seen.handshakes.extend(met);
    hold(seen, ends, &client, &servers).await?;
    let (before, after) = (before?, counters(far, ends.gateway).await?);
    seen.crossings.push(Crossing { way: (*way).clone(), service: service.clone(), before, after });
    Ok(())
}

/// Adds what the proxies at both ends of a way hold now.
async fn hold(seen: &mut Evidence, ends: &Ends<'_>, client: &Workload, servers: &[Workload]) -> Result<()> {
    let Ends { way, near, far, .. } = ends;
    let (client, servers) = tokio::try_join!(
        proxy(near, client.clone()),
        try_join_all(servers.iter().map(|server| proxy(far, server.clone())))
    )?;
    seen.cluster_mut(&way.from)?.proxies.push(client);
    seen.cluster_mut(&way.to)?.proxies.extend(servers);
    Ok(())
}

/// Asks a service once, from a ready pod's curl.
pub(crate) async fn ask(
    client: &Client,
    Pods(namespace, labels): Pods<'_>,
    service: &Service,
) -> Result<Reply> {
    let url = format!("http://{}.{}:{}/hello", service.name, service.namespace, service.port);
    mesh::ask_url(client, (namespace, labels, "curl"), &url, &request_id()).await
}

/// The sidecar's records, once each of these requests is among them or time is up: Envoy writes its log once a
/// second. A request that is still missing then is missing evidence, which the judge says.
pub(crate) async fn records(client: &Client, of: &Workload, requests: &[String]) -> Result<Vec<Record>> {
    let is_in = |all: &[Record], request: &String| all.iter().any(|r| r.request_id.as_ref() == Some(request));
    written(client, of, |all| requests.iter().all(|request| is_in(all, request))).await
}

/// A sidecar that records nothing at all is told from one that did not see a request.
fn silent(of: &Workload) -> Error {
    missing(format!("any request in the access log of {}/{}: it writes none in the mesh's format", of.namespace, of.pod))
        .next("set meshConfig.accessLogFile and accessLogFormat as manifests/istio/operator.yaml has them, and look for a \
               Telemetry resource that turns access logging off")
}

async fn written(client: &Client, of: &Workload, whole: impl Fn(&[Record]) -> bool) -> Result<Vec<Record>> {
    let params = LogParams {
        container: Some("istio-proxy".to_owned()),
        since_seconds: Some(patience::LOG_FLUSH.stretched().as_secs().cast_signed() + 30),
        ..Default::default()
    };
    let look = || async { Record::all_in(&logs(client, &of.namespace, &of.pod, &params).await?) };
    let what = format!("the sidecar's log of {}/{}", of.namespace, of.pod);
    let missing = |all: &Vec<Record>| (!whole(all)).then(|| format!("{} records, not yet all", all.len()));
    wait::last_look(&what, patience::LOG_FLUSH, &Note::silent(), look, missing).await
}

/// The service that only one cluster's version stands behind.
fn far_service(cluster: &Cluster) -> Service {
    service(&format!("helloworld-{}", cluster.version))
}

fn service(name: &str) -> Service {
    Service { name: name.to_owned(), namespace: "istio-test".to_owned(), port: 5000 }
}

/// Unique, and no UUID: Envoy would write its tracing decision into one.
pub(crate) fn request_id() -> String {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let i = ASKED.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    format!("vouchsafe-{}-{}-{i}", now.as_micros(), std::process::id())
}
