//! Does a request of Blue's mesh get a quote from Green, and who vouches for whom on its way?

use std::collections::BTreeSet;

use crate::{Fixture, Pods, scenarios};
use harness::{Code, Error, Result};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams};
use proof::evidence::Must;

use super::{BLUE, BLUE_ENVOY, GREEN, GREEN_ENVOY, SLEEP, ask, id, listed, pem, record, said, scene};

scenarios! {
    "blue-green-demo" => a_quote_crosses_from_blues_mesh_to_green {
        AGENT_LISTED: "[S2-7, S2-15] Blue's server lists Green's agent, attested by the join token, under \
            an ID of that kind",
        BLUE_IS_KIND: "[S2-1] Blue is a KIND cluster of its own, made by the same command as the other",
        GREEN_IS_KIND: "[S2-1] Green is a KIND cluster of its own, made by the same command as the other",
        INJECTS_BY_ITSELF: "[S2-2, S2-6] Blue injects sidecars by itself: the sleep pod, which asks for \
            none, has one",
        SERVER_WITH_REGISTRAR: "[S2-3] Blue runs the SPIRE server with the registrar of today, the \
            controller manager, beside it",
        AGENT_OF_BLUE: "[S2-3] Blue runs a SPIRE agent of its own",
        LOAD_BALANCER: "[S2-9] Green's Envoy is a Service of type LoadBalancer",
        CLUSTERS_TOLD: "what Ambassador was for is had by a port-forward: Green's Envoy tells the state of \
            its clusters",
        QUOTES_HEARD: "[S2-8, S2-10] curl in the sleep pod, never on the host, gets quotes of Green, one \
            or the other",
        INWARD_SERVER_OF_ISTIOD: "[S2-4] inward, Blue's Envoy met the mesh through its sidecar, with a \
            certificate of istiod's CA",
        INWARD_CLIENT_OF_ISTIOD: "[S2-4] inward, the client's sidecar showed a certificate of istiod's CA, \
            too",
        GREENS_NODE_ADDRESSED: "[S2-4, S2-9] outward, Blue's Envoy connected to Green's at the address of \
            its node, by itself",
        GREEN_SHOWED_SVID: "[S2-4, S2-15] outward, Green's Envoy showed an SVID of Blue's trust domain, \
            made by Blue's SPIRE server",
        BLUE_SHOWED_SVID: "[S2-4, S2-15] outward, Blue's Envoy showed an SVID of the same trust domain, \
            made by the same SPIRE server",
        MUTUAL_TLS: "[S2-15] both Envoys recorded that handshake as mutual TLS of one version",
    },
}

/// Questions after which a Service of two has given both answers, but for one time in eight million.
const SAMPLE: usize = 24;

/// If this fails, the document's demonstration does not work, or works with other certificates than it says.
async fn a_quote_crosses_from_blues_mesh_to_green(fixture: &mut Fixture<'_>) -> Result<()> {
    let agent = scene(fixture).await?;
    clusters(fixture).await?;
    quotes(fixture).await?;
    handshakes(fixture).await?;
    let seen = listed(fixture, &agent.token).await?;
    fixture.shows(
        AGENT_LISTED,
        Must::have([
            format!("/spire/agent/join_token/{}", agent.token),
            "Attestation type  : join_token".to_owned(),
        ]),
        seen,
    );
    Ok(())
}

