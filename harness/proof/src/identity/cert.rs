//! What one certificate says, read once from its DER and kept as plain values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::algorithm::{self, Signature};
use super::{Flaw, Pem, SpiffeId};

/// One X.509 certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The subject's name, as RFC 4514 orders it.
    pub subject: String,
    /// The issuer's name: shown, never judged.
    pub issuer: String,
    /// The serial number in hex.
    pub serial: String,
    /// The first moment of its validity.
    pub not_before: Timestamp,
    /// The last moment of its validity.
    pub not_after: Timestamp,
    /// Every URI among its subject alternative names.
    pub uris: Vec<String>,
    /// Every DNS name among them.
    pub dns: Vec<String>,
    /// Whether it is a certificate authority's.
    pub is_ca: bool,
    /// How many intermediates a CA allows below itself; nothing means any number.
    pub path_len: Option<u32>,
    /// What its key may be used for; nothing when the certificate does not say.
    pub key_usage: Option<KeyUsage>,
    /// Whether its extended key usage names both ends of TLS; nothing when the certificate has none.
    pub for_tls: Option<bool>,
    /// The subject key identifier in hex.
    pub key_id: Option<String>,
    /// The key identifier of whoever signed it, in hex, as the certificate itself claims.
    pub authority_key_id: Option<String>,
    /// Its public key with the algorithm (SubjectPublicKeyInfo, DER).
    pub public_key: Vec<u8>,
    rsa_bits: Option<usize>,
    broken_hash: Option<String>,
    der: Vec<u8>,
}

/// The key usages that the X509-SVID specification speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// May take part in a handshake.
    pub digital_signature: bool,
    /// May sign certificates.
    pub key_cert_sign: bool,
    /// May sign revocation lists.
    pub crl_sign: bool,
}

