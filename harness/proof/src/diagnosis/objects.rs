//! A cluster as the rules look at it: its objects by their fields, and who belongs to whom.

use serde_json::Value;

use super::seen::{ClusterLook, Observations, Unread};
use crate::identity::Entry;

/// The SPIFFE CSI driver's name: what a pod's volume asks for.
pub const CSI: &str = "csi.spiffe.io";
/// The label that says which network something is in.
pub const NETWORK: &str = "topology.istio.io/network";
/// The port on which networks meet.
pub const CROSS_NETWORK: u64 = 15443;
/// Where sidecars look for a socket of SPIRE's (`WorkloadIdentityPath`, `pkg/security`).
const SOCKETS: &str = "workload-spiffe-uds";
/// The container that Istio injects, and the gateways' own.
const PROXY: &str = "istio-proxy";

/// One cluster among all that were looked at.
pub struct Scene<'a> {
    /// All of them.
    pub all: &'a Observations,
    /// This one.
    pub here: &'a ClusterLook,
}

impl<'a> Scene<'a> {
    /// All objects of a kind.
    ///
    /// # Errors
    /// That it was not looked at.
    pub fn objects(&self, kind: &str) -> Result<&'a [Value], Unread> {
        self.here.objects(kind)
    }

    /// The other clusters.
    pub fn peers(&self) -> impl Iterator<Item = &'a ClusterLook> + use<'a> {
        let here = &self.here.name;
        self.all.clusters.iter().filter(move |cluster| cluster.name != *here)
    }

    /// The name of the cluster with that trust domain.
    pub fn cluster_of(&self, trust_domain: &str) -> Option<&'a str> {
        self.peers().find(|c| c.trust_domain.as_str() == trust_domain).map(|c| c.name.as_str())
    }

    /// The trust domains that this cluster was told to trust, beside its own: by relationships and by identities.
    ///
    /// # Errors
    /// That objects were not looked at.
    pub fn told_to_trust(&self) -> Result<Vec<&'a str>, Unread> {
        let relationships = self.objects("clusterfederatedtrustdomains.spire.spiffe.io")?;
        let mut told: Vec<_> = relationships.iter().filter_map(|o| text(o, "/spec/trustDomain")).collect();
        for identity in self.objects("clusterspiffeids.spire.spiffe.io")? {
            told.extend(texts(identity, "/spec/federatesWith"));
        }
        told.retain(|domain| *domain != self.here.trust_domain.as_str());
        told.sort_unstable();
        told.dedup();
        Ok(told)
    }

    /// The pods that stay.
    ///
    /// # Errors
    /// That pods were not looked at.
    pub fn pods(&self) -> Result<Vec<&'a Value>, Unread> {
        let ended = |pod: &Value| {
            pod.pointer("/metadata/deletionTimestamp").is_some()
                || matches!(text(pod, "/status/phase"), Some("Succeeded" | "Failed"))
        };
        Ok(self.objects("pods")?.iter().filter(|pod| !ended(pod)).collect())
    }

    /// The namespace of that name.
    ///
    /// # Errors
    /// That namespaces were not looked at.
    pub fn namespace(&self, name: &str) -> Result<Option<&'a Value>, Unread> {
        Ok(self.objects("namespaces")?.iter().find(|one| text(one, "/metadata/name") == Some(name)))
    }

    /// The entries that give this pod an identity.
    ///
    /// # Errors
    /// That entries were not read.
    pub fn entries_of(&self, pod: &Value) -> Result<Vec<&'a Entry>, Unread> {
        Ok(self.here.server.entries.get()?.iter().filter(|entry| is_for(entry, pod)).collect())
    }
}

impl ClusterLook {
    /// All objects of a kind.
    ///
    /// # Errors
    /// That it was not looked at.
    pub fn objects(&self, kind: &str) -> Result<&[Value], Unread> {
        let look = self.objects.get(kind);
        look.ok_or_else(|| Unread(format!("{kind} were not looked at")))?.get().map(Vec::as_slice)
    }

    /// What its istiod calls this cluster.
    pub fn id(&self) -> &str {
        let deployments = self.objects("deployments.apps").unwrap_or_default();
        let told = deployments.iter().flat_map(|one| list(one, "/spec/template/spec/containers"));
        let mut told = told.filter_map(|container| variable(container, "CLUSTER_ID"));
        told.next().unwrap_or(&self.name)
    }
}

/// A text by its JSON pointer.
pub fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

/// A number by its JSON pointer; 0 where there is none.
pub fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// A list by its JSON pointer; empty where there is none.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A list of texts by its JSON pointer.
pub fn texts<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> {
    list(object, pointer).iter().filter_map(Value::as_str)
}

/// The object's name.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name").unwrap_or_default()
}

/// The object's namespace.
pub fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace").unwrap_or_default()
}

/// As people say it: `Pod istio-test/curl-1`.
pub fn shown(kind: &str, object: &Value) -> String {
    match text(object, "/metadata/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{}", name(object)),
        None => format!("{kind} {}", name(object)),
    }
}

/// A label of it.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels")?.get(key)?.as_str()
}