async fn clusters(fixture: &mut Fixture<'_>) -> Result<()> {
    for (cluster, fact) in [(BLUE, BLUE_IS_KIND), (GREEN, GREEN_IS_KIND)] {
        let name = fixture.cluster(cluster)?.name.clone();
        let nodes: Api<Node> = Api::all(fixture.api(cluster)?.clone());
        let nodes = nodes.list(&ListParams::default()).await;
        let nodes = nodes.map_err(|e| Error::new(Code::Evidence, "cannot list nodes").because(e))?.items;
        let ids = nodes.into_iter().filter_map(|node| node.spec?.provider_id);
        fixture.shows(
            fact,
            Must::have([format!("kind://docker/{name}/")]),
            ids.collect::<Vec<_>>().join(" "),
        );
    }
    let injected = fixture.standing(BLUE, SLEEP).await?;
    fixture.shows(INJECTS_BY_ITSELF, Must::be("2/2 Running"), injected);
    let server = fixture.standing(BLUE, Pods("spire", "app=spire-server")).await?;
    fixture.shows(SERVER_WITH_REGISTRAR, Must::be("2/2 Running"), server);
    let agent = fixture.standing(BLUE, Pods("spire", "app=spire-agent")).await?;
    fixture.shows(AGENT_OF_BLUE, Must::be("1/1 Running"), agent);
    let service = crate::service("green", "envoy");
    let kind =
        fixture.read(GREEN, &service).await?.data["spec"]["type"].as_str().unwrap_or_default().to_owned();
    fixture.shows(LOAD_BALANCER, Must::be("LoadBalancer"), kind);
    let debug = fixture.admin(GREEN, GREEN_ENVOY, "/clusters").await?;
    fixture.shows(CLUSTERS_TOLD, Must::have(["quote::", "::health_flags::healthy"]), debug);
    Ok(())
}

async fn quotes(fixture: &mut Fixture<'_>) -> Result<()> {
    let mut heard = BTreeSet::new();
    let mut asked = 0;
    while asked < SAMPLE && heard.len() < 2 {
        let reply = ask(fixture, "envoy").await?;
        heard.insert(said(&reply).split(", instance").next().unwrap_or_default().to_owned());
        asked += 1;
    }
    fixture.shows(
        QUOTES_HEARD,
        Must::have([
            "200 Hello version: trust, but verify",
            "200 Hello version: quis custodiet ipsos custodes",
        ]),
        heard.into_iter().collect::<Vec<_>>().join("\n"),
    );
    Ok(())
}

/// One request, as four witnesses recorded it.
async fn handshakes(fixture: &mut Fixture<'_>) -> Result<()> {
    let reply = ask(fixture, "envoy").await?;
    let by = fixture.cluster(BLUE)?.name.clone();
    let at_sleep = fixture.records(BLUE, SLEEP, &reply.request).await?.pop().unwrap_or_default();
    let at_sidecar = fixture.records(BLUE, BLUE_ENVOY, &reply.request).await?.pop().unwrap_or_default();
    fixture.shows(
        INWARD_SERVER_OF_ISTIOD,
        Must::BeIstiods { of: by.clone() },
        pem(&at_sleep.upstream_peer_cert),
    );
    fixture.shows(
        INWARD_CLIENT_OF_ISTIOD,
        Must::BeIstiods { of: by.clone() },
        pem(&at_sidecar.downstream_peer_cert),
    );
    let at_blue = record(fixture, BLUE, BLUE_ENVOY, &reply.request).await?;
    let at_green = record(fixture, GREEN, GREEN_ENVOY, &reply.request).await?;
    let green = fixture.address(GREEN)?;
    fixture.shows(
        GREENS_NODE_ADDRESSED,
        Must::be(format!("{green}:10443")),
        at_blue.upstream_host.clone().unwrap_or_default(),
    );
    fixture.shows(
        GREEN_SHOWED_SVID,
        Must::BeSvid { by: by.clone(), id: id(fixture, "green", "envoy")? },
        pem(&at_blue.upstream_peer_cert),
    );
    fixture.shows(
        BLUE_SHOWED_SVID,
        Must::BeSvid { by, id: id(fixture, "blue", "envoy")? },
        pem(&at_green.downstream_peer_cert),
    );
    let versions =
        [at_blue.upstream_tls_version, at_green.downstream_tls_version].map(Option::unwrap_or_default);
    fixture.shows(MUTUAL_TLS, Must::be("TLSv1.2 TLSv1.2"), versions.join(" "));
    Ok(())
}
