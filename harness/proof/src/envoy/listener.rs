//! What a proxy was told about TLS: read from the dump of its inbound listener.

use serde_json::Value;

/// The latest TLS version that any filter chain of the listeners in a `/config_dump` was told to take, in Envoy's words
/// (`TLSv1_3`); nothing where none says.
///
/// Istio says it for traffic within the mesh: 1.3 by default, 1.2 under its FIPS policy (`COMPLIANCE_POLICY` of istiod).
/// Of chains that differ the earliest counts: whoever speaks it was told so.
pub fn maximum_tls(dump: &str) -> Option<String> {
    let dump: Value = serde_json::from_str(dump).ok()?;
    let mut told = Vec::new();
    collect(&dump, &mut told);
    told.into_iter().min()
}

fn collect(value: &Value, told: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(version) if name == "tls_maximum_protocol_version" => told.push(version.to_owned()),
                    _ => collect(value, told),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|one| collect(one, told)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_wherever_the_listener_says_it() {
        let chain = |version: &str| {
            serde_json::json!({ "transport_socket": { "typed_config": { "common_tls_context": { "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": version } } } } })
        };
        let dump =
            |chains: Value| serde_json::json!({ "configs": [{ "filter_chains": chains }] }).to_string();
        let all = |versions: &[&str]| dump(versions.iter().map(|version| chain(version)).collect());
        assert_eq!(maximum_tls(&all(&["TLSv1_3"])).as_deref(), Some("TLSv1_3"));
        assert_eq!(maximum_tls(&all(&["TLSv1_3", "TLSv1_2"])).as_deref(), Some("TLSv1_2"));
        assert_eq!(maximum_tls(&dump(serde_json::json!([{}]))), None, "nobody said anything");
        assert_eq!(maximum_tls("not a dump"), None);
    }
}
