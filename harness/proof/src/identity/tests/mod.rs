//! Each test names the tampering; the flaw must be that one and no other.

mod algorithms;
mod paths;
mod spire;

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, date_time_ymd};

use super::forge::{Ca, chain, damaged, now, published, uri};
use super::*;

const CURL: &str = "spiffe://cluster1.local/ns/istio-test/sa/curl";

/// What the bundle of `ca` says about a chain.
fn judged(ca: &Ca, pems: &[&str]) -> Result<String, Flaw> {
    let bundle = ca.bundle("cluster1.local");
    bundle.authority_of(&chain(pems).chain()?, now()).map(Authority::key_id)
}

fn leaf(pem: &str) -> Certificate {
    Pem::of(pem).chain().unwrap().leaf
}

#[test]
fn a_good_leaf_is_vouched_for_by_the_key_that_signed_it() {
    let ca = Ca::named("cluster1.local");
    let svid = ca.svid(CURL);
    let key = judged(&ca, &[&svid]).unwrap();
    assert_eq!(Some(key), leaf(&svid).authority_key_id, "the authority is named by its key");
    assert_eq!(leaf(&svid).spiffe_id().unwrap().to_string(), CURL);
}

/// Tampering: another key under the very name of the real authority.
#[test]
fn a_name_does_not_make_an_authority() {
    let (real, impostor) = (Ca::named("cluster1.local"), Ca::named("cluster1.local"));
    let flaw = judged(&real, &[&impostor.svid(CURL)]).unwrap_err();
    assert!(matches!(&flaw, Flaw::UnknownIssuer { same_name: true, .. }), "{flaw}");
    assert!(flaw.to_string().contains("a name that an authority of the bundle has too"), "{flaw}");
}

/// Tampering: the impostor also claims the real authority's key identifier.
#[test]
fn a_claimed_key_identifier_does_not_make_a_signature() {
    let real = Ca::named("cluster1.local");
    let claimed = hex::decode(leaf(&real.pem).key_id.unwrap()).unwrap();
    let impostor = Ca::named("x").intermediate("cluster1.local", |p| {
        p.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(claimed);
    });
    let flaw = judged(&real, &[&impostor.svid(CURL)]).unwrap_err();
    assert!(matches!(flaw, Flaw::SignatureInvalid { .. }), "{flaw}");
}

/// Tampering: one bit of the signature.
#[test]
fn a_damaged_signature_is_seen() {
    let ca = Ca::named("cluster1.local");
    let flaw = judged(&ca, &[&damaged(&ca.svid(CURL))]).unwrap_err();
    assert!(matches!(flaw, Flaw::SignatureInvalid { .. }), "{flaw}");
}

/// Tampering: validity that is over, or has not begun.
#[test]
fn time_is_judged_at_the_given_moment() {
    let ca = Ca::named("cluster1.local");
    let old = ca.svid_with(CURL, |p| {
        (p.not_before, p.not_after) = (date_time_ymd(2026, 11, 19), date_time_ymd(2026, 11, 20));
    });
    let early = ca.svid_with(CURL, |p| {
        (p.not_before, p.not_after) = (date_time_ymd(2026, 11, 22), date_time_ymd(2026, 11, 23));
    });
    assert!(matches!(judged(&ca, &[&old]), Err(Flaw::Expired { .. })));
    assert!(matches!(judged(&ca, &[&early]), Err(Flaw::NotYetValid { .. })));
    let good = leaf(&ca.svid(CURL));
    for (moment, inside) in [
        ("2026-11-20T23:59:59.999Z", false),
        ("2026-11-21T00:00:00Z", true),
        ("2026-11-21T01:00:00.9Z", true),
        ("2026-11-21T01:00:01Z", false),
    ] {
        assert_eq!(good.check_time(moment.parse().unwrap()).is_ok(), inside, "{moment}");
    }
}

/// Tampering: an authority that has run out, under a leaf that has not.
#[test]
fn an_expired_authority_vouches_for_nobody() {
    let root = Ca::named("root");
    let old = root.intermediate("cluster1.local", |p| {
        (p.not_before, p.not_after) = (date_time_ymd(2026, 11, 19), date_time_ymd(2026, 11, 20));
    });
    assert!(matches!(judged(&old, &[&old.svid(CURL)]), Err(Flaw::Expired { .. })));
}

