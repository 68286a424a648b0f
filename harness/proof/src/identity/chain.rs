//! Certificates as they travel: PEM text, a leaf with its intermediates, and the links between them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Authority, Certificate, Flaw};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// PEM text that holds certificates and nothing else.
///
/// Whatever it is made from, private keys and stray text are dropped at once: nothing that is built of this
/// type can carry a secret. Whether the certificates can be read is judged later, so that unreadable ones
/// stay evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Pem(String);

impl Pem {
    /// The certificate blocks of `text`.
    pub fn of(text: &str) -> Self {
        let mut kept = String::new();
        let mut block: Option<String> = None;
        for line in text.lines().map(str::trim) {
            if line.starts_with("-----BEGIN ") {
                block = (line == BEGIN).then(String::new);
            }
            let Some(open) = &mut block else { continue };
            open.push_str(line);
            open.push('\n');
            if line == END {
                kept.push_str(open);
                block = None;
            }
        }
        Self(kept)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no certificate in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every certificate, in order.
    ///
    /// # Errors
    /// [`Flaw::NoCertificate`] or [`Flaw::Unreadable`].
    pub fn certificates(&self) -> Result<Vec<Certificate>, Flaw> {
        let blocks = x509_parser::pem::Pem::iter_from_buffer(self.0.as_bytes());
        let all: Vec<_> = blocks
            .map(|block| {
                let block = block.map_err(|e| Flaw::Unreadable(e.to_string()))?;
                Certificate::from_der(&block.contents)
            })
            .collect::<Result<_, _>>()?;
        if all.is_empty() { Err(Flaw::NoCertificate) } else { Ok(all) }
    }

    /// The same, as a leaf and what comes with it.
    ///
    /// # Errors
    /// [`Flaw::NoCertificate`] or [`Flaw::Unreadable`].
    pub fn chain(&self) -> Result<Chain, Flaw> {
        let mut all = self.certificates()?.into_iter();
        let leaf = all.next().ok_or(Flaw::NoCertificate)?;
        Ok(Chain { leaf, intermediates: all.collect() })
    }
}

impl From<String> for Pem {
    fn from(text: String) -> Self {
        Self::of(&text)
    }
}

impl From<Pem> for String {
    fn from(pem: Pem) -> Self {
        pem.0
    }
}

/// A leaf and the certificates that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Whom it is about.
    pub leaf: Certificate,
    /// What should lead from it to an authority, in any order.
    pub intermediates: Vec<Certificate>,
}

impl Chain {
    /// The authority whose key signed the leaf, through intermediates if need be; nothing when it is none of
    /// them. Only signatures count here: neither time nor names nor what the certificates allow.
    pub fn signer<'a>(&self, authorities: &'a [Authority]) -> Option<&'a Authority> {
        self.path(authorities).ok().map(|(authority, _)| authority)
    }

    /// Like [`Chain::signer`], and every link must be allowed to sign and be valid at `at`.
    ///
    /// Name constraints and revocation are not looked at: SPIRE uses neither.
    ///
    /// # Errors
    /// The first flaw, from the leaf upwards.
    pub fn verified<'a>(&self, authorities: &'a [Authority], at: Timestamp) -> Result<&'a Authority, Flaw> {
        let (authority, links) = self.path(authorities)?;
        self.leaf.check_time(at)?;
        let issuers = links.into_iter().chain([&authority.certificate]);
        for (below, issuer) in issuers.enumerate() {
            if !issuer.may_sign() {
                return Err(Flaw::IntermediateNotCa(issuer.subject.clone()));
            }
            if issuer.path_len.is_some_and(|most| below > most as usize) {
                return Err(Flaw::ChainTooLong(issuer.subject.clone()));
            }
            issuer.check_time(at)?;
        }
        Ok(authority)
    }

    /// The authority at the top, and the intermediates that lead to it from the leaf's side.
    fn path<'a>(&self, authorities: &'a [Authority]) -> Result<(&'a Authority, Vec<&Certificate>), Flaw> {
        let mut links = Vec::new();
        let mut below = &self.leaf;
        loop {
            if let Some(authority) = authorities.iter().find(|a| below.is_signed_by(&a.certificate)) {
                return Ok((authority, links));
            }
            let next = self
                .intermediates
                .iter()
                .find(|c| **c != *below && !links.contains(c) && below.is_signed_by(c));
            let Some(next) = next else { return Err(unsigned(below, authorities)) };
            links.push(next);
            below = next;
        }
    }
}

/// Why nobody vouches for `certificate`: it lies about its signer, or its signer is unknown.
fn unsigned(certificate: &Certificate, authorities: &[Authority]) -> Flaw {
    let named = certificate.authority_key_id.as_ref();
    if let Some(key_id) = named.filter(|id| authorities.iter().any(|a| a.key_id() == **id)) {
        return Flaw::SignatureInvalid { key_id: key_id.clone() };
    }
    Flaw::Stranger {
        authority_key_id: named.cloned(),
        issuer: certificate.issuer.clone(),
        same_name: authorities.iter().any(|a| a.certificate.subject == certificate.issuer),
    }
}
