//! A second opinion, and a third: what our own path building says of several hundred chains, good and spoilt, compared
//! with OpenSSL and with rustls-webpki.
//!
//! Both judge a little less or more than we do. Each such difference has a line and a reason in [`EXPLAINED`]; a
//! difference without one is a defect of somebody, and fails.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod corpus;
mod forge;
mod judges;
mod odd;

use std::collections::{BTreeMap, BTreeSet};

use corpus::Case;
use judges::Says::{self, Bad, Good, Unknown};
use judges::{openssl, ours, webpki};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Judge {
    OpenSsl,
    Webpki,
}
use Judge::{OpenSsl, Webpki};

/// Who judges which kind of case otherwise than we do, what they say, and why.
const EXPLAINED: &[(Judge, &str, Says, &str)] = &[
    (OpenSsl, "the leaf is a CA", Good, "a server may be a CA; X509-SVID section 4.1 forbids it"),
    (OpenSsl, "the leaf may sign", Good, "key usage may have more; X509-SVID section 4.3 forbids it"),
    (Webpki, "the leaf may sign", Good, KEY_USAGE),
    (OpenSsl, "the leaf has no digitalSignature", Good, "keyEncipherment is enough for RSA key exchange"),
    (Webpki, "the leaf has no digitalSignature", Good, KEY_USAGE),
    (OpenSsl, "the leaf is for servers only", Good, SERVER),
    (Webpki, "the leaf is for servers only", Good, SERVER),
    (Webpki, "an intermediate may not sign", Good, KEY_USAGE),
    (Webpki, "the root is expired", Good, ANCHOR),
    (Webpki, "only the old root of two", Good, ANCHOR),
    (Webpki, "the root is not yet valid", Good, ANCHOR),
    (Webpki, "the root is no CA", Good, ANCHOR),
    (Webpki, "the root may not sign", Good, ANCHOR),
    (Webpki, "the root allows no intermediate", Good, ANCHOR),
    (OpenSsl, "the root has another name", Bad, NAMES),
    (Webpki, "the root has another name", Bad, NAMES),
    (OpenSsl, "an intermediate has another name", Bad, NAMES),
    (Webpki, "an intermediate has another name", Bad, NAMES),
    (OpenSsl, "a cross-signed intermediate first, for the old root", Bad, FIRST),
    (OpenSsl, "a cross-signed intermediate, for the new root", Bad, FIRST),
    (Webpki, "an intermediate issued itself", Bad, "it counts self-issued ones; RFC 5280 does not"),
    (Webpki, "an intermediate issued itself, and one more", Good, ANCHOR),
    (
        Webpki,
        "another root of the same name",
        Unknown,
        "it has no answer where the root has another kind of key",
    ),
    (Webpki, "a signature with SHA-1", Unknown, OLD),
    (Webpki, "a signature with MD5", Unknown, OLD),
    (OpenSsl, "an algorithm that ring does not know", Good, MORE),
    (OpenSsl, "a compressed key", Good, MORE),
    (Webpki, "a compressed key", Bad, "it takes what ring refuses for a wrong signature"),
    (OpenSsl, "unusual PSS parameters", Good, MORE),
    (OpenSsl, "a large RSA exponent", Good, MORE),
    (Webpki, "a large RSA exponent", Bad, "it takes what ring refuses for a wrong signature"),
];
const ANCHOR: &str = "an anchor is a name and a key, without dates and constraints";
const FIRST: &str = "of two issuers of one name it takes the first, and does not come back for the other";
const KEY_USAGE: &str = "it does not look at key usage";
const MORE: &str = "it can check what we cannot";
const NAMES: &str = "it looks issuers up by name; to us an issuer is its key";
const OLD: &str = "it does not know it at all; we know it and refuse it";
const SERVER: &str = "it was asked about a server; X509-SVID section 4.4 wants both ends";

#[tokio::test(flavor = "multi_thread")]
async fn openssl_and_webpki_judge_every_chain_as_we_do() {
    let keys = forge::Keys::made().await;
    let cases = corpus::all(&keys);
    let theirs = openssl(&cases).await;
    assert!(cases.len() >= 400, "only {} cases", cases.len());
    let (mut unexplained, mut used) = (Vec::new(), BTreeSet::new());
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (case, openssl) in cases.iter().zip(theirs) {
        let (our, why) = ours(case);
        *seen.entry(our.name()).or_default() += 1;
        if our != case.expected {
            unexplained.push(format!("{}: we say {} ({why})", case.name, our.name()));
        }
        for (judge, (their, words)) in [(OpenSsl, openssl), (Webpki, webpki(case))] {
            if their == our {
                continue;
            }
            match explained(judge, case, their) {
                Some(line) => _ = used.insert(line),
                None => unexplained.push(format!(
                    "{}: we say {} ({why}), {judge:?} says {} ({words})",
                    case.name,
                    our.name(),
                    their.name()
                )),
            }
        }
    }
    println!("{} cases: {seen:?}", cases.len());
    assert!(unexplained.is_empty(), "{} differences:\n{}", unexplained.len(), unexplained.join("\n"));
    let idle: Vec<_> =
        EXPLAINED.iter().enumerate().filter(|(i, _)| !used.contains(i)).map(|(_, l)| l).collect();
    assert!(idle.is_empty(), "explanations of nothing: {idle:#?}");
}

fn explained(judge: Judge, case: &Case, says: Says) -> Option<usize> {
    EXPLAINED.iter().position(|(who, kind, what, _)| *who == judge && *kind == case.kind && *what == says)
}