/// An annotation of it.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// A variable of a container that is written there.
pub fn variable<'a>(container: &'a Value, variable: &str) -> Option<&'a str> {
    list(container, "/env").iter().find(|one| text(one, "/name") == Some(variable))?.get("value")?.as_str()
}

/// The mesh proxy's container in a pod; as a sidecar it may be among the init containers.
pub fn proxy(pod: &Value) -> Option<&Value> {
    let all = list(pod, "/spec/initContainers").iter().chain(list(pod, "/spec/containers"));
    all.into_iter().find(|container| text(container, "/name") == Some(PROXY))
}

/// The volume by which a pod gets SPIRE's socket.
pub fn socket_volume(pod: &Value) -> Option<&Value> {
    list(pod, "/spec/volumes").iter().find(|volume| text(volume, "/csi/driver") == Some(CSI))
}

/// The volume by which a pod's sidecar gets SPIRE's socket: what it mounts where Istio looks for one, if that is the CSI
/// driver's or a folder of the node. A volume that only the app mounts is none.
pub fn socket_of_sidecar(pod: &Value) -> Option<&Value> {
    let there = |mount: &&Value| {
        text(mount, "/mountPath").is_some_and(|path| path.trim_end_matches('/').ends_with(SOCKETS))
    };
    let mount = list(proxy(pod)?, "/volumeMounts").iter().find(there);
    // Without a mount in sight the volume has to do: a template may mount it elsewhere and link it.
    let Some(mount) = mount else { return socket_volume(pod) };
    let mounted = |volume: &&Value| text(volume, "/name") == text(mount, "/name");
    let volume = list(pod, "/spec/volumes").iter().find(mounted)?;
    (text(volume, "/csi/driver") == Some(CSI) || volume.get("hostPath").is_some()).then_some(volume)
}

/// Whether a label selector (`matchLabels`, `matchExpressions`) takes an object; none or an empty one takes everything.
pub fn selects(selector: Option<&Value>, object: &Value) -> bool {
    let Some(selector) = selector else { return true };
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    let equal = wanted.into_iter().flatten().all(|(key, value)| label(object, key) == value.as_str());
    equal
        && list(selector, "/matchExpressions").iter().all(|expression| {
            let here = label(object, text(expression, "/key").unwrap_or_default());
            let among = || here.is_some_and(|here| texts(expression, "/values").any(|value| value == here));
            match text(expression, "/operator") {
                Some("In") => among(),
                Some("NotIn") => !among(),
                Some("Exists") => here.is_some(),
                _ => here.is_none(),
            }
        })
}

/// A value in the configuration of a SPIRE server or agent, in HCL or JSON.
pub fn setting<'a>(conf: &'a str, name: &str) -> Option<&'a str> {
    let lines = conf.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut after = lines.flat_map(|line| {
        line.match_indices(name).map(move |(at, _)| (&line[..at], &line[at + name.len()..]))
    });
    after.find_map(|(before, rest)| {
        let whole = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let value = rest.trim_start_matches('"').trim_start().strip_prefix(['=', ':'])?;
        value.trim_start().strip_prefix('"')?.split('"').next().filter(|_| whole)
    })
}

/// Whether an entry's selectors are all a pod's own. A selector that is not about pods makes it nobody's.
fn is_for(entry: &Entry, pod: &Value) -> bool {
    let (meta, spec) = ("/metadata", "/spec");
    let at = |part: &str, field: &str| text(pod, &format!("{part}/{field}")).unwrap_or_default().to_owned();
    let own = |selector: &String| {
        let Some((kind, value)) = selector.strip_prefix("k8s:").and_then(|rest| rest.split_once(':')) else {
            return false;
        };
        match kind {
            "pod-uid" => at(meta, "uid") == value,
            "pod-name" => at(meta, "name") == value,
            "ns" => at(meta, "namespace") == value,
            "sa" => at(spec, "serviceAccountName") == value,
            "node-name" => at(spec, "nodeName") == value,
            "pod-label" => value.split_once(':').is_some_and(|(key, value)| label(pod, key) == Some(value)),
            // Of a container, an image, an owner: not looked at, so it may well be.
            _ => true,
        }
    };
    !entry.selectors.is_empty() && entry.selectors.iter().all(own)
}

#[cfg(test)]
mod tests {
    use super::setting;

    #[test]
    fn a_setting_is_read_from_hcl_and_from_json() {
        let hcl = "agent {\n  # socket_path = \"/no\"\n  socket_path = \"/a/b\"\n  sds { default_svid_name = \"x\" default_bundle_name = \"null\" }\n}";
        assert_eq!(setting(hcl, "socket_path"), Some("/a/b"));
        assert_eq!(setting(hcl, "default_bundle_name"), Some("null"));
        assert_eq!(setting(hcl, "bundle_name"), None);
        let json =
            r#"{"agent": {"sds": {"default_all_bundles_name": "ROOTCA"}, "socket_path": "/t/s.sock"}}"#;
        assert_eq!(setting(json, "default_all_bundles_name"), Some("ROOTCA"));
        assert_eq!(setting(json, "socket_path"), Some("/t/s.sock"));
    }
}
