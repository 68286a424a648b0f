//! The whole document: what holds, what is absent, and what is printed.

use super::super::fixture::*;
use super::super::{Finding, Outcome, Verdict, judge, judge_one};
use super::unjudged;
use crate::Code;
use crate::claim::due;
use crate::evidence::{Evidence, Fact, Must};
use crate::topology::Topology;

#[test]
fn a_good_world_holds_in_both_directions() {
    let verdicts = judge(&Fixture::good().evidence);
    let not: Vec<_> = verdicts.iter().filter(|verdict| !verdict.held()).collect();
    assert!(not.is_empty(), "{not:#?}");
    let mut ids: Vec<_> = verdicts.iter().map(|v| &v.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), verdicts.len(), "an id names a verdict");
}

#[test]
fn a_verdict_names_the_key_that_signed() {
    let world = Fixture::good();
    let key = |i: usize| world.evidence.clusters[i].bundle.as_ref().unwrap().authorities[0].key_id();
    let of = |id: &str| judge_one(&world.evidence, &id.parse().unwrap()).issuer_key;
    assert_eq!(of("server-svid/cluster1→cluster2"), Some(key(1)));
    assert_eq!(of("client-svid/cluster1→cluster2"), Some(key(0)));
    assert_eq!(of("proxy-svid/cluster1/istio-test/curl"), Some(key(0)));
    assert_eq!(of("gateway-counted/cluster1→cluster2"), None);
}

/// The fields and their order are what users parse.
#[test]
fn a_verdict_is_one_line_of_these_fields() {
    let claim = "through-remote-gateway/cluster1→cluster2".parse().unwrap();
    let verdict = judge_one(&Fixture::good().evidence, &claim).kept_in("evidence/handshake.json");
    let line = serde_json::to_string(&verdict).unwrap();
    assert_eq!(
        line,
        "{\"id\":\"through-remote-gateway/cluster1→cluster2\",\
          \"claim\":\"the client's sidecar connected to the east-west gateway of cluster2\",\
          \"way\":\"cluster1→cluster2\",\"verdict\":\"held\",\"expected\":\"sent to 172.18.0.3:15443\",\
          \"observed\":\"in all 2 handshakes: sent to 172.18.0.3:15443\",\"issuer_key\":null,\
          \"evidence\":\"evidence/handshake.json#/handshakes/0/by_client/upstream_host\"}"
    );
    assert_eq!(serde_json::from_str::<Verdict>(&line).unwrap(), verdict);
}

/// The evidence of a broken claim is the handshake that broke it, not the first.
#[test]
fn a_ticket_points_to_the_culprit() {
    let mut evidence = Fixture::good().evidence;
    evidence.handshakes[1].by_client.as_mut().unwrap().upstream_host = None;
    let broken = judge(&evidence).into_iter().find(|verdict| !verdict.held()).unwrap();
    assert_eq!(broken.evidence, "/handshakes/1/by_client/upstream_host");
}

/// Of several findings the first broken one is told, else the first; and how many there were.
#[test]
fn the_first_broken_finding_is_told() {
    let finding = |held, observed: &str| Finding::new(held, "so", observed);
    let told = |findings: &[(bool, &str)]| {
        Finding::all("looks", findings.iter().map(|(held, observed)| finding(*held, observed))).unwrap()
    };
    assert_eq!(told(&[(true, "a"), (true, "b")]), finding(true, "in all 2 looks: a"));
    assert_eq!(
        told(&[(true, "a"), (false, "b"), (false, "c"), (true, "d")]),
        finding(false, "in 2 of 4 looks: b")
    );
    assert_eq!(told(&[(false, "a")]), finding(false, "a"));
    assert_eq!(Finding::all("looks", []), None);
    let both = finding(true, "a").signed_by("k".to_owned()).and(finding(true, "b"));
    assert_eq!((both.held, both.observed.as_str(), both.issuer_key.as_deref()), (true, "a; b", Some("k")));
    assert_eq!(finding(true, "a").and(finding(false, "b")), finding(false, "b"));
    assert_eq!(finding(false, "a").and(finding(false, "b")), finding(false, "a"));
}

