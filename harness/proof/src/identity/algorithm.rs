//! Which signatures can be checked here, and which are refused whatever they say.
//!
//! ring checks ECDSA on P-256 and P-384 with SHA-256 and SHA-384, RSA of 2048 to 8192 bits, and Ed25519. Anything
//! else is not a forgery: whether the key made the signature is unknown, and is said so. Where sizes alone show that a
//! key cannot have made a signature, that is known all the same.

use x509_parser::error::X509Error;
use x509_parser::oid_registry::{Oid, OidRegistry};
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::{PublicKey, RSAPublicKey};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// The shortest RSA key that is believed, in bits; shorter ones have been factored, or soon may be.
pub(super) const RSA_LEAST: usize = 2048;
const RSA_MOST: usize = 8192;

/// Whether a key made a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// It did.
    Made,
    /// It did not.
    NotMade,
    /// It may have: this cannot be checked here.
    Unknown,
}

/// Whether `key` made the signature of `certificate`.
pub(super) fn check(certificate: &X509Certificate<'_>, key: &SubjectPublicKeyInfo<'_>) -> Signature {
    if !may_fit(certificate, key) {
        return Signature::NotMade;
    }
    match certificate.verify_signature(Some(key)) {
        Ok(()) => Signature::Made,
        Err(X509Error::SignatureUnsupportedAlgorithm) => Signature::Unknown,
        Err(_) if beyond_us(&certificate.signature_algorithm, key) => Signature::Unknown,
        Err(_) => Signature::NotMade,
    }
}

/// The name of the algorithm, when it rests on a hash for which collisions are made: whoever can have one
/// certificate signed may own another with the same signature.
pub(super) fn broken_hash(algorithm: &AlgorithmIdentifier<'_>) -> Option<String> {
    let broken = match &*algorithm.algorithm.to_id_string() {
        // MD2, MD5 and SHA-1 with RSA, in both registers; SHA-1 with DSA and ECDSA.
        "1.2.840.113549.1.1.2" | "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" => true,
        "1.3.14.3.2.25" | "1.3.14.3.2.29" | "1.2.840.10040.4.3" | "1.2.840.10045.4.1" => true,
        PSS => pss(algorithm).is_none_or(|pss| pss.hash_algorithm_oid().to_id_string() == "1.3.14.3.2.26"),
        _ => false,
    };
    broken.then(|| signature_name(algorithm))
}

/// `ecdsa-with-SHA512 on P-521`.
pub(super) fn combination(algorithm: &AlgorithmIdentifier<'_>, key: &SubjectPublicKeyInfo<'_>) -> String {
    format!("{} {}", signature_name(algorithm), key_name(key))
}

/// The length of an RSA key in bits; nothing for other keys.
pub(super) fn rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => Some(bits(rsa.modulus)),
        _ => None,
    }
}

const PSS: &str = "1.2.840.113549.1.1.10";

/// What a key and a signature must have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Rsa,
    Ec,
    Dsa,
    Ed25519,
    Ed448,
}

/// Nothing for one that is not known: it may go with any key.
pub(super) fn family_of_signature(algorithm: &str) -> Option<Family> {
    match algorithm {
        "1.3.101.112" => Some(Family::Ed25519),
        "1.3.101.113" => Some(Family::Ed448),
        "1.3.14.3.2.25" | "1.3.14.3.2.29" => Some(Family::Rsa),
        "1.2.840.10040.4.3" => Some(Family::Dsa),
        other if other.starts_with("1.2.840.113549.1.1.") => Some(Family::Rsa),
        other if other.starts_with("1.2.840.10045.4.") => Some(Family::Ec),
        _ => None,
    }
}

pub(super) fn family_of_key(algorithm: &str) -> Option<Family> {
    match algorithm {
        "1.3.101.112" => Some(Family::Ed25519),
        "1.3.101.113" => Some(Family::Ed448),
        "1.2.840.10040.4.1" => Some(Family::Dsa),
        "1.2.840.10045.2.1" => Some(Family::Ec),
        "1.2.840.113549.1.1.1" | PSS => Some(Family::Rsa),
        _ => None,
    }
}

