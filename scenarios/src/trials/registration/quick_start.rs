//! What of the page's installation (003) is here under which name, and what would its clean-up find?

use crate::shows::Shows;
use crate::{CLUSTER1, Fixture, Pods, scenarios};
use harness::Result;
use proof::evidence::Must;

scenarios! {
    "quick-start" => the_pages_installation_is_here_and_its_clean_up_would_miss_some {
        SERVER_RUNS: "[S3-1] the server runs, and the registrar beside it: today's is the controller manager",
        AGENT_RUNS: "[S3-1] the agent runs",
        DRIVER_RUNS: "[S3-1, S3-2] the CSI driver runs, which shares the agent's socket with pods",
        REGISTRAR_REPLACED: "[S3-1, S3-7] the registrar of the page is gone; spire-controller-manager has \
            its place in the server's pod",
        SOCKETS_PLACE_IS_FREE: "[S3-2] where the agent itself puts its socket is free, for the CSI driver \
            gives pods the folder: only the file's name must be `socket`",
        SPIFFEIDS_GONE: "[S3-24] a command of the page names what is not here any more: \
            CustomResourceDefinition spiffeids.spiffeid.spiffe.io",
        AGENT_ACCOUNT_NAMED: "[S3-24] a command of the page names what is here: ServiceAccount \
            spire/spire-agent",
        AGENT_CONFIGURATION_NAMED: "[S3-24] a command of the page names what is here: ConfigMap \
            spire/spire-agent",
        AGENT_DEPLOYMENT_MISSED: "[S3-24] the agent is no Deployment, so the page's fourth command misses \
            it: Deployment spire/spire-agent",
        DRIVER_NAMED: "[S3-24] a command of the page names what is here: CSIDriver csi.spiffe.io",
        SERVER_CONFIGURATION_NAMED: "[S3-24] a command of the page names what is here: ConfigMap \
            spire/spire-server",
        SERVER_SERVICE_NAMED: "[S3-24] a command of the page names what is here: Service spire/spire-server",
        SERVER_ACCOUNT_NAMED: "[S3-24] a command of the page names what is here: ServiceAccount \
            spire/spire-server",
        SERVER_NAMED: "[S3-24] a command of the page names what is here: StatefulSet spire/spire-server",
        SERVER_ROLE_GONE: "[S3-24] a command of the page names what is not here any more: ClusterRole \
            spire-server-trust-role",
        AGENT_ROLE_GONE: "[S3-24] a command of the page names what is not here any more: ClusterRole \
            spire-agent-cluster-role",
        SERVER_BINDING_GONE: "[S3-24] a command of the page names what is not here any more: \
            ClusterRoleBinding spire-server-trust-role-binding",
        AGENT_BINDING_GONE: "[S3-24] a command of the page names what is not here any more: \
            ClusterRoleBinding spire-agent-cluster-role-binding",
        NAMESPACE_NAMED: "[S3-24] a command of the page names what is here: Namespace spire",
        AGENT_DAEMON_SET_LEFT: "[S3-24] the agent is a DaemonSet, which no command of the page names: \
            DaemonSet spire/spire-agent",
        DEFINITIONS_LEFT: "[S3-24] the definitions of today's registrar are left by the page's commands: \
            CustomResourceDefinition clusterspiffeids.spire.spiffe.io",
    },
}

/// The page's clean-up, object by object: whether it is here.
const CLEAN_UP: [(Shows, &str, &str, &str, bool); 16] = [
    (
        SPIFFEIDS_GONE,
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "spiffeids.spiffeid.spiffe.io",
        false,
    ),
    (AGENT_ACCOUNT_NAMED, "v1", "ServiceAccount", "spire/spire-agent", true),
    (AGENT_CONFIGURATION_NAMED, "v1", "ConfigMap", "spire/spire-agent", true),
    (AGENT_DEPLOYMENT_MISSED, "apps/v1", "Deployment", "spire/spire-agent", false),
    (DRIVER_NAMED, "storage.k8s.io/v1", "CSIDriver", "csi.spiffe.io", true),
    (SERVER_CONFIGURATION_NAMED, "v1", "ConfigMap", "spire/spire-server", true),
    (SERVER_SERVICE_NAMED, "v1", "Service", "spire/spire-server", true),
    (SERVER_ACCOUNT_NAMED, "v1", "ServiceAccount", "spire/spire-server", true),
    (SERVER_NAMED, "apps/v1", "StatefulSet", "spire/spire-server", true),
    (SERVER_ROLE_GONE, "rbac.authorization.k8s.io/v1", "ClusterRole", "spire-server-trust-role", false),
    (AGENT_ROLE_GONE, "rbac.authorization.k8s.io/v1", "ClusterRole", "spire-agent-cluster-role", false),
    (
        SERVER_BINDING_GONE,
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "spire-server-trust-role-binding",
        false,
    ),
    (
        AGENT_BINDING_GONE,
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "spire-agent-cluster-role-binding",
        false,
    ),
    (NAMESPACE_NAMED, "v1", "Namespace", "spire", true),
    // What it does not name.
    (AGENT_DAEMON_SET_LEFT, "apps/v1", "DaemonSet", "spire/spire-agent", true),
    (
        DEFINITIONS_LEFT,
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "clusterspiffeids.spire.spiffe.io",
        true,
    ),
];

/// If this fails, the installation is not the page's any more, and its scenarios are about something else.
async fn the_pages_installation_is_here_and_its_clean_up_would_miss_some(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    for (of, wanted, runs) in [
        (Pods("spire", "app=spire-server"), "2/2 Running", SERVER_RUNS),
        (Pods("spire", "app=spire-agent"), "1/1 Running", AGENT_RUNS),
        (Pods("spire", "app=spiffe-csi-driver"), "2/2 Running", DRIVER_RUNS),
    ] {
        let standing = fixture.standing(CLUSTER1, of).await?;
        fixture.shows(runs, Must::be(wanted), standing);
    }
    let pod = fixture.pod(CLUSTER1, Pods("spire", "app=spire-server")).await?;
    let containers = pod.spec.into_iter().flat_map(|spec| spec.containers);
    let containers: Vec<_> = containers.map(|container| container.name).collect();
    fixture.shows(
        REGISTRAR_REPLACED,
        Must::be("spire-server spire-controller-manager"),
        containers.join(" "),
    );
    let config = fixture.setting(CLUSTER1, crate::AGENT, "agent.conf").await?;
    fixture.shows(
        SOCKETS_PLACE_IS_FREE,
        Must::have(["socket_path = \"/tmp/spire-agent/public/socket\""]),
        config,
    );
    for (fact, version, kind, name, here) in CLEAN_UP {
        let said = |here| if here { "here" } else { "not here" };
        let found = is_here(fixture, version, kind, name).await?;
        fixture.shows(fact, Must::be(said(here)), said(found));
    }
    Ok(())
}

async fn is_here(fixture: &Fixture<'_>, version: &str, kind: &str, name: &str) -> Result<bool> {
    let (namespace, name) = name.split_once('/').map_or((None, name), |(ns, name)| (Some(ns), name));
    let api = harness::kube::object::dynamic(fixture.api(CLUSTER1)?, version, kind, namespace)?;
    let found = api.get_opt(name).await;
    Ok(found
        .map_err(|e| {
            harness::Error::new(harness::Code::Evidence, format!("cannot read {kind} {name}")).because(e)
        })?
        .is_some())
}