/// Every pointer leads to something in the document.
#[test]
fn evidence_can_be_looked_up() {
    let world = Fixture::good();
    let document: serde_json::Value = serde_json::from_str(&world.evidence.to_json().unwrap()).unwrap();
    for verdict in judge(&world.evidence) {
        let found = document.pointer(&verdict.evidence);
        assert!(found.is_some_and(|value| !value.is_null()), "{verdict:?}");
    }
}

#[test]
fn stored_evidence_is_judged_the_same() {
    let world = Fixture::good();
    let stored = Evidence::read(&world.evidence.to_json().unwrap()).unwrap();
    assert_eq!(stored, world.evidence);
    assert_eq!(judge(&stored), judge(&world.evidence));
}

/// A document that an earlier build wrote. When this fails, the form has changed: raise
/// [`crate::evidence::VERSION`] and say in the release how old reports are judged.
#[test]
fn version_1_stays_readable() {
    let stored = include_str!("../../evidence/testdata/version-1.json");
    let evidence = Evidence::read(stored).unwrap();
    let verdicts = judge(&evidence);
    assert!(verdicts.iter().all(Verdict::held));
    assert_eq!(verdicts.len(), 44);
    assert_eq!(evidence.to_json().unwrap(), stored.trim_end(), "and is written as it was");
}

/// Tampering: a document of another version, another kind, or with a key beside the certificates.
#[test]
fn only_evidence_is_read() {
    let json = Fixture::good().evidence.to_json().unwrap();
    let (now, next) = (crate::evidence::VERSION, crate::evidence::VERSION + 1);
    let later = json.replace(&format!("\"version\": {now}"), &format!("\"version\": {next}"));
    let newer = Evidence::read(&later).map(drop).unwrap_err();
    assert!(
        newer.to_string().contains(&format!("version {next}, and this release reads 1 to {now}")),
        "{newer}"
    );
    for text in ["", "{}", "[1]", "{\"version\": 1}"] {
        assert_eq!(Evidence::read(text).unwrap_err().code(), Code::Evidence, "{text}");
    }
    let key = "-----BEGIN PRIVATE KEY-----\\nc2VjcmV0\\n-----END PRIVATE KEY-----\\n";
    let spoilt = json.replace("-----BEGIN CERTIFICATE-----", &format!("{key}-----BEGIN CERTIFICATE-----"));
    assert_eq!(Evidence::read(&spoilt).unwrap().to_json().unwrap(), json, "keys are dropped");
}

/// Each piece taken away: what needs it cannot be judged, and nothing breaks or holds by its absence.
#[test]
fn absent_evidence_is_an_error() {
    let count = |tamper: &dyn Fn(&mut Evidence)| unjudged(|_, e| tamper(e)).len();
    // Needed by: 1 disjoint, 1 of the peer's, 3 SVIDs, 6 roots, 6 + 2 + 2 istiod, 1 server and 1 client.
    assert_eq!(count(&|e| e.clusters[1].bundle = None), 1 + 1 + 3 + 6 + 6 + 2 + 2 + 2);
    assert_eq!(count(&|e| e.clusters[1].peer_bundles = None), 1);
    assert_eq!(count(&|e| e.clusters[1].entries = None), 2);
    assert_eq!(count(&|e| e.clusters[1].remote_clusters = None), 1);
    assert_eq!(count(&|e| e.clusters[1].gateway = None), 1);
    assert_eq!(count(&|e| e.clusters[1].istiod_root = None), 3 + 1 + 2);
    assert_eq!(count(&|e| e.clusters[1].history = None), 2);
    assert_eq!(count(&|e| e.clusters[1].proxies[0].held = None), 3 + 1, "and one connection of curl's");
    assert_eq!(
        count(&|e| e.clusters[1].proxies.clear()),
        2 + 2,
        "entries of which workloads? and whose leafs?"
    );
    assert_eq!(count(&|e| e.handshakes[0].by_client = None), 5);
    assert_eq!(count(&|e| e.handshakes[0].by_server = None), 5);
    assert_eq!(count(&|e| e.replies[0].replies.clear()), 1);
    assert_eq!(count(&|e| e.refusals[0].by_client = None), 1);
    assert_eq!(count(&|e| e.refusals[2].by_server = None), 1);
}

