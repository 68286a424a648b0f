//! A flow: requests of one way at a steady rate, and what came of each, as its client wrote it down.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::seconds;
use crate::error::Context as _;
use crate::topology::Way;
use crate::{Code, Result};

/// Failures of one cause that are further apart are two stretches.
const APART: SignedDuration = SignedDuration::from_secs(10);
/// Stretches that are kept: more of them say no more.
const KEPT: usize = 40;

/// One request, as the client in the pod wrote it down.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// When it was sent, in microseconds since 1970.
    at_us: i64,
    /// How long it took.
    took_us: u64,
    /// Of the answer; 0 when nobody answered.
    status: u16,
    /// The answer, or why there is none.
    said: String,
}

/// Whether each request had a connection, and so a handshake, of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// Its own.
    New,
    /// One that was there already, wherever that was possible.
    Kept,
}

/// What came of all requests of one way and one kind of connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Whence and whither.
    pub way: Way,
    /// On which connections.
    pub connection: Connection,
    /// How many were to be sent each second.
    pub each_second: u64,
    /// When the first was sent.
    pub began: Timestamp,
    /// When the last was sent.
    pub ended: Timestamp,
    /// How many there were.
    pub requests: u64,
    /// The slowest good answer, in milliseconds.
    pub slowest_ms: u64,
    /// The longest time without a good answer, in milliseconds.
    pub gap_ms: u64,
    /// How many failed: no answer, a bad one, or one of somebody else.
    pub failed: u64,
    /// When, and why: the first ones.
    pub stretches: Vec<Stretch>,
}

/// Failures of one cause that followed each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stretch {
    /// When the first of them was sent.
    pub from: Timestamp,
    /// When the last of them was sent.
    pub to: Timestamp,
    /// How many.
    pub failed: u64,
    /// In the words of whoever refused.
    pub cause: String,
}

/// What a flow must be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// Every request was answered.
    All,
    /// Some failed, but only then and for that cause.
    AllBut(Window),
    /// Some may have failed then, for that cause.
    AllMaybeBut(Window),
}

/// When requests fail, by what was done and the timers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Not before.
    pub from: Timestamp,
    /// Not after.
    pub to: Timestamp,
    /// One of these words is in what whoever refused says; any will do where there are none.
    pub cause: Vec<String>,
    /// Why then, for a person.
    pub because: String,
}

impl Request {
    /// Reads what the client wrote: a request a line.
    ///
    /// # Errors
    /// [`Code::Evidence`] for a line that is none.
    pub fn read(line: &str) -> Result<Self> {
        serde_json::from_str(line).or_fail(Code::Evidence, || format!("this is no request: {line}"))
    }

    /// When it was sent.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_microsecond(self.at_us).unwrap_or_default()
    }

    fn answered(&self) -> Timestamp {
        self.at().checked_add(Duration::from_micros(self.took_us)).unwrap_or(Timestamp::MAX)
    }

    /// Why it is no answer of `version`.
    pub fn failure(&self, version: &str) -> Option<String> {
        let said: Vec<_> = self.said.split_whitespace().collect();
        let said = said.join(" ");
        match self.status {
            200 if said.contains(&format!("version: {version},")) => None,
            status => Some(format!("{status} {said}")),
        }
    }
}

