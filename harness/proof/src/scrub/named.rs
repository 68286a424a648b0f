//! Secrets that are known by what stands before them: a key in any notation, a flag, a header, a variable's name.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{encoded, rule, without};

/// How a name ends that is a secret's: `DB_PASSWORD`, `client-key-data`, `joinToken`.
const NAME: &str = concat!(
    r"(?:passw(?:or)?d|passphrase|secret|token|credentials?|key-data",
    r"|(?:api|access|private|secret|signing|encryption|shared|master|account|certificate)[_-]?key|access[_-]?key[_-]?id)",
);

/// Removes values that have a secret's name.
pub(super) fn values(text: &str) -> Cow<'_, str> {
    static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
        rule(&format!(r#"(?i){NAME}\\*["']?[ \t]*(?::=|=>|[:=])[ \t]*\\*"(?P<secret>[^"\\\r\n]+)"#))
    });
    static PLAIN: LazyLock<Regex> = LazyLock::new(|| {
        rule(&format!(
            r#"(?i){NAME}\\*["']?(?P<sep>[ \t]*(?::=|=>|[:=])[ \t]*(?:[|>][+-]?(?:\n|\\+n)[ \t]*)?)(?P<secret>[^\s:"'\\,;&<>{{}}()\[\]][^\s"'\\,;&<>{{}}()\[\]]*)(?P<after>.?)"#
        ))
    });
    // `-joinToken UUID`, `["--token", "…"]`, and the list of arguments in YAML.
    static FLAG: LazyLock<Regex> = LazyLock::new(|| {
        rule(&format!(
            r#"(?i)(?:^|[\s"'`\[,(=])--?[a-z0-9_.-]*?{NAME}(?:\\*["']\s*,(?:\s|\\+n)*\\*["']|\\*["']?(?:\s|\\+n)+(?:-[ \t]+)?\\*["']?)(?P<secret>[^\s"'\\,;&<>{{}}()\[\]`]+)(?P<after>.?)"#
        ))
    });
    // A container's variable: `{"name": "DB_PASSWORD", "value": "…"}`.
    static VARIABLE: LazyLock<Regex> =
        LazyLock::new(|| rule(&variable(r#"\\*["'](?P<secret>[^"'\\\r\n]+)"#)));
    static PLAIN_VARIABLE: LazyLock<Regex> =
        LazyLock::new(|| rule(&variable(r#"(?P<secret>[^\s"'\\,\[{}\]]+)"#)));
    static HEADER: LazyLock<Regex> = LazyLock::new(|| {
        rule(
            r#"(?i)\b(?:authorization\\*["']?\s*[:=,]\s*\\*["'\[]*\s*(?:basic|bearer|digest|negotiate|token|aws4-hmac-sha256)\s+|(?:set-)?cookie\\*["']?\s*[:=]\s*\\*["'\[]*)(?P<secret>[^"'\\\r\n]+)"#,
        )
    });
    static BEARER: LazyLock<Regex> =
        LazyLock::new(|| rule(r"(?i)\bbearer\s+(?P<secret>[A-Za-z0-9._~+/-]{12,}=*)"));
    // `user:password` in base64: the header, and what `docker login` leaves.
    static BASIC: LazyLock<Regex> = LazyLock::new(|| {
        rule(r#"(?i)(?:\bbasic\s+|auth\\*["']?\s*[:=]\s*\\*["']?)(?P<secret>[A-Za-z0-9+/_-]{4,}=*)"#)
    });
    static CURL: LazyLock<Regex> = LazyLock::new(|| {
        rule(r#"\bcurl\b[^\r\n]*?\s(?:-u|--user|-U|--proxy-user)[\s="',]+[^\s:"']+:(?P<secret>[^\s"'\\]+)"#)
    });
    static QUERY: LazyLock<Regex> = LazyLock::new(|| {
        rule(
            r#"(?i)[?&](?:sig|signature|x-(?:amz|goog)-(?:signature|security-token|credential))=(?P<secret>[^&\s"'\\#]+)"#,
        )
    });
    // `join token (UUID)`, `token "UUID"`.
    static JOIN: LazyLock<Regex> = LazyLock::new(|| {
        rule(r"(?i)token\W{1,6}(?P<secret>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b")
    });
    let step = without(text, &HEADER, |found| !found[0].contains(super::REMOVED));
    let step = without(&step, &VARIABLE, |found| !is_plain(&found["secret"]));
    let step = without(&step, &PLAIN_VARIABLE, |found| !is_plain(&found["secret"]));
    let step = without(&step, &QUOTED, |found| {
        // A pass phrase has spaces, a token has none: then it is a sentence about one.
        let sentence = found["secret"].contains(' ') && !found[0].to_ascii_lowercase().starts_with("pass");
        !sentence && !is_plain(&found["secret"])
    });
    let step = without(&step, &PLAIN, |found| {
        // "wrong password: authentication failed" is a sentence, `password: swordfish` at the end of a line is not.
        let sentence = found["sep"].starts_with(':') && is_word_of_sentence(found);
        !is_plain(&found["secret"]) && !sentence
    });
    let step = without(&step, &FLAG, |found| {
        !found["secret"].starts_with('-') && !is_plain(&found["secret"]) && !is_word_of_sentence(found)
    });
    let step = without(&step, &JOIN, |_| true);
    let step = without(&step, &BEARER, |found| found["secret"].bytes().any(|b| b.is_ascii_digit()));
    let step = without(&step, &BASIC, |found| is_pair(&found["secret"]));
    let step = without(&step, &CURL, |found| !found["secret"].bytes().all(|b| b.is_ascii_digit()));
    Cow::Owned(without(&step, &QUERY, |_| true).into_owned())
}

fn variable(value: &str) -> String {
    format!(
        r#"(?i)\bname\\*"?\s*:\s*\\*["']?[a-z0-9_.-]*{NAME}\\*["']?(?:\s|\\+n|,)*\\*["']?value\\*["']?\s*:\s*{value}"#
    )
}

/// Whether a field or a variable of that name has a secret for its value.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    static SECRETS: LazyLock<Regex> = LazyLock::new(|| rule(&format!("(?i){NAME}$")));
    (SECRETS.is_match(name) && !value.is_empty() && !is_plain(value)) || (name == "auth" && is_pair(value))
}

/// `user:password` in base64.
fn is_pair(value: &str) -> bool {
    let inside = encoded::decoded(value).and_then(|bytes| String::from_utf8(bytes).ok());
    inside.is_some_and(|pair| pair.contains(':') && !pair.contains(char::is_control))
}

/// Values that are none: a switch, nothing, how long something took, a variable, or the path of the file that has it.
fn is_plain(value: &str) -> bool {
    const NOTHING: [&str; 8] = ["true", "false", "null", "nil", "none", "empty", "yes", "no"];
    let path = value.trim_start_matches(['.', '~']);
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    !value.contains(char::is_alphanumeric)
        || NOTHING.contains(&value.to_ascii_lowercase().as_str())
        || (path.starts_with('/') && path.matches('/').count() > 1)
        || (unit.len() < value.len() && ["s", "ms", "us", "µs", "m", "h"].contains(&unit))
        || value.starts_with("$(")
        || value.starts_with("${")
        || value.contains(super::REMOVED)
}

/// Letters only, with more of the line after them.
fn is_word_of_sentence(found: &Captures<'_>) -> bool {
    let goes_on =
        found.name("after").is_some_and(|after| matches!(after.as_str(), " " | "," | ";" | ")" | "(" | "`"));
    let word = found["secret"].trim_end_matches([':', '.', '?', '!']);
    let ends_as_word = word.len() < found["secret"].len();
    word.chars().all(|c| c.is_alphabetic() || c == '-') && (goes_on || ends_as_word)
}
