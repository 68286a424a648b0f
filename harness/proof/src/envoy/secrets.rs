//! Which secrets a proxy holds: the answer of its admin endpoint `/config_dump`.
//!
//! Secrets are taken by name, never by position. A private key (which Envoy prints as `[redacted]`) is
//! never looked at and has no place in the types. A warming secret is one that the proxy waits for: it is not
//! held.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Context;
use crate::identity::Pem;
use crate::{Code, Error, Result};

const ALL_SECRETS: &str = "type.googleapis.com/envoy.admin.v3.SecretsConfigDump";
const ONE_SECRET: &str = "type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret";

/// Everything that a proxy got by SDS and uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// In the order of the dump.
    pub secrets: Vec<Secret>,
}

/// One secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Its SDS resource name: `default` and `ROOTCA` under Istio.
    pub name: String,
    /// When the proxy got it.
    pub last_updated: Option<Timestamp>,
    /// What it is.
    pub content: Content,
}

/// The kinds of secret that a mesh proxy holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A certificate to show, leaf first.
    Certificate(Pem),
    /// Whom to believe.
    Trust(Trust),
    /// Something else, such as a session ticket key.
    Other,
}

/// Whom a proxy believes, in the two forms that it comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// `envoy.tls.cert_validator.spiffe`: a bundle for each trust domain, as SPIRE sends it.
    PerTrustDomain(Vec<DomainTrust>),
    /// A plain `trusted_ca`: one pool of roots for any name, as istiod sends it.
    AnyName(Pem),
}

/// The bundle that a proxy holds for one trust domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainTrust {
    /// The trust domain's name, as the dump has it.
    pub trust_domain: String,
    /// Its authorities.
    pub bundle: Pem,
}

impl Held {
    /// Reads a whole `/config_dump`, or `/config_dump?resource=dynamic_active_secrets`. Do not ask for
    /// `dynamic_warming_secrets`: the answer looks the same, and those are not held.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it is not such a dump.
    pub fn read(json: &str) -> Result<Self> {
        let dump: Value = serde_json::from_str(json).or_fail(Code::Evidence, unreadable)?;
        let Some(dump) = dump.as_object() else { return Err(Error::new(Code::Evidence, unreadable())) };
        let configs = match dump.get("configs") {
            Some(Value::Array(configs)) => configs.as_slice(),
            // This is how Envoy says that it has none of the resource asked for.
            None if dump.is_empty() => &[],
            _ => return Err(Error::new(Code::Evidence, unreadable())),
        };
        let mut secrets = Vec::new();
        for config in configs {
            match config["@type"].as_str() {
                Some(ONE_SECRET) => secrets.push(secret(config)?),
                Some(ALL_SECRETS) => {
                    for one in config["dynamic_active_secrets"].as_array().into_iter().flatten() {
                        secrets.push(secret(one)?);
                    }
                }
                _ => {}
            }
        }
        Ok(Self { secrets })
    }

    /// The certificate chain held under `name`.
    pub fn certificate(&self, name: &str) -> Option<&Pem> {
        self.secrets.iter().find_map(|secret| match &secret.content {
            Content::Certificate(chain) if secret.name == name => Some(chain),
            _ => None,
        })
    }

    /// Every certificate chain held.
    pub fn chains(&self) -> impl Iterator<Item = &Pem> {
        self.secrets.iter().filter_map(|secret| match &secret.content {
            Content::Certificate(chain) => Some(chain),
            _ => None,
        })
    }

    /// The trust held under `name`.
    pub fn trust(&self, name: &str) -> Option<&Trust> {
        self.secrets.iter().find_map(|secret| match &secret.content {
            Content::Trust(trust) if secret.name == name => Some(trust),
            _ => None,
        })
    }
}

pub(crate) fn secret(dynamic: &Value) -> Result<Secret> {
    let name = dynamic["name"].as_str().ok_or_else(|| Error::new(Code::Evidence, unreadable()))?;
    let last_updated = dynamic["last_updated"].as_str().and_then(|time| time.parse().ok());
    let secret = &dynamic["secret"];
    let content = if let Some(pair) = secret.get("tls_certificate") {
        Content::Certificate(inline(&pair["certificate_chain"])?)
    } else if let Some(context) = secret.get("validation_context") {
        Content::Trust(trust(context)?)
    } else {
        Content::Other
    };
    Ok(Secret { name: name.to_owned(), last_updated, content })
}