impl Certificate {
    /// Reads one certificate.
    ///
    /// # Errors
    /// [`Flaw::Unreadable`] for anything that is not one well-formed certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, Flaw> {
        let unreadable = |e: &dyn std::fmt::Display| Flaw::Unreadable(e.to_string());
        let x509 = parse(der)?;
        // RFC 5280, section 4.1.1.2. Go, in which SPIRE and istiod are written, does not read such a one either.
        if x509.signature_algorithm != x509.tbs_certificate.signature {
            return Err(Flaw::Unreadable("it names two signature algorithms".into()));
        }
        let (mut uris, mut dns) = (Vec::new(), Vec::new());
        if let Some(san) = x509.subject_alternative_name().map_err(|e| unreadable(&e))? {
            for name in &san.value.general_names {
                match name {
                    GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                    GeneralName::DNSName(name) => dns.push((*name).to_owned()),
                    _ => {}
                }
            }
        }
        let constraints = x509.basic_constraints().map_err(|e| unreadable(&e))?;
        let key_usage = x509.key_usage().map_err(|e| unreadable(&e))?;
        let extended = x509.extended_key_usage().map_err(|e| unreadable(&e))?;
        let (mut key_id, mut authority_key_id) = (None, None);
        for extension in x509.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => key_id = Some(hex::encode(id.0)),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    authority_key_id = id.key_identifier.as_ref().map(|id| hex::encode(id.0));
                }
                ParsedExtension::ParseError { error } => return Err(unreadable(error)),
                _ => {}
            }
        }
        Ok(Self {
            subject: x509.subject().to_string(),
            issuer: x509.issuer().to_string(),
            serial: hex::encode(x509.raw_serial()),
            not_before: moment(x509.validity().not_before.timestamp()),
            not_after: moment(x509.validity().not_after.timestamp()),
            uris,
            dns,
            is_ca: constraints.as_ref().is_some_and(|c| c.value.ca),
            path_len: constraints.and_then(|c| c.value.path_len_constraint),
            key_usage: key_usage.map(|usage| KeyUsage {
                digital_signature: usage.value.digital_signature(),
                key_cert_sign: usage.value.key_cert_sign(),
                crl_sign: usage.value.crl_sign(),
            }),
            for_tls: extended.map(|e| e.value.server_auth && e.value.client_auth),
            key_id,
            authority_key_id,
            public_key: x509.public_key().raw.to_vec(),
            rsa_bits: algorithm::rsa_bits(x509.public_key()),
            broken_hash: algorithm::broken_hash(&x509.signature_algorithm),
            der: der.to_vec(),
        })
    }

    /// Who it says it is: exactly one URI SAN, a SPIFFE ID.
    ///
    /// # Errors
    /// [`Flaw::NoSpiffeId`], [`Flaw::ManyUris`] or [`Flaw::NotSpiffe`].
    pub fn spiffe_id(&self) -> Result<SpiffeId, Flaw> {
        match self.uris.as_slice() {
            [] => Err(Flaw::NoSpiffeId { subject: self.subject.clone() }),
            [uri] => uri.parse().map_err(Flaw::NotSpiffe),
            many => Err(Flaw::ManyUris(many.to_vec())),
        }
    }

    /// Whether it has the form of an X509-SVID leaf (X509-SVID specification, section 4).
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_leaf(&self) -> Result<(), Flaw> {
        let subject = || self.subject.clone();
        if self.is_ca {
            return Err(Flaw::CaLeaf(subject()));
        }
        match self.key_usage {
            Some(usage) if usage.key_cert_sign || usage.crl_sign => Err(Flaw::SigningLeaf(subject())),
            Some(usage) if usage.digital_signature => Ok(()),
            _ => Err(Flaw::NoDigitalSignature(subject())),
        }?;
        if self.for_tls == Some(false) { Err(Flaw::NotForTls(subject())) } else { Ok(()) }
    }

    /// Whether `at` lies within its validity, both ends included.
    ///
    /// # Errors
    /// [`Flaw::Expired`] or [`Flaw::NotYetValid`].
    pub fn check_time(&self, at: Timestamp) -> Result<(), Flaw> {
        let subject = self.subject.clone();
        // Validity has whole seconds; a moment within the last one is still inside.
        let second = at.as_second();
        if second > self.not_after.as_second() {
            return Err(Flaw::Expired { subject, since: self.not_after, at });
        }
        if second < self.not_before.as_second() {
            return Err(Flaw::NotYetValid { subject, until: self.not_before, at });
        }
        Ok(())
    }

    /// Whether it may sign certificates.
    pub fn may_sign(&self) -> bool {
        // RFC 5280, section 4.2.1.3: a CA without the extension is not restricted.
        self.is_ca && self.key_usage.is_none_or(|usage| usage.key_cert_sign)
    }

    /// Whether it is signed over a hash that can be relied on.
    ///
    /// # Errors
    /// [`Flaw::WeakSignature`].
    pub fn check_hash(&self) -> Result<(), Flaw> {
        let weak = |algorithm| Err(Flaw::WeakSignature { subject: self.subject.clone(), algorithm });
        self.broken_hash.clone().map_or(Ok(()), weak)
    }

    /// Whether its key is long enough.
    ///
    /// # Errors
    /// [`Flaw::ShortKey`].
    pub fn check_key(&self) -> Result<(), Flaw> {
        let short = |bits| Err(Flaw::ShortKey { subject: self.subject.clone(), bits });
        self.rsa_bits.filter(|bits| *bits < algorithm::RSA_LEAST).map_or(Ok(()), short)
    }

    /// Whether the key of `issuer` made this certificate's signature, as far as that can be checked.
    pub(super) fn signature_by(&self, issuer: &Certificate) -> Signature {
        let (Ok(mine), Ok(theirs)) = (parse(&self.der), parse(&issuer.der)) else {
            return Signature::NotMade;
        };
        algorithm::check(&mine, theirs.public_key())
    }

    /// That nobody here can tell whether the key of `issuer` signed it.
    pub(super) fn uncheckable(&self, issuer: &Certificate) -> Flaw {
        let algorithm = match (parse(&self.der), parse(&issuer.der)) {
            (Ok(mine), Ok(theirs)) => algorithm::combination(&mine.signature_algorithm, theirs.public_key()),
            _ => "an unknown algorithm".into(),
        };
        Flaw::Uncheckable { subject: self.subject.clone(), algorithm }
    }

    /// The name of its key, in hex: the subject key identifier. A certificate without one is named by the first
    /// twenty bytes of its public key's SHA-256.
    pub fn key_name(&self) -> String {
        let digest = || hex::encode(&Sha256::digest(&self.public_key)[..20]);
        self.key_id.clone().unwrap_or_else(digest)
    }

    /// Until when it is valid, for a person.
    pub fn until(&self) -> String {
        if self.not_after == Timestamp::MAX {
            "without end".into()
        } else {
            format!("until {}", self.not_after)
        }
    }

    /// The certificate as text.
    pub fn pem(&self) -> Pem {
        let base64 = STANDARD.encode(&self.der);
        let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        Pem::of(&format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")))
    }

    /// SHA-256 over the DER, in hex.
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.der))
    }
}

/// The year 9999 ends a little later than this type does, and its last second means "no end" (RFC 5280, section
/// 4.1.2.5). No moment of judgement lies beyond, so the last one that there is will do. There is none too early: X.509
/// has no year before 0, and this type has.
fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Flaw> {
    match X509Certificate::from_der(der) {
        Ok(([], x509)) => Ok(x509),
        Ok((rest, _)) => Err(Flaw::Unreadable(format!("{} bytes follow it", rest.len()))),
        Err(e) => Err(Flaw::Unreadable(e.to_string())),
    }
}
