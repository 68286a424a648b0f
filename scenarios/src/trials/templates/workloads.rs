//! Who is met when a workload of the page (001) is called?

use crate::{CLUSTER1, Fixture, scenarios};
use harness::Result;
use harness::{Code, Error};
use proof::evidence::Must;
use proof::identity::Pem;

use super::{CALLER, MYAPI, SOCKET_OF_SPIRE, URL, containers, scene, socket_volume};

scenarios! {
    "template-workloads" => sidecars_meet_with_the_svids_of_their_pods {
        TRUST_DOMAIN_NAMED: "[S1-1] istiod's mesh configuration names the trust domain of SPIRE",
        SPIRES_VOLUME: "[S1-2] the template `spire` makes SPIRE's CSI volume of the sidecar's socket volume",
        VOLUME_IS_ENOUGH: "[S1-2] a template that gives only the volume is enough: the sidecar mounts it \
            once, where Istio's own template does",
        DEPLOYMENT_ADMITTED: "[S1-5] the page's Deployment is admitted: the pod has its container and a \
            sidecar",
        POD_READY: "[S1-5] the pod of the page's Deployment is ready, sidecar and all",
        CLIENT_ANSWERED: "[S1-8, S1-9] the client is answered",
        SERVER_SHOWED_SVID: "[S1-5, S1-8] the server's sidecar showed the client the SVID of its pod, made \
            by SPIRE",
        CLIENT_SHOWED_SVID: "[S1-9] the client's sidecar showed the server the SVID of its pod, made by \
            SPIRE",
    },
}

/// If this fails, the page's properties do not give sidecars the identities that it says.
async fn sidecars_meet_with_the_svids_of_their_pods(fixture: &mut Fixture<'_>) -> Result<()> {
    scene(fixture).await?;
    let config = fixture.setting(CLUSTER1, crate::MESH, "mesh").await?;
    let domain = fixture.cluster(CLUSTER1)?.trust_domain.clone();
    fixture.shows(TRUST_DOMAIN_NAMED, Must::have([format!("trustDomain: {domain}\n")]), config);

    let pod = fixture.pod(CLUSTER1, MYAPI).await?;
    fixture.shows(SPIRES_VOLUME, Must::be(SOCKET_OF_SPIRE), socket_volume(&pod)?);
    let proxies =
        pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    let mounts = proxies
        .filter(|container| container.name == "istio-proxy")
        .flat_map(|container| container.volume_mounts.iter().flatten())
        .filter(|mount| mount.name == "workload-socket")
        .map(|mount| mount.mount_path.as_str());
    fixture.shows(
        VOLUME_IS_ENOUGH,
        Must::be("/var/run/secrets/workload-spiffe-uds"),
        mounts.collect::<Vec<_>>().join(" "),
    );
    fixture.shows(DEPLOYMENT_ADMITTED, Must::have(["istio-proxy", "myapi"]), containers(&pod));
    let stands = fixture.standing(CLUSTER1, MYAPI).await?;
    fixture.shows(POD_READY, Must::be("2/2 Running"), stands);

    let by = fixture.cluster(CLUSTER1)?.name.clone();
    let (server, client) = (fixture.id(CLUSTER1, MYAPI).await?, fixture.id(CLUSTER1, CALLER).await?);
    let reply = fixture.ask(CLUSTER1, CALLER, "curl", URL).await?;
    fixture.shows(CLIENT_ANSWERED, Must::be("200"), reply.status.to_string());
    let at_client = fixture.records(CLUSTER1, CALLER, &reply.request).await?.pop();
    let at_server = fixture.records(CLUSTER1, MYAPI, &reply.request).await?.pop();
    let (Some(at_client), Some(at_server)) = (at_client, at_server) else {
        return Err(Error::new(Code::Evidence, "a sidecar wrote nothing of the request"));
    };
    let pem = |pem: &Option<Pem>| pem.as_ref().map(Pem::as_str).unwrap_or_default().to_owned();
    fixture.shows(
        SERVER_SHOWED_SVID,
        Must::BeSvid { by: by.clone(), id: server },
        pem(&at_client.upstream_peer_cert),
    );
    fixture.shows(CLIENT_SHOWED_SVID, Must::BeSvid { by, id: client }, pem(&at_server.downstream_peer_cert));
    Ok(())
}