fn trust(context: &Value) -> Result<Trust> {
    // Where both forms are present Envoy uses the custom validator.
    let Some(domains) = context["custom_validator_config"]["typed_config"]["trust_domains"].as_array() else {
        return Ok(Trust::AnyName(inline(&context["trusted_ca"])?));
    };
    let domain = |domain: &Value| {
        let trust_domain = domain["name"].as_str().unwrap_or_default().to_owned();
        Ok(DomainTrust { trust_domain, bundle: inline(&domain["trust_bundle"])? })
    };
    Ok(Trust::PerTrustDomain(domains.iter().map(domain).collect::<Result<_>>()?))
}

/// An Envoy data source that carries its data; one that names a file counts as empty.
fn inline(source: &Value) -> Result<Pem> {
    if let Some(text) = source["inline_string"].as_str() {
        return Ok(Pem::of(text));
    }
    let Some(encoded) = source["inline_bytes"].as_str() else { return Ok(Pem::default()) };
    let bytes = STANDARD.decode(encoded).or_fail(Code::Evidence, unreadable)?;
    Ok(Pem::of(&String::from_utf8_lossy(&bytes)))
}

fn unreadable() -> String {
    "the proxy's config dump cannot be read".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = include_str!("testdata/config_dump.json");

    #[test]
    fn a_real_dump_reads_by_name() {
        let held = Held::read(DUMP).unwrap();
        let leaf = held.certificate("default").unwrap().chain().unwrap().leaf;
        assert_eq!(leaf.spiffe_id().unwrap().to_string(), "spiffe://cluster1.local/ns/istio-test/sa/curl");
        let Some(Trust::PerTrustDomain(domains)) = held.trust("ROOTCA") else { panic!("{held:?}") };
        let names: Vec<_> = domains.iter().map(|d| d.trust_domain.as_str()).collect();
        assert_eq!(names, ["cluster1.local", "cluster2.local"]);
        assert!(domains.iter().all(|d| d.bundle.certificates().unwrap().len() == 1));
        assert_eq!(held.secrets[0].last_updated.unwrap().to_string(), "2026-11-21T01:45:02.073Z");
        assert_eq!((held.certificate("ROOTCA"), held.trust("default")), (None, None));
    }

    #[test]
    fn the_shorter_dump_says_the_same() {
        let shorter = Held::read(include_str!("testdata/config_dump_resource.json")).unwrap();
        assert_eq!(shorter, Held::read(DUMP).unwrap());
        assert_eq!(
            Held::read("{}\n").unwrap(),
            Held::default(),
            "no such secret: Envoy prints an empty object"
        );
    }

    #[test]
    fn order_does_not_matter() {
        let mut dump: Value = serde_json::from_str(DUMP).unwrap();
        dump["configs"][0]["dynamic_active_secrets"].as_array_mut().unwrap().reverse();
        let held = Held::read(&dump.to_string()).unwrap();
        assert_eq!(held.certificate("default"), Held::read(DUMP).unwrap().certificate("default"));
    }

    #[test]
    fn a_plain_pool_of_roots_is_another_thing() {
        let held = Held::read(include_str!("testdata/config_dump_trusted_ca.json")).unwrap();
        let Some(Trust::AnyName(roots)) = held.trust("ROOTCA") else { panic!("{held:?}") };
        assert_eq!(roots.certificates().unwrap()[0].subject, "O=cluster.local");
    }

    /// Tampering: the secrets are warming, that is, not there yet.
    #[test]
    fn a_warming_secret_is_not_held() {
        let warming = DUMP.replace("dynamic_active_secrets", "dynamic_warming_secrets");
        assert_eq!(Held::read(&warming).unwrap(), Held::default());
    }

    /// Tampering: a dump with a real private key in every place where text can be.
    #[test]
    fn a_private_key_is_dropped() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let mut dump: Value = serde_json::from_str(DUMP).unwrap();
        let secret = &mut dump["configs"][0]["dynamic_active_secrets"][0]["secret"]["tls_certificate"];
        let pem = Held::read(DUMP).unwrap().certificate("default").unwrap().as_str().to_owned();
        secret["private_key"]["inline_bytes"] = STANDARD.encode(key).into();
        secret["certificate_chain"] = serde_json::json!({"inline_string": format!("{pem}{key}")});
        let held = Held::read(&dump.to_string()).unwrap();
        assert_eq!(held.certificate("default").unwrap().as_str(), pem);
        let stored = serde_json::to_string(&held).unwrap();
        assert!(!stored.contains("PRIVATE") && !stored.contains("c2VjcmV0") && !stored.contains("edacted"));
    }

    #[test]
    fn something_else_is_refused() {
        for text in ["", "not found", "[]", r#"{"error": "x"}"#, r#"{"configs": 1}"#] {
            assert_eq!(Held::read(text).unwrap_err().code(), Code::Evidence, "{text}");
        }
    }
}
