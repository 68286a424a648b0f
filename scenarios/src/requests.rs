//! Requests across the mesh, and what both sidecars wrote about each of them.

use std::time::Duration;

use harness::kube::logs::logs;
use harness::progress::Note;
use harness::wait::{self, Look};
use harness::{Result, mesh, patience};
use kube::Client;
use kube::api::LogParams;
use proof::envoy::{Cause, Record};
use proof::evidence::{Control, Crossing, Evidence, Handshake, Refusal, Replies, Service, Workload};
use proof::topology::{Cluster, ClusterName, Way};

use crate::Mesh;
use crate::look::workload;
use crate::pods::{CURL, HELLOWORLD};

/// Requests of a way: enough to see that they agree, few enough to read.
const HANDSHAKES: usize = 3;
/// Requests after which a balancer that knows all clusters has chosen each of them, but for one in a million.
const SAMPLE: usize = 24;

impl Mesh {
    /// Asks the service that exists in every cluster until each has answered, or the sample is spent.
    pub async fn replies(&self, seen: &mut Evidence, from: &ClusterName) -> Result<()> {
        let from = self.named(from)?;
        let client = self.api(&from.name)?;
        let mut replies: Vec<proof::evidence::Reply> = Vec::new();
        let answered = |replies: &[proof::evidence::Reply], by: &Cluster| {
            replies.iter().any(|r| r.version() == Some(by.version.as_str()))
        };
        while replies.len() < SAMPLE && !self.clusters().iter().all(|c| answered(&replies, c)) {
            replies.push(mesh::ask(client, "helloworld", &request_id(replies.len())).await?);
        }
        seen.replies.push(Replies { from: from.name.clone(), service: service("helloworld"), replies });
        Ok(())
    }

    /// Asks the far version alone, each time on a new connection, and joins both sidecars' records.
    pub async fn handshakes(&self, seen: &mut Evidence, way: &Way) -> Result<()> {
        let (from, to) = (self.named(&way.from)?, self.named(&way.to)?);
        let (near, far) = (self.api(&from.name)?, self.api(&to.name)?);
        let service = far_service(to);
        let before = self.counters(&to.name).await?;
        let (client, server) = tokio::try_join!(workload(near, CURL), workload(far, HELLOWORLD))?;
        let mut replies = Vec::new();
        for i in 0..HANDSHAKES {
            replies.push(mesh::ask(near, &service.name, &request_id(i)).await?);
        }
        let requests: Vec<_> = replies.iter().map(|reply| reply.request.clone()).collect();
        let (by_client, by_server) =
            tokio::try_join!(records(near, &client, &requests), records(far, &server, &requests))?;
        for reply in replies {
            seen.handshakes.push(Handshake {
                way: way.clone(),
                client: client.clone(),
                server: server.clone(),
                service: service.clone(),
                by_client: Record::by_client(&by_client, &reply.request).cloned(),
                by_server: Record::by_server(&by_server, &reply.request).cloned(),
                reply,
            });
        }
        let after = self.counters(&to.name).await?;
        seen.crossings.push(Crossing { way: way.clone(), service, before, after });
        Ok(())
    }

    /// Asks the far version once, expecting to be refused, and keeps what the client's sidecar wrote.
    pub async fn refused(&self, control: Control, way: &Way) -> Result<Refusal> {
        let (from, to) = (self.named(&way.from)?, self.named(&way.to)?);
        let near = self.api(&from.name)?;
        let client = workload(near, CURL).await?;
        let service = far_service(to);
        let reply = mesh::ask(near, &service.name, &request_id(0)).await?;
        let written = records(near, &client, std::slice::from_ref(&reply.request)).await?;
        let by_client = Record::by_client(&written, &reply.request).cloned();
        Ok(Refusal { control, way: way.clone(), service, reply, by_client, by_server: None })
    }

    /// Asks in plain text, from outside the mesh, and keeps what the server's sidecar wrote about the connection.
    pub async fn plain_text(&self, cluster: &ClusterName) -> Result<Refusal> {
        let here = self.named(cluster)?;
        let api = self.api(&here.name)?;
        let server = workload(api, HELLOWORLD).await?;
        let service = far_service(here);
        let reply = mesh::ask_from_outside(api, &service.name, &request_id(0)).await?;
        // A connection that no filter chain takes has no request id: it is found by its cause.
        let is_it = |record: &Record| record.cause() == Some(Cause::NoFilterChain);
        let written = written(api, &server, |all| all.iter().any(is_it)).await?;
        let by_server = written.into_iter().rfind(is_it);
        let way = Way { from: here.name.clone(), to: here.name.clone() };
        Ok(Refusal { control: Control::PlainText, way, service, reply, by_client: None, by_server })
    }

    /// Waits until the far version answers: what a mesh does by itself after its trust was put back.
    pub async fn answers_again(&self, way: &Way) -> Result<()> {
        let (from, to) = (self.named(&way.from)?, self.named(&way.to)?);
        let client = self.api(&from.name)?;
        let service = far_service(to).name;
        let what = format!("an answer of {} to {}", to.name, from.name);
        wait::eventually(&what, patience::SETTLE, &Note::silent(), || async {
            match mesh::ask(client, &service, &request_id(0)).await {
                Ok(reply) if reply.status == 200 => Look::Ready(()),
                Ok(reply) => Look::NotYet(format!("{} {}", reply.status, reply.body.trim())),
                Err(e) => Look::not_yet(e),
            }
        })
        .await
    }
}

/// The sidecar's records, once each of these requests is among them or time is up: Envoy writes its log once a
/// second. A request that is still missing then is missing evidence, which the judge says.
pub(crate) async fn records(client: &Client, of: &Workload, requests: &[String]) -> Result<Vec<Record>> {
    let is_in = |all: &[Record], request: &String| all.iter().any(|r| r.request_id.as_ref() == Some(request));
    written(client, of, |all| requests.iter().all(|request| is_in(all, request))).await
}

async fn written(client: &Client, of: &Workload, whole: impl Fn(&[Record]) -> bool) -> Result<Vec<Record>> {
    let params = LogParams {
        container: Some("istio-proxy".to_owned()),
        since_seconds: Some(patience::LOG_FLUSH.as_secs().cast_signed() + 30),
        ..Default::default()
    };
    let look = || async { Record::all_in(&logs(client, &of.namespace, &of.pod, &params).await?) };
    let what = format!("the sidecar's log of {}/{}", of.namespace, of.pod);
    let found = wait::eventually(&what, patience::LOG_FLUSH, &Note::silent(), || async {
        match look().await {
            Ok(all) if whole(&all) => Look::Ready(all),
            Ok(all) => Look::NotYet(format!("{} records, not yet all", all.len())),
            Err(e) => Look::Never(e),
        }
    })
    .await;
    match found {
        Err(e) if e.code() == harness::Code::TimedOut => look().await,
        found => found,
    }
}

/// The service that only one cluster's version stands behind.
fn far_service(cluster: &Cluster) -> Service {
    service(&format!("helloworld-{}", cluster.version))
}

fn service(name: &str) -> Service {
    Service { name: name.to_owned(), namespace: "istio-test".to_owned(), port: 5000 }
}

/// Unique, and no UUID: Envoy would write its tracing decision into one.
pub(crate) fn request_id(i: usize) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    format!("vouchsafe-{}-{}-{i}", now.as_micros(), std::process::id())
}
