//! What does the document (000) name beside its patch: a template for gateways, and a trust root for the whole mesh?

use crate::{CLUSTER1, Fixture, MESH, Map, Pods, scenarios};
use harness::Result;
use harness::kube::forward;
use harness::kube::pods::one_ready_pod;
use kube::ResourceExt as _;
use proof::evidence::Must;

use crate::trials::ingress::{NS, bring, meets_by_its_svid, said, through};

scenarios! {
    "ingress-variants" => a_template_replaces_the_patch_and_a_root_for_the_mesh_does_not {
        ROOT_TAKEN_BY_ISTIOD: "[S0-14] istiod takes SPIRE's root from caCertificates of meshConfig",
        NO_IDENTITY_BY_ROOT: "[S0-14] a trust root in meshConfig gives no identity: a gateway without the \
            socket has istiod's certificate",
        NO_TRUST_BY_ROOT: "[S0-14] nor does it make that gateway believe SPIRE: backends are refused as \
            before",
        TEMPLATE_HOLDS_SVID: "[S0-15] a gateway template (`gateway,spire-gw`) instead of the patch gives \
            the gateway its own SVID",
        TEMPLATE_IS_ANSWERED: "[S0-15] and its requests are answered by a backend that takes mutual TLS only",
        TEMPLATE_WAS_SHOWN: "[S0-15] which was shown that SVID",
        SIDECARS_TEMPLATE_HOLDS_SVID: "[S0-15, S0-13] the sidecars' template (`gateway,spire`) does as \
            well: a gateway inherits it when named",
        SIDECARS_TEMPLATE_IS_ANSWERED: "[S0-15] a gateway by the sidecars' template is answered by a \
            backend that takes mutual TLS only",
        SIDECARS_TEMPLATE_WAS_SHOWN: "[S0-15] which was shown the SVID of the gateway by the sidecars' \
            template",
    },
}

/// If this fails, a gateway needs a patch where a template would do, or a root in the mesh's configuration counts
/// although nobody said that it may.
async fn a_template_replaces_the_patch_and_a_root_for_the_mesh_does_not(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let here = fixture.cluster(CLUSTER1)?.name.clone();
    bring(fixture, &["by-template", "by-sidecars-template", "by-mesh-config"]).await?;
    let template = |gateway, template| [("GATEWAY", gateway), ("TEMPLATE", template)];
    fixture.patch(CLUSTER1, "ingress/template-patch.yaml", &template("by-template", "spire-gw")).await?;
    fixture
        .patch(CLUSTER1, "ingress/template-patch.yaml", &template("by-sidecars-template", "spire"))
        .await?;

    let root = fixture.setting(CLUSTER1, Map("spire", "spire-bundle"), "bundle.crt").await?;
    let mesh = fixture.setting(CLUSTER1, MESH, "mesh").await?;
    let pem: String = root.trim_end().lines().map(|line| format!("\n    {line}")).collect();
    let given = format!("{}\ncaCertificates:\n- pem: |{pem}\n", mesh.trim_end());
    fixture.set(CLUSTER1, MESH, "mesh", &given).await?;
    let istiod = one_ready_pod(fixture.api(CLUSTER1)?, "istio-system", "app=istiod").await?.name_any();
    let taken = fixture.until("the root in istiod's mesh configuration", "BEGIN CERTIFICATE", async || {
        forward::get(fixture.api(CLUSTER1)?, "istio-system", &istiod, 8080, "/debug/mesh").await
    });
    let taken = taken.await?;
    fixture.shows(ROOT_TAKEN_BY_ISTIOD, Must::have(["BEGIN CERTIFICATE"]), taken);
    // A proxy that starts after that.
    fixture.ready(CLUSTER1, NS, "by-mesh-config").await?;
    fixture.renew(CLUSTER1, Pods(NS, "app=by-mesh-config")).await?;
    fixture.ready(CLUSTER1, NS, "by-mesh-config").await?;
    let own = fixture.own_certificate(CLUSTER1, Pods(NS, "app=by-mesh-config")).await?;
    fixture.shows(NO_IDENTITY_BY_ROOT, Must::BeIstiods { of: here.clone() }, own);
    let passage = through(fixture, "by-mesh-config", "503").await?;
    fixture.shows(NO_TRUST_BY_ROOT, Must::have(["503", "CERTIFICATE_VERIFY_FAILED"]), said(&passage));

    for (gateway, claims) in [
        ("by-template", [TEMPLATE_HOLDS_SVID, TEMPLATE_IS_ANSWERED, TEMPLATE_WAS_SHOWN]),
        (
            "by-sidecars-template",
            [SIDECARS_TEMPLATE_HOLDS_SVID, SIDECARS_TEMPLATE_IS_ANSWERED, SIDECARS_TEMPLATE_WAS_SHOWN],
        ),
    ] {
        meets_by_its_svid(fixture, gateway, claims).await?;
    }
    Ok(())
}
