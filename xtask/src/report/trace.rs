//! `trace.json`: what a run spent its time on, for Perfetto and for Chrome's tracing page: the steps of each cluster with
//! their waits, the scenarios, and the claims at the moment of which their evidence is.
//!
//! The form is Chrome's trace event format. Slices of one track must lie within each other or apart, or Perfetto drops
//! them; so each process has as many tracks as things went on in it at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use proof::evidence::Evidence;
use proof::verdict::Line;
use serde_json::{Value, json};

use super::html::moment;
use crate::files::files;

/// Its name in a report's folder.
pub const FILE: &str = "trace.json";
/// Whatever is of no cluster.
const SHARED: &str = "shared";
const CLAIMS: &str = "claims";

/// Something that took a while.
#[derive(Clone, Debug, PartialEq)]
struct Slice {
    process: String,
    name: String,
    category: &'static str,
    /// Microseconds since the log's first line.
    begin: i64,
    end: i64,
    /// The step that it is a part of.
    within: Option<String>,
    args: Value,
}

/// The trace of a report's folder.
pub fn of(dir: &Path, lines: &[Line]) -> Value {
    let log = std::fs::read_to_string(dir.join(harness::log::FILE)).unwrap_or_default();
    let zero = log.lines().find_map(moment).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut slices = of_log(&log, zero);
    for file in files(dir, "xml") {
        let is_trials = file.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("trials-"));
        let text = std::fs::read_to_string(file).unwrap_or_default();
        slices.extend(text.lines().filter(|_| is_trials).filter_map(|line| scenario(line, zero)));
    }
    let mut collected: BTreeMap<&str, Option<i64>> = BTreeMap::new();
    let instants = lines.iter().filter_map(|line| {
        let file = line.verdict.evidence.split('#').next().unwrap_or_default();
        let at = *collected.entry(file).or_insert_with(|| {
            let text = std::fs::read_to_string(dir.join(file)).ok()?;
            Some(micros(Evidence::read(&text).ok()?.collected_at, zero))
        });
        Some((at?, line))
    });
    let instants: Vec<_> = instants.collect();
    written(slices, &instants)
}

