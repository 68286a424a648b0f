//! No proxy holds or used a certificate from istiod's CA: the silent fallback that still answers.
//!
//! With SPIRE's socket missing at start, pilot-agent serves SDS itself, from istiod, under the very same
//! SPIFFE ID. Only the key tells.

use super::bundles::keys;
use super::handshake::{Met, each};
use super::{Finding, Located, bundles, held};
use crate::Result;
use crate::envoy::Trust;
use crate::envoy::secrets::Content;
use crate::evidence::{ClusterSeen, Evidence, Proxy};
use crate::identity::{Authority, Bundle, Flaw, Pem};
use crate::topology::Way;

/// SPIRE made the certificate, and istiod did not. Time plays no part: who signed it is the question.
pub fn not_from_istiod(shown: Option<&Pem>, istiod: &[Authority], spire: &[&Bundle]) -> Finding {
    let expected = format!("signed by a SPIRE authority, not by istiod's ({})", keys(istiod));
    let chain = match shown.ok_or(Flaw::NoCertificate).and_then(Pem::chain) {
        Ok(chain) => chain,
        Err(flaw) => return Finding::new(false, expected, flaw.to_string()),
    };
    if let Some(authority) = chain.signer(istiod) {
        let key = authority.key_id();
        let issuer = &chain.leaf.issuer;
        let observed = format!("istiod's CA signed it with key {key}; it calls its issuer `{issuer}`");
        return Finding::new(false, expected, observed).signed_by(key);
    }
    match spire.iter().find_map(|bundle| Some((chain.signer(&bundle.authorities)?, &bundle.trust_domain))) {
        Some((authority, domain)) => {
            let key = authority.key_id();
            Finding::new(true, expected, format!("signed by {domain}: key {key}")).signed_by(key)
        }
        None => {
            Finding::new(false, expected, "signed neither by istiod nor by any SPIRE authority of the mesh")
        }
    }
}

/// Nothing that the proxy holds is istiod's: no certificate to show, and no root to believe.
///
/// # Errors
/// [`crate::Code::Evidence`] when the proxy was not asked, or a bundle or istiod's root is missing.
pub fn holds_nothing_of_istiod(evidence: &Evidence, seen: &ClusterSeen, proxy: &Proxy) -> Result<Finding> {
    let (held, istiod, spire) =
        (held::held_by(seen, proxy)?, seen.istiod()?, bundles::all_published(evidence)?);
    let findings = held.secrets.iter().flat_map(|secret| match &secret.content {
        Content::Certificate(chain) => vec![not_from_istiod(Some(chain), &istiod, &spire)],
        Content::Trust(Trust::AnyName(roots)) => vec![no_root_of(&istiod, roots)],
        Content::Trust(Trust::PerTrustDomain(all)) => {
            all.iter().map(|one| no_root_of(&istiod, &one.bundle)).collect()
        }
        Content::Other => vec![],
    });
    // Whoever holds nothing holds nothing of istiod's; that it holds nothing is another claim's finding.
    let nothing = || Finding::new(true, "nothing of istiod's", "it holds no certificate at all");
    Ok(Finding::all("secrets", findings).unwrap_or_else(nothing))
}

/// Neither end of any handshake of the way showed a certificate of istiod's.
///
/// # Errors
/// [`crate::Code::Evidence`] when a record, a bundle or istiod's root is missing.
pub fn used_nothing_of_istiod(evidence: &Evidence, way: &Way) -> Result<Located> {
    let spire = bundles::all_published(evidence)?;
    // An istiod of either cluster would be wrong at either end.
    let mut istiod = evidence.cluster(&way.from)?.istiod()?;
    istiod.extend(evidence.cluster(&way.to)?.istiod()?);
    let (finding, at) = each(evidence, way, |handshake| {
        let met = Met::of(handshake)?;
        let server = not_from_istiod(met.by_client.upstream_peer_cert.as_ref(), &istiod, &spire);
        let client = not_from_istiod(met.by_server.downstream_peer_cert.as_ref(), &istiod, &spire);
        Ok(side("the server's", server).and(side("the client's", client)))
    })?;
    Ok((finding, at))
}

fn no_root_of(istiod: &[Authority], roots: &Pem) -> Finding {
    let expected = format!("no root of istiod's ({})", keys(istiod));
    // Roots that cannot be read are another claim's finding.
    let held = Authority::all_in(roots).unwrap_or_default();
    match held.iter().find(|root| istiod.iter().any(|theirs| root.has_key_of(theirs))) {
        Some(root) => {
            Finding::new(false, expected, format!("it believes istiod's root, key {}", root.key_id()))
        }
        None => Finding::new(true, expected, format!("roots: {}", keys(&held))),
    }
}

fn side(whose: &str, finding: Finding) -> Finding {
    Finding { observed: format!("{whose} certificate: {}", finding.observed), ..finding }
}