/// Every claim that can be due, one by one: with its evidence it holds, without any it is unjudged, by name, and says what
/// is needed. Nothing vanishes.
#[test]
fn a_claim_that_is_due_never_vanishes() {
    let world = Fixture::good();
    let clusters: Vec<_> = world.evidence.clusters.iter().map(|seen| seen.cluster.clone()).collect();
    let topology = Topology { clusters: clusters.clone() };
    let judged: Vec<_> = judge(&world.evidence).into_iter().map(|verdict| verdict.id).collect();
    for claim in due::everything(&topology) {
        let seen = |evidence: &Evidence| {
            let verdicts = judge(&Evidence { due: vec![claim.clone()], facts: vec![], ..evidence.clone() });
            let [verdict] = verdicts.as_slice() else { panic!("{claim}: {verdicts:?}") };
            assert_eq!(verdict.id, claim);
            verdict.clone()
        };
        let bare = seen(&Evidence::of(&clusters, world.evidence.collected_at));
        assert_eq!(bare.verdict, Outcome::Unjudged, "{claim}");
        assert_eq!(bare.expected, format!("evidence: {}", claim.kind.needs()));
        assert!(bare.observed.contains("there is no evidence of"), "{bare:?}");
        // Controls of both ways and what follows a scenario are more than the good world saw.
        if judged.iter().any(|id| id.kind == claim.kind && id.subject == claim.subject) {
            assert!(seen(&world.evidence).held(), "{claim}");
        }
    }
}

/// A trial that ended early says so in each claim that it left.
#[test]
fn the_end_of_a_trial_is_part_of_what_is_missing() {
    let mut evidence = Fixture::good().evidence;
    evidence.due = vec!["gateway-counted/cluster1→cluster2".parse().unwrap()];
    (evidence.crossings, evidence.ended_early) = (vec![], Some("the gateway did not answer".into()));
    let verdicts = judge(&evidence);
    assert!(
        verdicts[0].observed.ends_with("the trial ended early: the gateway did not answer"),
        "{verdicts:?}"
    );
}

/// A scenario that came to its end and showed nothing proves nothing.
#[test]
fn a_scenario_that_judges_nothing_does_not_count_as_completed() {
    let mut evidence = Fixture::good().evidence;
    (evidence.handshakes, evidence.refusals) = (vec![], vec![]);
    evidence.due = vec!["scenario-completed/aliases".parse().unwrap()];
    let outcome = |evidence: &Evidence| judge(evidence)[0].verdict;
    assert_eq!(outcome(&evidence), Outcome::Unjudged, "it never ended");
    evidence.completed.push("aliases".into());
    let as_before = "cluster-as-before/aliases/cluster1".parse::<crate::claim::Claim>().unwrap();
    let fact = |id| Fact { id, claim: "so".into(), must: Must::be("so"), seen: "so".into() };
    evidence.facts = vec![fact(as_before)];
    assert_eq!(outcome(&evidence), Outcome::Unjudged, "that nothing is left is not what it ran for");
    evidence.facts.push(fact("fact/aliases/1".parse().unwrap()));
    assert_eq!(outcome(&evidence), Outcome::Held);
    let all = Fixture::good().evidence;
    let (handshakes, refusals) = (all.handshakes, all.refusals);
    evidence.handshakes.clone_from(&handshakes);
    evidence.refusals.clone_from(&refusals);
    let shown = format!("{} observations", 1 + handshakes.len() + refusals.len());
    assert_eq!(judge(&evidence)[0].observed, shown, "whatever it showed counts");
}

