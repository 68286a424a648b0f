//! What is left out when there is only one cluster? (004: Q4)

use crate::{CLUSTER1, CURL, Fixture, HELLOWORLD, MESH, scenarios};
use harness::error::Context as _;
use harness::{Code, Result, spire};
use proof::evidence::Must;

scenarios! {
    "single-cluster" => one_cluster_needs_nothing_of_federation {
        NO_OTHER_BUNDLE: "[S4-39] its SPIRE server holds no other bundle",
        NO_ENTRY_FEDERATES: "[S4-39] no entry federates",
        NO_MESH_NETWORKS: "[S4-39] there are no meshNetworks",
        NO_ALIAS: "[S4-39] there is no alias of another trust domain",
        NO_REMOTE_SECRET: "[S4-39] there is no remote secret",
        HELLOWORLD_ANSWERS: "[S4-39] helloworld answers curl",
        CLASSLESS_GIVES_NOTHING: "[S4-39] the document's ClusterSPIFFEID without className gives nothing \
            where the manager watches a class, as the operator's does",
        CLIENT_SAW_SERVER: "[S4-39] the client's sidecar saw the server's certificate, made by the \
            cluster's own SPIRE",
        SERVER_SAW_CLIENT: "[S4-39] the server's sidecar saw the client's certificate, made by the \
            cluster's own SPIRE",
    },
}

/// If this fails, one cluster alone needs something of federation, or meets itself without SPIRE.
async fn one_cluster_needs_nothing_of_federation(fixture: &mut Fixture<'_>) -> Result<()> {
    let cluster = fixture.cluster(CLUSTER1)?.clone();
    let bundles = spire::command(fixture.api(CLUSTER1)?, &["bundle", "list"]).await?;
    fixture.shows(NO_OTHER_BUNDLE, Must::be(""), bundles);
    let entries = spire::entries(fixture.api(CLUSTER1)?).await?;
    let federated = proof::identity::entries_of(&entries)?
        .iter()
        .filter(|entry| !entry.federates_with.is_empty())
        .count();
    fixture.shows(NO_ENTRY_FEDERATES, Must::be("0"), federated.to_string());
    fixture.shows(
        NO_MESH_NETWORKS,
        Must::be("networks: {}"),
        fixture.setting(CLUSTER1, MESH, "meshNetworks").await?,
    );
    fixture.shows(
        NO_ALIAS,
        Must::lack(["local", ".internal"]),
        aliases(&fixture.setting(CLUSTER1, MESH, "mesh").await?),
    );
    let secrets =
        harness::kube::object::dynamic(fixture.api(CLUSTER1)?, "v1", "Secret", Some("istio-system"))?;
    let wanted = kube::api::ListParams::default().labels("istio/multiCluster=true");
    let found =
        secrets.list(&wanted).await.or_fail(Code::Evidence, || "cannot list remote secrets".into())?;
    fixture.shows(NO_REMOTE_SECRET, Must::be("0"), found.items.len().to_string());
    let reply = fixture.ask(CLUSTER1, CURL, "curl", "http://helloworld.istio-test:5000/hello").await?;
    fixture.shows(HELLOWORLD_ANSWERS, Must::be("200"), reply.status.to_string());
    met(fixture, &reply.request).await?;

    // The control: the shortest form of the document, where the manager watches a class.
    let mut classless = fixture.manifest(CLUSTER1, "guide/late.yaml", &[("FEDERATES_WITH", "[]")])?;
    for object in classless.iter_mut().filter(|object| object["kind"] == "ClusterSPIFFEID") {
        object["spec"].as_object_mut().and_then(|spec| spec.remove("className"));
    }
    fixture.bring_objects(CLUSTER1, classless).await?;
    fixture.bring(CLUSTER1, "guide/short-lived.yaml", &[]).await?;
    fixture.ready(CLUSTER1, "short-lived", "short-lived").await?;
    let late = fixture
        .entries_for(CLUSTER1, &format!("spiffe://{}/ns/late/sa/default", cluster.trust_domain))
        .await?;
    fixture.shows(CLASSLESS_GIVES_NOTHING, Must::be("0 entries"), format!("{} entries", late.len()));
    Ok(())
}

/// Both sidecars' records of one request: each saw a certificate of the one SPIRE.
async fn met(fixture: &mut Fixture<'_>, request: &str) -> Result<()> {
    let by = fixture.cluster(CLUSTER1)?.name.clone();
    for (fact, who, of, seen) in
        [(CLIENT_SAW_SERVER, "client", CURL, HELLOWORLD), (SERVER_SAW_CLIENT, "server", HELLOWORLD, CURL)]
    {
        let records = fixture.records(CLUSTER1, of, request).await?;
        let pem = records.into_iter().find_map(|record| match who {
            "client" => record.upstream_peer_cert,
            _ => record.downstream_peer_cert,
        });
        let id = fixture.id(CLUSTER1, seen).await?;
        fixture.shows(
            fact,
            Must::BeSvid { by: by.clone(), id },
            pem.map(|pem| pem.as_str().to_owned()).unwrap_or_default(),
        );
    }
    Ok(())
}

/// The list below `trustDomainAliases`.
fn aliases(mesh: &str) -> String {
    let rest = mesh.split_once("trustDomainAliases:").map_or("none", |(_, rest)| rest);
    rest.lines()
        .take_while(|line| line.is_empty() || line.trim_start().starts_with(['-', '[']))
        .collect::<Vec<_>>()
        .join(" ")
}
