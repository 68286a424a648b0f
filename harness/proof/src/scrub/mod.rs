//! Taking secrets out of whatever is kept or shown: evidence, verdicts, reports, notes and errors.
//!
//! One place for all of it. [`text`] works on any text, whatever it is a text of: a log, a YAML file, JSON that is a
//! string in other JSON. It knows secrets by their shape ([`shapes`]: private keys, JSON web tokens, credentials in
//! addresses), by what stands before them ([`named`]: `password=`, `-joinToken`, a variable's name), and by what they
//! decode to ([`encoded`]: a kubeconfig in base64). [`object()`] also knows what a Kubernetes Secret is.
//!
//! Certificates, digests, uids and SPIFFE IDs are evidence and stay. What is taken out leaves no quote and no backslash
//! behind, so JSON stays JSON; and what was scrubbed once does not change when it is scrubbed again.

mod encoded;
mod named;
mod object;
pub mod samples;
mod shapes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use regex::{Captures, Regex};
use serde::de::IgnoredAny;
use serde_json::Value;

pub use self::object::object;

/// What stands where a secret was.
pub const REMOVED: &str = "[removed]";

/// The text without secrets.
pub fn text(text: &str) -> String {
    // Whole objects and whole blocks first: what is left of them afterwards is no longer to be told apart.
    let rules: [fn(&str) -> Cow<'_, str>; 5] =
        [object::secrets_in, shapes::keys, encoded::runs, shapes::tokens, named::values];
    rules.iter().fold(text.to_owned(), |text, rule| match rule(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(scrubbed) => scrubbed,
    })
}

/// The same of a JSON document, which stays one: where what looks like a secret runs over the ends of its strings, each
/// string is looked at by itself.
pub fn document(json: &str) -> String {
    let scrubbed = text(json);
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    if scrubbed == json || is_json(&scrubbed) {
        return scrubbed;
    }
    let Ok(mut document) = serde_json::from_str::<Value>(json) else { return scrubbed };
    object(&mut document);
    serde_json::to_string_pretty(&document).unwrap_or(scrubbed)
}

/// Replaces the group `secret` of each match for which `is` says yes.
fn without<'a>(text: &'a str, rule: &Regex, is: impl Fn(&Captures<'_>) -> bool) -> Cow<'a, str> {
    let (mut out, mut end) = (String::new(), 0);
    for found in rule.captures_iter(text) {
        if let (Some(secret), true) = (found.name("secret"), is(&found)) {
            out.push_str(&text[end..secret.start()]);
            out.push_str(REMOVED);
            end = secret.end();
        }
    }
    if end == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[end..]);
    Cow::Owned(out)
}

/// A rule that is written in this module, so it can be read.
#[expect(clippy::unwrap_used, reason = "a literal of ours; the tests use every one")]
fn rule(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}
