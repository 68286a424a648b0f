//! Chains of any length and algorithm, with one thing changed.

use std::time::Duration;

use harness::cmd::Cmd;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, date_time_ymd,
};

/// What the keys of a chain are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
    /// Each another.
    Mixed,
}

pub const KINDS: [Kind; 5] = [Kind::P256, Kind::P384, Kind::Ed25519, Kind::Rsa, Kind::Mixed];

/// RSA keys take long to find, so all chains share these.
pub struct Keys(Vec<String>);

impl Keys {
    /// ring finds none; OpenSSL does.
    pub async fn made() -> Self {
        let one = || async {
            let cmd = Cmd::new("openssl").args([
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ]);
            let made = cmd.run().await;
            made.expect("the second opinion needs OpenSSL 3: install it with `apt-get install openssl`")
                .stdout
        };
        Self(futures::future::join_all((0..5).map(|_| one())).await)
    }

    /// A key for the link in that place.
    fn key(&self, kind: Kind, place: usize) -> KeyPair {
        match kind {
            Kind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
            Kind::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
            Kind::Ed25519 => KeyPair::generate_for(&PKCS_ED25519).unwrap(),
            Kind::Rsa => KeyPair::from_pem(&self.0[place]).unwrap(),
            Kind::Mixed => self.key(KINDS[place % 4], place),
        }
    }
}

/// One certificate with what made it, so that it can be made again otherwise.
pub struct Link {
    pub params: CertificateParams,
    pub key: KeyPair,
    pub der: Vec<u8>,
}

impl Link {
    /// The same key in another certificate by `issuer`; by itself without one.
    pub fn again(&self, issuer: Option<&Link>, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = self.params.clone();
        change(&mut params);
        signed(&params, &self.key, issuer)
    }
}

fn signed(params: &CertificateParams, key: &KeyPair, issuer: Option<&Link>) -> Vec<u8> {
    let made = match issuer {
        Some(issuer) => params.signed_by(key, &Issuer::from_params(&issuer.params, &issuer.key)),
        None => params.self_signed(key),
    };
    made.unwrap().der().to_vec()
}

/// A leaf, `between` intermediates and a root, in that order; `change` sees each place before it is signed.
pub fn chain(
    keys: &Keys,
    kind: Kind,
    between: usize,
    change: impl Fn(usize, &mut CertificateParams),
) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for place in (0..between + 2).rev() {
        let mut params = if place == 0 { svid() } else { ca(&format!("{kind:?} {place}")) };
        change(place, &mut params);
        let key = keys.key(kind, place);
        let der = signed(&params, &key, links.last());
        links.push(Link { params, key, der });
    }
    links.reverse();
    links
}

/// A root that has nothing to do with the others.
pub fn root(keys: &Keys, kind: Kind, name: &str) -> Link {
    // The leaf's RSA key signs nothing else.
    let (params, key) = (ca(name), keys.key(kind, 0));
    let der = signed(&params, &key, None);
    Link { params, key, der }
}

fn svid() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.subject_alt_names = vec![SanType::URI("spiffe://cluster1.local/ns/a/sa/b".try_into().unwrap())];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2026, 11, 21);
    params.not_after = date_time_ymd(2026, 11, 21) + Duration::from_secs(3600);
    params
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2026, 11, 20);
    params.not_after = date_time_ymd(2026, 11, 30);
    params
}
