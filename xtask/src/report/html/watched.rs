//! What each proxy held over time, as it was watched: who signed its certificates, and whom it believed. A bar for each, and
//! beside it every change.

use std::collections::{BTreeMap, BTreeSet};

use harness::history::Line;
use jiff::Timestamp;
use maud::{Markup, html};
use proof::envoy::{Held, Trust};

use super::run::Shown;
use super::{Page, heading};

/// So many changes of a proxy are told; the file has all.
const TOLD: usize = 8;

/// The proxies of a world.
pub fn of(page: &Page<'_>, shown: &Shown) -> Markup {
    let rows = rows(&shown.history, &authorities(shown));
    let begin = rows.iter().map(|row| row.first).min();
    let end = rows.iter().map(|row| row.last).max();
    html! {
        section {
            (heading(page.level, "Watched"))
            @match begin.zip(end) {
                None => p { "Nobody watched the proxies of this world." },
                Some((begin, end)) => {
                    p {
                        "Every proxy from its start on, from " (begin.strftime("%T")) " to " (end.strftime("%T UTC"))
                        ". A bar changes its shade with what the proxy held, and is red while that was istiod's or lacked a trust domain that it had believed; so it is, too, while a control takes trust away on purpose, at the end. "
                        code { "held-" (shown.name) ".jsonl" } " has all of it."
                    }
                    div.wide tabindex="0" role="group" aria-label={ "What the proxies of " (shown.name) " held over time" } {
                        table.steps {
                            thead { tr { th scope="col" { "proxy" } th scope="col" { "when" } th scope="col" { "what it held" } } }
                            tbody { @for row in &rows { (row.told(begin, end)) } }
                        }
                    }
                }
            }
        }
    }
}

/// One proxy.
struct Row {
    name: String,
    first: Timestamp,
    last: Timestamp,
    states: Vec<State>,
}

/// What it held from then on.
#[derive(Debug, PartialEq, Eq)]
struct State {
    at: Timestamp,
    words: String,
    is_wrong: bool,
}

impl Row {
    fn told(&self, begin: Timestamp, end: Timestamp) -> Markup {
        let whole = end.duration_since(begin).as_secs_f64().max(f64::EPSILON);
        let x = |at: Timestamp| 1000.0 * at.duration_since(begin).as_secs_f64() / whole;
        let ends = self.states.iter().skip(1).map(|state| state.at).chain([self.last]);
        html! {
            tr {
                th scope="row" { (self.name) }
                td.bar {
                    svg.held-over-time viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
                        @for (i, (state, until)) in self.states.iter().zip(ends).enumerate() {
                            rect.broken[state.is_wrong].other[i % 2 == 1] x={ (format!("{:.1}", x(state.at))) } y="0" height="10"
                                width={ (format!("{:.1}", (x(until) - x(state.at)).max(4.0))) } {}
                        }
                    }
                }
                td.changes {
                    @for state in self.states.iter().take(TOLD) {
                        div.broken[state.is_wrong] {
                            (state.at.strftime("%T")) " " @if state.is_wrong { "✗ " } (state.words)
                        }
                    }
                    @if self.states.len() > TOLD { div { "and " (self.states.len() - TOLD) " changes more" } }
                }
            }
        }
    }
}

/// Whose an authority is, by the id of its key.
type Authorities = BTreeMap<String, String>;

fn authorities(shown: &Shown) -> Authorities {
    let mut known = Authorities::new();
    for seen in shown.documents.iter().flat_map(|document| &document.evidence.clusters) {
        let name = &seen.cluster.name;
        for authority in seen.bundle.iter().flat_map(|bundle| &bundle.authorities) {
            known.insert(authority.key_id(), format!("SPIRE of {name}"));
        }
        for root in seen.istiod().iter().flat_map(|ca| ca.authorities()) {
            known.insert(root.key_id(), format!("istiod of {name}"));
        }
    }
    known
}

