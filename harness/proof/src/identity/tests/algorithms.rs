//! Algorithms as people have them: checked, refused by name, or named as beyond us; never taken for a forgery.
//!
//! ring makes no such signatures, so these are OpenSSL's: `openssl ca -md …` with `-sigopt` for the PSS ones, valid
//! from 2026-11-20 on. Each file has a leaf and the root that signed it.

use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::super::algorithm::*;
use super::super::*;
use super::{CURL, damaged, now};

macro_rules! odd {
    ($name:literal) => {
        include_str!(concat!("../testdata/odd/", $name, ".pem"))
    };
}

/// What a bundle of the file's root says of the file's leaf.
fn judged(pem: &str) -> Result<String, Flaw> {
    let [leaf, root] = Pem::of(pem).certificates().unwrap().try_into().unwrap();
    by(&[root], leaf)
}

fn by(roots: &[Certificate], leaf: Certificate) -> Result<String, Flaw> {
    let authorities = roots.iter().map(|root| Authority { certificate: root.clone() }).collect();
    let trust_domain = "cluster1.local".parse().unwrap();
    let bundle = Bundle { trust_domain, sequence: None, refresh_hint: None, authorities };
    bundle.authority_of(&Chain { leaf, intermediates: vec![] }, now()).map(Authority::key_id)
}

#[test]
fn whatever_ring_knows_is_checked() {
    let pss = [odd!("pss-sha256"), odd!("pss-sha384"), odd!("pss-sha512")];
    for pem in [odd!("p384-sha256"), odd!("endless"), odd!("rsa-sha1-root")].into_iter().chain(pss) {
        let [leaf, root] = Pem::of(pem).certificates().unwrap().try_into().unwrap();
        assert_eq!(judged(pem), Ok(root.key_id.clone().unwrap()));
        let damaged = Pem::of(&damaged(leaf.pem().as_str())).chain().unwrap().leaf;
        let flaw = by(&[root], damaged).unwrap_err();
        assert!(matches!(flaw, Flaw::SignatureInvalid { .. }), "{flaw}");
    }
}

#[test]
fn what_it_does_not_know_is_named_and_no_forgery() {
    for (pem, told) in [
        (odd!("p521"), "ecdsa-with-SHA512 on P-521"),
        (odd!("p384-sha512"), "ecdsa-with-SHA512 on P-384"),
        (odd!("secp256k1"), "ecdsa-with-SHA256 on 1.3.132.0.10"),
        (odd!("compressed"), "ecdsa-with-SHA256 on P-256, with a compressed key"),
        (odd!("ed448"), "ed448 with a key of ed448"),
        (odd!("pss-salt20"), "RSASSA-PSS (sha256) with an RSA key of 2048 bits"),
        (odd!("pss-mgf"), "RSASSA-PSS (sha256) with an RSA key of 2048 bits"),
        (odd!("rsa-exponent"), "sha256WithRSAEncryption with an RSA key of 2048 bits"),
    ] {
        let flaw = judged(pem).unwrap_err();
        assert!(flaw.is_uncheckable(), "{flaw}");
        assert_eq!(
            flaw.to_string(),
            format!("`CN=leaf` is signed with {told}, which this program cannot check")
        );
    }
}

#[test]
fn weak_ones_are_refused_by_name() {
    for (pem, told) in [
        (
            odd!("rsa-sha1"),
            "`CN=leaf` is signed with sha1WithRSAEncryption, a broken hash that is not believed",
        ),
        (odd!("ecdsa-sha1"), "`CN=leaf` is signed with ecdsa-with-SHA1, a broken hash that is not believed"),
        (
            odd!("rsa-md5"),
            "`CN=leaf` is signed with md5WithRSAEncryption, a broken hash that is not believed",
        ),
        (
            odd!("pss-sha1"),
            "`CN=leaf` is signed with RSASSA-PSS (id-SHA1), a broken hash that is not believed",
        ),
        (odd!("rsa1024"), "`CN=rsa1024` has an RSA key of 1024 bits, and fewer than 2048 are not believed"),
    ] {
        let flaw = judged(pem).unwrap_err();
        assert!(!flaw.is_uncheckable(), "{flaw}");
        assert_eq!(flaw.to_string(), told);
    }
}

/// Nobody relies on the signature that an authority carries.
#[test]
fn an_authority_may_have_signed_itself_with_sha1() {
    assert!(judged(odd!("rsa-sha1-root")).is_ok());
}

struct RsaKey(Vec<u8>);

