//! The objects that several scenarios read or change, by name.

use harness::{Code, Error, Result};
use serde_json::{Value, json};

use crate::Nth;
use crate::fixture::Fixture;

/// istiod's settings: `mesh` and `meshNetworks`.
pub const MESH: Map<'static> = Map("istio-system", "istio");
/// The SPIRE agent's: `agent.conf`.
pub const AGENT: Map<'static> = Map("spire", "spire-agent");
/// The SPIRE server's: `server.conf`.
pub const SERVER: Map<'static> = Map("spire", "spire-server");

/// A ConfigMap, by namespace and name.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a>(pub &'a str, pub &'a str);

/// A Deployment, for [`Fixture::read`] and [`Fixture::change`].
pub fn deployment(namespace: &str, name: &str) -> Value {
    object("apps/v1", "Deployment", namespace, name)
}

/// A Service, likewise.
pub fn service(namespace: &str, name: &str) -> Value {
    object("v1", "Service", namespace, name)
}

/// A Secret, likewise.
pub fn secret(namespace: &str, name: &str) -> Value {
    object("v1", "Secret", namespace, name)
}

/// Istio's PeerAuthentication, likewise.
pub fn peer_authentication(namespace: &str, name: &str) -> Value {
    object("security.istio.io/v1", "PeerAuthentication", namespace, name)
}

fn object(version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name, "namespace": namespace } })
}

impl Map<'_> {
    fn object(self) -> Value {
        object("v1", "ConfigMap", self.0, self.1)
    }
}

impl Fixture<'_> {
    /// What a ConfigMap says under `key`.
    pub async fn setting(&self, cluster: Nth, map: Map<'_>, key: &str) -> Result<String> {
        let object = self.read(cluster, &map.object()).await?;
        let found = object.data["data"].get(key).and_then(Value::as_str);
        let missing =
            || Error::new(Code::Evidence, format!("the ConfigMap {}/{} has no {key}", map.0, map.1));
        found.map(str::to_owned).ok_or_else(missing)
    }

    /// Says `text` there instead, until the end of the scenario.
    pub async fn set(&mut self, cluster: Nth, map: Map<'_>, key: &str, text: &str) -> Result<()> {
        self.change(cluster, &map.object(), &json!({ "data": { key: text } })).await
    }
}
