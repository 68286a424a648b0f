//! Finding pods by their labels.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use proof::evidence::Workload;

use super::conditions::Standing;
use super::fault;
use super::pod::pod;
use crate::{Code, Error, Result};

/// All pods of `ns` that `selector` (`app=curl,version=v1`) matches, by name.
///
/// # Errors
/// [`Code::KubeFailed`] when the API server refuses or does not answer.
pub async fn pods(client: &Client, ns: &str, selector: &str) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), ns);
    let listed = api.list(&ListParams::default().labels(selector)).await;
    let mut pods = listed.map_err(|f| fault::failed(format!("cannot list pods of {ns}"), &f))?.items;
    pods.sort_by_key(kube::ResourceExt::name_any);
    Ok(pods)
}

/// Who a pod is: what its identity must name.
pub fn workload_of(pod: &Pod) -> Workload {
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
    Workload {
        namespace: pod.namespace().unwrap_or_default(),
        pod: pod.name_any(),
        service_account: account.unwrap_or_else(|| "default".to_owned()),
        uid: pod.uid(),
    }
}

/// One ready pod, always the same one as long as it lives.
///
/// # Errors
/// [`Code::KubeFailed`] when none is ready, with the reason of each that is not.
pub async fn one_ready_pod(client: &Client, ns: &str, selector: &str) -> Result<Pod> {
    let mut others = Vec::new();
    for candidate in pods(client, ns, selector).await? {
        match pod(&candidate) {
            Standing::Ready => return Ok(candidate),
            Standing::Not(why) => others.push(format!("{}: {why}", candidate.name_any())),
        }
    }
    let seen = if others.is_empty() { String::from("no pod at all") } else { others.join("; ") };
    Err(Error::new(Code::KubeFailed, format!("no ready pod of {ns} matches {selector}")).seen(seen))
}
