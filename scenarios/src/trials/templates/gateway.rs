//! Does the gateway that istiod injects have an identity of its own, as the page (001) shows it?

use crate::{CLUSTER1, Fixture, OUTSIDER, Pods, scenarios};
use harness::{Code, Error, Result};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use kube::api::Api;
use proof::envoy::Record;
use proof::evidence::Must;
use proof::identity::Pem;

use super::{MYAPI, SOCKET_OF_SPIRE, scene, socket_volume};

scenarios! {
    "template-gateway" => the_injected_gateway_has_an_entry_and_meets_workloads_with_it {
        SPIRES_VOLUME_ALONE: "[S1-3, S1-10] the template `spire-gw` makes SPIRE's CSI volume, and nothing \
            else, of the gateway's socket volume",
        GATEWAY_HOLDS_SVID: "[S1-10] the injected gateway holds a certificate of its own, made by SPIRE",
        OUTSIDER_ANSWERED: "[S1-10] a client without a sidecar is answered through the gateway",
        WORKLOAD_SAW_GATEWAY: "[S1-10] the gateway opened mutual TLS to the workload, which recorded the \
            gateway's certificate, made by SPIRE",
        ENTRIES_LISTED: "[S1-11] the page's command `./bin/spire-server entry show`, run in the server's \
            pod, lists the entries",
        ENTRY_AS_SHOWN: "[S1-12] the gateway's entry is shown as the page shows it: an ID with the \
            cluster's prefix, the gateway's SPIFFE ID, revision and lifetimes",
        PARENT_IS_THE_AGENT: "[S1-12, S1-13] the entry's parent is the agent of the gateway's node, by the \
            node's own uid",
        SELECTOR_IS_THE_POD: "[S1-12, S1-13] the entry's only selector is the gateway pod's own uid",
    },
    "template-gateway-null" => the_null_in_the_gateways_template_makes_no_difference_any_more {
        SAME_VOLUME_WITHOUT_NULL: "[S1-3] a gateway of the template without `emptyDir: null` gets the same \
            volume: Istio now replaces the whole source",
        SVID_WITHOUT_NULL: "[S1-3] a gateway of the template without `emptyDir: null` holds a certificate \
            made by SPIRE",
    },
}

const GATEWAY: Pods<'_> = Pods("istio-system", "istio=istio-ingressgateway");

/// If this fails, the gateway meets workloads under no identity of its own, or the page's command shows another entry.
async fn the_injected_gateway_has_an_entry_and_meets_workloads_with_it(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    scene(fixture).await?;
    fixture.bring(CLUSTER1, "templates/gateway-route.yaml", &[]).await?;
    bring(fixture, "istio-ingressgateway", "gateway,spire-gw").await?;
    let volume = socket_volume(&fixture.pod(CLUSTER1, GATEWAY).await?)?;
    fixture.shows(SPIRES_VOLUME_ALONE, Must::be(SOCKET_OF_SPIRE), volume);
    entry_as_the_page_shows_it(fixture).await?;

    let (by, id) = (fixture.cluster(CLUSTER1)?.name.clone(), fixture.id(CLUSTER1, GATEWAY).await?);
    let held = fixture.own_certificate(CLUSTER1, GATEWAY).await?;
    fixture.shows(GATEWAY_HOLDS_SVID, Must::BeSvid { by: by.clone(), id: id.clone() }, held);
    let url = "http://istio-ingressgateway.istio-system/hello";
    fixture
        .until("the gateway to know its route", "200", || async {
            Ok(fixture.ask(CLUSTER1, OUTSIDER, "curl", url).await?.status.to_string())
        })
        .await?;
    let asked = format!("/hello?{}", fixture.pod(CLUSTER1, GATEWAY).await?.uid().unwrap_or_default());
    let reply = fixture.ask(CLUSTER1, OUTSIDER, "curl", &url.replace("/hello", &asked)).await?;
    fixture.shows(OUTSIDER_ANSWERED, Must::be("200"), reply.status.to_string());
    // A gateway gives a request from outside an id of its own; the path stays.
    let record = recorded(fixture, &asked).await?;
    let shown = record.and_then(|record| record.downstream_peer_cert);
    fixture.shows(
        WORKLOAD_SAW_GATEWAY,
        Must::BeSvid { by, id },
        shown.as_ref().map(Pem::as_str).unwrap_or_default(),
    );
    Ok(())
}

