//! The east-west gateway, and the node's address as its load balancer: what k3s' servicelb does, without one more
//! pod to wait for. One address a cluster, so ports must not clash; 15443 and SPIRE's 8443 do not.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use serde_json::json;

use super::{Cx, Site, of, step};
use crate::kube::conditions::Standing;
use crate::kube::object::merge_patch_status;
use crate::kube::rollout::{Workload, rolled_out};
use crate::kube::watch::until;
use crate::plan::Plan;
use crate::progress::Note;
use crate::{Result, patience};
use proof::topology::Cluster;

/// Name of the Service and Deployment that istiod makes for the Gateway `east-west` of class `istio`.
const NAME: &str = "east-west-istio";

pub(super) fn steps(plan: &mut Plan<Cx>, cluster: &Cluster) {
    let id = |name| of(cluster, name);
    plan.add(
        step(cluster, "gateway", "east-west gateway has its address", address)
            .needs([id("istiod"), id("crds")]),
    );
    plan.add(step(cluster, "gateway-ready", "east-west gateway ready", ready).needs([
        id("gateway"),
        id("identities"),
        id("spire-agent"),
        id("csi"),
    ]));
}

async fn address(cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    cx.apply(&site, "gateway/east-west.yaml", &[], &note).await?;
    let services: Api<Service> = Api::namespaced(site.client()?.clone(), "istio-system");
    until(&services, NAME, "the gateway's Service", patience::STEP, &note, |_: &Service| Standing::Ready)
        .await?;
    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": NAME, "namespace": "istio-system" } });
    let status =
        json!({ "status": { "loadBalancer": { "ingress": [{ "ip": site.address()?.to_string() }] } } });
    merge_patch_status(site.client()?, &service, &status, &note).await.map(drop)
}

async fn ready(_cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    rolled_out(site.client()?, Workload::Deployment, "istio-system", NAME, patience::STEP, &note).await
}