/// Tampering: no URI, two URIs, a URI that is no SPIFFE ID.
#[test]
fn exactly_one_spiffe_id() {
    let ca = Ca::named("cluster1.local");
    let none = ca.svid_with(CURL, |p| p.subject_alt_names.clear());
    let dns = ca.svid_with(CURL, |p| {
        p.subject_alt_names = vec![rcgen::SanType::DnsName("curl.istio-test".try_into().unwrap())];
    });
    let two = ca.svid_with(CURL, |p| p.subject_alt_names.push(uri("spiffe://cluster1.local/admin")));
    let web = ca.svid_with(CURL, |p| p.subject_alt_names = vec![uri("https://cluster1.local/curl")]);
    assert!(matches!(judged(&ca, &[&none]), Err(Flaw::NoSpiffeId { .. })));
    assert!(matches!(judged(&ca, &[&dns]), Err(Flaw::NoSpiffeId { .. })));
    assert!(matches!(judged(&ca, &[&two]), Err(Flaw::ManyUris(uris)) if uris.len() == 2));
    assert!(matches!(judged(&ca, &[&web]), Err(Flaw::NotSpiffe(_))));
}

/// Tampering: a properly signed leaf of this authority that speaks for another trust domain.
#[test]
fn a_bundle_speaks_for_its_own_trust_domain_only() {
    let ca = Ca::named("cluster1.local");
    let flaw = judged(&ca, &[&ca.svid("spiffe://cluster2.local/ns/istio-test/sa/curl")]).unwrap_err();
    assert!(matches!(flaw, Flaw::OtherTrustDomain { .. }), "{flaw}");
}

