//! No proxy holds or used a certificate from istiod's CA: the silent fallback that still answers.
//!
//! With SPIRE's socket missing at start, pilot-agent serves SDS itself, from istiod, under the very same
//! SPIFFE ID. Only the key tells.

use super::bundles::keys;
use super::handshake::{Records, each};
use super::{Finding, Located, bundles, held};
use crate::Result;
use crate::envoy::secrets::Content;
use crate::envoy::{Held, Trust};
use crate::evidence::{ClusterSeen, Evidence, IstiodCa, Proxy, missing};
use crate::identity::{Authority, Bundle, Certificate, Flaw, Path, Pem};
use crate::topology::Way;

/// SPIRE made the certificate, and none of these istiods did. Time plays no part: who signed it is the question.
///
/// A root that SPIRE has too tells nothing; then the intermediate that istiod signs with decides. `known` are
/// intermediates as [`super::verified`] takes them.
///
/// # Errors
/// [`crate::Code::Evidence`] when the signature cannot be checked here, or when only an intermediate of istiod's that
/// was not collected could tell.
pub fn not_from_istiod(
    shown: Option<&Pem>,
    known: &[Certificate],
    istiods: &[IstiodCa],
    spire: &[&Bundle],
) -> Result<Finding> {
    let all = || istiods.iter().flat_map(IstiodCa::authorities);
    let expected = format!("signed by a SPIRE authority, not by istiod's ({})", keys(all()));
    let chain = match shown.ok_or(Flaw::NoCertificate).and_then(Pem::chain) {
        Ok(chain) => chain.with(known),
        Err(flaw) => return Ok(Finding::new(false, expected, flaw.to_string())),
    };
    let by_istiod = |path: &Path<'_, '_>| {
        let (key, issuer) = (path.authority.key_id(), &chain.leaf.issuer);
        let observed = format!("istiod's CA signed it with {path}; it calls its issuer `{issuer}`");
        Finding::new(false, expected.clone(), observed).signed_by(key)
    };
    let own = not_spires(all(), spire);
    let mut flaws = match chain.signed(&own) {
        Ok(path) => return Ok(by_istiod(&path)),
        Err(flaw) => vec![flaw],
    };
    for bundle in spire {
        let path = match chain.signed(&bundle.authorities) {
            Ok(path) => path,
            Err(flaw) => {
                flaws.push(flaw);
                continue;
            }
        };
        let (domain, key) = (&bundle.trust_domain, path.authority.key_id());
        if istiods.iter().any(|ca| ca.may_sign_with(path.authority)) {
            return if path.intermediates.is_empty() {
                Ok(by_istiod(&path))
            } else {
                Err(missing(format!("istiod's intermediate (its root, key {key}, is {domain}'s too)")))
            };
        }
        return Ok(Finding::new(true, expected, format!("signed by {domain}: {path}")).signed_by(key));
    }
    let weak = |flaw: &&Flaw| matches!(flaw, Flaw::WeakSignature { .. } | Flaw::ShortKey { .. });
    let unsure = flaws.iter().find(|flaw| flaw.is_uncheckable()).or(flaws.iter().find(weak));
    let nobody = || Ok("signed neither by istiod nor by any SPIRE authority of the mesh".into());
    Ok(Finding::new(false, expected, unsure.map_or_else(nobody, super::told)?))
}

/// Those whose key is in no bundle.
pub(super) fn not_spires<'a>(
    istiod: impl Iterator<Item = &'a Authority>,
    spire: &[&Bundle],
) -> Vec<Authority> {
    let spires = |one: &Authority| spire.iter().flat_map(|b| &b.authorities).any(|a| a.has_key_of(one));
    istiod.filter(|one| !spires(one)).cloned().collect()
}

/// Nothing that the proxy holds is istiod's: no certificate to show, and no root to believe.
///
/// # Errors
/// [`crate::Code::Evidence`] when the proxy was not asked, or a bundle or istiod's root is missing, or the key cannot be told.
pub fn holds_nothing_of_istiod(evidence: &Evidence, seen: &ClusterSeen, proxy: &Proxy) -> Result<Finding> {
    let (held, istiod, spire) =
        (held::held_by(seen, proxy)?, [seen.istiod()?], bundles::all_published(evidence)?);
    // What SPIRE publishes it must believe; that both have one root is the bundles' finding.
    let roots_of_its_own = not_spires(istiod[0].authorities(), &spire);
    let known = evidence.intermediates();
    let findings = held.secrets.iter().flat_map(|secret| match &secret.content {
        Content::Certificate(chain) => {
            vec![not_from_istiod(Some(chain), &known, &istiod, &spire)]
        }
        Content::Trust(Trust::AnyName(roots)) => vec![Ok(no_root_of(&roots_of_its_own, roots))],
        Content::Trust(Trust::PerTrustDomain(all)) => {
            all.iter().map(|one| Ok(no_root_of(&roots_of_its_own, &one.bundle))).collect()
        }
        Content::Other => vec![],
    });
    let findings: Vec<_> = findings.collect::<Result<_>>()?;
    // Whoever holds nothing holds nothing of istiod's; that it holds nothing is another claim's finding.
    let nothing = || Finding::new(true, "nothing of istiod's", "it holds no certificate at all");
    Ok(Finding::all("secrets", findings).unwrap_or_else(nothing))
}

/// Neither end of any handshake of the way showed a certificate of istiod's.
///
/// # Errors
/// [`crate::Code::Evidence`] when a record, a bundle or istiod's root is missing, or the key cannot be told.
pub fn used_nothing_of_istiod(evidence: &Evidence, way: &Way) -> Result<Located> {
    let (spire, known) = (bundles::all_published(evidence)?, evidence.intermediates());
    // An istiod of either cluster would be wrong at either end.
    let istiods = [evidence.cluster(&way.from)?.istiod()?, evidence.cluster(&way.to)?.istiod()?];
    let (finding, at) = each(evidence, way, |handshake| {
        let met = Records::of(handshake)?;
        let server = not_from_istiod(met.by_client.upstream_peer_cert.as_ref(), &known, &istiods, &spire)?;
        let client = not_from_istiod(met.by_server.downstream_peer_cert.as_ref(), &known, &istiods, &spire)?;
        Ok(side("the server's", server).and(side("the client's", client)))
    })?;
    Ok((finding, at))
}

/// What a proxy held that istiod made, if there is anything: a certificate, or a root to believe. Who else signed is
/// another claim's finding.
pub(super) fn of_istiod(
    held: &Held,
    known: &[Certificate],
    istiod: &IstiodCa,
    spire: &[&Bundle],
) -> Result<Option<Finding>> {
    let roots_of_its_own = not_spires(istiod.authorities(), spire);
    for secret in &held.secrets {
        let findings = match &secret.content {
            Content::Certificate(chain) => {
                let finding = not_from_istiod(Some(chain), known, std::slice::from_ref(istiod), spire)?;
                // Broken without a key: nobody of the evidence signed it.
                vec![Finding { held: finding.held || finding.issuer_key.is_none(), ..finding }]
            }
            Content::Trust(Trust::AnyName(roots)) => vec![no_root_of(&roots_of_its_own, roots)],
            Content::Trust(Trust::PerTrustDomain(all)) => {
                all.iter().map(|one| no_root_of(&roots_of_its_own, &one.bundle)).collect()
            }
            Content::Other => vec![],
        };
        if let Some(broken) = findings.into_iter().find(|finding| !finding.held) {
            return Ok(Some(broken));
        }
    }
    Ok(None)
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
