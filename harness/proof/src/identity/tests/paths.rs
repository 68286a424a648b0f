//! More than one way up: renewed keys, cross-signed intermediates, intermediates known from elsewhere.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyIdMethod, date_time_ymd};

use super::super::forge::{Ca, chain, damaged, now};
use super::super::*;
use super::{CURL, leaf};

fn authorities(pems: &[&str]) -> Vec<Authority> {
    Authority::all_in(&chain(pems)).unwrap()
}

/// Judges in both orders of everything; they must agree, and the name of the signing authority's serial is told.
fn verified(pems: &[&str], tops: &[&str]) -> Result<String, Flaw> {
    let judged = |pems: &[&str], tops: &[&str]| {
        let (chain, tops) = (chain(pems).chain()?, authorities(tops));
        chain.verified(&tops, now()).map(|path| path.authority.certificate.fingerprint())
    };
    let straight = judged(pems, tops);
    let (mut turned, mut tops) = (pems.to_vec(), tops.to_vec());
    turned[1..].reverse();
    assert_eq!(judged(&turned, &tops), straight, "the order of intermediates decides nothing");
    tops.reverse();
    assert_eq!(judged(pems, &tops), straight, "nor that of authorities");
    straight
}

fn over(p: &mut CertificateParams) {
    (p.not_before, p.not_after) = (date_time_ymd(2026, 11, 1), date_time_ymd(2026, 11, 20));
}

fn long_over(p: &mut CertificateParams) {
    (p.not_before, p.not_after) = (date_time_ymd(2026, 11, 1), date_time_ymd(2026, 11, 2));
}

#[test]
fn a_renewed_authority_vouches_beside_its_old_certificate() {
    let ca = Ca::named("cluster1.local");
    let (old, older) = (ca.renewed(over), ca.renewed(long_over));
    let svid = ca.svid(CURL);
    assert_eq!(verified(&[&svid], &[&old, &ca.pem]), Ok(leaf(&ca.pem).fingerprint()));
    let flaw = verified(&[&svid], &[&old, &older]).unwrap_err();
    assert!(
        matches!(&flaw, Flaw::Expired { since, .. } if since.to_string().starts_with("2026-11-20")),
        "{flaw}"
    );
    let other = Ca::named("cluster1.local");
    assert_eq!(verified(&[&svid], &[&other.pem, &old, &ca.pem]), Ok(leaf(&ca.pem).fingerprint()));
}

#[test]
fn a_cross_signed_intermediate_is_followed_to_whichever_root_is_there() {
    let (one, two, stranger) = (Ca::named("one"), Ca::named("two"), Ca::named("stranger"));
    let middle = one.intermediate("middle", |_| {});
    let (svid, by_two) = (middle.svid(CURL), middle.cross_signed(&two, |_| {}));
    for (root, expected) in [(&one, true), (&two, true), (&stranger, false)] {
        assert_eq!(verified(&[&svid, &middle.pem, &by_two], &[&root.pem]).is_ok(), expected);
    }
    let old = middle.cross_signed(&two, over);
    assert!(matches!(verified(&[&svid, &middle.pem, &old], &[&two.pem]), Err(Flaw::Expired { .. })));
    assert!(verified(&[&svid, &old, &by_two, &middle.pem], &[&two.pem]).is_ok());
    assert!(verified(&[&svid, &old, &middle.pem], &[&one.pem, &two.pem]).is_ok(), "the good way of two");
}

/// A dead end on one side, a lie on the other: the lie is told. It names a key that is there.
#[test]
fn the_most_telling_flaw_is_told() {
    let (root, stranger) = (Ca::named("root"), Ca::named("stranger"));
    let middle = root.intermediate("middle", |_| {});
    let (svid, broken) = (middle.svid(CURL), damaged(&middle.pem));
    let crossed = middle.cross_signed(&stranger, |_| {});
    let flaw = verified(&[&svid, &crossed, &broken], &[&root.pem]).unwrap_err();
    assert!(
        matches!(&flaw, Flaw::SignatureInvalid { key_id } if Some(key_id) == leaf(&root.pem).key_id.as_ref())
    );
    let flaw = verified(&[&damaged(&svid), &middle.pem], &[&root.pem]).unwrap_err();
    assert!(
        matches!(&flaw, Flaw::SignatureInvalid { key_id } if Some(key_id) == leaf(&middle.pem).key_id.as_ref())
    );
    // Fewer flaws go before more.
    let worse = middle.cross_signed(&root, |p| {
        over(p);
        p.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    });
    let old = middle.cross_signed(&root, over);
    assert!(matches!(verified(&[&svid, &worse, &old], &[&root.pem]), Err(Flaw::Expired { .. })));
    assert!(matches!(verified(&[&svid, &worse], &[&root.pem]), Err(Flaw::IntermediateNotCa(_))));
}