/// Tampering: leaves that may do more, or less, than a leaf.
#[test]
fn a_leaf_has_the_form_of_an_svid() {
    let ca = Ca::named("cluster1.local");
    let authority = ca.svid_with(CURL, |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let signing = ca.svid_with(CURL, |p| p.key_usages.push(KeyUsagePurpose::KeyCertSign));
    let revoking = ca.svid_with(CURL, |p| p.key_usages.push(KeyUsagePurpose::CrlSign));
    let mute = ca.svid_with(CURL, |p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    let silent = ca.svid_with(CURL, |p| p.key_usages.clear());
    let server = ca.svid_with(CURL, |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let plain = ca.svid_with(CURL, |p| p.extended_key_usages.clear());
    assert!(matches!(judged(&ca, &[&authority]), Err(Flaw::CaLeaf(_))));
    assert!(matches!(judged(&ca, &[&signing]), Err(Flaw::SigningLeaf(_))));
    assert!(matches!(judged(&ca, &[&revoking]), Err(Flaw::SigningLeaf(_))));
    assert!(matches!(judged(&ca, &[&mute]), Err(Flaw::NoDigitalSignature(_))));
    assert!(matches!(judged(&ca, &[&silent]), Err(Flaw::NoDigitalSignature(_))));
    assert!(matches!(judged(&ca, &[&server]), Err(Flaw::NotForTls(_))));
    assert!(judged(&ca, &[&plain]).is_ok(), "extended key usage is optional");
}

#[test]
fn intermediates_are_followed_in_any_order() {
    let root = Ca::named("cluster1.local");
    let middle = root.intermediate("middle", |_| {});
    let low = middle.intermediate("low", |_| {});
    let svid = low.svid(CURL);
    let key = leaf(&root.pem).key_id.unwrap();
    assert_eq!(judged(&root, &[&svid, &low.pem, &middle.pem]).unwrap(), key);
    assert_eq!(judged(&root, &[&svid, &middle.pem, &low.pem]).unwrap(), key);
    assert_eq!(judged(&root, &[&svid, &low.pem, &middle.pem, &root.pem]).unwrap(), key, "root sent along");
}

/// Tampering: a link missing, forged, expired, not a CA, or one more than allowed.
#[test]
fn every_link_is_verified() {
    let root = Ca::named("cluster1.local");
    let middle = root.intermediate("middle", |_| {});
    let low = middle.intermediate("low", |_| {});
    let svid = low.svid(CURL);
    assert!(matches!(judged(&root, &[&svid]), Err(Flaw::UnknownIssuer { .. })));
    assert!(matches!(judged(&root, &[&svid, &low.pem]), Err(Flaw::UnknownIssuer { .. })));
    let forged = Ca::named("cluster1.local").intermediate("middle", |_| {});
    assert!(matches!(judged(&root, &[&svid, &low.pem, &forged.pem]), Err(Flaw::UnknownIssuer { .. })));
    let broken = damaged(&middle.pem);
    assert!(matches!(judged(&root, &[&svid, &low.pem, &broken]), Err(Flaw::SignatureInvalid { .. })));

    let old = root.intermediate("old", |p| p.not_after = date_time_ymd(2026, 11, 21));
    assert!(matches!(judged(&root, &[&old.svid(CURL), &old.pem]), Err(Flaw::Expired { .. })));
    let no_ca = root.intermediate("no ca", |p| p.is_ca = IsCa::ExplicitNoCa);
    assert!(matches!(judged(&root, &[&no_ca.svid(CURL), &no_ca.pem]), Err(Flaw::IntermediateNotCa(_))));
    let no_sign = root.intermediate("no sign", |p| p.key_usages = vec![KeyUsagePurpose::CrlSign]);
    assert!(matches!(judged(&root, &[&no_sign.svid(CURL), &no_sign.pem]), Err(Flaw::IntermediateNotCa(_))));
    let short = root.intermediate("short", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let under = short.intermediate("under", |_| {});
    assert!(judged(&root, &[&short.svid(CURL), &short.pem]).is_ok());
    let flaw = judged(&root, &[&under.svid(CURL), &under.pem, &short.pem]).unwrap_err();
    assert!(matches!(flaw, Flaw::ChainTooLong(_)), "{flaw}");
}

#[test]
fn a_rotating_bundle_has_two_authorities() {
    let (old, new) = (Ca::named("cluster1.local"), Ca::named("cluster1.local"));
    let both = Bundle::read("cluster1.local".parse().unwrap(), &published(&[&old, &new])).unwrap();
    assert_eq!((both.authorities.len(), both.sequence, both.refresh_hint), (2, Some(1), Some(300)));
    for ca in [&old, &new] {
        let authority = both.authority_of(&chain(&[&ca.svid(CURL)]).chain().unwrap(), now()).unwrap();
        assert_eq!(authority.certificate.fingerprint(), leaf(&ca.pem).fingerprint());
    }
    let shared = both.shared_with(&new.bundle("cluster2.local"));
    assert_eq!(shared.len(), 1, "one key in common is one too many");
    assert!(!both.disjoint(&old.bundle("cluster2.local")));
    assert!(old.bundle("cluster1.local").disjoint(&new.bundle("cluster1.local")), "same name, other key");
    assert!(both.same_keys(&both.authorities) && !both.same_keys(&new.bundle("cluster1.local").authorities));
    assert!(!new.bundle("cluster1.local").same_keys(&both.authorities), "one more is not the same");
}

/// Tampering: bundles that would make a claim hold for no reason.
#[test]
fn an_empty_or_odd_bundle_is_not_evidence() {
    let read = |json: &str| Bundle::read("cluster1.local".parse().unwrap(), json).unwrap_err();
    for json in ["", "[]", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"use":"jwt-svid","kty":"EC"}]}"#] {
        assert_eq!(read(json).code(), crate::Code::Evidence, "{json}");
    }
    let none = read(r#"{"keys":[{"use":"x509-svid","x5c":[]}]}"#).to_string();
    assert!(none.contains("an x509-svid key with 0 certificates"), "{none}");
    assert_eq!(read(r#"{"keys":[{"use":"x509-svid","x5c":["AAAA"]}]}"#).code(), crate::Code::Evidence);
}

/// Tampering: a private key beside the certificates, whole, cut off, or inside an unfinished block.
#[test]
fn nothing_but_certificates_gets_into_pem() {
    let good = Ca::named("x").pem;
    let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    for text in [
        format!("{key}{good}{key}"),
        format!("{good}-----BEGIN CERTIFICATE-----\nTUlJ\n{key}"),
        format!("c2VjcmV0\n{good}c2VjcmV0"),
        format!("-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n{good}"),
        format!("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END CERTIFICATE-----\n{good}"),
    ] {
        let pem = Pem::of(&text);
        assert!(!pem.as_str().contains("c2VjcmV0"), "{text}");
        assert_eq!(pem.certificates().unwrap().len(), 1);
        assert_eq!(serde_json::from_value::<Pem>(text.into()).unwrap(), pem, "also when read back");
    }
    assert_eq!(Pem::of("no certificate").chain().unwrap_err(), Flaw::NoCertificate);
    let rubbish = Pem::of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----");
    assert!(matches!(rubbish.chain(), Err(Flaw::Unreadable(_))));
}

/// A private key's header that comes first must not turn the certificate after it into something else.
#[test]
fn text_and_certificates_are_told_apart() {
    let good = Ca::named("x").pem;
    assert!(Pem::of("no certificate").is_empty() && !Pem::of(&good).is_empty());
    assert_eq!(leaf(&good).pem().as_str(), good.replace('\r', ""), "in lines of 64, as everybody writes it");
}

/// The certificate printed on Istio's SPIRE documentation page: real SPIRE of 2022, RSA authority.
#[test]
fn the_sample_of_the_documentation_is_read_right() {
    let sample = leaf(include_str!("../testdata/istio-docs-httpbin.pem"));
    assert_eq!(sample.spiffe_id().unwrap().to_string(), "spiffe://example.org/ns/default/sa/httpbin");
    assert_eq!(sample.subject, "C=US, O=SPIRE, CN=httpbin-5f4d47c948-zm6st");
    assert_eq!(sample.dns, ["httpbin-5f4d47c948-zm6st"]);
    assert_eq!(sample.issuer, "C=US, O=SPIFFE");
    assert_eq!(sample.serial, "00da3e9e146d0ba9139db2d4cf531e9707");
    assert_eq!(sample.not_before.to_string(), "2022-03-10T02:32:15Z");
    assert_eq!(sample.not_after.to_string(), "2022-03-10T03:32:25Z");
    assert_eq!((sample.is_ca, sample.for_tls), (false, Some(true)));
    let usage = KeyUsage { digital_signature: true, key_cert_sign: false, crl_sign: false };
    assert_eq!(sample.key_usage, Some(usage));
    assert!(sample.authority_key_id.as_deref().unwrap().starts_with("b9cd"));
    assert!(matches!(sample.check_time(now()), Err(Flaw::Expired { .. })));
    sample.check_leaf().unwrap();
}

/// The shape is SPIRE's own (its command's tests print it); older servers wrote the scheme, newer do not.
#[test]
fn entries_are_read_as_the_server_prints_them() {
    let json = r#"{"entries": [{"id": "cluster1.9b1e", "admin": false, "hint": "", "x509_svid_ttl": 0,
        "spiffe_id": {"trust_domain": "cluster1.local", "path": "/ns/istio-test/sa/curl"},
        "parent_id": {"trust_domain": "cluster1.local", "path": "/spire/agent/k8s_psat/cluster1/4e1c"},
        "selectors": [{"type": "k8s", "value": "pod-uid:77"}],
        "federates_with": ["cluster2.local", "spiffe://cluster3.local"]}], "next_page_token": ""}"#;
    let [entry] = entries_of(json).unwrap().try_into().unwrap();
    assert_eq!(
        (entry.spiffe_id.to_string().as_str(), entry.selectors),
        (CURL, vec!["k8s:pod-uid:77".into()])
    );
    let domains: Vec<_> = entry.federates_with.iter().map(TrustDomain::as_str).collect();
    assert_eq!(domains, ["cluster2.local", "cluster3.local"]);
    assert!(entries_of("Found 0 entries").is_err());
    assert!(entries_of(r#"{"error": "x"}"#).is_err());
}

/// Tampering: an extension that is not what its name says, here the points of revocation lists.
#[test]
fn an_extension_that_cannot_be_read_makes_the_certificate_unreadable() {
    let ca = Ca::named("cluster1.local");
    let svid = ca.svid_with(CURL, |p| {
        p.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 31], vec![0xff])];
    });
    let flaw = judged(&ca, &[&svid]).unwrap_err();
    assert!(matches!(flaw, Flaw::Unreadable(_)), "{flaw}");
}