/// If this fails, `emptyDir: null` is needed again, or has come to harm.
async fn the_null_in_the_gateways_template_makes_no_difference_any_more(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    fixture.bring(CLUSTER1, "templates/identities.yaml", &[("LABEL", super::LABEL)]).await?;
    // For the gateway's account; its route is to a workload, which need not be ready here.
    fixture.bring(CLUSTER1, "templates/myapi.yaml", &[]).await?;
    fixture.bring(CLUSTER1, "templates/gateway-route.yaml", &[]).await?;
    bring(fixture, "without-null", "gateway,spire").await?;
    let pods = Pods("istio-system", "istio=without-null");
    let volume = socket_volume(&fixture.pod(CLUSTER1, pods).await?)?;
    fixture.shows(SAME_VOLUME_WITHOUT_NULL, Must::be(SOCKET_OF_SPIRE), volume);
    let (by, id) = (fixture.cluster(CLUSTER1)?.name.clone(), fixture.id(CLUSTER1, pods).await?);
    let held = fixture.own_certificate(CLUSTER1, pods).await?;
    fixture.shows(SVID_WITHOUT_NULL, Must::BeSvid { by, id }, held);
    Ok(())
}

/// What the workload's sidecar recorded of the request for that path.
async fn recorded(fixture: &Fixture<'_>, path: &str) -> Result<Option<Record>> {
    let log =
        fixture.until("the sidecar's record", path, || fixture.log(CLUSTER1, MYAPI, "istio-proxy")).await?;
    Ok(Record::all_in(&log)?.into_iter().rfind(|record| record.path.as_deref() == Some(path)))
}

async fn bring(fixture: &mut Fixture<'_>, name: &str, templates: &str) -> Result<()> {
    let values = [("NAME", name), ("TEMPLATES", templates), ("IMAGE_BY_INJECTION", "auto")];
    fixture.bring(CLUSTER1, "templates/gateway.yaml", &values).await?;
    fixture.ready(CLUSTER1, "istio-system", name).await
}

/// The page's command, and its output line by line: each number in it is one that Kubernetes knows too.
async fn entry_as_the_page_shows_it(fixture: &mut Fixture<'_>) -> Result<()> {
    let server = Pods("spire", "app=spire-server");
    let said =
        fixture.run(CLUSTER1, server, "spire-server", &["./bin/spire-server", "entry", "show"]).await?;
    fixture.shows(
        ENTRIES_LISTED,
        Must::have(["0:", "Found ", " entries"]),
        format!("{}: {}{}", said.status, said.stdout, said.stderr),
    );
    let id = fixture.id(CLUSTER1, GATEWAY).await?.to_string();
    // Name and value of each line, without the padding between them, which is wider than in the page by now.
    let lines = said.stdout.lines().map(|line| match line.split_once(" : ") {
        Some((name, value)) => format!("{}: {}", name.trim(), value.trim()),
        None => line.trim().to_owned(),
    });
    let shown = lines.collect::<Vec<_>>().join("\n");
    let blocks = shown.split("\n\n").filter(|block| block.contains(&format!("SPIFFE ID: {id}\n")));
    let block = format!("{}\n", blocks.collect::<Vec<_>>().join("\n\n"));
    let cluster = fixture.cluster(CLUSTER1)?.clone();
    let pod = fixture.pod(CLUSTER1, GATEWAY).await?;
    fixture.shows(
        ENTRY_AS_SHOWN,
        Must::have([
            format!("Entry ID: {}.", cluster.name),
            format!("SPIFFE ID: spiffe://{}/ns/istio-system/sa/istio-ingressgateway", cluster.trust_domain),
            "Revision: 0".to_owned(),
            "X509-SVID TTL: default".to_owned(),
            "JWT-SVID TTL: default".to_owned(),
        ]),
        block.clone(),
    );
    let nodes: Api<Node> = Api::all(fixture.api(CLUSTER1)?.clone());
    let name = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
    let node =
        nodes.get(&name).await.map_err(|e| Error::new(Code::Evidence, "cannot read the node").because(e))?;
    let agent = format!("spiffe://{}/spire/agent/k8s_psat/{}", cluster.trust_domain, cluster.name);
    fixture.shows(
        PARENT_IS_THE_AGENT,
        Must::have([format!("Parent ID: {agent}/{}\n", node.uid().unwrap_or_default())]),
        block.clone(),
    );
    fixture.shows(
        SELECTOR_IS_THE_POD,
        Must::be(format!("Selector: k8s:pod-uid:{}", pod.uid().unwrap_or_default())),
        block.lines().filter(|line| line.starts_with("Selector")).collect::<Vec<_>>().join("\n"),
    );
    Ok(())
}
