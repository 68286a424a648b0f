//! Secrets in base64: private keys without their PEM armour, as SPIRE's key files and kubeconfigs have them, and any
//! text that is not the same once it is scrubbed.

use std::borrow::Cow;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regex::{Captures, Regex};

use super::{REMOVED, rule};

/// Removes runs of base64 that hold a secret, on one line or on several.
pub(super) fn runs(text: &str) -> Cow<'_, str> {
    // A line break in JSON is a backslash and a letter; that letter is not part of the run.
    static RUN: LazyLock<Regex> = LazyLock::new(|| {
        rule(concat!(
            r"(?P<before>\\+[nrt])?",
            r"(?P<run>[A-Za-z0-9+/_-]{24,}(?:(?:\r?\n|\\+r\\+n|\\+n)[ \t]*[A-Za-z0-9+/_-]{24,})*",
            r"(?:(?:\r?\n|\\+r\\+n|\\+n)[ \t]*[A-Za-z0-9+/_-]{1,23}={1,2})?={0,2})"
        ))
    });
    RUN.replace_all(text, |found: &Captures<'_>| {
        let before = found.name("before").map_or("", |before| before.as_str());
        match holds_secret(&found["run"]) {
            true => format!("{before}{REMOVED}"),
            false => found[0].to_owned(),
        }
    })
}

fn holds_secret(run: &str) -> bool {
    let lines: Vec<&str> = run.split_whitespace().flat_map(|line| line.split("\\n")).map(trimmed).collect();
    is_secret(&lines.concat()) || (lines.len() > 1 && lines.iter().any(|line| is_secret(line)))
}

/// Without the rest of an escaped line break.
fn trimmed(line: &str) -> &str {
    line.trim_end_matches("\\r").trim_matches('\\')
}

fn is_secret(run: &str) -> bool {
    let Some(bytes) = decoded(run) else { return false };
    is_private_key(&bytes) || std::str::from_utf8(&bytes).is_ok_and(|inside| super::text(inside) != inside)
}

/// What it stands for, in either alphabet, with or without its padding; a rest that stands for nothing is left out.
pub(super) fn decoded(run: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if run.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    let run = run.trim_end_matches('=');
    let whole = if run.len() % 4 == 1 { &run[..run.len() - 1] } else { run };
    GeneralPurpose::new(&alphabet, lenient).decode(whole).ok()
}

/// PKCS #8, PKCS #1, SEC 1 and PKCS #12 all are a sequence that begins with a small number; in what is public, another
/// sequence or a large number comes first.
fn is_private_key(der: &[u8]) -> bool {
    let after_length = match der {
        [0x30, short, rest @ ..] if *short < 0x80 => rest,
        [0x30, 0x81, _, rest @ ..] | [0x30, 0x82, _, _, rest @ ..] => rest,
        _ => return false,
    };
    matches!(after_length, [0x02, 0x01, 0 | 1 | 3, 0x30 | 0x04 | 0x02, ..])
}
