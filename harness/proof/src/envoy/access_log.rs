//! Which certificates a request used: one line of a sidecar's access log.
//!
//! The mesh's `accessLogFormat` prints these fields as JSON, the peer's certificate as URL-encoded PEM. The
//! client's and the server's sidecar each write their own line of the same request; the request id joins
//! them, and each is a witness for what the *other* side showed.

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Context;
use crate::identity::Pem;
use crate::{Code, Result};

/// What one sidecar wrote about one request (or one connection that never became a request).
///
/// Every field must be in the line; `null` and `-` mean that there was nothing to write. A line that lacks a
/// field was made by another format and is no evidence. The connections' numbers came later: stored records may lack
/// them, and the claim that needs them is unjudged then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// `%REQ(X-REQUEST-ID)%`
    #[serde(deserialize_with = "text")]
    pub request_id: Option<String>,
    /// `%START_TIME%`
    #[serde(deserialize_with = "text")]
    pub start_time: Option<String>,
    /// `%CONNECTION_ID%`: of the connection that it came in by, unique in this proxy's life.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<u64>,
    /// `%UPSTREAM_CONNECTION_ID%`: of the connection that it went out by, likewise.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub upstream_connection_id: Option<u64>,
    /// `%REQ(:AUTHORITY)%`
    #[serde(deserialize_with = "text")]
    pub authority: Option<String>,
    /// `%REQ(:PATH)%`
    #[serde(deserialize_with = "text")]
    pub path: Option<String>,
    /// `%RESPONSE_CODE%`; 0 when there was no response.
    pub response_code: u16,
    /// `%RESPONSE_FLAGS%`, in short form.
    #[serde(deserialize_with = "text")]
    pub response_flags: Option<String>,
    /// `%RESPONSE_CODE_DETAILS%`
    #[serde(deserialize_with = "text")]
    pub response_code_details: Option<String>,
    /// `%CONNECTION_TERMINATION_DETAILS%`
    #[serde(deserialize_with = "text")]
    pub connection_termination_details: Option<String>,
    /// `%UPSTREAM_HOST%`: the address that it connected to.
    #[serde(deserialize_with = "text")]
    pub upstream_host: Option<String>,
    /// `%UPSTREAM_CLUSTER_RAW%`: `outbound|…` on the client's side, `inbound|…` on the server's.
    #[serde(deserialize_with = "text")]
    pub upstream_cluster: Option<String>,
    /// `%UPSTREAM_TLS_VERSION%`
    #[serde(deserialize_with = "text")]
    pub upstream_tls_version: Option<String>,
    /// `%UPSTREAM_LOCAL_URI_SAN%`: whom it said it was, as client.
    #[serde(deserialize_with = "text")]
    pub upstream_local_uri_san: Option<String>,
    /// `%UPSTREAM_PEER_CERT%`: what the server showed it.
    #[serde(deserialize_with = "certificate")]
    pub upstream_peer_cert: Option<Pem>,
    /// `%UPSTREAM_PEER_ISSUER%`: shown, never judged.
    #[serde(deserialize_with = "text")]
    pub upstream_peer_issuer: Option<String>,
    /// `%UPSTREAM_PEER_URI_SAN%`
    #[serde(deserialize_with = "text")]
    pub upstream_peer_uri_san: Option<String>,
    /// `%UPSTREAM_TRANSPORT_FAILURE_REASON%`
    #[serde(deserialize_with = "text")]
    pub upstream_transport_failure_reason: Option<String>,
    /// `%REQUESTED_SERVER_NAME%`: the SNI that the client asked for.
    #[serde(deserialize_with = "text")]
    pub requested_server_name: Option<String>,
    /// `%DOWNSTREAM_REMOTE_ADDRESS%`: who connected, with its port.
    #[serde(deserialize_with = "text")]
    pub downstream_remote_address: Option<String>,
    /// `%DOWNSTREAM_TLS_VERSION%`
    #[serde(deserialize_with = "text")]
    pub downstream_tls_version: Option<String>,
    /// `%DOWNSTREAM_LOCAL_URI_SAN%`: whom it said it was, as server.
    #[serde(deserialize_with = "text")]
    pub downstream_local_uri_san: Option<String>,
    /// `%DOWNSTREAM_PEER_CERT%`: what the client showed it.
    #[serde(deserialize_with = "certificate")]
    pub downstream_peer_cert: Option<Pem>,
    /// `%DOWNSTREAM_PEER_ISSUER%`: shown, never judged.
    #[serde(deserialize_with = "text")]
    pub downstream_peer_issuer: Option<String>,
    /// `%DOWNSTREAM_PEER_URI_SAN%`
    #[serde(deserialize_with = "text")]
    pub downstream_peer_uri_san: Option<String>,
    /// `%DOWNSTREAM_TRANSPORT_FAILURE_REASON%`
    #[serde(deserialize_with = "text")]
    pub downstream_transport_failure_reason: Option<String>,
}

