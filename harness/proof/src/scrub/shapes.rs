//! Secrets that are known by their shape, wherever they stand.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use sha2::{Digest as _, Sha256};

use super::{REMOVED, rule, without};

/// Removes PEM private keys: whole ones, those that were cut off, and the rest of one whose beginning was.
pub(super) fn keys(text: &str) -> Cow<'_, str> {
    static WHOLE: LazyLock<Regex> = LazyLock::new(|| {
        rule(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----[^-]*(?:-[^-]+)*-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----",
        )
    });
    // Base64 with line breaks, which in JSON are a backslash and a letter, and the headers of an encrypted key.
    static CUT: LazyLock<Regex> = LazyLock::new(|| {
        rule(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?:(?:\s|\\+[nrt])+(?:(?:Proc-Type|DEK-Info|Version|Comment): [^\s\\]*|[A-Za-z0-9+/]+=*))*",
        )
    });
    static REST: LazyLock<Regex> = LazyLock::new(|| {
        rule(
            r"(?:[A-Za-z0-9+/]{16,}=*(?:\s|\\+[nrt])+)*(?:[A-Za-z0-9+/]+=*(?:\s|\\+[nrt])+)?-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----",
        )
    });
    if !text.contains("PRIVATE KEY") {
        return Cow::Borrowed(text);
    }
    let whole = WHOLE.replace_all(text, REMOVED);
    let cut = CUT.replace_all(&whole, REMOVED).into_owned();
    Cow::Owned(REST.replace_all(&cut, REMOVED).into_owned())
}

/// Removes what carries its secret in a form of its own: tokens, credentials in addresses, private parts of JWKs.
pub(super) fn tokens(text: &str) -> Cow<'_, str> {
    // JSON web tokens: three parts, of which the last is empty without a signature, or five when encrypted. The first
    // is a JSON object, hence "eyJ". A full stop after it is the sentence's.
    static JWT: LazyLock<Regex> = LazyLock::new(|| {
        rule(
            r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})?",
        )
    });
    // Those of GitHub, GitLab, AWS, Slack, PyPI, npm, Docker Hub, Google, Vault and age; hashes of passwords.
    static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
        rule(concat!(
            r"\bgh[opsur]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{22,}|\bglpat-[A-Za-z0-9_-]{20,}",
            r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bxox[abeprs]-[A-Za-z0-9-]{10,}|\bpypi-[A-Za-z0-9_-]{50,}",
            r"|\bnpm_[A-Za-z0-9]{36}|\bdckr_pat_[A-Za-z0-9_-]{20,}|\bAIza[A-Za-z0-9_-]{35}|\bhvs\.[A-Za-z0-9_-]{20,}",
            r"|\bAGE-SECRET-KEY-1[A-Z0-9]{50,}|\$(?:1|2[aby]|5|6|7|y)\$[A-Za-z0-9./$=,]{20,}",
        ))
    });
    // The greedy dot ends at the last @ before the path: a password may have one.
    static ADDRESS: LazyLock<Regex> =
        LazyLock::new(|| rule(r#"\b(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<secret>[^\s/?#"'<>\\]*)@"#));
    static NO_SCHEME: LazyLock<Regex> = LazyLock::new(|| {
        rule(r#"(?:^|[\s"'=])(?P<secret>[A-Za-z0-9_.%-]+:[^\s@/:"'\\]+)@[A-Za-z0-9.-]+:[0-9]{2,5}\b"#)
    });
    // kubeadm's bootstrap tokens.
    static BOOTSTRAP: LazyLock<Regex> =
        LazyLock::new(|| rule(r"(?:^|[^A-Za-z0-9_.-])(?P<secret>[a-z0-9]{6}\.[a-z0-9]{16})\b"));
    static JWK: LazyLock<Regex> =
        LazyLock::new(|| rule(r#"\\*"(?:d|p|q|dp|dq|qi|k)\\*"\s*:\s*\\*"(?P<secret>[A-Za-z0-9_-]{20,})"#));
    // The ID of an agent that a join token attested, and of the entry that is made before any agent has used it.
    static AGENT: LazyLock<Regex> = LazyLock::new(|| {
        rule(r"join_token/(?P<token>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b")
    });
    let step = JWT.replace_all(text, REMOVED);
    let step = KNOWN.replace_all(&step, REMOVED);
    let step = without(&step, &ADDRESS, |found| {
        let user = &found["secret"];
        // In ssh a name alone is no secret, and git's is always the same.
        !user.is_empty() && (user.contains(':') || found["scheme"].to_ascii_lowercase().starts_with("http"))
    });
    let step =
        without(&step, &NO_SCHEME, |found| !found[0].contains("@sha256:") && !found[0].contains(REMOVED));
    let step = without(&step, &BOOTSTRAP, |found| {
        let digit = |part: &str| part.bytes().any(|b| b.is_ascii_digit());
        let (id, rest) = found["secret"].split_once('.').unwrap_or_default();
        digit(rest) && !(id.bytes().chain(rest.bytes()).all(|b| b.is_ascii_digit()))
    });
    let step = without(&step, &JWK, |_| true);
    let step = AGENT.replace_all(&step, |found: &Captures<'_>| {
        // Still a SPIFFE ID, and not that of another agent.
        format!("join_token/removed-{}", &hex::encode(Sha256::digest(&found["token"]))[..8])
    });
    Cow::Owned(step.into_owned())
}
