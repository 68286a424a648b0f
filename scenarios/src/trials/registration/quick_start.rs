//! What of the page's installation (003) is here under which name, and what would its clean-up find?

use crate::{Pods, Stage, stories};
use harness::Result;
use proof::evidence::Must;

stories! {
    "quick-start" => the_pages_installation_is_here_and_its_clean_up_would_miss_some,
}

/// The page's clean-up, object by object: whether it is here.
const CLEAN_UP: [(&str, &str, &str, bool); 16] = [
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "spiffeids.spiffeid.spiffe.io", false),
    ("v1", "ServiceAccount", "spire/spire-agent", true),
    ("v1", "ConfigMap", "spire/spire-agent", true),
    ("apps/v1", "Deployment", "spire/spire-agent", false),
    ("storage.k8s.io/v1", "CSIDriver", "csi.spiffe.io", true),
    ("v1", "ConfigMap", "spire/spire-server", true),
    ("v1", "Service", "spire/spire-server", true),
    ("v1", "ServiceAccount", "spire/spire-server", true),
    ("apps/v1", "StatefulSet", "spire/spire-server", true),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "spire-server-trust-role", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "spire-agent-cluster-role", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "spire-server-trust-role-binding", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "spire-agent-cluster-role-binding", false),
    ("v1", "Namespace", "spire", true),
    // What it does not name.
    ("apps/v1", "DaemonSet", "spire/spire-agent", true),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "clusterspiffeids.spire.spiffe.io", true),
];

/// If this fails, the installation is not the page's any more, and its stories are about something else.
async fn the_pages_installation_is_here_and_its_clean_up_would_miss_some(
    stage: &mut Stage<'_>,
) -> Result<()> {
    for (of, wanted, sentence) in [
        (
            Pods("spire", "app=spire-server"),
            "2/2 Running",
            "[S3-1] the server runs, and the registrar beside it: today's is the controller manager",
        ),
        (Pods("spire", "app=spire-agent"), "1/1 Running", "[S3-1] the agent runs"),
        (
            Pods("spire", "app=spiffe-csi-driver"),
            "2/2 Running",
            "[S3-1, S3-2] the CSI driver runs, which shares the agent's socket with pods",
        ),
    ] {
        let standing = stage.standing(0, of).await?;
        stage.fact(sentence, Must::be(wanted), standing);
    }
    let pod = stage.pod(0, Pods("spire", "app=spire-server")).await?;
    let containers = pod.spec.into_iter().flat_map(|spec| spec.containers);
    let containers: Vec<_> = containers.map(|container| container.name).collect();
    stage.fact(
        "[S3-1, S3-7] the registrar of the page is gone; spire-controller-manager has its \
             place in the server's pod",
        Must::be("spire-server spire-controller-manager"),
        containers.join(" "),
    );
    let config = stage.setting(0, crate::AGENT, "agent.conf").await?;
    stage.fact(
            "[S3-2] where the agent itself puts its socket is free, for the CSI driver gives pods the folder: only the \
             file's name must be `socket`",
            Must::have(["socket_path = \"/tmp/spire-agent/public/socket\""]),
            config,
        );
    for (version, kind, name, here) in CLEAN_UP {
        let said = |here| if here { "here" } else { "not here" };
        let found = is_here(stage, version, kind, name).await?;
        let sentence = match (name, here) {
            ("spire/spire-agent", false) => {
                "the agent is no Deployment, so the page's fourth command misses it"
            }
            ("spire/spire-agent", true) if kind == "DaemonSet" => {
                "the agent is a DaemonSet, which no command of the page names"
            }
            ("clusterspiffeids.spire.spiffe.io", _) => {
                "the definitions of today's registrar are left by the page's commands"
            }
            (_, true) => "a command of the page names what is here",
            (_, false) => "a command of the page names what is not here any more",
        };
        stage.fact(format!("[S3-24] {sentence}: {kind} {name}"), Must::be(said(here)), said(found));
    }
    Ok(())
}

async fn is_here(stage: &Stage<'_>, version: &str, kind: &str, name: &str) -> Result<bool> {
    let (namespace, name) = name.split_once('/').map_or((None, name), |(ns, name)| (Some(ns), name));
    let api = harness::kube::object::dynamic(stage.api(0)?, version, kind, namespace)?;
    let found = api.get_opt(name).await;
    Ok(found
        .map_err(|e| {
            harness::Error::new(harness::Code::Evidence, format!("cannot read {kind} {name}")).because(e)
        })?
        .is_some())
}
