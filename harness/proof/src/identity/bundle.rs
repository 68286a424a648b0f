//! Trust bundles: the keys that may vouch for a trust domain.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Certificate, Chain, Flaw, Path, Pem, TrustDomain};
use crate::error::Context;
use crate::{Code, Error, Result};

/// One authority of a trust domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its certificate, usually signed by itself.
    pub certificate: Certificate,
}

impl Authority {
    /// The authorities in `pem`, in order: a CA file, or what a proxy trusts.
    ///
    /// # Errors
    /// [`Flaw::NoCertificate`] or [`Flaw::Unreadable`].
    pub fn all_in(pem: &Pem) -> std::result::Result<Vec<Self>, Flaw> {
        Ok(pem.certificates()?.into_iter().map(|certificate| Self { certificate }).collect())
    }

    /// The name of its key, in hex: the subject key identifier, which is also what SPIRE calls an authority
    /// by ([`Certificate::key_name`]).
    pub fn key_id(&self) -> String {
        self.certificate.key_name()
    }

    /// The key itself: what makes two authorities the same, whatever they are called.
    pub fn has_key_of(&self, other: &Self) -> bool {
        self.certificate.public_key == other.certificate.public_key
    }
}

/// What a SPIRE server publishes for a trust domain.
///
/// Stored as its authorities' certificates, so that no other kind of key can come along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Bundle {
    /// For whom it speaks. The document itself does not say.
    pub trust_domain: TrustDomain,
    /// Grows with every change, if the server counts.
    pub sequence: Option<u64>,
    /// How often others should ask again, in seconds, if the server says.
    pub refresh_hint: Option<u64>,
    /// Its X.509 authorities; several while they rotate.
    pub authorities: Vec<Authority>,
}

impl Bundle {
    /// Reads what `spire-server bundle show -format spiffe` (and `bundle list -id … -format spiffe`) prints:
    /// a JWK set whose `x509-svid` keys carry one certificate each in `x5c`.
    ///
    /// # Errors
    /// [`Code::Evidence`] when it is not such a document, or holds no X.509 authority: an empty bundle would
    /// share no key with anybody, and a claim about it would hold for no reason.
    pub fn read(trust_domain: TrustDomain, json: &str) -> Result<Self> {
        let what = || format!("the bundle of {trust_domain} cannot be read");
        let set: KeySet = serde_json::from_str(json).or_fail(Code::Evidence, what)?;
        let mut authorities = Vec::new();
        for key in set.keys.into_iter().filter(|key| key.purpose.as_deref() == Some("x509-svid")) {
            let [certificate] = key.x5c.as_slice() else {
                let seen = format!("an x509-svid key with {} certificates", key.x5c.len());
                return Err(Error::new(Code::Evidence, what()).seen(seen));
            };
            let der = STANDARD.decode(certificate).or_fail(Code::Evidence, what)?;
            let certificate = Certificate::from_der(&der).or_fail(Code::Evidence, what)?;
            authorities.push(Authority { certificate });
        }
        if authorities.is_empty() {
            return Err(Error::new(Code::Evidence, what()).seen(EMPTY));
        }
        let (sequence, refresh_hint) = (set.spiffe_sequence, set.spiffe_refresh_hint);
        Ok(Self { trust_domain, sequence, refresh_hint, authorities })
    }

    /// The authorities whose key the other bundle has too.
    pub fn shared_with<'a>(&'a self, other: &Bundle) -> Vec<&'a Authority> {
        self.authorities.iter().filter(|a| other.authorities.iter().any(|b| a.has_key_of(b))).collect()
    }

    /// Whether no key is in both.
    pub fn disjoint(&self, other: &Bundle) -> bool {
        self.shared_with(other).is_empty()
    }

    /// Whether `authorities` hold exactly this bundle's keys.
    pub fn same_keys(&self, authorities: &[Authority]) -> bool {
        let covers =
            |some: &[Authority], all: &[Authority]| some.iter().all(|a| all.iter().any(|b| a.has_key_of(b)));
        covers(&self.authorities, authorities) && covers(authorities, &self.authorities)
    }

    /// The authority that stands behind `chain`: its leaf has the form of an X509-SVID of this trust domain,
    /// is signed link by link up to one of these keys, and everything is valid at `at`.
    ///
    /// # Errors
    /// The first flaw found; [`Flaw::is_uncheckable`] tells that it may be good all the same.
    pub fn authority_of(&self, chain: &Chain, at: Timestamp) -> std::result::Result<&Authority, Flaw> {
        self.path(chain, at).map(|path| path.authority)
    }

    /// Like [`Bundle::authority_of`], with the intermediates on the way.
    ///
    /// # Errors
    /// As [`Bundle::authority_of`].
    pub fn path<'c>(&self, chain: &'c Chain, at: Timestamp) -> std::result::Result<Path<'c, '_>, Flaw> {
        let id = chain.leaf.spiffe_id()?;
        chain.leaf.check_leaf()?;
        if *id.trust_domain() != self.trust_domain {
            return Err(Flaw::OtherTrustDomain { id, asked: self.trust_domain.clone() });
        }
        chain.verified(&self.authorities, at)
    }
}

const EMPTY: &str = "no X.509 authority in it";

/// A bundle as it is stored.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Bundle")]
struct Stored {
    trust_domain: TrustDomain,
    sequence: Option<u64>,
    refresh_hint: Option<u64>,
    authorities: Pem,
}

impl From<Bundle> for Stored {
    fn from(bundle: Bundle) -> Self {
        let text: String =
            bundle.authorities.iter().map(|a| a.certificate.pem().as_str().to_owned()).collect();
        let Bundle { trust_domain, sequence, refresh_hint, .. } = bundle;
        Self { trust_domain, sequence, refresh_hint, authorities: Pem::of(&text) }
    }
}

impl TryFrom<Stored> for Bundle {
    type Error = String;

    fn try_from(stored: Stored) -> std::result::Result<Self, String> {
        let Stored { trust_domain, sequence, refresh_hint, authorities } = stored;
        let authorities = Authority::all_in(&authorities).map_err(|flaw| match flaw {
            Flaw::NoCertificate => format!("the bundle of {trust_domain}: {EMPTY}"),
            flaw => format!("the bundle of {trust_domain}: {flaw}"),
        })?;
        Ok(Self { trust_domain, sequence, refresh_hint, authorities })
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Key>,
    spiffe_sequence: Option<u64>,
    spiffe_refresh_hint: Option<u64>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    x5c: Vec<String>,
}