impl Record {
    /// The records among the lines of a sidecar's log; Envoy's and the agent's own messages are passed over.
    ///
    /// # Errors
    /// [`Code::Evidence`] when a line of the access log does not have this format.
    pub fn all_in(log: &str) -> Result<Vec<Self>> {
        let lines = log.lines().filter(|line| line.starts_with('{') && line.contains("\"request_id\""));
        lines.map(Self::read).collect()
    }

    /// Reads one line.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it does not have this format.
    pub fn read(line: &str) -> Result<Self> {
        serde_json::from_str(line).or_fail(Code::Evidence, || {
            "a line of a sidecar's access log does not have the format that the mesh configuration gives"
                .into()
        })
    }

    /// The client's record of that request: the last one, for a retry answers under the same id.
    pub fn by_client<'a>(records: &'a [Self], request_id: &str) -> Option<&'a Self> {
        Self::last(records, request_id, "outbound|")
    }

    /// The server's record of that request.
    pub fn by_server<'a>(records: &'a [Self], request_id: &str) -> Option<&'a Self> {
        Self::last(records, request_id, "inbound|")
    }

    /// The server's record of a connection from that address that never became a request, such as one in plain text: it
    /// has no request id to be joined by. One that began before `since` is another.
    pub fn of_connection(records: &[Self], address: IpAddr, since: Timestamp) -> Option<&Self> {
        records.iter().rev().find(|record| {
            let from =
                record.downstream_remote_address.as_deref().and_then(|from| from.parse::<SocketAddr>().ok());
            record.request_id.is_none()
                && from.is_some_and(|from| from.ip() == address)
                && record.began().is_some_and(|began| began >= since)
        })
    }

    /// The moment at which the request began, by the proxy's clock.
    pub fn began(&self) -> Option<Timestamp> {
        self.start_time.as_deref()?.parse().ok()
    }

    fn last<'a>(records: &'a [Self], request_id: &str, cluster: &str) -> Option<&'a Self> {
        records.iter().rev().find(|record| {
            record.request_id.as_deref() == Some(request_id)
                && record.upstream_cluster.as_deref().is_some_and(|name| name.starts_with(cluster))
        })
    }
}

/// A field that Envoy writes as `null` or `-` when there is nothing to write.
fn text<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(field)?.filter(|text| text != "-" && !text.is_empty()))
}

/// A number, which Envoy writes as one or as text.
fn number<'de, D: Deserializer<'de>>(field: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(field)?.unwrap_or_default();
    Ok(value.as_u64().or_else(|| value.as_str()?.parse().ok()))
}

