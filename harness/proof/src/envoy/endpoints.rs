//! Where a proxy may send a request: the endpoints of one of its clusters, as its admin endpoint `/clusters?format=json`
//! tells them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Context;
use crate::{Code, Result};

/// One address that a proxy knows for a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Address and port.
    pub address: String,
    /// 0 is asked first; the next only as far as the ones before are sick. Istio orders localities by it, once a
    /// DestinationRule of the host has outlier detection.
    pub priority: u32,
}

impl Endpoint {
    /// The endpoints of the clusters of that name, such as `outbound|5000||helloworld.istio-test.svc.cluster.local`.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it is something else.
    pub fn all_in(json: &str, cluster: &str) -> Result<Vec<Self>> {
        let what = || "the proxy's list of endpoints cannot be read".to_owned();
        let dump: Value = serde_json::from_str(json).or_fail(Code::Evidence, what)?;
        let named = |status: &&Value| {
            // Istio ends a cluster's statistics name with a semicolon since 1.24 or so.
            status["name"].as_str().is_some_and(|name| name.trim_end_matches(';') == cluster)
        };
        let statuses = dump["cluster_statuses"].as_array().into_iter().flatten().filter(named);
        let hosts = statuses.flat_map(|status| status["host_statuses"].as_array().into_iter().flatten());
        Ok(hosts.filter_map(endpoint).collect())
    }
}

fn endpoint(host: &Value) -> Option<Endpoint> {
    let address = &host["address"]["socket_address"];
    let address = format!("{}:{}", address["address"].as_str()?, address["port_value"].as_u64()?);
    // Protobuf's JSON leaves a zero out.
    let priority = host["priority"].as_u64().unwrap_or_default();
    Some(Endpoint { address, priority: u32::try_from(priority).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "outbound|5000||helloworld.istio-test.svc.cluster.local";

    #[test]
    fn priorities_are_read_and_other_clusters_left() {
        let host = |address: &str, priority: Option<u32>| {
            let mut host = serde_json::json!({ "address": { "socket_address": { "address": address, "port_value": 15443 } } });
            if let Some(priority) = priority {
                host["priority"] = priority.into();
            }
            host
        };
        let dump = serde_json::json!({ "cluster_statuses": [
            { "name": format!("{NAME};"), "host_statuses": [host("10.10.0.7", None), host("172.18.0.3", Some(1))] },
            { "name": "outbound|5000||other", "host_statuses": [host("10.10.0.9", None)] },
            { "name": NAME },
        ] });
        let found = Endpoint::all_in(&dump.to_string(), NAME).unwrap();
        let told: Vec<_> = found.iter().map(|one| (one.address.as_str(), one.priority)).collect();
        assert_eq!(told, [("10.10.0.7:15443", 0), ("172.18.0.3:15443", 1)]);
        assert_eq!(Endpoint::all_in("not found", NAME).unwrap_err().code(), Code::Evidence);
    }
}
