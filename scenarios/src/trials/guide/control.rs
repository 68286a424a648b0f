//! Which settings of istiod matter for trust, and which do nothing? (004: step 9, the tables of settings, Q2)

use crate::{CLUSTER1, CLUSTER2, CURL, Fixture, HELLOWORLD, MESH, SERVER, deployment, scenarios};
use harness::Result;
use harness::kube::rollout::Workload;
use proof::evidence::Must;
use serde_json::json;

scenarios! {
    "inert-settings" => two_settings_of_the_guide_are_absent_and_not_missed {
        NO_POD_IS_TOLD: "[S4-12, S4-28, S4-35] no pod of this mesh is told CREDENTIAL_SOCKET_EXISTS or \
            ISTIO_META_TLS_CLIENT_ROOT_CERT, and SPIRE's certificates are used",
        TRUST_DOMAIN_AND_ALIAS: "[S4-2, S4-12] istiod's trust domain is the SPIRE server's, and the peer's \
            is its alias",
        TRUST_DOMAIN_READ_BACK each cluster: "[S4-2] the trust domain of {cluster} is read back from its \
            SPIRE server's configuration",
    },
    "aliases" => a_server_accepts_a_foreign_client_only_if_its_trust_domain_is_an_alias {
        CONNECTION_ENDED: "[S4-35] without the client's trust domain among the server's trustDomainAliases \
            the server ends the connection",
    },
    "identity-check" => istiods_identity_check_may_be_on_or_off {
        JOINS_WITH_CHECK_ON: "[S4-37] with PILOT_ENABLE_XDS_IDENTITY_CHECK=true a new pod on SPIRE's \
            identity joins the mesh",
        JOINS_WITH_CHECK_OFF: "[S4-37] with PILOT_ENABLE_XDS_IDENTITY_CHECK=false a new pod on SPIRE's \
            identity joins the mesh",
        CERTIFICATE_IS_SPIRES: "[S4-37] and its certificate is SPIRE's",
    },
    "aliases-again" => a_server_accepts_a_foreign_client_only_if_its_trust_domain_is_an_alias_again {
        ANSWERED_WITH_ALIAS: "[S4-35] with the alias put back the same call is answered",
    },
}

/// If this fails, a setting that people copy from the guide has begun to matter.
async fn two_settings_of_the_guide_are_absent_and_not_missed(fixture: &mut Fixture<'_>) -> Result<()> {
    let pod = fixture.pod(CLUSTER1, CURL).await?;
    let spec = json!(pod.spec);
    fixture.shows(
        NO_POD_IS_TOLD,
        Must::lack(["CREDENTIAL_SOCKET_EXISTS", "ISTIO_META_TLS_CLIENT_ROOT_CERT"]),
        spec.to_string(),
    );
    let mesh = fixture.setting(CLUSTER1, MESH, "mesh").await?;
    let (own, peer) =
        (fixture.cluster(CLUSTER1)?.trust_domain.clone(), fixture.cluster(CLUSTER2)?.trust_domain.clone());
    fixture.shows(TRUST_DOMAIN_AND_ALIAS, Must::have([format!("trustDomain: {own}"), peer]), mesh);
    for nth in [CLUSTER1, CLUSTER2] {
        let conf = fixture.setting(nth, SERVER, "server.conf").await?;
        let cluster = fixture.cluster(nth)?.clone();
        fixture.shows(
            TRUST_DOMAIN_READ_BACK.of(&cluster.name),
            Must::have([format!("trust_domain = \"{}\"", cluster.trust_domain)]),
            conf,
        );
    }
    Ok(())
}

/// If this fails, Istio accepts strangers without being told of their trust domain, or refuses friends.
async fn a_server_accepts_a_foreign_client_only_if_its_trust_domain_is_an_alias(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let name = fixture.cluster(CLUSTER1)?.trust_domain.clone();
    let mesh = fixture.setting(CLUSTER2, MESH, "mesh").await?;
    let without: Vec<&str> = mesh.lines().filter(|line| line.trim() != format!("- {name}")).collect();
    let without = without.join("\n").replace("trustDomainAliases:", "trustDomainAliases: []");
    fixture.set(CLUSTER2, MESH, "mesh", &without).await?;
    let url = format!("http://helloworld-{}.istio-test:5000/hello", fixture.cluster(CLUSTER2)?.version);
    let reply = fixture
        .until("the refusal", "503", async || {
            let reply = fixture.ask(CLUSTER1, CURL, "curl", &url).await?;
            let records = fixture.records(CLUSTER1, CURL, &reply.request).await?;
            let flags = records.into_iter().filter_map(|record| record.response_code_details);
            Ok(format!("{} {}", reply.status, flags.collect::<Vec<_>>().join(" ")))
        })
        .await?;
    fixture.shows(CONNECTION_ENDED, Must::have(["503", "connection_termination"]), reply);
    Ok(())
}

/// If this fails, what aliases took is not back.
async fn a_server_accepts_a_foreign_client_only_if_its_trust_domain_is_an_alias_again(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    fixture.mesh.answers_again(&fixture.mesh.way(CLUSTER1, CLUSTER2)?).await?;
    let reply = fixture
        .ask(
            CLUSTER1,
            CURL,
            "curl",
            &format!("http://helloworld-{}.istio-test:5000/hello", fixture.cluster(CLUSTER2)?.version),
        )
        .await?;
    fixture.shows(ANSWERED_WITH_ALIAS, Must::be("200"), reply.status.to_string());
    Ok(())
}

/// If this fails, the check that istiod makes of proxies has begun to look at their SVIDs.
async fn istiods_identity_check_may_be_on_or_off(fixture: &mut Fixture<'_>) -> Result<()> {
    for (value, joins) in [("true", JOINS_WITH_CHECK_ON), ("false", JOINS_WITH_CHECK_OFF)] {
        let istiod = deployment("istio-system", "istiod");
        let mut containers =
            json!(fixture.read(CLUSTER1, &istiod).await?.data["spec"]["template"]["spec"]["containers"]);
        if let Some(env) = containers[0]["env"].as_array_mut() {
            env.retain(|one| one["name"] != "PILOT_ENABLE_XDS_IDENTITY_CHECK");
            env.push(json!({ "name": "PILOT_ENABLE_XDS_IDENTITY_CHECK", "value": value }));
        }
        fixture
            .change(
                CLUSTER1,
                &istiod,
                &json!({ "spec": { "template": { "spec": { "containers": containers } } } }),
            )
            .await?;
        fixture.ready(CLUSTER1, "istio-system", "istiod").await?;
        fixture.restart_pods(CLUSTER1, "istio-test", "helloworld", Workload::Deployment).await?;
        let url = format!("http://helloworld-{}.istio-test:5000/hello", fixture.cluster(CLUSTER1)?.version);
        let reply = fixture
            .until("an answer", "200", async || {
                Ok(fixture.ask(CLUSTER1, CURL, "curl", &url).await?.status.to_string())
            })
            .await?;
        fixture.shows(joins, Must::be("200"), reply);
    }
    let by = fixture.cluster(CLUSTER1)?.name.clone();
    let (id, pem) =
        (fixture.id(CLUSTER1, HELLOWORLD).await?, fixture.own_certificate(CLUSTER1, HELLOWORLD).await?);
    fixture.shows(CERTIFICATE_IS_SPIRES, Must::BeSvid { by, id }, pem);
    Ok(())
}