impl rcgen::PublicKeyData for RsaKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// Whoever finds the leaf's own key speaks for it.
#[test]
fn a_leaf_with_a_short_key_is_refused() {
    let short = Pem::of(odd!("rsa1024")).certificates().unwrap().pop().unwrap();
    let (_, info) = SubjectPublicKeyInfo::from_der(&short.public_key).unwrap();
    let key = RsaKey(info.subject_public_key.data.to_vec());
    let ca = super::Ca::named("cluster1.local");
    let flaw = super::judged(&ca, &[&ca.svid_of(&key, CURL, |_| {})]).unwrap_err();
    assert!(matches!(flaw, Flaw::ShortKey { bits: 1024, .. }), "{flaw}");
}

/// Where the sizes show that the key cannot have made the signature, nothing is left open.
#[test]
fn sizes_tell_a_stranger() {
    let leaf = |pem: &str| Pem::of(pem).chain().unwrap().leaf;
    let root = |pem: &str| Pem::of(pem).certificates().unwrap().pop().unwrap();
    let (p521, p384, k256) = (odd!("p521"), odd!("p384-sha512"), odd!("secp256k1"));
    let (ed448, rsa, short) = (odd!("ed448"), odd!("pss-sha384"), odd!("rsa1024"));
    for (a, b) in [(p521, p384), (p521, k256), (p384, k256), (p521, ed448), (p521, rsa), (rsa, short)] {
        for (leaf, root) in [(leaf(a), root(b)), (leaf(b), root(a))] {
            let flaw = by(&[root], leaf).unwrap_err();
            assert!(matches!(flaw, Flaw::UnknownIssuer { .. }), "{flaw}");
        }
    }
    let flaw = by(&[root(p384), root(p521), root(rsa)], leaf(p521)).unwrap_err();
    assert!(flaw.to_string().contains("ecdsa-with-SHA512 on P-521"), "the one that may have: {flaw}");
}

#[test]
fn a_key_of_another_kind_signed_nothing() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ed25519 = super::Ca::keyed("ed25519", key);
    let ecdsa = super::Ca::named("ecdsa");
    let leaf = |pem: &str| Pem::of(pem).chain().unwrap().leaf;
    let root = |pem: &str| Pem::of(pem).certificates().unwrap().pop().unwrap();
    let strange = |leaf: Certificate, root: Certificate| {
        let flaw = by(&[root], leaf).unwrap_err();
        assert!(matches!(flaw, Flaw::UnknownIssuer { .. }), "{flaw}");
    };
    assert!(by(&[root(&ed25519.pem)], leaf(&ed25519.svid(CURL))).is_ok());
    for other in [&*ecdsa.pem, odd!("compressed"), odd!("rsa1024"), odd!("ed448")] {
        strange(leaf(&ed25519.svid(CURL)), root(other));
    }
    for other in [&*ecdsa.svid(CURL), odd!("ed448"), odd!("p521"), odd!("pss-salt20"), odd!("rsa1024")] {
        strange(leaf(other), root(&ed25519.pem));
    }
}

#[test]
fn signatures_and_keys_are_of_one_family_or_of_none() {
    use Family::*;
    for (signature, family) in [
        ("1.2.840.113549.1.1.11", Some(Rsa)),
        ("1.2.840.113549.1.1.10", Some(Rsa)),
        ("1.3.14.3.2.25", Some(Rsa)),
        ("1.3.14.3.2.29", Some(Rsa)),
        ("1.2.840.10045.4.1", Some(Ec)),
        ("1.2.840.10045.4.3.4", Some(Ec)),
        ("1.2.840.10040.4.3", Some(Dsa)),
        ("1.3.101.112", Some(Ed25519)),
        ("1.3.101.113", Some(Ed448)),
        // ML-DSA-44, which is to come.
        ("2.16.840.1.101.3.4.3.17", None),
    ] {
        assert_eq!(family_of_signature(signature), family, "{signature}");
    }
    for (key, family) in [
        ("1.2.840.113549.1.1.1", Some(Rsa)),
        ("1.2.840.113549.1.1.10", Some(Rsa)),
        ("1.2.840.10045.2.1", Some(Ec)),
        ("1.2.840.10040.4.1", Some(Dsa)),
        ("1.3.101.112", Some(Ed25519)),
        ("1.3.101.113", Some(Ed448)),
        ("2.16.840.1.101.3.4.3.17", None),
    ] {
        assert_eq!(family_of_key(key), family, "{key}");
    }
}