/// The end of the longest way, not its beginning: the leaf's signer is known, its signer's is not.
#[test]
fn a_chain_that_ends_early_says_where() {
    let (root, elsewhere) = (Ca::named("root"), Ca::named("elsewhere"));
    let middle = elsewhere.intermediate("middle", |_| {});
    let low = middle.intermediate("low", |_| {});
    let flaw = verified(&[&low.svid(CURL), &low.pem, &middle.pem], &[&root.pem]).unwrap_err();
    assert!(
        matches!(&flaw, Flaw::UnknownIssuer { issuer, .. } if issuer.ends_with("CN=elsewhere")),
        "{flaw}"
    );
    assert!(flaw.to_string().contains(leaf(&elsewhere.pem).key_id.as_deref().unwrap()), "{flaw}");
}

/// Two authorities that sign one another are no beginning. Neither lies about it.
#[test]
fn a_ring_of_intermediates_ends() {
    let (root, a, b) = (Ca::named("root"), Ca::named("a"), Ca::named("b"));
    let (ab, ba) = (a.cross_signed(&b, |_| {}), b.cross_signed(&a, |_| {}));
    let flaw = verified(&[&a.svid(CURL), &ab, &ba], &[&root.pem]).unwrap_err();
    assert!(matches!(flaw, Flaw::UnknownIssuer { .. }), "{flaw}");
    let top = a.cross_signed(&root, |_| {});
    assert!(verified(&[&a.svid(CURL), &ab, &ba, &top], &[&root.pem]).is_ok());
}

