//! A JSON value taken for what it is, by its members.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::found::{Found, Told};
use super::words::{domain, listed, own_name, word_after};
use super::{dump, objects};
use crate::envoy::Record;
use crate::evidence::RemoteCluster;
use crate::identity::{Authority, Bundle, Certificate, TrustDomain, entries_of};

/// What the value is; several where it is a list of Kubernetes objects. `heading` is the trust domain that a command
/// printed before it, and `command` the command.
pub fn read(value: &Value, heading: Option<&str>, command: Option<&str>) -> Vec<Found> {
    let has = |name: &str| value.get(name).is_some();
    let lists = |name: &str| value[name].is_array();
    match () {
        () if has("kind") && (has("apiVersion") || has("items")) => objects::read(value),
        () if lists("keys") => vec![key_set(value, heading, command)],
        () if has("trust_domain") && (has("x509_authorities") || has("jwt_authorities")) => {
            vec![api_bundle(value, listed(command), true)]
        }
        () if lists("bundles") => listed_bundles(value),
        () if lists("entries") => vec![entries(value)],
        () if has("response_code") || has("request_id") => vec![record(value)],
        () if lists("certificates") => vec![certs(value)],
        () if value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(is_remote)) => {
            vec![RemoteCluster::all_in(&value.to_string()).map_or_else(|e| unknown(&e), Found::Watched)]
        }
        () => vec![dump::read(value).map_or_else(|| nothing(value), |dump| Found::Proxy(Box::new(dump)))],
    }
}

fn is_remote(one: &Value) -> bool {
    one.get("id").is_some() && (one.get("syncStatus").is_some() || one.get("sync_status").is_some())
}

fn unknown(e: &crate::Error) -> Found {
    Found::Unknown(e.to_string().replace('\n', ";"))
}

/// A config dump without its secrets is known as one; anything else is named by its members.
fn nothing(value: &Value) -> Found {
    if value.get("configs").is_some() {
        return Found::Idle("an Envoy's config dump without its secrets, so it decides no claim".to_owned());
    }
    match value {
        Value::Object(object) => {
            let names: Vec<_> =
                object.keys().take(4).map(|name| name.chars().take(30).collect::<String>()).collect();
            Found::Unknown(format!(
                "JSON with {}",
                if names.is_empty() { "nothing in it".to_owned() } else { names.join(", ") }
            ))
        }
        _ => Found::Unknown("JSON of another kind".to_owned()),
    }
}

/// SPIFFE's own form, which does not say of whom it is.
fn key_set(value: &Value, heading: Option<&str>, command: Option<&str>) -> Found {
    let Ok(placeholder) = "unnamed".parse::<TrustDomain>() else {
        return Found::Unknown("a trust bundle".into());
    };
    match Bundle::read(placeholder, &value.to_string()) {
        Ok(bundle) => {
            let asked = command.and_then(|command| word_after(command, "-id"));
            let trust_domain = heading.or(asked).and_then(domain).or_else(|| own_name(&bundle.authorities));
            let of_peer = heading.is_some() || listed(command);
            Found::Bundle(Told {
                trust_domain,
                of_peer,
                alone: heading.is_none(),
                authorities: bundle.authorities,
            })
        }
        Err(e) => Found::Unknown(format!("a trust bundle that cannot be used: {}", cause(&e))),
    }
}

/// An error without the placeholder's name, and in one line.
fn cause(e: &crate::Error) -> String {
    let text = e.to_string().replace("the bundle of unnamed cannot be read", "").replace("\n  ", "; ");
    text.trim_start_matches([':', ';', ' ']).to_owned()
}

/// The form of SPIRE's API, which says of whom it is (`-output json`).
fn api_bundle(value: &Value, of_peer: bool, alone: bool) -> Found {
    let authorities = value["x509_authorities"].as_array().into_iter().flatten().map(|one| {
        let der = STANDARD.decode(one["asn1"].as_str().unwrap_or_default()).map_err(|e| e.to_string())?;
        let certificate = Certificate::from_der(&der).map_err(|flaw| flaw.to_string())?;
        Ok(Authority { certificate })
    });
    let authorities: Result<Vec<_>, String> = authorities.collect();
    match authorities {
        Ok(authorities) if authorities.is_empty() => {
            Found::Unknown("a trust bundle that cannot be used: no X.509 authority in it".to_owned())
        }
        Ok(authorities) => {
            let trust_domain = value["trust_domain"].as_str().and_then(domain);
            Found::Bundle(Told { trust_domain, of_peer, alone, authorities })
        }
        Err(e) => Found::Unknown(format!("a trust bundle that cannot be used: {e}")),
    }
}

fn listed_bundles(value: &Value) -> Vec<Found> {
    let all = value["bundles"].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        vec![Found::NoPeers]
    } else {
        all.iter().map(|one| api_bundle(one, true, false)).collect()
    }
}

fn entries(value: &Value) -> Found {
    let all = value["next_page_token"].as_str().unwrap_or_default().is_empty();
    entries_of(&value.to_string()).map_or_else(|e| unknown(&e), |entries| Found::Entries { entries, all })
}

/// A record in our format has the certificates; in others there is nothing to judge.
fn record(value: &Value) -> Found {
    if let Ok(record) = Record::read(&value.to_string()) {
        return Found::Records(vec![record]);
    }
    let text =
        |name: &str| value[name].as_str().filter(|text| !text.is_empty() && *text != "-").map(str::to_owned);
    // What Istio's own JSON format prints.
    let record = Record {
        response_code: value["response_code"]
            .as_u64()
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or_default(),
        response_flags: text("response_flags"),
        response_code_details: text("response_code_details"),
        connection_termination_details: text("connection_termination_details"),
        upstream_transport_failure_reason: text("upstream_transport_failure_reason"),
        ..Record::default()
    };
    Found::Calls { requests: 1, failed: record.cause().map(|cause| cause.to_string()).into_iter().collect() }
}

/// Envoy's `/certs` and ztunnel's dump both have a list of that name.
fn certs(value: &Value) -> Found {
    let of_ztunnel =
        value["certificates"].as_array().into_iter().flatten().any(|one| one.get("identity").is_some());
    Found::Idle(if of_ztunnel {
        "a ztunnel's dump: ambient mode, which is not judged here".to_owned()
    } else {
        "Envoy's /certs: names and serial numbers, no keys, so it decides no claim; /config_dump has them"
            .to_owned()
    })
}