/// A company's root, above an intermediate that signs as everybody does: the culprit is named.
#[test]
fn the_link_that_cannot_be_checked_is_named() {
    for (pem, told) in [
        (
            include_str!("../testdata/above/p521.pem"),
            "`CN=middle` is signed with ecdsa-with-SHA512 on P-521, which",
        ),
        (
            include_str!("../testdata/above/ecdsa-sha1.pem"),
            "`CN=middle` is signed with ecdsa-with-SHA1, a broken",
        ),
        (
            include_str!("../testdata/above/rsa-sha1.pem"),
            "`CN=middle` is signed with sha1WithRSAEncryption, a broken",
        ),
        (include_str!("../testdata/above/rsa1024.pem"), "`CN=rsa1024` has an RSA key of 1024 bits"),
    ] {
        let mut intermediates = Pem::of(pem).certificates().unwrap();
        let authority = Authority { certificate: intermediates.pop().unwrap() };
        let chain = Chain { leaf: intermediates.remove(0), intermediates };
        let flaw = chain.verified(&[authority], now()).unwrap_err();
        assert!(flaw.to_string().starts_with(told), "{flaw}");
    }
}

/// An expired leaf is nobody's business any more, however it is signed.
#[test]
fn what_is_wrong_anyhow_is_told() {
    let [leaf, root] = Pem::of(odd!("p521")).certificates().unwrap().try_into().unwrap();
    let authority = Authority { certificate: root };
    let chain = Chain { leaf, intermediates: vec![] };
    let later = "2030-01-01T00:00:00Z".parse().unwrap();
    let flaw = chain.verified(std::slice::from_ref(&authority), later).unwrap_err();
    assert!(matches!(flaw, Flaw::Expired { .. }), "{flaw}");
    let flaw = chain.signed(std::slice::from_ref(&authority)).unwrap_err();
    assert!(flaw.is_uncheckable(), "{flaw}");
    assert_eq!(chain.signer(&[authority]), None, "that it may have signed is not that it did");
}

/// RFC 5280 gives `99991231235959Z` to what has no end. Our type ends a day earlier.
#[test]
fn an_authority_without_end_is_read() {
    let [leaf, root] = Pem::of(odd!("endless")).certificates().unwrap().try_into().unwrap();
    assert_eq!((root.not_after, root.until().as_str()), (jiff::Timestamp::MAX, "without end"));
    root.check_time(jiff::Timestamp::MAX).unwrap();
    assert_eq!(leaf.not_before.to_string(), "2026-11-20T00:00:00Z");
    let mortal = Pem::of(odd!("p521")).chain().unwrap().leaf;
    assert_eq!(mortal.until(), "until 2027-11-20T00:00:00Z");
}

#[test]
fn any_date_is_read() {
    let ca = super::Ca::named("x");
    let eternal = ca.renewed(|p| {
        (p.not_before, p.not_after) = (rcgen::date_time_ymd(1, 1, 1), rcgen::date_time_ymd(9999, 12, 31));
    });
    let read = Pem::of(&eternal).chain().unwrap().leaf;
    assert_eq!(read.not_before.to_string(), "0001-01-01T00:00:00Z");
    assert_eq!(read.until(), "without end");
}

/// Both names of the algorithm must be one: what is signed must say how.
#[test]
fn two_names_of_one_signature_are_unreadable() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let pem = super::Ca::named("x").svid(CURL);
    let mut der = STANDARD.decode(super::super::forge::x5c(&pem)).unwrap();
    let oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let last = (0..der.len() - oid.len()).rfind(|at| der[*at..].starts_with(&oid)).unwrap();
    der[last + 7] = 3;
    let flaw = Certificate::from_der(&der).unwrap_err();
    assert!(flaw.to_string().contains("names two signature algorithms"), "{flaw}");
}

#[test]
fn the_length_of_a_number_is_counted_in_bits() {
    for (number, length) in [
        (&[][..], 0),
        (&[0], 0),
        (&[0, 1], 1),
        (&[1, 0], 9),
        (&[0, 0x80], 8),
        (&[0x7f], 7),
        (&[0, 0xff, 0xff], 16),
    ] {
        assert_eq!(bits(number), length, "{number:?}");
    }
}

/// The limits of ring, which has the same.
#[test]
fn an_rsa_key_may_be_too_long_to_check() {
    let checkable = |bits: usize, exponent: &[u8]| {
        let mut modulus = vec![0xff; bits / 8];
        modulus[0] >>= (8 - bits % 8) % 8;
        checkable(&RSAPublicKey { modulus: &modulus, exponent })
    };
    let usual = [1, 0, 1];
    assert!(checkable(2048, &usual) && checkable(8192, &usual) && !checkable(8200, &usual));
    assert!(!checkable(2040, &usual));
    assert!(checkable(2048, &[1, 0, 0, 0, 1]) && !checkable(2048, &[2, 0, 0, 0, 1]));
}
