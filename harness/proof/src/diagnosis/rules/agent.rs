//! From the SPIRE agent to the pod: its socket, and what it answers to.

use serde_json::Value;

use crate::diagnosis::objects::{
    CSI, Scene, list, number, proxy, setting, shown, socket_of_sidecar, socket_volume, text, variable,
};
use crate::diagnosis::rule::{Found, Judged, Judging, Rule};
use crate::diagnosis::seen::Unread;

/// What Istio's sidecars look for below `workload-spiffe-uds/` unless they are told otherwise (`pkg/istio-agent`).
const SOCKET: &str = "socket";
/// What Istio asks for by SDS (`pkg/security`), and what a SPIRE agent answers to by itself (`conf.go`).
const ASKED: [(&str, &str, &str); 2] =
    [("default_svid_name", "default", "default"), ("default_all_bundles_name", "ROOTCA", "ALL")];

pub const CAUSES: &[Rule] = &[
    Rule {
        name: "agent-down",
        sentence: "a node has no SPIRE agent that is ready, so the pods there get nothing new",
        next: "kubectl describe {object} in {cluster}",
        source: "checklist S4-25; facts M7",
        explains: &["container-crashes", "trust-of-proxy-incomplete", "proxy-without-certificate"],
        judge: agent_down,
    },
    Rule {
        name: "agent-without-pod-attestor",
        sentence: "the SPIRE agent attests workloads by something else than Kubernetes, so no entry of a pod is found, and none gets its SVID",
        next: "WorkloadAttestor \"k8s\" in the agent's configuration of {cluster}; then restart the agents",
        source: "checklist S4-8; seen since: running proxies are left with their own bundle alone",
        explains: &["trust-of-proxy-incomplete", "proxy-without-certificate"],
        judge: attestor,
    },
    Rule {
        name: "wrong-sds-names",
        sentence: "the SPIRE agent answers to other names than Istio asks for, so proxies get no certificate, or no peer's bundle",
        next: "in the agent's sds block of {cluster}: default_svid_name = \"default\", default_bundle_name = \"null\", default_all_bundles_name = \"ROOTCA\"; then restart the agents",
        source: "checklist S4-8, S3-21",
        explains: &["trust-of-proxy-incomplete", "proxy-without-certificate"],
        judge: sds_names,
    },
    Rule {
        name: "csi-driver-down",
        sentence: "the SPIFFE CSI driver is not ready on a node, so no new pod there gets SPIRE's socket",
        next: "kubectl describe {object} in {cluster}",
        source: "checklist S4-42; spiffe-csi#16",
        explains: &["container-crashes", "proxy-without-certificate"],
        judge: driver_down,
    },
    Rule {
        name: "csi-volume-not-read-only",
        sentence: "the SPIFFE CSI driver mounts read-only volumes alone, so a pod that asks otherwise never starts",
        next: "readOnly: true in the volume of {object} in {cluster}",
        source: "checklist S4-12; spiffe-csi README",
        explains: &[],
        judge: not_read_only,
    },
    Rule {
        name: "socket-misnamed",
        sentence: "the sidecar looks for a socket of another name than the SPIRE agent makes",
        next: "one name for both: socket_path of the agent, and WORKLOAD_IDENTITY_SOCKET_FILE of {object} in {cluster}",
        source: "checklist S4-8; facts/mesh.md 4",
        explains: &["container-crashes", "istiod-issued-certificate", "proxy-without-certificate"],
        judge: misnamed,
    },
    Rule {
        name: "socket-folder-differs",
        sentence: "the SPIFFE CSI driver, or a pod, mounts another folder of the node than the one in which the SPIRE agent has its socket",
        next: "compare the hostPath volumes of the agent with those of {object} in {cluster}",
        source: "checklist S4-42",
        explains: &["container-crashes", "istiod-issued-certificate", "proxy-without-certificate"],
        judge: folder_differs,
    },
];

/// DaemonSets with such a container or volume.
fn daemons<'a>(scene: &Scene<'a>, is: impl Fn(&Value) -> bool) -> Result<Vec<&'a Value>, Unread> {
    Ok(scene.objects("daemonsets.apps")?.iter().filter(|o| is(o)).collect())
}