/// Whether a key of this kind and size can make a signature of that kind and size.
fn may_fit(certificate: &X509Certificate<'_>, key: &SubjectPublicKeyInfo<'_>) -> bool {
    let signature = family_of_signature(&certificate.signature_algorithm.algorithm.to_id_string());
    let (Some(signature), Some(family)) = (signature, family_of_key(&key.algorithm.algorithm.to_id_string()))
    else {
        return true;
    };
    let length = certificate.signature_value.data.len();
    signature == family
        && match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => length == bits(rsa.modulus).div_ceil(8),
            // Two numbers below the curve's order, in DER. Both may have a zero before them, and together they are
            // sixteen bytes shorter once in 2^128 signatures.
            Ok(PublicKey::EC(point)) => {
                let both = 2 * coordinate(point.data());
                (both.saturating_sub(10)..=both + 9).contains(&length)
            }
            _ => true,
        }
}

/// Whether ring refuses the key or the parameters before it looks at the signature.
fn beyond_us(algorithm: &AlgorithmIdentifier<'_>, key: &SubjectPublicKeyInfo<'_>) -> bool {
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => !checkable(&rsa) || pss(algorithm).is_some_and(|pss| !plain(&pss)),
        Ok(PublicKey::EC(point)) => point.data().first() != Some(&4),
        _ => false,
    }
}

pub(super) fn checkable(key: &RSAPublicKey<'_>) -> bool {
    (RSA_LEAST..=RSA_MOST).contains(&bits(key.modulus)) && bits(key.exponent) <= 33
}

/// One hash for everything, and a salt of its length: the only form that TLS and ring know.
fn plain(pss: &RsaSsaPssParams<'_>) -> bool {
    let hash = pss.hash_algorithm_oid();
    let salt = match &*hash.to_id_string() {
        "2.16.840.1.101.3.4.2.1" => 32,
        "2.16.840.1.101.3.4.2.2" => 48,
        _ => 64,
    };
    let same = pss.mask_gen_algorithm().is_ok_and(|mask| mask.hash == *hash);
    same && pss.salt_length() == salt
}

fn pss<'a>(algorithm: &'a AlgorithmIdentifier<'_>) -> Option<RsaSsaPssParams<'a>> {
    let parameters = algorithm.parameters.as_ref().filter(|_| algorithm.algorithm.to_id_string() == PSS)?;
    RsaSsaPssParams::try_from(parameters).ok()
}

pub(super) fn bits(number: &[u8]) -> usize {
    let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
    number.first().map_or(0, |first| 8 * number.len() - first.leading_zeros() as usize)
}

/// The length of a point's coordinate in bytes, both in the long and in the compressed form.
fn coordinate(point: &[u8]) -> usize {
    let rest = point.len().saturating_sub(1);
    if point.first() == Some(&4) { rest / 2 } else { rest }
}

fn signature_name(algorithm: &AlgorithmIdentifier<'_>) -> String {
    match &*algorithm.algorithm.to_id_string() {
        PSS => {
            let hash = pss(algorithm).map(|pss| name(pss.hash_algorithm_oid()));
            format!("RSASSA-PSS ({})", hash.unwrap_or_else(|| "its parameters cannot be read".into()))
        }
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1".into(),
        _ => name(&algorithm.algorithm),
    }
}

fn key_name(key: &SubjectPublicKeyInfo<'_>) -> String {
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("with an RSA key of {} bits", bits(rsa.modulus)),
        Ok(PublicKey::EC(point)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            let form = if point.data().first() == Some(&4) { "" } else { ", with a compressed key" };
            format!(
                "on {}{form}",
                curve.map_or_else(|| "a curve without a name".into(), |oid| curve_name(&oid))
            )
        }
        _ => format!("with a key of {}", name(&key.algorithm.algorithm)),
    }
}

fn curve_name(curve: &Oid<'_>) -> String {
    match &*curve.to_id_string() {
        "1.2.840.10045.3.1.7" => "P-256".into(),
        "1.3.132.0.34" => "P-384".into(),
        "1.3.132.0.35" => "P-521".into(),
        _ => name(curve),
    }
}

fn name(oid: &Oid<'_>) -> String {
    let registry = OidRegistry::default().with_all_crypto().with_x509();
    registry.get(oid).map_or_else(|| oid.to_id_string(), |entry| entry.sn().to_owned())
}
