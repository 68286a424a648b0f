//! What a SPIRE server and an istiod were told, by their ConfigMaps and command lines.

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod};
use kube::{Api, Client, ResourceExt as _};
use proof::diagnosis::setting;
use proof::evidence::missing;
use proof::identity::Pem;
use serde_json::Value;

use super::pods::variable;
use crate::kube::fault;
use crate::{Code, Result, render, spire};

/// What a SPIRE server was told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The trust domain that it speaks for.
    pub(super) trust_domain: Option<String>,
    /// Where it opens its API.
    pub(super) socket: Option<String>,
}

/// What this server was told.
///
/// # Errors
/// [`Code::KubeFailed`] when a ConfigMap that it mounts cannot be read.
pub(super) async fn of_server(client: &Client, pod: &Pod, container: &Container) -> Result<Told> {
    let namespace = pod.namespace().unwrap_or_default();
    let reads = mounted(pod, container).into_iter().map(|name| map(client, namespace.clone(), name));
    let maps: Vec<_> = join_all(reads).await.into_iter().collect::<Result<_>>()?;
    let texts: Vec<_> = maps.into_iter().flat_map(|map| map.data.unwrap_or_default().into_values()).collect();
    Ok(told(container, &texts))
}

/// The program that a container runs, where its command says so: else what SPIRE's own images have, and others.
pub(super) fn programs(container: &Container) -> Vec<String> {
    let named =
        container.command.iter().flatten().find(|word| word.rsplit('/').next() == Some("spire-server"));
    let known = [spire::PROGRAM, "/spire-server", "spire-server"].map(str::to_owned);
    named.cloned().into_iter().chain(known).collect()
}

/// The trust domain of a mesh, by the configuration of istiod's revision; nothing where it has none of its own.
///
/// # Errors
/// [`Code::KubeFailed`] when it cannot be read.
pub(super) async fn mesh_domain(client: &Client, namespace: &str, revision: &str) -> Result<Option<String>> {
    let name = if revision == "default" { "istio".to_owned() } else { format!("istio-{revision}") };
    let map = map(client, namespace.to_owned(), name).await?;
    let Some(text) = map.data.and_then(|mut data| data.remove("mesh")) else { return Ok(None) };
    let mesh: Value = render::parse(&text, Code::Evidence, "Istio's mesh configuration")?;
    Ok(mesh["trustDomain"].as_str().map(str::to_owned))
}

/// The root that istiod gives to its own namespace, as to every other.
///
/// # Errors
/// As [`mesh_domain`]; [`Code::Evidence`] when there is none.
pub(super) async fn root(client: &Client, namespace: &str) -> Result<Pem> {
    let map = map(client, namespace.to_owned(), "istio-ca-root-cert".to_owned()).await?;
    let root = map.data.and_then(|mut data| data.remove("root-cert.pem"));
    Ok(Pem::of(&root.ok_or_else(|| missing("istiod's root"))?))
}

async fn map(client: &Client, namespace: String, name: String) -> Result<ConfigMap> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let what = || format!("cannot read the ConfigMap {namespace}/{name}");
    maps.get(&name).await.map_err(|fault| fault::failed(what(), &fault))
}

/// The ConfigMaps that a container mounts.
fn mounted(pod: &Pod, container: &Container) -> Vec<String> {
    let mounts: Vec<_> = container.volume_mounts.iter().flatten().map(|mount| mount.name.as_str()).collect();
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let mut names: Vec<_> = volumes
        .filter(|volume| mounts.contains(&volume.name.as_str()))
        .flat_map(|volume| {
            let own = volume.config_map.iter().map(|map| map.name.clone());
            let sources = volume.projected.iter().flat_map(|all| all.sources.iter().flatten());
            own.chain(sources.filter_map(|source| Some(source.config_map.as_ref()?.name.clone())))
                .collect::<Vec<_>>()
        })
        .collect();
    names.dedup();
    names
}

