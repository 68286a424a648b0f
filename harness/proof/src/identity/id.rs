//! SPIFFE IDs and trust domains, parsed as the SPIFFE ID specification says (sections 2.1 to 2.4).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole ID, scheme included (SPIFFE ID specification, section 2.4).
const LONGEST_ID: usize = 2048;
/// A trust domain's name (same section: the host component's limit).
const LONGEST_TRUST_DOMAIN: usize = 255;
const SCHEME: &str = "spiffe://";

/// The name of a trust domain, as in `spiffe://<here>/ns/…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The name alone, without the scheme.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A SPIFFE ID: a trust domain and a path, which is empty for the trust domain itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    path: String,
}

impl SpiffeId {
    /// What Istio requires of a workload: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
    ///
    /// # Errors
    /// When a name holds a character that a SPIFFE ID cannot carry.
    pub fn workload(
        trust_domain: &TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, InvalidId> {
        for name in [namespace, service_account] {
            // A slash would pass as two segments, and name somebody else.
            if name.contains('/') {
                return Err(InvalidId::new(name, Why::Character('/')));
            }
        }
        format!("{SCHEME}{trust_domain}/ns/{namespace}/sa/{service_account}").parse()
    }

    /// The trust domain whose bundle must vouch for it.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The path with its leading slash, or nothing.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Why a text is not a SPIFFE ID or not a trust domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {why}")]
pub struct InvalidId {
    text: String,
    why: Why,
}

impl InvalidId {
    fn new(text: &str, why: Why) -> Self {
        // A hostile certificate may carry megabytes here; a person reads one line.
        let text = if text.len() > 120 {
            format!("{}…", text.chars().take(120).collect::<String>())
        } else {
            text.into()
        };
        Self { text, why }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Why {
    #[error("does not begin with spiffe://")]
    Scheme,
    #[error("has no trust domain")]
    NoTrustDomain,
    #[error("has a trust domain longer than 255 bytes")]
    LongTrustDomain,
    #[error("has {0:?} in its trust domain; allowed are a-z, 0-9, dot, dash and underscore")]
    TrustDomainCharacter(char),
    #[error("has {0:?} in its path; allowed are letters, digits, dot, dash and underscore")]
    Character(char),
    #[error("ends with a slash")]
    TrailingSlash,
    #[error("has an empty path segment")]
    EmptySegment,
    #[error("has a `.` or `..` path segment")]
    DotSegment,
    #[error("is longer than 2048 bytes")]
    Long,
}

impl FromStr for TrustDomain {
    type Err = InvalidId;

    fn from_str(name: &str) -> Result<Self, InvalidId> {
        let why = |why| Err(InvalidId::new(name, why));
        if name.is_empty() {
            return why(Why::NoTrustDomain);
        }
        if name.len() > LONGEST_TRUST_DOMAIN {
            return why(Why::LongTrustDomain);
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        match name.chars().find(|c| !allowed(*c)) {
            Some(c) => why(Why::TrustDomainCharacter(c)),
            None => Ok(Self(name.to_owned())),
        }
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let why = |why| InvalidId::new(text, why);
        if text.len() > LONGEST_ID {
            return Err(why(Why::Long));
        }
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| why(Why::Scheme))?;
        let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let trust_domain = domain.parse().map_err(|e: InvalidId| why(e.why))?;
        check_path(path).map_err(why)?;
        Ok(Self { trust_domain, path: path.to_owned() })
    }
}

fn check_path(path: &str) -> Result<(), Why> {
    let Some(segments) = path.strip_prefix('/') else { return Ok(()) };
    if segments.is_empty() || segments.ends_with('/') {
        return Err(Why::TrailingSlash);
    }
    for segment in segments.split('/') {
        match segment {
            "" => return Err(Why::EmptySegment),
            "." | ".." => return Err(Why::DotSegment),
            _ => {}
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if let Some(c) = segment.chars().find(|c| !allowed(*c)) {
            return Err(Why::Character(c));
        }
    }
    Ok(())
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}{}", self.trust_domain, self.path)
    }
}

impl TryFrom<String> for TrustDomain {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl TryFrom<String> for SpiffeId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<TrustDomain> for String {
    fn from(domain: TrustDomain) -> Self {
        domain.0
    }
}

impl From<SpiffeId> for String {
    fn from(id: SpiffeId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_reads_back() {
        let domain: TrustDomain = "cluster1.local".parse().unwrap();
        let id = SpiffeId::workload(&domain, "istio-test", "curl").unwrap();
        assert_eq!(id.to_string(), "spiffe://cluster1.local/ns/istio-test/sa/curl");
        assert_eq!(id.to_string().parse::<SpiffeId>().unwrap(), id);
        assert_eq!((id.trust_domain(), id.path()), (&domain, "/ns/istio-test/sa/curl"));
    }

    #[test]
    fn a_name_cannot_smuggle_a_segment() {
        let domain: TrustDomain = "cluster1.local".parse().unwrap();
        assert!(SpiffeId::workload(&domain, "a/sa/b", "c").is_err());
        assert!(SpiffeId::workload(&domain, "..", "c").is_err());
        assert!(SpiffeId::workload(&domain, "", "c").is_err());
    }

    #[test]
    fn the_trust_domain_alone_is_an_id() {
        assert_eq!("spiffe://td".parse::<SpiffeId>().unwrap().path(), "");
    }

    #[test]
    fn each_rule_of_the_specification_is_named() {
        let long = format!("spiffe://td/{}", "a".repeat(2048 - 11));
        let cases: &[(&str, Why)] = &[
            ("https://td/a", Why::Scheme),
            ("SPIFFE://td/a", Why::Scheme),
            ("", Why::Scheme),
            ("spiffe://", Why::NoTrustDomain),
            ("spiffe:///a", Why::NoTrustDomain),
            ("spiffe://TD/a", Why::TrustDomainCharacter('T')),
            ("spiffe://td:8443/a", Why::TrustDomainCharacter(':')),
            ("spiffe://user@td/a", Why::TrustDomainCharacter('@')),
            ("spiffe://td?x=1", Why::TrustDomainCharacter('?')),
            ("spiffe://td/", Why::TrailingSlash),
            ("spiffe://td/a/", Why::TrailingSlash),
            ("spiffe://td/a//b", Why::EmptySegment),
            ("spiffe://td//a", Why::EmptySegment),
            ("spiffe://td/a/./b", Why::DotSegment),
            ("spiffe://td/../a", Why::DotSegment),
            ("spiffe://td/a?q", Why::Character('?')),
            ("spiffe://td/a#f", Why::Character('#')),
            ("spiffe://td/%41", Why::Character('%')),
            ("spiffe://td/ä", Why::Character('ä')),
            (&long, Why::Long),
        ];
        for (text, why) in cases {
            assert_eq!(text.parse::<SpiffeId>().unwrap_err().why, *why, "{text}");
        }
        assert!(long[..2048].parse::<SpiffeId>().is_ok(), "2048 bytes are allowed");
        assert_eq!("d".repeat(256).parse::<TrustDomain>().unwrap_err().why, Why::LongTrustDomain);
        assert!("d".repeat(255).parse::<TrustDomain>().is_ok());
    }

    #[test]
    fn a_reader_sees_the_text_and_the_rule() {
        let e = "spiffe://Cluster1.local/a".parse::<SpiffeId>().unwrap_err();
        assert_eq!(
            e.to_string(),
            "`spiffe://Cluster1.local/a` has 'C' in its trust domain; allowed are a-z, 0-9, dot, dash and underscore"
        );
    }
}
