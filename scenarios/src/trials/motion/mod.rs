//! Trust in motion: what users notice while authorities rotate and parts of the mesh are silent, and how long each change
//! takes, against a bound that was computed before from the timers that this mesh was told.

mod authority;
mod bounds;
mod cut;
mod identity;
mod istios;
mod lives;
mod network;
mod node;
mod outages;
mod parts;
mod peer;
mod revision;
mod server;
mod silence;
mod steps;
mod token;
mod upgrade;

use std::path::Path;

use harness::{Error, Result, kept};
use jiff::Timestamp;
use proof::evidence::Must;
use proof::motion::{Answers, Bound, Connection, Flow, Took, Window};
use serde_json::json;

use crate::fixture::Fixture;
use crate::pods::{CURL, GATEWAY, HELLOWORLD, Pods};
use crate::shows::{Each, Shown, Shows};
use crate::traffic::{CLIENT, SERVER};
use crate::trial::Scenario;

pub(super) const SCENARIOS: &[&[Scenario]] = &[
    authority::SCENARIOS,
    identity::SCENARIOS,
    lives::SCENARIOS,
    network::SCENARIOS,
    node::SCENARIOS,
    outages::SCENARIOS,
    peer::SCENARIOS,
    revision::SCENARIOS,
    server::SCENARIOS,
    silence::SCENARIOS,
    token::SCENARIOS,
    upgrade::SCENARIOS,
];

/// How long an SVID of the traffic's own pods lives; those of the others live an hour.
const SVID_LIFE: u64 = 60;
/// Whose certificates are looked at: short-lived ones, and all.
const SHORT_LIVED: [Pods<'static>; 2] = [CLIENT, SERVER];
const EVERYONE: [Pods<'static>; 5] = [CURL, HELLOWORLD, GATEWAY, CLIENT, SERVER];

impl Fixture<'_> {
    /// Says what is about to be waited for, and how long that may take: it is written down before it happens.
    fn announces(&self, what: &str, bound: &Bound) -> Result<()> {
        self.notes(&json!({ "awaits": what, "bound": bound, "reads": bound.to_string() }))
    }

    /// How long it took, against its bound.
    fn took(&mut self, fact: impl Into<Shown>, bound: Bound, took: &Took) -> Result<()> {
        self.notes(&json!({ "took": took }))?;
        let seen = serde_json::to_string(took).map_err(|e| Error::internal("a time").because(e))?;
        self.shows(fact, Must::Within(bound), seen);
        Ok(())
    }

    /// What came of the requests of each way, or of the only way that was asked, on new connections and on kept ones.
    fn answered(&mut self, flows: &[Flow], facts: [Shows; 2], must: impl Fn(&Flow) -> Answers) -> Result<()> {
        for flow in flows {
            self.notes(&json!({ "flow": flow }))?;
            let [new, kept] = facts;
            let fact = if flow.connection == Connection::New { new } else { kept };
            let seen = serde_json::to_string(flow).map_err(|e| Error::internal("a flow").because(e))?;
            let shown = if fact.each == Each::Way { fact.on(&flow.way) } else { fact.into() };
            self.shows(shown, Must::Answer(must(flow)), seen);
        }
        Ok(())
    }

    /// A line of the report's `motion.jsonl`.
    fn notes(&self, line: &serde_json::Value) -> Result<()> {
        let Some(report) = std::env::var_os("VOUCHSAFE_REPORT") else { return Ok(()) };
        let mut line = line.clone();
        line["at"] = json!(Timestamp::now());
        line["scenario"] = json!(self.scenario());
        let file = Path::new(&report).join("motion.jsonl");
        kept::append(&file, &format!("{line}\n"))
            .map_err(|e| Error::internal(format!("cannot write {}", file.display())).because(e))
    }
}

/// Requests fail from then on, and no longer than `bound` after `over`.
fn window(from: Timestamp, (over, bound): (Timestamp, &Bound), cause: &[&str], because: &str) -> Window {
    let to = over.checked_add(bound.length()).unwrap_or(Timestamp::MAX);
    let cause = cause.iter().map(|&words| words.to_owned()).collect();
    Window { from, to, cause, because: format!("{because} {over:.1}, and no later than {bound}") }
}

/// Every new connection needs what is away, so some fail; those that stay may outlive it.
fn failed_only(flow: &Flow, window: Window) -> Answers {
    match flow.connection {
        Connection::New => Answers::AllBut(window),
        Connection::Kept => Answers::AllMaybeBut(window),
    }
}