/// A certificate, URL-encoded in a log line and plain in stored evidence. Plain PEM has no per cent sign.
fn certificate<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Pem>, D::Error> {
    let encoded = text(field)?;
    Ok(encoded.map(|text| Pem::of(&percent_decode_str(&text).decode_utf8_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = include_str!("testdata/access_log.jsonl");
    const ID: &str = "11111111-2222-4333-8444-555555555555";

    fn line(case: &str) -> &'static str {
        LOG.lines().find(|line| line.contains(&format!("\"x_case\": \"{case}\""))).unwrap()
    }

    #[test]
    fn both_sides_of_a_real_request_show_the_peer() {
        let (client, server) = (line("good/client"), line("good/server"));
        let (client, server) = (Record::read(client).unwrap(), Record::read(server).unwrap());
        assert_eq!((client.response_code, client.request_id.as_deref()), (200, Some(ID)));
        let name =
            |pem: &Option<Pem>| pem.as_ref().unwrap().chain().unwrap().leaf.spiffe_id().unwrap().to_string();
        assert_eq!(name(&client.upstream_peer_cert), "spiffe://cluster2.local/ns/istio-test/sa/helloworld");
        assert_eq!(name(&server.downstream_peer_cert), "spiffe://cluster1.local/ns/istio-test/sa/curl");
        assert_eq!(client.upstream_tls_version.as_deref(), Some("TLSv1.3"));
        assert_eq!(client.upstream_host.as_deref(), Some("127.0.0.1:15443"));
        assert_eq!(client.response_flags, None, "a dash means none");
        assert_eq!((&client.downstream_peer_cert, &server.upstream_peer_cert), (&None, &None));
    }

    #[test]
    fn what_is_stored_reads_back_the_same() {
        for record in Record::all_in(LOG).unwrap() {
            let stored = serde_json::to_string(&record).unwrap();
            assert_eq!(Record::read(&stored).unwrap(), record);
        }
    }

    #[test]
    fn the_log_also_has_other_lines() {
        let log = format!(
            "2026-11-21T01:45:02Z\tinfo\tReadiness succeeded\n{LOG}\n[warning] something\n{{\"level\":\"info\"}}"
        );
        assert_eq!(Record::all_in(&log).unwrap().len(), LOG.lines().count());
    }

    #[test]
    fn a_connections_number_may_be_text() {
        let numbered = |id: serde_json::Value| {
            let mut json: serde_json::Value = serde_json::from_str(line("good/client")).unwrap();
            json["connection_id"] = id;
            Record::read(&json.to_string()).unwrap().connection_id
        };
        assert_eq!((numbered(7.into()), numbered("7".into())), (Some(7), Some(7)));
        assert_eq!((numbered("-".into()), numbered(serde_json::Value::Null)), (None, None));
    }

    /// Tampering: a certificate written as `-`.
    #[test]
    fn a_dash_is_no_certificate() {
        let mut json: serde_json::Value = serde_json::from_str(line("good/client")).unwrap();
        json["upstream_peer_cert"] = "-".into();
        assert_eq!(Record::read(&json.to_string()).unwrap().upstream_peer_cert, None);
    }

    /// Tampering: a mesh configured with another format, which prints no certificates at all.
    #[test]
    fn a_missing_field_is_no_evidence() {
        let full: serde_json::Value = serde_json::from_str(line("good/client")).unwrap();
        for field in full
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| !["x_case", "downstream_direct_remote_address"].contains(&key.as_str()))
        {
            let mut json = full.clone();
            json.as_object_mut().unwrap().remove(field);
            let error = Record::read(&json.to_string()).unwrap_err();
            assert_eq!(error.code(), Code::Evidence, "{field}");
            assert!(error.to_string().contains(field), "{error}");
        }
    }

    #[test]
    fn a_connection_without_a_request_is_found_by_its_address() {
        let log = Record::all_in(LOG).unwrap();
        let of = |log: &[Record], address: &str, since: Timestamp| {
            Record::of_connection(log, address.parse().unwrap(), since).cloned()
        };
        let plain = Record::read(line("plain/server-listener")).unwrap();
        let began = plain.began().unwrap();
        assert_eq!(of(&log, "127.0.0.1", began), Some(plain));
        assert_eq!(of(&log, "127.0.0.2", began), None);
        assert_eq!(of(&log[..2], "127.0.0.1", began), None, "requests are not it");
        let later = began + jiff::SignedDuration::from_millis(1);
        assert_eq!(of(&log, "127.0.0.1", later), None, "an earlier connection is another");
    }

    /// The mesh's configuration and these fields are written in two places; here they meet.
    #[test]
    fn the_mesh_is_told_to_print_every_field() {
        let operator = include_str!("../../../../manifests/istio/operator.yaml");
        let (_, format) = operator.split_once("accessLogFormat: |").unwrap();
        let format = &format[..=format.find('}').unwrap()];
        let printed: serde_json::Value = serde_json::from_str(format).unwrap();
        let whole = Record { connection_id: Some(1), upstream_connection_id: Some(2), ..Record::default() };
        for (field, _) in serde_json::to_value(whole).unwrap().as_object().unwrap() {
            assert!(printed[field].as_str().is_some_and(|operator| operator.starts_with('%')), "{field}");
        }
    }

    #[test]
    fn records_are_joined_by_request_and_direction() {
        let record = |id: &str, cluster: &str, code| Record {
            request_id: Some(id.into()),
            upstream_cluster: Some(cluster.into()),
            response_code: code,
            ..Record::default()
        };
        let log = [
            record("a", "outbound|5000||helloworld.istio-test.svc.cluster.local;", 503),
            record("b", "outbound|5000||helloworld.istio-test.svc.cluster.local;", 200),
            record("a", "inbound|5000||;", 200),
            record("a", "outbound|5000||helloworld.istio-test.svc.cluster.local;", 200),
        ];
        assert_eq!(Record::by_client(&log, "a"), Some(&log[3]), "the last try counts");
        assert_eq!(Record::by_server(&log, "a"), Some(&log[2]));
        assert_eq!(Record::by_server(&log, "b"), None);
        assert_eq!(Record::by_client(&log, "c"), None);
    }
}