/// Each proxy with its changes, in the order in which they began.
fn rows(history: &[Line], known: &Authorities) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let (mut places, mut believed) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<String>>::new());
    for Line { cluster, seen } in history {
        let who = &seen.workload;
        let key = (cluster, &who.namespace, &who.pod, &who.uid);
        let at = *places.entry(key).or_insert_with(|| {
            let name = format!("{cluster}: {}/{}", who.namespace, who.pod);
            rows.push(Row { name, first: seen.at, last: seen.at, states: Vec::new() });
            rows.len() - 1
        });
        let row = &mut rows[at];
        row.last = row.last.max(seen.at);
        if let Some(held) = &seen.held {
            let before = believed.entry(key).or_default();
            let state = state(seen.at, held, before, known);
            if row
                .states
                .last()
                .is_none_or(|last| (&last.words, last.is_wrong) != (&state.words, state.is_wrong))
            {
                row.states.push(state);
            }
        }
    }
    rows
}

fn state(at: Timestamp, held: &Held, before: &mut BTreeSet<String>, known: &Authorities) -> State {
    let signer = held.certificate("default").and_then(|pem| pem.chain().ok());
    // By its id, which a leaf names: the claim has verified the signature.
    let signer =
        signer.and_then(|chain| chain.intermediates.last().unwrap_or(&chain.leaf).authority_key_id.clone());
    let signer = match &signer {
        Some(key) => {
            let whose = known.get(key).map(|whose| format!(" of {whose}")).unwrap_or_default();
            format!("certificate by key {}{whose}", key.get(..16).unwrap_or(key))
        }
        None => "no certificate whose signer it names".to_owned(),
    };
    let (believes, now) = match held.trust("ROOTCA") {
        Some(Trust::PerTrustDomain(domains)) => {
            let now: BTreeSet<_> = domains.iter().map(|one| one.trust_domain.clone()).collect();
            (now.iter().cloned().collect::<Vec<_>>().join(", "), now)
        }
        Some(Trust::AnyName(_)) => ("one pool of roots for any name".to_owned(), BTreeSet::new()),
        None => ("nobody".to_owned(), BTreeSet::new()),
    };
    let is_wrong = signer.contains(" of istiod of ") || !before.is_subset(&now);
    // It stays wrong until it believes them again.
    before.extend(now);
    State { at, words: format!("{signer}; believes {believes}"), is_wrong }
}

#[cfg(test)]
mod tests {
    use proof::envoy::Secret;
    use proof::envoy::secrets::{Content, DomainTrust};
    use proof::evidence::HeldAt;
    use proof::identity::Pem;
    use serde_json::json;

    use super::*;

    fn line(second: u8, domains: &[&str]) -> Line {
        let at = format!("2026-11-26T12:00:{second:02}Z");
        let domain = |name: &&str| DomainTrust { trust_domain: (*name).to_owned(), bundle: Pem::default() };
        let trust = Content::Trust(Trust::PerTrustDomain(domains.iter().map(domain).collect()));
        let held =
            Held { secrets: vec![Secret { name: "ROOTCA".into(), last_updated: None, content: trust }] };
        let seen = json!({ "at": at, "workload": { "namespace": "a", "pod": "p", "service_account": "s" }, "held": held });
        let seen: HeldAt = serde_json::from_value(seen).unwrap();
        serde_json::from_value(json!({ "cluster": "c1", "seen": seen })).unwrap()
    }

    #[test]
    fn a_gap_is_wrong_until_it_is_over() {
        let history = [line(1, &["x", "y"]), line(2, &["x", "y"]), line(5, &["x"]), line(9, &["x", "y"])];
        let rows = rows(&history, &Authorities::new());
        assert_eq!((rows.len(), rows[0].name.as_str()), (1, "c1: a/p"));
        let states: Vec<_> =
            rows[0].states.iter().map(|s| (s.at.strftime("%S").to_string(), s.is_wrong)).collect();
        let seconds = |at: &str, wrong| (at.to_owned(), wrong);
        assert_eq!(states, [seconds("01", false), seconds("05", true), seconds("09", false)]);
        assert!(rows[0].states[1].words.ends_with("; believes x"), "{:?}", rows[0].states);
    }
}
