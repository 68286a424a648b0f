//! A root above SPIRE's own authority, as a company has one: SPIRE then signs as its intermediate, and certificates
//! come in chains. Made afresh for each cluster and each run; the key is in that cluster's Secret and nowhere else.

use jiff::{ToSpan as _, Zoned, tz::TimeZone};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd};

use super::{Cx, Site};
use crate::error::Context as _;
use crate::progress::Note;
use crate::{Code, Error, Result};

/// The value that names SPIRE's plugin; empty without one.
const PLUGIN: &str = "SPIRE_UPSTREAM_AUTHORITY";

/// Puts a root where SPIRE's server mounts it, if the set-up has SPIRE ask for one.
pub(super) async fn bring(cx: &Cx, site: &Site, note: &Note) -> Result<()> {
    if cx.order.setup.values.get(PLUGIN).is_none_or(String::is_empty) {
        return Ok(());
    }
    let (root, key) = root(&site.cluster.trust_domain)?;
    let values = [("UPSTREAM_ROOT", root), ("UPSTREAM_KEY", key)];
    cx.apply(site, "spire/upstream-authority.yaml", &values, note).await
}

/// A root for that trust domain and its key, both as PEM.
fn root(trust_domain: &str) -> Result<(String, String)> {
    let fail = || format!("cannot make a root for {trust_domain}");
    let today = Zoned::now().with_time_zone(TimeZone::UTC).date();
    let day = |date: jiff::civil::Date| {
        let part = |number: i8| u8::try_from(number).map_err(|e| Error::internal(fail()).because(e));
        Ok::<_, Error>(date_time_ymd(i32::from(date.year()), part(date.month())?, part(date.day())?))
    };
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::OrganizationName, "Acme");
    root.distinguished_name.push(DnType::CommonName, format!("root of {trust_domain}"));
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.not_before = day(today)?;
    root.not_after = day(today.saturating_add(30.days()))?;
    let key = KeyPair::generate().or_fail(Code::Internal, fail)?;
    let certificate = root.self_signed(&key).or_fail(Code::Internal, fail)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proof::identity::{Authority, Pem};

    use super::*;

    #[test]
    fn each_root_is_valid_now_and_made_afresh() {
        let (first, key) = root("cluster1.local").unwrap();
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
        let (second, _) = root("cluster1.local").unwrap();
        assert_ne!(first, second);
        let authority = Authority::all_in(&Pem::of(&first)).unwrap().remove(0);
        assert!(authority.certificate.may_sign(), "{first}");
        authority.certificate.check_time(Timestamp::now()).unwrap();
        let soon = Timestamp::now().saturating_add(jiff::SignedDuration::from_hours(31 * 24)).unwrap();
        assert!(authority.certificate.check_time(soon).is_err(), "it ends within a month");
    }
}