impl Flow {
    /// The flow of these requests, which `version` alone was to answer; nothing when there were none.
    pub fn of(
        way: Way,
        connection: Connection,
        each_second: u64,
        requests: &[Request],
        version: &str,
    ) -> Option<Self> {
        let mut sent: Vec<_> = requests.iter().collect();
        sent.sort_by_key(|request| request.at_us);
        let (began, ended) = (sent.first()?.at(), sent.last()?.at());
        let good = |request: &&&Request| request.failure(version).is_none();
        let slowest = sent.iter().filter(good).map(|request| request.took_us).max().unwrap_or_default();
        let mut answered: Vec<_> = sent.iter().filter(good).map(|request| request.answered()).collect();
        answered.extend([began, ended.max(answered.iter().copied().max().unwrap_or(ended))]);
        answered.sort();
        let gaps = answered.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis());
        let failures: Vec<_> =
            sent.iter().filter_map(|request| Some((request.at(), request.failure(version)?))).collect();
        Some(Self {
            way,
            connection,
            each_second,
            began,
            ended,
            requests: count(sent.len()),
            slowest_ms: slowest / 1000,
            gap_ms: gaps.max().and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default(),
            failed: count(failures.len()),
            stretches: stretches(failures),
        })
    }

    /// How many the rate and the time make.
    pub fn ordered(&self) -> u64 {
        let ms = u64::try_from(self.ended.duration_since(self.began).as_millis()).unwrap_or_default();
        self.each_second * ms / 1000
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.ended.duration_since(self.began).as_millis()).unwrap_or_default();
        let Self { requests, failed, gap_ms, slowest_ms, .. } = self;
        write!(f, "{requests} requests in {}, {failed} failed", seconds(ms))?;
        write!(f, ", longest time without an answer {gap_ms} ms, slowest answer {slowest_ms} ms")?;
        for stretch in self.stretches.iter().take(3) {
            write!(f, "; {stretch}")?;
        }
        match self.stretches.len() {
            0..=3 => Ok(()),
            more => write!(f, "; and {} stretches more", more - 3),
        }
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, failed, cause } = self;
        write!(f, "{failed} from {from:.1} to {to:.1}: {cause}")
    }
}

/// One after the other; those of different causes may lie within each other.
fn stretches(failures: Vec<(Timestamp, String)>) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    for (at, cause) in failures {
        let near = |stretch: &Stretch| stretch.cause == cause && at.duration_since(stretch.to) <= APART;
        match all.iter().rposition(near) {
            Some(i) => (all[i].to, all[i].failed) = (at, all[i].failed + 1),
            None if all.len() < KEPT => all.push(Stretch { from: at, to: at, failed: 1, cause }),
            None => {}
        }
    }
    all
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_764_171_000_000_000;

    fn way() -> Way {
        Way { from: "a".into(), to: "b".into() }
    }

    fn request(ms: i64, status: u16, said: &str) -> Request {
        Request { at_us: START + ms * 1000, took_us: 5_000, status, said: said.into() }
    }

    fn good(ms: i64) -> Request {
        request(ms, 200, "Hello version: v2, instance: x")
    }

    fn flow(requests: &[Request]) -> Flow {
        Flow::of(way(), Connection::New, 10, requests, "v2").unwrap()
    }

    /// The line that `traffic` writes; its test has the same.
    #[test]
    fn the_clients_line_is_read() {
        let line = r#"{"at_us":1764171000250000,"said":"Hello version: v2, instance: a","status":200,"took_us":4200}"#;
        let request = Request::read(line).unwrap();
        assert_eq!((request.failure("v2"), request.at()), (None, "2025-11-26T15:30:00.25Z".parse().unwrap()));
        assert!(request.failure("v1").is_some(), "somebody else's answer");
        assert_eq!(Request::read("{}").unwrap_err().code(), Code::Evidence);
    }

    #[test]
    fn nothing_fails_and_the_longest_gap_is_told() {
        let all: Vec<_> = (0..20).filter(|i| !(5..8).contains(i)).map(|i| good(i * 100)).collect();
        let flow = flow(&all);
        assert_eq!((flow.requests, flow.failed, flow.gap_ms, flow.ordered()), (17, 0, 400, 19));
        assert!(flow.stretches.is_empty());
        assert!(Flow::of(way(), Connection::Kept, 10, &[], "v2").is_none());
    }

    #[test]
    fn failures_of_one_cause_are_a_stretch() {
        let refused = |ms| request(ms, 503, "CERTIFICATE_VERIFY_FAILED\n");
        let other = request(300, 200, "Hello version: v1, instance: y");
        let silent = request(13_000, 0, "no answer in 15 s");
        let all = [good(0), refused(100), refused(200), other, refused(400), refused(12_500), silent];
        let flow = flow(&all);
        let told: Vec<_> = flow.stretches.iter().map(|s| (s.failed, s.cause.as_str())).collect();
        let expected = [
            (3, "503 CERTIFICATE_VERIFY_FAILED"),
            (1, "200 Hello version: v1, instance: y"),
            (1, "503 CERTIFICATE_VERIFY_FAILED"),
            (1, "0 no answer in 15 s"),
        ];
        assert_eq!((flow.failed, &*told), (6, &expected[..]));
        assert!(flow.to_string().starts_with("7 requests in 13.0 s, 6 failed, "), "{flow}");
    }
}
