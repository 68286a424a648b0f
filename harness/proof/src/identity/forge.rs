//! Good and deliberately bad certificates for tests, all made here.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::json;

use super::{Bundle, Pem};

/// The moment at which tests judge: the middle of every good leaf's one hour.
pub fn now() -> Timestamp {
    "2026-11-21T00:30:00Z".parse().unwrap()
}

/// A certificate authority, with its key.
pub struct Ca {
    params: CertificateParams,
    key: KeyPair,
    /// Its certificate.
    pub pem: String,
}

impl Ca {
    /// One that signed itself. Two of the same name have different keys.
    pub fn named(name: &str) -> Self {
        Self::keyed(name, KeyPair::generate().unwrap())
    }

    /// One with that key.
    pub fn keyed(name: &str, key: KeyPair) -> Self {
        let params = ca_params(name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    /// An intermediate below this one, after `change`.
    pub fn intermediate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (ca_params(name), KeyPair::generate().unwrap());
        change(&mut params);
        let pem = params.signed_by(&key, &self.issuer()).unwrap().pem();
        Self { params, key, pem }
    }

    /// The same key and name again, in another certificate that signs itself.
    pub fn renewed(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = self.params.clone();
        change(&mut params);
        params.self_signed(&self.key).unwrap().pem()
    }

    /// The same key and name again, signed by another authority.
    pub fn cross_signed(&self, by: &Self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = self.params.clone();
        change(&mut params);
        params.signed_by(&self.key, &by.issuer()).unwrap().pem()
    }

    /// A good leaf for `id`.
    pub fn svid(&self, id: &str) -> String {
        self.svid_with(id, |_| {})
    }

    /// A leaf for `id`, after `change`.
    pub fn svid_with(&self, id: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
        self.svid_of(&KeyPair::generate().unwrap(), id, change)
    }

    /// The same for a given key.
    pub fn svid_of(
        &self,
        key: &impl rcgen::PublicKeyData,
        id: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = name_of("SPIRE", None);
        params.subject_alt_names = vec![uri(id)];
        params.not_before = date_time_ymd(2026, 11, 21);
        params.not_after = date_time_ymd(2026, 11, 21) + Duration::from_secs(3600);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyAgreement,
        ];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        params.signed_by(key, &self.issuer()).unwrap().pem()
    }

    /// This authority alone as a trust domain's bundle.
    pub fn bundle(&self, trust_domain: &str) -> Bundle {
        Bundle::read(trust_domain.parse().unwrap(), &published(&[self])).unwrap()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

/// What a SPIRE server with these authorities would publish.
pub fn published(authorities: &[&Ca]) -> String {
    let keys: Vec<_> = authorities
        .iter()
        .map(|ca| json!({"use": "x509-svid", "kty": "EC", "crv": "P-256", "x5c": [x5c(&ca.pem)]}))
        .chain([json!({"use": "jwt-svid", "kty": "EC", "kid": "not an X.509 authority"})])
        .collect();
    json!({"keys": keys, "spiffe_sequence": 1, "spiffe_refresh_hint": 300}).to_string()
}

/// The base64 inside a PEM block.
pub fn x5c(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect()
}

/// The certificate with the last byte of its signature changed.
pub fn damaged(pem: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mut der = STANDARD.decode(x5c(pem)).unwrap();
    *der.last_mut().unwrap() ^= 1;
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

/// A URI for a subject alternative name.
pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// Leaf first, then what comes with it.
pub fn chain(pems: &[&str]) -> Pem {
    Pem::of(&pems.concat())
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name_of("RH", Some(name));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2026, 11, 20);
    params.not_after = date_time_ymd(2026, 11, 30);
    params
}

fn name_of(organisation: &str, common: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, "US");
    name.push(DnType::OrganizationName, organisation);
    if let Some(common) = common {
        name.push(DnType::CommonName, common);
    }
    name
}