fn is_agent(daemon: &Value) -> bool {
    list(daemon, "/spec/template/spec/containers").iter().any(|c| text(c, "/name") == Some("spire-agent"))
}

fn is_driver(daemon: &Value) -> bool {
    let mut paths =
        list(daemon, "/spec/template/spec/volumes").iter().filter_map(|v| text(v, "/hostPath/path"));
    paths.any(|path| path.trim_end_matches('/').ends_with(&format!("plugins/{CSI}")))
}

/// Those that are not ready wherever they should be, or that should be nowhere while the cluster has nodes.
fn down(daemons: &[&Value]) -> Vec<Found> {
    let (wanted, ready) = ("/status/desiredNumberScheduled", "/status/numberReady");
    let short = daemons.iter().filter(|o| number(o, ready) < number(o, wanted).max(1));
    let seen = |o: &&&Value| format!("{} of {} pods are ready", number(o, ready), number(o, wanted));
    short.map(|o| Found::at(shown("DaemonSet", o), seen(&o))).collect()
}

fn agent_down(scene: &Scene<'_>) -> Judging {
    let agents = daemons(scene, is_agent)?;
    Ok(Judged::of(
        down(&agents),
        format!("{} DaemonSets of SPIRE agents are ready on every node", agents.len()),
    ))
}

fn driver_down(scene: &Scene<'_>) -> Judging {
    let drivers = daemons(scene, is_driver)?;
    Ok(Judged::of(
        down(&drivers),
        format!("{} DaemonSets of the CSI driver are ready on every node", drivers.len()),
    ))
}

/// In HCL a plugin is named behind its kind; in JSON it is the key of an object in that kind's list.
fn attests_pods(conf: &str) -> bool {
    let plugins = serde_json::from_str::<Value>(conf).ok();
    let json = |plugins: &Value| {
        let attestors = list(plugins, "/plugins/WorkloadAttestor");
        attestors.is_empty() || attestors.iter().any(|one| one.get("k8s").is_some())
    };
    let named = |rest: &&str| rest.trim_start().starts_with("\"k8s\"");
    let mut hcl = conf.split("WorkloadAttestor").skip(1).peekable();
    plugins.as_ref().map_or_else(|| hcl.peek().is_none() || hcl.any(|rest| named(&rest)), json)
}

fn attestor(scene: &Scene<'_>) -> Judging {
    let agents = scene.here.agents.get()?;
    let found = agents.iter().filter(|conf| !attests_pods(conf));
    let found = found.map(|_| Found::at("SPIRE agent", "its WorkloadAttestor is not `k8s`"));
    Ok(Judged::of(found.collect(), format!("{} agents attest pods", agents.len())))
}

fn sds_names(scene: &Scene<'_>) -> Judging {
    let agents = scene.here.agents.get()?;
    let federated = !scene.told_to_trust()?.is_empty();
    let mut found = Vec::new();
    for conf in agents {
        let wrong = ASKED.iter().filter(|(name, asked, itself)| {
            let answers = setting(conf, name).unwrap_or(itself);
            // Alone it is enough that ROOTCA is the own bundle.
            answers != *asked && (federated || *name == "default_svid_name")
        });
        let mut told: Vec<_> = wrong
            .map(|(name, asked, itself)| {
                format!("{name} is `{}`, and Istio asks for `{asked}`", setting(conf, name).unwrap_or(itself))
            })
            .collect();
        if federated && setting(conf, "default_bundle_name").unwrap_or("ROOTCA") == "ROOTCA" {
            told.push("default_bundle_name is `ROOTCA`, and hides the peers' bundles".to_owned());
        }
        if !told.is_empty() {
            found.push(Found::at("SPIRE agent", told.join("; ")));
        }
    }
    Ok(Judged::of(found, format!("{} agents answer to the names that Istio asks for", agents.len())))
}