/// The command line weighs more than the file.
fn told(container: &Container, texts: &[String]) -> Told {
    let file = texts.iter().find(|text| {
        text.contains("trust_domain")
            && ["bind_port", "bind_address", "data_dir"].iter().any(|word| text.contains(word))
    });
    let in_file = |name: &str| {
        let text = file?;
        match serde_json::from_str::<Value>(text) {
            Ok(json) => json["server"][name].as_str().map(str::to_owned),
            Err(_) => setting(text, name).map(str::to_owned),
        }
    };
    let words: Vec<_> = container.command.iter().chain(&container.args).flatten().collect();
    let flag = |name: &str| {
        words.iter().enumerate().find_map(|(i, word)| {
            let rest = word.strip_prefix('-').map(|rest| rest.trim_start_matches('-'))?;
            match rest.split_once('=') {
                Some((flag, value)) => (flag == name).then(|| value.to_owned()),
                None => words.get(i + 1).filter(|_| rest == name).map(|value| (*value).clone()),
            }
        })
    };
    let expanded = |value: String| {
        let name = value.strip_prefix('$').map(|name| name.trim_matches(['{', '}']));
        name.map_or(Some(value.clone()), |name| variable(container, name).map(str::to_owned))
    };
    Told {
        trust_domain: flag("trustDomain").or_else(|| in_file("trust_domain")).and_then(expanded),
        socket: flag("socketPath").or_else(|| in_file("socket_path")).and_then(expanded),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HCL: &str = "server {\n  bind_port = \"8081\"\n  trust_domain = \"a.example\"\n  socket_path = \"/run/spire/api.sock\"\n}";
    /// As the hardened chart writes it: plugins come before the server.
    const JSON: &str = r#"{ "plugins": { "KeyManager": [{ "other": { "trust_domain": "no.example" } }] },
        "server": { "bind_port": "8081", "data_dir": "/run/spire/data", "trust_domain": "b.example" } }"#;

    fn container(fields: serde_json::Value) -> Container {
        let mut value = json!({ "name": "spire-server" });
        value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    fn read(fields: serde_json::Value, texts: &[&str]) -> (String, String) {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        let Told { trust_domain, socket } = told(&container(fields), &texts);
        (trust_domain.unwrap_or_default(), socket.unwrap_or_default())
    }

    #[test]
    fn a_server_is_told_by_file_and_by_command_line() {
        let two = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        let manager = "kind: ControllerManagerConfig\ntrustDomain: a.example\n";
        assert_eq!(read(json!({}), &[manager, HCL]), two("a.example", "/run/spire/api.sock"));
        assert_eq!(read(json!({}), &[JSON]), two("b.example", ""));
        let args = json!({ "args": ["-config", "/x", "-socketPath", "/y.sock", "--trustDomain=c.example"] });
        assert_eq!(read(args, &[HCL]), two("c.example", "/y.sock"));
        let env = json!({ "env": [{ "name": "TD", "value": "d.example" }] });
        assert_eq!(read(env, &[&HCL.replace("a.example", "${TD}")]), two("d.example", "/run/spire/api.sock"));
        assert_eq!(read(json!({}), &[&HCL.replace("a.example", "$TD")]), two("", "/run/spire/api.sock"));
        assert_eq!(read(json!({}), &[]), two("", ""));
    }

    #[test]
    fn only_what_the_container_mounts_is_read() {
        let pod = json!({ "spec": { "containers": [], "volumes": [
            { "name": "config", "configMap": { "name": "own" } }, { "name": "others", "configMap": { "name": "no" } },
            { "name": "all", "projected": { "sources": [{ "configMap": { "name": "more" } }] } } ] } });
        let mounts = json!({ "volumeMounts": [{ "name": "config", "mountPath": "/c" }, { "name": "all", "mountPath": "/a" }] });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        assert_eq!(mounted(&pod, &container(mounts)), ["own", "more"]);
        let command = json!({ "command": ["/usr/local/bin/spire-server", "run"] });
        assert_eq!(programs(&container(command))[0], "/usr/local/bin/spire-server");
        assert_eq!(programs(&container(json!({})))[0], spire::PROGRAM);
    }
}