/// The shorter of two ways may be the only one that a path length allows.
#[test]
fn a_path_length_counts_on_the_way_taken() {
    let short = |p: &mut CertificateParams| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let root = Ca::named("root");
    let (tight, wide) = (root.renewed(short), &root.pem);
    let middle = root.intermediate("middle", |_| {});
    let low = middle.intermediate("low", |_| {});
    let svid = low.svid(CURL);
    assert!(matches!(verified(&[&svid, &low.pem, &middle.pem], &[&tight]), Err(Flaw::ChainTooLong(_))));
    assert!(verified(&[&svid, &low.pem, &middle.pem], &[&tight, wide]).is_ok());
    let direct = low.cross_signed(&root, |_| {});
    assert!(matches!(verified(&[&svid, &direct], &[&tight]), Err(Flaw::ChainTooLong(_))), "low is one");
    let one = root.renewed(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
    assert!(verified(&[&svid, &low.pem, &middle.pem, &direct], &[&one]).is_ok(), "around middle");
    assert!(matches!(verified(&[&svid, &low.pem, &middle.pem], &[&one]), Err(Flaw::ChainTooLong(_))));
}

/// RFC 5280: an intermediate whose name is its issuer's does not count, as while a key changes.
#[test]
fn what_issued_itself_does_not_count() {
    let root = Ca::named("root");
    let tight = root.renewed(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let next = root.intermediate("root", |_| {});
    assert!(verified(&[&next.svid(CURL), &next.pem], &[&tight]).is_ok());
    let below = next.intermediate("below", |_| {});
    let flaw = verified(&[&below.svid(CURL), &below.pem, &next.pem], &[&tight]).unwrap_err();
    assert!(matches!(flaw, Flaw::ChainTooLong(_)), "{flaw}");
}

/// One key under two names, of which one does not count: whichever is looked at first, the better way is found.
#[test]
fn a_better_way_that_is_found_later_is_taken() {
    let root = Ca::named("root");
    let tight = root.renewed(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let next = root.intermediate("root", |_| {});
    let svid = next.svid(CURL);
    // The order is that of the fingerprints: one of sixteen comes before the other, and one after.
    for n in 0..16u8 {
        let counts = next.cross_signed(&root, |p| {
            p.distinguished_name.push(rcgen::DnType::CommonName, "other");
            p.serial_number = Some(vec![1, n].into());
        });
        assert_eq!(verified(&[&svid, &counts, &next.pem], &[&tight]), Ok(leaf(&tight).fingerprint()));
        assert!(matches!(verified(&[&svid, &counts], &[&tight]), Err(Flaw::ChainTooLong(_))));
    }
}

/// Case: Envoy's log shows the leaf alone, and a proxy's secret has the rest.
#[test]
fn intermediates_from_elsewhere_help_and_prove_nothing() {
    let (root, stranger) = (Ca::named("root"), Ca::named("stranger"));
    let middle = root.intermediate("middle", |_| {});
    let alone = chain(&[&middle.svid(CURL)]).chain().unwrap();
    let tops = authorities(&[&root.pem]);
    assert!(matches!(alone.verified(&tops, now()), Err(Flaw::UnknownIssuer { .. })));
    let known = [leaf(&stranger.pem), leaf(&middle.pem)];
    let joined = alone.clone().with(&known);
    let path = joined.verified(&tops, now()).unwrap();
    assert_eq!((joined.signer(&tops), alone.signer(&tops)), (Some(&tops[0]), None));
    let (middle_key, root_key) = (leaf(&middle.pem).key_id.unwrap(), leaf(&root.pem).key_id.unwrap());
    assert_eq!(path.to_string(), format!("`C=US, O=RH, CN=middle` (key {middle_key}), below key {root_key}"));
    let strangers = chain(&[&stranger.svid(CURL)]).chain().unwrap().with(&known);
    assert!(strangers.verified(&tops, now()).is_err(), "a known certificate vouches for nobody");
    let direct = chain(&[&root.svid(CURL)]).chain().unwrap().with(&known);
    assert_eq!(direct.verified(&tops, now()).unwrap().to_string(), format!("key {root_key}"));
}

/// Tampering: a crowd of certificates that all have the leaf's issuer as theirs, and every pair fits.
#[test]
fn a_flood_of_intermediates_ends() {
    let root = Ca::named("root");
    let middle = root.intermediate("middle", |_| {});
    let many: Vec<_> = (0..200u8)
        .map(|n| middle.cross_signed(&middle, |p| p.serial_number = Some(vec![1, n].into())))
        .collect();
    let mut pems = vec![middle.svid(CURL)];
    pems.extend(many);
    let joined = Pem::of(&pems.concat()).chain().unwrap();
    let flaw = joined.verified(&authorities(&[&Ca::named("root").pem]), now()).unwrap_err();
    assert!(matches!(flaw, Flaw::TooMany { .. }) && flaw.is_uncheckable(), "{flaw}");
    assert!(flaw.to_string().contains("more than 2048 signatures"), "{flaw}");
    let good = joined.with(&[leaf(&middle.pem)]);
    assert!(good.verified(&authorities(&[&root.pem]), now()).is_ok(), "what is found before is found");
}

/// An authority without a key identifier is named by its key, and a lie about it is still seen.
#[test]
fn a_key_without_a_name_has_one() {
    let root = Ca::named("root");
    let plain = leaf(&root.pem);
    let mut nameless = plain.clone();
    nameless.key_id = None;
    assert_eq!(plain.key_name(), plain.key_id.clone().unwrap());
    assert_eq!(nameless.key_name().len(), 40);
    let named =
        root.intermediate("x", |p| p.key_identifier_method = KeyIdMethod::PreSpecified(vec![1, 2, 3]));
    assert_eq!(leaf(&named.pem).key_name(), "010203");
    let claimed = hex::decode(nameless.key_name()).unwrap();
    let liar =
        Ca::named("x").intermediate("root", |p| p.key_identifier_method = KeyIdMethod::PreSpecified(claimed));
    let chain = chain(&[&liar.svid(CURL)]).chain().unwrap();
    let flaw = chain.verified(&[Authority { certificate: nameless }], now()).unwrap_err();
    assert!(matches!(flaw, Flaw::SignatureInvalid { .. }), "{flaw}");
}
