//! The service mesh page (001): templates give sidecars and gateways the socket of SPIRE, properties of the pod ask
//! for it.

mod gateway;
mod properties;
mod strictness;
mod workloads;

use crate::trial::Scenario;

use crate::{CLUSTER1, Fixture, Pods};
use harness::{Code, Error, Result};
use k8s_openapi::api::core::v1::{Pod, Volume};

pub(super) const SCENARIOS: &[&[Scenario]] =
    &[gateway::SCENARIOS, properties::SCENARIOS, strictness::SCENARIOS, workloads::SCENARIOS];

const MYAPI: Pods<'_> = Pods("myapi", "app=myapi");
const CALLER: Pods<'_> = Pods("myapi", "app=caller");
const URL: &str = "http://myapi.myapi/hello";
/// The label that the page has; that of the gateway's document (000) is `spiffe.io/spire-managed-identity`.
const LABEL: &str = "spire-managed-identity";
/// The volume of that name, as the page's templates write it.
const SOCKET_OF_SPIRE: &str =
    r#"{"csi":{"driver":"csi.spiffe.io","readOnly":true},"name":"workload-socket"}"#;

/// The page's workload and a client of it, ready, with the identities that their label asks for.
async fn scene(fixture: &mut Fixture<'_>) -> Result<()> {
    fixture.bring(CLUSTER1, "templates/identities.yaml", &[("LABEL", LABEL)]).await?;
    fixture.bring(CLUSTER1, "templates/myapi.yaml", &[]).await?;
    fixture.ready(CLUSTER1, "myapi", "myapi").await?;
    fixture.ready(CLUSTER1, "myapi", "caller").await?;
    fixture.knows(CLUSTER1, CALLER, "myapi.myapi", 80).await
}

/// The volume in which a pod's proxy looks for its socket, as JSON.
fn socket_volume(pod: &Pod) -> Result<String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let found: Vec<&Volume> = volumes.filter(|volume| volume.name == "workload-socket").collect();
    let written = found.into_iter().map(serde_json::to_value).collect::<std::result::Result<Vec<_>, _>>();
    let written = written.map_err(|e| Error::new(Code::Evidence, "a volume").because(e))?;
    Ok(written.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

/// The names of a pod's containers; those that start before the others come first, as sidecars do.
fn containers(pod: &Pod) -> String {
    let spec = pod.spec.iter();
    let all = spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    all.map(|container| container.name.as_str()).collect::<Vec<_>>().join(" ")
}
