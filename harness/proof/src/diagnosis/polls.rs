//! What a SPIRE server's own log says of its polls for a peer's bundle: evidence where asking it to fetch now would change
//! something, as in the midst of a rotation.
//!
//! A failure counts as long as nothing after it says otherwise, and only if it is of the last poll: one that succeeds and
//! brings nothing new is not logged (`pkg/server/bundle/client/manager.go` of SPIRE 1.15.3).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::evidence::Fetch;
use crate::identity::{Bundle, TrustDomain};
use crate::motion::polled_every;

const FAILED: &str = "Error updating bundle";
/// What makes an earlier failure one of the past: another relationship, or success.
const SINCE_THEN: [&str; 4] = [
    "Bundle refreshed",
    "Trust domain is now managed",
    "Trust domain no longer managed",
    "Updated configuration for managed trust domain",
];
/// Beside the time between two polls: how long a poll itself may take.
const ITSELF: Duration = Duration::from_secs(30);

/// The failure of the last poll for that bundle, of which `held` is what the server holds. Nothing where the last one did
/// not fail, or nobody can tell, or it failed because other keys are held than the peer has, which is no fault of its
/// endpoint.
pub fn last_failure(log: &str, held: &Bundle, now: Timestamp) -> Option<Fetch> {
    let mut last = None;
    for line in log.lines().map(fields).filter(|line| is_about(line, &held.trust_domain)) {
        match line.get("msg").map(String::as_str) {
            Some(FAILED) => last = Some(line),
            Some(message) if SINCE_THEN.contains(&message) => last = None,
            _ => {}
        }
    }
    let line = last?;
    let at: Timestamp = line.get("time")?.parse().ok()?;
    let age = now.duration_since(at);
    let words = line.get("error")?;
    let recent = SignedDuration::try_from(polled_every(held)? + ITSELF).ok()?;
    let by_its_keys = words.contains("signed by unknown authority") || words.contains("no bundle");
    let said = format!("{words} (its poll of {}, by the server's log)", at.strftime("%F %T UTC"));
    (age <= recent && !by_its_keys).then(|| Fetch {
        trust_domain: held.trust_domain.clone(),
        status: 1,
        said,
    })
}

fn is_about(line: &BTreeMap<String, String>, domain: &TrustDomain) -> bool {
    ["trust_domain", "entry"].iter().any(|name| line.get(*name).is_some_and(|value| value == domain.as_str()))
}

/// The fields of a line, in either of the forms that SPIRE writes: JSON, or `name=value` with quotes where there are blanks.
fn fields(line: &str) -> BTreeMap<String, String> {
    if let Ok(Value::Object(fields)) = serde_json::from_str(line) {
        return fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
            .collect();
    }
    let (mut all, mut rest) = (BTreeMap::new(), line);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, left) = if after.starts_with('"') { quoted(after) } else { plain(after) };
        all.insert(name.trim().to_owned(), value);
        rest = left;
    }
    all
}

fn plain(text: &str) -> (String, &str) {
    let (value, rest) = text.split_once(' ').unwrap_or((text, ""));
    (value.to_owned(), rest)
}

/// A value that begins with a quote, as Go's `%q` writes it, which is a string of JSON but for rare characters.
fn quoted(text: &str) -> (String, &str) {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let end = end.map_or(text.len(), |(at, _)| at + 1);
    let (value, rest) = text.split_at(end);
    (serde_json::from_str(value).unwrap_or_else(|_| value.trim_matches('"').to_owned()), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::forge::Ca;

    const NOW: &str = "2026-11-26T12:01:00Z";
    const WRONG: &str = r#"could not fetch bundle: authentication error: x509svid: unexpected ID \"spiffe://west.example/spire/server\""#;

    fn failed(time: &str, words: &str) -> String {
        format!(
            "time=\"{time}\" level=error msg=\"Error updating bundle\" error=\"{words}\" subsystem_name=bundle_client trust_domain=west.example\n"
        )
    }

    fn said(log: &str, hint: Option<u64>) -> Option<String> {
        let mut held = Ca::named("west").bundle("west.example");
        held.refresh_hint = hint;
        last_failure(log, &held, NOW.parse().unwrap()).map(|fetch| fetch.said)
    }

    #[test]
    fn the_failure_of_the_last_poll_is_told_in_the_servers_words() {
        let log = failed("2026-11-26T12:00:50Z", WRONG);
        let told = "could not fetch bundle: authentication error: x509svid: unexpected ID \"spiffe://west.example/spire/server\" \
            (its poll of 2026-11-26 12:00:50 UTC, by the server's log)";
        assert_eq!(said(&log, Some(60)).as_deref(), Some(told));
        let json = r#"{"error":"dial tcp: refused","level":"error","msg":"Error updating bundle","time":"2026-11-26T12:00:50Z","trust_domain":"west.example"}"#;
        assert!(said(json, Some(60)).unwrap().starts_with("dial tcp: refused (its poll"));
    }

    #[test]
    fn what_is_over_or_of_another_is_not() {
        let log = failed("2026-11-26T12:00:50Z", WRONG);
        for (what, log) in [
            ("refreshed", format!("{log}level=info msg=\"Bundle refreshed\" trust_domain=west.example\n")),
            (
                "told otherwise",
                format!("{log}msg=\"Updated configuration for managed trust domain\" entry=west.example\n"),
            ),
            ("of another", log.replace("trust_domain=west", "trust_domain=east")),
            ("of an earlier poll", failed("2026-11-26T12:00:10Z", WRONG)),
            ("by the keys", failed("2026-11-26T12:00:50Z", "x509: certificate signed by unknown authority")),
            ("torn", log[..60].to_owned()),
        ] {
            assert_eq!(said(&log, Some(60)), None, "{what}");
        }
        let other = format!("{log}msg=\"Bundle refreshed\" trust_domain=east.example\n");
        assert!(said(&other, Some(60)).is_some(), "another's success");
    }
}