fn not_read_only(scene: &Scene<'_>) -> Judging {
    let pods: Vec<_> = scene.pods()?.into_iter().filter_map(|pod| Some((pod, socket_volume(pod)?))).collect();
    let writable = |volume: &Value| volume.pointer("/csi/readOnly").and_then(Value::as_bool) != Some(true);
    let found = pods.iter().filter(|(_, volume)| writable(volume)).map(|(pod, volume)| {
        let volume = text(volume, "/name").unwrap_or_default();
        Found::at(shown("Pod", pod), format!("its volume `{volume}` of {CSI} has no readOnly: true"))
    });
    Ok(Judged::of(found.collect(), format!("{} pods ask for the socket read-only", pods.len())))
}

fn misnamed(scene: &Scene<'_>) -> Judging {
    let made: Vec<_> =
        scene.here.agents.get()?.iter().filter_map(|conf| setting(conf, "socket_path")).collect();
    let made: Vec<_> = made.iter().filter_map(|path| path.rsplit('/').next()).collect();
    let pods = scene.pods()?.into_iter().filter(|pod| socket_of_sidecar(pod).is_some());
    let (mut found, mut looked) = (Vec::new(), 0);
    for pod in pods {
        let Some(container) = proxy(pod) else { continue };
        looked += 1;
        let wanted = variable(container, "WORKLOAD_IDENTITY_SOCKET_FILE").unwrap_or(SOCKET);
        if !made.is_empty() && !made.contains(&wanted) {
            let seen = format!("it looks for `{wanted}`, and the agent makes `{}`", made.join("`, `"));
            found.push(Found::at(shown("Pod", pod), seen));
        }
    }
    Ok(Judged::of(found, format!("{looked} sidecars look for a socket that an agent makes")))
}

/// The folder of the node that a DaemonSet has at a path.
fn on_node<'a>(daemon: &'a Value, path: &str) -> Option<&'a str> {
    let mounts = list(daemon, "/spec/template/spec/containers").iter().flat_map(|c| list(c, "/volumeMounts"));
    let mount =
        mounts.into_iter().find(|m| text(m, "/mountPath").map(|p| p.trim_end_matches('/')) == Some(path))?;
    let volumes = list(daemon, "/spec/template/spec/volumes").iter();
    let volume = volumes.into_iter().find(|v| text(v, "/name") == text(mount, "/name"))?;
    text(volume, "/hostPath/path").map(folder)
}

/// One name for each folder of a node: `/var/run` is a link to `/run`.
fn folder(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.strip_prefix("/var").filter(|rest| rest.starts_with("/run/")).unwrap_or(path)
}

fn folder_differs(scene: &Scene<'_>) -> Judging {
    let paths: Vec<_> =
        scene.here.agents.get()?.iter().filter_map(|conf| setting(conf, "socket_path")).collect();
    let folders = paths.iter().filter_map(|path| path.rsplit_once('/').map(|(folder, _)| folder));
    let agents = daemons(scene, is_agent)?;
    let made: Vec<_> =
        folders.flat_map(|f| agents.iter().filter_map(move |agent| on_node(agent, f))).collect();
    let (mut found, mut looked) = (Vec::new(), 0);
    for driver in daemons(scene, is_driver)? {
        let args = list(driver, "/spec/template/spec/containers").iter().flat_map(|c| list(c, "/args"));
        let args: Vec<_> = args.filter_map(Value::as_str).collect();
        let at = args.iter().position(|arg| arg.trim_start_matches('-') == "workload-api-socket-dir");
        let Some(mounted) = at.and_then(|at| on_node(driver, args.get(at + 1)?)) else { continue };
        looked += 1;
        if !made.is_empty() && !made.contains(&mounted) {
            let seen =
                format!("it mounts {mounted} into pods, and the agent's socket is in {}", made.join(", "));
            found.push(Found::at(shown("DaemonSet", driver), seen));
        }
    }
    for pod in scene.pods()? {
        let mounted = socket_of_sidecar(pod).and_then(|volume| text(volume, "/hostPath/path")).map(folder);
        let Some(mounted) = mounted else { continue };
        looked += 1;
        if !made.is_empty() && !made.contains(&mounted) {
            let seen = format!("its sidecar has {mounted}, and the agent's socket is in {}", made.join(", "));
            found.push(Found::at(shown("Pod", pod), seen));
        }
    }
    Ok(Judged::of(found, format!("{looked} CSI drivers and pods mount the folder of an agent's socket")))
}