/// Each fact is judged by its own observation, whatever lies before it.
#[test]
fn a_fact_is_found_by_its_id() {
    let mut evidence = Fixture::good().evidence;
    let fact = |id: &str, seen: &str| Fact {
        id: format!("fact/aliases/{id}").parse().unwrap(),
        claim: "so".into(),
        must: Must::be("so"),
        seen: seen.into(),
    };
    evidence.facts = vec![fact("one", "so"), fact("two", "otherwise")];
    evidence.due = evidence.facts.iter().map(|fact| fact.id.clone()).collect();
    let outcomes: Vec<_> = judge(&evidence).into_iter().map(|v| (v.verdict, v.evidence)).collect();
    assert_eq!(outcomes, [(Outcome::Held, "/facts/0".into()), (Outcome::Broken, "/facts/1".into())]);
}

/// Whose entries must federate is said by their identities, each once.
#[test]
fn what_must_federate_is_named() {
    let mut evidence = Fixture::good().evidence;
    evidence.due = vec!["entries-federate/cluster1".parse().unwrap()];
    let expected = judge(&evidence).remove(0).expected;
    let ids = ["istio-system/sa/east-west-istio", "istio-test/sa/curl", "istio-test/sa/helloworld"]
        .map(|account| format!("spiffe://cluster1.local/ns/{account}"));
    assert!(expected.ends_with(&format!("for each of {}", ids.join(", "))), "{expected}");
}

/// Who lacks its evidence is named as a person knows it.
#[test]
fn a_proxy_that_was_not_asked_is_named_by_its_account() {
    let mut evidence = Fixture::good().evidence;
    evidence.clusters[1].proxies[1].held = None;
    evidence.due = vec!["proxy-svid/cluster2/istio-test/helloworld".parse().unwrap()];
    let verdict = judge(&evidence).remove(0);
    assert_eq!(verdict.verdict, Outcome::Unjudged);
    assert!(
        verdict.observed.contains("what the proxy of istio-test/helloworld in cluster2 holds"),
        "{}",
        verdict.observed
    );
}

/// A fact that was never shown is named as its table has it, and one that was shown by its own words.
#[test]
fn a_fact_that_is_due_has_its_sentence_before_it_is_shown() {
    let mut evidence = Fixture::good().evidence;
    let id: crate::claim::Claim = "fact/reached/no-neighbour".parse().unwrap();
    (evidence.due, evidence.facts) = (vec![id.clone()], vec![]);
    let sentence = |evidence: &Evidence| judge(evidence)[0].claim.clone();
    assert_eq!(sentence(&evidence), "no neighbour (reached)", "a document of version 2");
    evidence.sentences.insert(id.clone(), "[S4-1] the next port is refused".into());
    let read = Evidence::read(&evidence.to_json().unwrap()).unwrap();
    assert_eq!(sentence(&read), "[S4-1] the next port is refused");
    evidence.facts =
        vec![Fact { id, claim: "[S4-1] it is refused".into(), must: Must::be("so"), seen: "so".into() }];
    assert_eq!(sentence(&evidence), "[S4-1] it is refused");
}

/// Tampering: records of two different requests put side by side, or of none.
#[test]
fn records_of_different_requests_are_no_pair() {
    let other = |e: &mut Evidence| {
        let id = e.handshakes[1].by_server.as_ref().unwrap().request_id.clone();
        e.handshakes[0].by_server.as_mut().unwrap().request_id = id;
    };
    let missing = unjudged(|_, e| other(e));
    assert_eq!(missing.len(), 5);
    assert!(missing[0].contains("request far-0-0 in the server's sidecar's log"), "{missing:?}");
    assert!(missing[0].contains("last seen: a record of request far-0-1"), "{missing:?}");
    assert_eq!(unjudged(|_, e| e.handshakes[0].by_client.as_mut().unwrap().request_id = None).len(), 5);
    let wrong = |e: &mut Evidence| e.refusals[0].by_client.as_mut().unwrap().request_id = Some("x".into());
    assert_eq!(unjudged(|_, e| wrong(e)).len(), 1);
}

