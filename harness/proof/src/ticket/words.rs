//! What several readers look for in commands and certificates.

use crate::identity::{Authority, TrustDomain};

/// Whether a command tells what a server holds for others.
pub fn listed(command: Option<&str>) -> bool {
    command.is_some_and(|command| command.contains("bundle list"))
}

/// The trust domain that the authorities' certificates name: SPIRE's own have it as their one URI.
pub fn own_name(authorities: &[Authority]) -> Option<TrustDomain> {
    let mut names: Vec<_> = authorities
        .iter()
        .map(|one| one.certificate.spiffe_id().ok().filter(|id| id.path().is_empty()))
        .collect();
    names.dedup();
    match names.as_slice() {
        [Some(one)] => Some(one.trust_domain().clone()),
        _ => None,
    }
}

pub fn domain(text: &str) -> Option<TrustDomain> {
    text.strip_prefix("spiffe://").unwrap_or(text).parse().ok()
}

/// What stands after a flag.
pub fn word_after<'a>(command: &'a str, flag: &str) -> Option<&'a str> {
    let mut words = command.split_whitespace();
    words
        .find_map(|word| match word.split_once('=') {
            Some((name, value)) if name == flag => Some(Some(value)),
            _ if word == flag => Some(None),
            _ => None,
        })?
        .or_else(|| words.next())
}
