//! Probes: what can be seen of the pods of a fixture from outside: how they stand, what their proxies hold, what they answer and write.

use std::future::Future;

use harness::cmd::Output;
use harness::kube::exec::exec;
use harness::kube::forward;
use harness::kube::logs::logs;
use harness::kube::pods::{one_ready_pod, pods};
use harness::mesh::ENVOY_ADMIN;
use harness::progress::Note;
use harness::{Code, Error, Result, mesh, patience, spire, wait};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt as _;
use kube::api::{ListParams, LogParams};
use proof::envoy::{Held, Record};
use proof::evidence::{Reply, Workload};
use proof::identity::{Certificate, Entry, Pem, SpiffeId, entries_of};
use serde_json::Value;

use crate::Nth;
use crate::fixture::Fixture;
use crate::look::{held, workload};
use crate::objects::deployment;
use crate::pods::Pods;
use crate::requests::{records, request_id};

impl Fixture<'_> {
    /// The newest pod that the labels match, ready or not, that is not on its way out.
    pub async fn pod(&self, cluster: Nth, of: Pods<'_>) -> Result<Pod> {
        let found = self.pod_if_any(cluster, of).await?;
        found.ok_or_else(|| Error::new(Code::Evidence, format!("no pod of {} matches {}", of.0, of.1)))
    }

    /// The same, where there may be none: that is a finding, and an API server that does not answer is an error.
    pub async fn pod_if_any(&self, cluster: Nth, Pods(namespace, labels): Pods<'_>) -> Result<Option<Pod>> {
        let mut all = pods(self.api(cluster)?, namespace, labels).await?;
        all.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        all.sort_by_key(|pod| pod.metadata.creation_timestamp.clone());
        Ok(all.pop())
    }

    /// How it stands, as `kubectl get pods` says: `0/1 Running`. Sidecars that are init containers count, as there.
    pub async fn standing(&self, cluster: Nth, of: Pods<'_>) -> Result<String> {
        let pod = self.pod(cluster, of).await?;
        let status = pod.status.as_ref();
        let spec = pod.spec.as_ref();
        let sidecars: Vec<_> = spec
            .and_then(|spec| spec.init_containers.as_ref())
            .into_iter()
            .flatten()
            .filter(|container| container.restart_policy.as_deref() == Some("Always"))
            .map(|container| container.name.clone())
            .collect();
        let inits = status.and_then(|status| status.init_container_statuses.clone()).unwrap_or_default();
        let mains = status.and_then(|status| status.container_statuses.clone()).unwrap_or_default();
        let counted = || mains.iter().chain(inits.iter().filter(|one| sidecars.contains(&one.name)));
        let ready = counted().filter(|one| one.ready).count();
        let all = spec.map_or(0, |spec| spec.containers.len()) + sidecars.len();
        let phase = status.and_then(|status| status.phase.clone()).unwrap_or_default();
        Ok(format!("{ready}/{all} {phase}"))
    }

    /// Waits until it stands so, or time is up; then how it stands. A kubelet tells of a container's start a moment
    /// after the container answers.
    pub async fn stands(&self, cluster: Nth, of: Pods<'_>, wanted: &str) -> Result<String> {
        let what = format!("{} to stand {wanted}", of.1);
        self.until(&what, wanted, || self.standing(cluster, of)).await
    }

    /// Looks until `wanted` is in what is seen, or time is up; then what is seen. A claim about it is judged once.
    pub async fn until<F>(&self, what: &str, wanted: &str, look: impl FnMut() -> F) -> Result<String>
    where
        F: Future<Output = Result<String>>,
    {
        let missing = |seen: &String| (!seen.contains(wanted)).then(|| seen.clone());
        wait::last_look(what, patience::SETTLE, &Note::silent(), look, missing).await
    }

    /// Runs a program in a ready pod.
    pub async fn run(&self, cluster: Nth, of: Pods<'_>, container: &str, argv: &[&str]) -> Result<Output> {
        let api = self.api(cluster)?;
        let pod = one_ready_pod(api, of.0, of.1).await?.name_any();
        exec(api, of.0, &pod, container, argv).await
    }

    /// Asks `url` once with the pod's curl; the request's id is in the reply.
    pub async fn ask(&self, cluster: Nth, of: Pods<'_>, container: &str, url: &str) -> Result<Reply> {
        mesh::ask_url(self.api(cluster)?, (of.0, of.1, container), url, &request_id()).await
    }

    /// Who Kubernetes says a ready pod is.
    pub async fn workload(&self, cluster: Nth, of: Pods<'_>) -> Result<Workload> {
        workload(self.api(cluster)?, of).await
    }

    /// Who its SVID must name.
    pub async fn id(&self, cluster: Nth, of: Pods<'_>) -> Result<SpiffeId> {
        let domain = self.cluster(cluster)?.trust_domain.parse();
        let domain = domain.map_err(|e| Error::new(Code::Evidence, "the trust domain").because(e))?;
        let pod = self.pod(cluster, of).await?;
        let account =
            pod.spec.and_then(|spec| spec.service_account_name).unwrap_or_else(|| "default".to_owned());
        Workload { namespace: of.0.to_owned(), pod: String::new(), service_account: account, uid: None }
            .id(&domain, &self.mesh.world().identities)
    }

    /// What its proxy holds.
    pub async fn held(&self, cluster: Nth, of: Pods<'_>) -> Result<Held> {
        let pod = self.pod(cluster, of).await?.name_any();
        let workload =
            Workload { namespace: of.0.to_owned(), pod, service_account: String::new(), uid: None };
        held(self.api(cluster)?, &workload).await
    }

    /// The certificate of its own that its proxy holds, as PEM; empty when it holds none.
    pub async fn own_certificate(&self, cluster: Nth, of: Pods<'_>) -> Result<String> {
        Ok(self
            .held(cluster, of)
            .await?
            .certificate("default")
            .map(Pem::as_str)
            .unwrap_or_default()
            .to_owned())
    }

    /// An answer of its proxy's admin interface, such as `/stats?filter=ssl`.
    pub async fn admin(&self, cluster: Nth, of: Pods<'_>, path: &str) -> Result<String> {
        self.get(cluster, of, ENVOY_ADMIN, path).await
    }

    /// Waits until a sidecar knows an endpoint of a service (`name.namespace`): istiod tells it a moment after a pod
    /// is ready. When it never does, what is asked then says why.
    pub async fn knows(&self, cluster: Nth, of: Pods<'_>, service: &str, port: u16) -> Result<()> {
        // Pods, nodes and gateways have addresses that begin with 1; what else Envoy says of a cluster does not.
        let endpoint = format!("outbound|{port}||{service}.svc.cluster.local::1");
        let look = || self.admin(cluster, of, "/clusters");
        self.until(&format!("an endpoint of {service}"), &endpoint, look).await.map(drop)
    }

    /// An answer of any port inside the pod, reached as `kubectl port-forward` reaches it.
    pub async fn get(&self, cluster: Nth, of: Pods<'_>, port: u16, path: &str) -> Result<String> {
        let pod = self.pod(cluster, of).await?.name_any();
        forward::get(self.api(cluster)?, of.0, &pod, port, path).await
    }

    /// What its proxy recorded of a request: as the one who asked, or as the one who was asked.
    pub async fn records(&self, cluster: Nth, of: Pods<'_>, request: &str) -> Result<Vec<Record>> {
        let api = self.api(cluster)?;
        let workload = workload(api, of).await?;
        let all = records(api, &workload, &[request.to_owned()]).await?;
        Ok(all.into_iter().filter(|record| record.request_id.as_deref() == Some(request)).collect())
    }

    /// What the API server says of a Deployment: the messages of its conditions.
    pub async fn conditions(&self, cluster: Nth, namespace: &str, name: &str) -> Result<String> {
        let deployment = deployment(namespace, name);
        let deployment = self.read(cluster, &deployment).await?;
        let conditions = deployment.data.pointer("/status/conditions").and_then(Value::as_array);
        let said = conditions.into_iter().flatten().filter_map(|one| one["message"].as_str());
        Ok(said.collect::<Vec<_>>().join("\n"))
    }

    /// Everything that a container wrote.
    pub async fn log(&self, cluster: Nth, of: Pods<'_>, container: &str) -> Result<String> {
        let pod = self.pod(cluster, of).await?.name_any();
        let params = LogParams { container: Some(container.to_owned()), ..Default::default() };
        logs(self.api(cluster)?, of.0, &pod, &params).await
    }

    /// What happened to the objects of a namespace whose names begin so, a line for each event: why a pod cannot
    /// start, why a ReplicaSet cannot make one.
    pub async fn events(&self, cluster: Nth, namespace: &str, of: &str) -> Result<String> {
        let api: kube::Api<Event> = kube::Api::namespaced(self.api(cluster)?.clone(), namespace);
        let all = api.list(&ListParams::default()).await;
        let all = all.map_err(|e| Error::new(Code::Evidence, format!("events of {namespace}")).because(e))?;
        let about = |event: &Event| event.involved_object.name.as_deref().is_some_and(|n| n.starts_with(of));
        let told = all.items.into_iter().filter(about).map(|event| {
            format!("{}: {}", event.reason.unwrap_or_default(), event.message.unwrap_or_default())
        });
        Ok(told.collect::<Vec<_>>().join("\n"))
    }

    /// The SPIRE server's entries for that identity.
    pub async fn entries_for(&self, cluster: Nth, id: &str) -> Result<Vec<Entry>> {
        let all = entries_of(&spire::entries(self.api(cluster)?).await?)?;
        Ok(all.into_iter().filter(|entry| entry.spiffe_id.to_string() == id).collect())
    }
}

/// What certificates say, for reading: names are shown, and never vouch for anybody.
pub fn read_out(pem: &str) -> String {
    let told = |one: &Certificate| {
        let dns = one.dns.iter().map(|name| format!(" DNS:{name}"));
        let uris = one.uris.iter().map(|uri| format!(" URI:{uri}"));
        let names: String = dns.chain(uris).collect();
        format!("subject={} issuer={}{names}", one.subject, one.issuer)
    };
    match Pem::of(pem).certificates() {
        Ok(all) => all.iter().map(told).collect::<Vec<_>>().join("\n"),
        Err(flaw) => format!("no certificate: {flaw}"),
    }
}