/// Tampering: a bundle of another trust domain in the place of the server's own.
#[test]
fn a_bundle_of_somebody_else_is_not_evidence() {
    let missing = unjudged(|w, e| e.clusters[1].bundle = Some(w.spire[1].bundle("cluster3.local")));
    assert!(missing[0].contains("a bundle of cluster3.local in its place"), "{missing:?}");
}

/// A document holds what one question needs; the others are not asked, and so not missing.
#[test]
fn only_what_was_asked_is_judged() {
    let mut evidence = Fixture::good().evidence;
    (evidence.handshakes, evidence.crossings) = (vec![], vec![]);
    (evidence.refusals, evidence.replies) = (vec![], vec![]);
    for seen in &mut evidence.clusters {
        (seen.peer_bundles, seen.remote_clusters, seen.history) = (None, None, None);
        seen.proxies.iter_mut().for_each(|proxy| proxy.held = None);
    }
    let claims: Vec<_> = judge(&evidence).into_iter().map(|verdict| verdict.id.to_string()).collect();
    let of =
        |i: usize| ["one-entry-for-each-pod", "entries-federate"].map(|kind| format!("{kind}/cluster{i}"));
    assert_eq!(claims, [of(1), of(2)].concat());
}

/// Ways that were observed side by side are judged as if one document had seen them.
#[test]
fn handshakes_of_another_document_are_added_with_what_was_around_them() {
    let whole = Fixture::good().evidence;
    let (mut one, mut other) = (whole.clone(), whole.clone());
    let (handshakes, crossings) = (one.handshakes.split_off(2), one.crossings.split_off(1));
    (other.handshakes, other.crossings) = (handshakes, crossings);
    for seen in &mut one.clusters {
        seen.proxies.clear();
    }
    one.met(other);
    assert_eq!(one, whole);
}

/// Of a document that does not say what it owed, each part stands for the claims that it alone decides.
#[test]
fn each_part_of_a_document_stands_for_its_own_claims() {
    let mut evidence = Fixture::good().evidence;
    let (there, back) = (evidence.handshakes[0].way.clone(), evidence.handshakes[2].way.clone());
    assert_ne!(there, back);
    evidence.handshakes.retain(|handshake| handshake.way == there);
    evidence.crossings.retain(|crossing| crossing.way == back);
    let claims = |evidence: &Evidence, kind: &str| {
        let all = judge(evidence).into_iter().map(|verdict| verdict.id.to_string());
        all.filter(|id| id.starts_with(&format!("{kind}/"))).collect::<Vec<_>>()
    };
    assert_eq!(claims(&evidence, "server-svid"), [format!("server-svid/{there}")]);
    assert_eq!(claims(&evidence, "gateway-counted"), [format!("gateway-counted/{back}")]);
    assert_eq!(claims(&evidence, "nothing-of-istiod-used"), [format!("nothing-of-istiod-used/{there}")]);
    assert_eq!(claims(&evidence, "proxy-nothing-of-istiod").len(), 6);
    evidence.clusters.iter_mut().for_each(|seen| seen.istiod_root = None);
    assert!(claims(&evidence, "nothing-of-istiod-used").is_empty(), "no istiod was looked at");
    assert!(claims(&evidence, "proxy-nothing-of-istiod").is_empty());
    assert_eq!(claims(&evidence, "proxy-svid").len(), 6);
}

#[test]
fn an_empty_document_says_nothing() {
    let world = Fixture::good();
    let clusters: Vec<_> = world.evidence.clusters.iter().map(|seen| seen.cluster.clone()).collect();
    assert!(judge(&Evidence::of(&clusters, world.evidence.collected_at)).is_empty());
}