fn written(mut slices: Vec<Slice>, claims: &[(i64, &Line)]) -> Value {
    slices.sort_by_key(|slice| (slice.begin, std::cmp::Reverse(slice.end), slice.within.is_some()));
    let mut processes: Vec<_> = slices.iter().map(|slice| slice.process.clone()).collect();
    processes.push(CLAIMS.to_owned());
    processes.sort_by_key(|name| (name == CLAIMS, name != SHARED, name.clone()));
    processes.dedup();
    let mut events = Vec::new();
    for (pid, process) in processes.iter().enumerate() {
        let pid = pid + 1;
        events.push(
            json!({"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": process}}),
        );
        events.push(json!({"ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "args": {"sort_index": pid}}));
        let mut tracks = Tracks::default();
        for slice in slices.iter().filter(|slice| slice.process == *process) {
            let tid = pid * 1000 + tracks.place(slice);
            events.push(json!({"ph": "X", "name": slice.name, "cat": slice.category, "pid": pid, "tid": tid,
                "ts": slice.begin, "dur": slice.end - slice.begin, "args": slice.args}));
        }
        if process == CLAIMS {
            events.extend(claims.iter().map(|(at, line)| {
                let verdict = &line.verdict;
                json!({"ph": "i", "s": "t", "name": verdict.id.to_string(), "cat": "claim", "pid": pid,
                    "tid": pid * 1000 + 999, "ts": at, "args": {"verdict": verdict.verdict, "claim": verdict.claim,
                    "observed": verdict.observed, "as_it_must": line.is_as_it_must()}})
            }));
            events.push(json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": pid * 1000 + 999,
                "args": {"name": "evidence collected"}}));
        }
    }
    json!({"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"vouchsafe": env!("CARGO_PKG_VERSION")}})
}

/// The tracks of a process: what is at work on each, the innermost last, as the step that it is of and its end.
#[derive(Default)]
struct Tracks(Vec<Vec<(Option<String>, i64)>>);

impl Tracks {
    /// The first track on which it is alone, or within what it is a part of.
    fn place(&mut self, slice: &Slice) -> usize {
        for track in &mut self.0 {
            track.retain(|(_, end)| *end > slice.begin);
        }
        let fits = |track: &Vec<(Option<String>, i64)>| match track.last() {
            None => true,
            Some((step, end)) => slice.within.is_some() && *step == slice.within && slice.end <= *end,
        };
        let own = |track: &Vec<(Option<String>, i64)>| fits(track) && !track.is_empty();
        let at = self.0.iter().position(own).or_else(|| self.0.iter().position(fits));
        let at = at.unwrap_or_else(|| {
            self.0.push(Vec::new());
            self.0.len() - 1
        });
        let step = slice.within.clone().or_else(|| Some(slice.name.clone()));
        self.0[at].push((step, slice.end));
        at
    }
}

/// Steps and their waits, as the command's own lines tell them; a step that never ended lasts until the log does.
fn of_log(log: &str, zero: Timestamp) -> Vec<Slice> {
    let last = log.lines().rev().find_map(moment).map_or(0, |at| micros(at, zero));
    let (mut steps, mut waits): (Vec<(String, Slice)>, Vec<Slice>) = (Vec::new(), Vec::new());
    for line in log.lines() {
        let Some(at) = moment(line).map(|at| micros(at, zero)) else { continue };
        if let Some((_, said)) = line.split_once(" harness::progress: ") {
            let Some((words, fields)) = said.rsplit_once(" step=\"") else { continue };
            let Some((id, rest)) = fields.split_once('"') else { continue };
            if let Some(what) = words.strip_prefix("begins: ") {
                let name = if id.is_empty() { what } else { id };
                let process = id.split_once('/').map_or(SHARED, |(cluster, _)| cluster).to_owned();
                let args = json!({"what": what, "ended": false});
                let (name, within) = (name.to_owned(), None);
                let slice = Slice { process, name, category: "step", begin: at, end: last, within, args };
                steps.push((id.to_owned(), slice));
            } else if rest.starts_with(" ms=")
                && let Some((_, step)) = steps.iter_mut().rfind(|(step, _)| step == id)
            {
                (step.end, step.args["ended"]) = (at, true.into());
            }
        } else if let Some((_, said)) = line.split_once(" harness::wait: [") {
            let Some((id, words)) = said.split_once("] waited for ") else { continue };
            let Some((what, ms)) = words.rsplit_once(" ms=") else { continue };
            let Ok(ms) = ms.trim().parse::<i64>() else { continue };
            let Some((_, step)) = steps.iter().rfind(|(step, _)| step == id) else { continue };
            let begin = (at - ms * 1000).max(step.begin);
            let (process, name, within) = (step.process.clone(), what.to_owned(), Some(step.name.clone()));
            waits.push(Slice { process, name, category: "wait", begin, end: at, within, args: json!({}) });
        }
    }
    // Shorter than a millisecond is no wait.
    waits.retain(|wait| wait.end > wait.begin);
    steps.into_iter().map(|(_, step)| step).chain(waits).collect()
}

/// A scenario, of a line of nextest's JUnit file.
fn scenario(line: &str, zero: Timestamp) -> Option<Slice> {
    let attribute = |name: &str| line.split_once(&format!(" {name}=\""))?.1.split('"').next();
    let case = line.trim_start().starts_with("<testcase ");
    let (name, began) = (attribute("name").filter(|_| case)?, attribute("timestamp")?.parse().ok()?);
    let took = Duration::try_from_secs_f64(attribute("time")?.parse().ok()?).ok()?;
    let begin = micros(began, zero);
    let end = begin + i64::try_from(took.as_micros()).ok()?;
    let (process, name) = (CLAIMS.to_owned(), name.to_owned());
    Some(Slice { process, name, category: "scenario", begin, end, within: None, args: json!({}) })
}

fn micros(at: Timestamp, zero: Timestamp) -> i64 {
    at.as_microsecond().saturating_sub(zero.as_microsecond()).max(0)
}

#[cfg(test)]
mod tests {
    use proof::verdict::Verdict;

    use super::*;

    const LOG: &str = "2026-11-26T12:00:00.000Z xtask INFO  xtask: cargo xtask e2e version=\"0\" pid=1
2026-11-26T12:00:00.100Z xtask INFO  harness::progress: begins: container engine answers step=\"engine\"
2026-11-26T12:00:00.900Z xtask DEBUG harness::wait: [engine] waited for an answer ms=700
2026-11-26T12:00:01.000Z xtask INFO  harness::progress: [engine] ends step=\"engine\" ms=900
2026-11-26T12:00:01.000Z xtask INFO  harness::progress: begins: SPIRE agent ready step=\"c1/agent\"
2026-11-26T12:00:01.100Z xtask INFO  harness::progress: begins: CSI driver ready step=\"c1/csi\"
2026-11-26T12:00:01.500Z xtask DEBUG harness::wait: [c1/agent] waited for one ms=300
2026-11-26T12:00:01.600Z xtask DEBUG harness::wait: [c1/agent] waited for another ms=300
2026-11-26T12:00:01.600Z xtask DEBUG harness::wait: [c1/agent] waited for nothing ms=0
2026-11-26T12:00:01.700Z xtask INFO  harness::progress: [c1/agent] ends step=\"c1/agent\" ms=700
2026-11-26T12:00:03.000Z xtask INFO  harness::progress: begins: take everything down step=\"down\"
";

    /// By the documented rules (Trace Event Format, and Perfetto's importer of it): known phases, whole numbers that are not
    /// negative, and on each track slices within each other or apart.
    fn checked(trace: &Value) -> Vec<&Value> {
        let events: Vec<_> = trace["traceEvents"].as_array().unwrap().iter().collect();
        let number = |event: &Value, field: &str| event[field].as_u64().unwrap();
        let mut slices: Vec<_> = events.iter().filter(|event| event["ph"] == "X").collect();
        slices.sort_by_key(|one| (number(one, "ts"), std::cmp::Reverse(number(one, "dur"))));
        let mut open: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for one in slices {
            let (begin, end) = (number(one, "ts"), number(one, "ts") + number(one, "dur"));
            let track = open.entry(number(one, "tid")).or_default();
            track.retain(|until| *until > begin);
            assert!(track.last().is_none_or(|until| *until >= end), "{one} sticks out of what it lies in");
            track.push(end);
        }
        for event in &events {
            assert!(event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
            assert!(event["name"].as_str().is_some_and(|name| !name.is_empty()), "{event}");
            match event["ph"].as_str().unwrap() {
                "M" => assert!(event["args"].is_object(), "{event}"),
                "X" => {}
                "i" => assert!(event["ts"].is_u64() && event["s"] == "t", "{event}"),
                other => panic!("{other}: {event}"),
            }
        }
        events
    }

    #[test]
    fn steps_waits_scenarios_and_claims_are_where_they_were() {
        let zero = "2026-11-26T12:00:00Z".parse().unwrap();
        let case = "  <testcase name=\"handshake::a→b\" classname=\"it\" timestamp=\"2026-11-26T12:00:02.000+00:00\" time=\"0.500\"/>";
        let slices = of_log(LOG, zero).into_iter().chain(scenario(case, zero)).collect();
        let claim = "server-svid/a→b".parse().unwrap();
        let verdict = Verdict::unjudged(&claim, "it is so".into(), "that".into());
        let line = Line { world: "w".into(), trial: "t".into(), verdict, expectation: None };
        let trace = written(slices, &[(2_400_000, &line)]);
        let events = checked(&trace);
        let at =
            |name: &str| *events.iter().find(|event| event["name"] == name && event["ph"] != "M").unwrap();
        let seen = |name: &str| (at(name)["ts"].as_u64().unwrap(), at(name)["dur"].as_u64().unwrap());
        assert_eq!(seen("engine"), (100_000, 900_000));
        assert_eq!(seen("an answer"), (200_000, 700_000));
        assert_eq!(at("an answer")["tid"], at("engine")["tid"]);
        // It never ended: it lasts until the log does.
        assert_eq!((seen("c1/csi"), at("c1/csi")["args"]["ended"] == false), ((1_100_000, 1_900_000), true));
        assert_ne!(at("c1/csi")["tid"], at("c1/agent")["tid"]);
        assert_eq!(at("one")["tid"], at("c1/agent")["tid"]);
        // Two waits of one step that overlap.
        assert_ne!(at("another")["tid"], at("one")["tid"]);
        assert!(events.iter().all(|event| event["name"] != "nothing"));
        assert_eq!(seen("handshake::a→b"), (2_000_000, 500_000));
        let judged = at("server-svid/a→b");
        assert_eq!((judged["ts"].as_i64(), &judged["pid"]), (Some(2_400_000), &at("handshake::a→b")["pid"]));
        let names = events.iter().filter(|event| event["name"] == "process_name");
        let names: Vec<_> = names.map(|event| event["args"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, [SHARED, "c1", CLAIMS]);
    }

    #[test]
    fn a_folder_with_nothing_in_it_is_a_trace_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        checked(&of(dir.path(), &[]));
    }
}
