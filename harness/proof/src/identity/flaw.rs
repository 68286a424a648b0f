//! What can be wrong with a certificate, one name for each: a test or a verdict says which.

use jiff::Timestamp;

use super::algorithm::RSA_LEAST;
use super::{InvalidId, SpiffeId, TrustDomain};

/// One thing that is wrong with a certificate, its chain, or whom it speaks for.
///
/// Display is a sentence about the certificate, for the `observed` of a verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// There is nothing to look at: the peer showed no certificate, or the proxy holds none.
    #[error("there is no certificate")]
    NoCertificate,
    /// Not PEM, not DER, or an extension that cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// A SPIFFE leaf names itself in a URI SAN; this one has none.
    #[error("the certificate of `{subject}` has no URI SAN, so it carries no SPIFFE ID")]
    NoSpiffeId {
        /// Its subject, the only name it has.
        subject: String,
    },
    /// The X509-SVID specification wants exactly one URI SAN (section 2).
    #[error("the certificate has {} URI SANs ({}), not one", .0.len(), .0.join(", "))]
    ManyUris(Vec<String>),
    /// Its one URI is something else.
    #[error("the certificate's URI is not a SPIFFE ID: {0}")]
    NotSpiffe(InvalidId),
    /// A valid identity, but not the one that was to be met.
    #[error("it is {found}, not {expected}")]
    OtherId {
        /// Who was to be met.
        expected: SpiffeId,
        /// Who is there.
        found: SpiffeId,
    },
    /// The bundle asked speaks for another trust domain.
    #[error("{id} is not of trust domain {asked}, so that bundle cannot vouch for it")]
    OtherTrustDomain {
        /// Who the certificate says it is.
        id: SpiffeId,
        /// Whose bundle was asked.
        asked: TrustDomain,
    },
    /// Its time is over.
    #[error("`{subject}` expired at {since}, judged at {at}")]
    Expired {
        /// Whose certificate.
        subject: String,
        /// The last moment at which it was valid.
        since: Timestamp,
        /// The moment of the judgement.
        at: Timestamp,
    },
    /// Its time has not come.
    #[error("`{subject}` is not valid before {until}, judged at {at}")]
    NotYetValid {
        /// Whose certificate.
        subject: String,
        /// The first moment at which it will be valid.
        until: Timestamp,
        /// The moment of the judgement.
        at: Timestamp,
    },
    /// A certificate authority's certificate where a workload's was to be (X509-SVID, section 4.1).
    #[error("the leaf `{0}` is a CA certificate")]
    CaLeaf(String),
    /// A leaf that may sign others (X509-SVID, section 4.3).
    #[error("the leaf `{0}` has key usage keyCertSign or cRLSign")]
    SigningLeaf(String),
    /// A leaf that cannot take part in a handshake (X509-SVID, section 4.3).
    #[error("the leaf `{0}` lacks key usage digitalSignature")]
    NoDigitalSignature(String),
    /// Extended key usage is there, but not for both ends of TLS (X509-SVID, section 4.4).
    #[error("the leaf `{0}` is not for both server and client authentication")]
    NotForTls(String),
    /// It names the key of an authority that did not sign it: forged or damaged.
    #[error("it names authority key {key_id}, but that key did not make its signature")]
    SignatureInvalid {
        /// The authority that it names, in hex.
        key_id: String,
    },
    /// No authority of the bundle signed it.
    #[error("no authority of the bundle signed it: {}, and it calls its issuer `{issuer}`{}",
        key_text(.authority_key_id.as_deref()), if *.same_name { ", a name that an authority of the bundle has too" } else { "" })]
    UnknownIssuer {
        /// The authority key that it names, in hex.
        authority_key_id: Option<String>,
        /// The issuer's name that it gives; shown, never judged.
        issuer: String,
        /// The bundle has an authority of that very name with another key.
        same_name: bool,
    },
    /// A link of the chain signed a certificate without being allowed to.
    #[error("`{0}` signed a certificate and is not a CA that may")]
    IntermediateNotCa(String),
    /// A link of the chain allows fewer links below it (RFC 5280, section 4.2.1.9).
    #[error("the chain is longer than `{0}` allows")]
    ChainTooLong(String),
    /// A signature over a hash for which collisions are made.
    #[error("`{subject}` is signed with {algorithm}, a broken hash that is not believed")]
    WeakSignature {
        /// Whose certificate.
        subject: String,
        /// How it is signed.
        algorithm: String,
    },
    /// A key so short that others may find it.
    #[error("`{subject}` has an RSA key of {bits} bits, and fewer than {RSA_LEAST} are not believed")]
    ShortKey {
        /// Whose certificate.
        subject: String,
        /// How long its key is.
        bits: usize,
    },
    /// It may be good or forged: nobody here can tell.
    #[error("`{subject}` is signed with {algorithm}, which this program cannot check")]
    Uncheckable {
        /// Whose certificate.
        subject: String,
        /// How it is signed, and with what kind of key.
        algorithm: String,
    },
    /// It may be good: finding out would take too long.
    #[error("so many certificates came with it that more than {most} signatures would have to be checked")]
    TooMany {
        /// How many are.
        most: usize,
    },
}

impl Flaw {
    /// Whether it says that nothing is known, neither that the certificate is good nor that it is not. Such a flaw
    /// breaks no claim.
    pub fn is_uncheckable(&self) -> bool {
        matches!(self, Self::Uncheckable { .. } | Self::TooMany { .. })
    }
}

fn key_text(key_id: Option<&str>) -> String {
    key_id.map_or_else(|| "it names no authority key".to_owned(), |id| format!("it names authority key {id}"))
}
