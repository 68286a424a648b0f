//! The page and its picture, from evidence as it is stored; what is hostile, missing or broken in it is made here.

use std::path::Path;
use std::time::Instant;

use harness::setup::Setup;
use proof::evidence::{Evidence, Handshake};
use proof::scrub;
use proof::verdict::{Line, Outcome, Verdict, judge};
use serde_json::{Value, json};

use super::run::{Document, Told};
use super::seen::{Edge, State};
use super::*;

const SAMPLE: &str = include_str!("../../../../harness/proof/src/evidence/testdata/version-1.json");
const KEPT: &str = "evidence/federated-sample.json";

/// Everything that the sample speaks of, judged after a change of the document.
fn shown(change: impl FnOnce(&mut Evidence)) -> Shown {
    let mut evidence = Evidence::read(SAMPLE).unwrap();
    change(&mut evidence);
    let line = |verdict: Verdict| Line {
        world: "federated".into(),
        trial: "t".into(),
        verdict: verdict.kept_in(KEPT),
        expectation: None,
    };
    let lines = judge(&evidence).into_iter().map(line).collect();
    let documents = vec![Document { file: KEPT.into(), evidence }];
    Shown { name: "federated".into(), world: None, lines, documents, history: Vec::new() }
}

fn run(worlds: Vec<Shown>) -> Run {
    Run { told: Some(Told::default()), worlds, ..Run::default() }
}

fn page(run: &Run) -> String {
    within(LONGEST, run, &Looked::default(), &scenes(run))
}

fn edges(scene: &Scene, is: impl Fn(&State) -> bool) -> Vec<&Edge> {
    scene.edges.iter().filter(|edge| is(&edge.mark.state)).collect()
}

fn is_broken(state: &State) -> bool {
    matches!(state, State::Broken(_))
}

fn first(evidence: &mut Evidence) -> &mut Handshake {
    &mut evidence.handshakes[0]
}

#[test]
fn a_green_run_is_green_and_names_the_keys_that_signed() {
    let run = run(vec![shown(|_| ())]);
    let scene = Scene::of(&run.worlds[0]).unwrap();
    assert_eq!((scene.clusters.len(), scene.edges.len(), scene.not_held().count()), (2, 4, 0));
    let met: Vec<_> = scene.edges.iter().filter(|edge| !edge.is_bundle).collect();
    for (edge, client, server) in [(met[0], "cluster1", "cluster2"), (met[1], "cluster2", "cluster1")] {
        assert!(
            edge.facts[0].starts_with("server's leaf: key ")
                && edge.facts[0].ends_with(&format!("SPIRE of {server}"))
        );
        assert!(
            edge.facts[1].starts_with("client's leaf: key ")
                && edge.facts[1].ends_with(&format!("SPIRE of {client}"))
        );
        assert!(edge.via.is_some(), "it went through the gateway: {:?}", edge.facts);
    }
    let page = page(&run);
    assert!(page.contains(r#"<h1 class="held">44 claims held; 0 broken; 0 were due and not judged.</h1>"#));
}

/// Tampering: one request of the first way did not go to the gateway.
#[test]
fn the_picture_follows_what_was_observed() {
    let tampered = shown(|evidence| {
        let to = first(evidence);
        to.by_client.as_mut().unwrap().upstream_host = Some("10.20.0.7:5000".into());
    });
    let scene = Scene::of(&tampered).unwrap();
    let [edge] = edges(&scene, is_broken)[..] else { panic!("one edge is broken") };
    assert_eq!(edge.title, "istio-test/curl of cluster1 asks istio-test/helloworld of cluster2");
    assert_eq!(edge.via, None, "it did not go through the gateway");
    let why = edge.mark.why().unwrap();
    assert!(
        why.starts_with("through-remote-gateway: ") && why.contains("10.20.0.7:5000, a pod of cluster2"),
        "{why}"
    );
    let drawn = picture::alone(&scene, "");
    assert_eq!(drawn.matches(r#"class="edge broken""#).count(), 1 + 1, "the edge, and the legend");
    assert!(drawn.contains("10.20.0.7:5000"), "{drawn}");
    let mermaid = mermaid::of(&scene);
    assert!(
        mermaid.contains("✗ istio-test/curl of cluster1 asks istio-test/helloworld of cluster2"),
        "{mermaid}"
    );
    let page = page(&run(vec![tampered]));
    assert!(
        page.contains(r#"<h1 class="broken">43 claims held; 1 broken; 0 were"#),
        "the first sentence says so"
    );
}

/// Tampering: no server's sidecar recorded anything, as when the client refuses the certificate.
#[test]
fn who_was_not_reached_is_not_drawn_as_if() {
    let scene = Scene::of(&shown(|evidence| {
        evidence.handshakes.iter_mut().for_each(|met| met.by_server = None);
    }));
    let scene = scene.unwrap();
    let met: Vec<_> = scene.edges.iter().filter(|edge| !edge.is_bundle).collect();
    for edge in &met {
        let end = &scene.clusters[edge.to.cluster].nodes[edge.to.node.unwrap()];
        assert_eq!((&*end.title, edge.via), ("gateway istio-system/east-west-istio", None), "{}", edge.title);
        assert!(matches!(edge.mark.state, State::Unjudged(_)));
    }
    assert_eq!(met.len(), 2);
}

/// Tampering: cluster1 holds its own bundle in the place of its peer's; and nobody ever met.
#[test]
fn trust_is_what_is_held_and_who_never_met_is_not_drawn() {
    let scene = Scene::of(&shown(|evidence| {
        let mut own = evidence.clusters[0].bundle.clone().unwrap();
        own.trust_domain = evidence.clusters[1].trust_domain().unwrap();
        evidence.clusters[0].peer_bundles = Some(vec![own]);
        evidence.handshakes.clear();
        evidence.crossings.clear();
        evidence.refusals.clear();
    }));
    let scene = scene.unwrap();
    assert!(scene.edges.iter().all(|edge| edge.is_bundle), "no handshake was seen");
    let broken: Vec<_> = edges(&scene, is_broken).into_iter().map(|edge| edge.title.as_str()).collect();
    assert_eq!(broken, ["cluster1 holds the trust bundle of cluster2"]);
    assert!(scene.edges[0].facts[0].contains(", but key "), "{:?}", scene.edges[0].facts);
}

/// Each claim of the sample in turn: where it belongs nothing is fine any more, and the run is not either.
#[test]
fn what_was_not_judged_never_looks_fine() {
    let mut shown = shown(|_| ());
    for i in 0..shown.lines.len() {
        shown.lines.iter_mut().for_each(|line| line.verdict.verdict = Outcome::Held);
        shown.lines[i].verdict.verdict = Outcome::Unjudged;
        let id = shown.lines[i].verdict.id.to_string();
        let scene = Scene::of(&shown).unwrap();
        let marked = scene.not_held().filter(|(_, mark)| matches!(mark.state, State::Unjudged(_))).count();
        assert!(marked + scene.undrawn.unjudged > 0, "{id}");
        let drawn = picture::alone(&scene, "");
        assert!(drawn.matches(r#" unjudged">"#).count() > 1 || scene.undrawn.unjudged > 0, "{id}: {drawn}");
    }
    let run = run(vec![shown]);
    assert_eq!(run.outcome(), Outcome::Unjudged);
    assert!(
        page(&run)
            .contains(r#"<h1 class="unjudged">43 claims held; 0 broken; 1 was due and not judged.</h1>"#)
    );
}

#[test]
fn a_claim_about_what_nobody_saw_is_drawn_as_unjudged() {
    let mut shown = shown(|evidence| evidence.handshakes.clear());
    let verdict = Verdict::unjudged(
        &"server-svid/cluster1→cluster2".parse().unwrap(),
        "it is so".into(),
        "no record".into(),
    );
    shown.lines.push(Line { world: "federated".into(), trial: "t".into(), verdict, expectation: None });
    let scene = Scene::of(&shown).unwrap();
    let [edge] = edges(&scene, |state| matches!(state, State::Unjudged(_)))[..] else { panic!("one edge") };
    assert_eq!((edge.is_bundle, edge.facts.as_slice()), (false, &["none was seen".to_owned()][..]));
}

#[test]
fn hostile_text_stays_text() {
    let evil = r#"</text><script>alert("1")</script>"><img src=x onerror=alert(1)>&"#;
    let mut shown = shown(|evidence| {
        let met = first(evidence);
        met.client.service_account = evil.into();
        met.reply.request = evil.into();
        met.by_client.as_mut().unwrap().upstream_host = Some(evil.into());
        evidence.clusters[0].gateway = Some(evil.into());
    });
    shown.lines[0].verdict.claim = evil.into();
    shown.lines[0].verdict.observed = evil.into();
    shown.lines[0].verdict.verdict = Outcome::Broken;
    let mut run = run(vec![shown]);
    run.failure = Some(evil.into());
    let scene = Scene::of(&run.worlds[0]).unwrap();
    for text in [page(&run), picture::alone(&scene, evil), mermaid::of(&scene)] {
        assert!(!text.contains("<script") && !text.contains("<img"), "{text}");
    }
    assert!(page(&run).contains("&lt;script&gt;alert"));
}

#[test]
fn the_page_loads_nothing_and_its_secrets_are_gone_already() {
    let run = run(vec![shown(|_| ())]);
    let page = page(&run);
    let loading =
        ["src=", "href=\"http", "url(", "@import", "<script", "<iframe", "<object", "srcset", "stylesheet"];
    for way in loading {
        assert!(!page.contains(way), "{way}");
    }
    assert_eq!(scrub::text(&page), page, "what looks for secrets leaves the markup alone");
}

/// A page that would be too long says less of handshakes, and where the rest of each is.
#[test]
fn a_page_fits_into_a_ticket() {
    let run = run(vec![shown(|_| ())]);
    let records = |page: &str| page.contains("by the client's sidecar");
    let by_hand = |page: &str| page.contains("openssl verify");
    let whole = page(&run);
    assert!(whole.len() < LONGEST / 10 && records(&whole) && by_hand(&whole), "{} bytes", whole.len());
    let none = Looked::default();
    let shorter = within(whole.len() - 1, &run, &none, &scenes(&run));
    assert!(shorter.len() < whole.len() && !records(&shorter) && by_hand(&shorter));
    let shortest = within(shorter.len() - 1, &run, &none, &scenes(&run));
    assert!(shortest.len() < shorter.len() && !by_hand(&shortest));
    let last = format!("{KEPT}#/handshakes/{}", run.worlds[0].documents[0].evidence.handshakes.len() - 1);
    assert!([whole, shorter, shortest].iter().all(|page| page.contains(&last)));
}

/// A world as it is written down: two steps, of which the second one decided.
fn world() -> Value {
    let setup = Setup::read(Path::new("../manifests"), &["federated"], None, false).unwrap().remove(0);
    let step = |id: &str, needs: &[&str]| json!({"id": id, "lane": "", "what": "a step", "needs": needs});
    let took = |id: &str, begin: f64, end: f64| json!({"id": id, "lane": "", "begin": begin, "end": end});
    json!({
        "id": "0123456789ab", "name": "federated", "setup": "federated", "scenarios": setup.scenarios, "defaults": false,
        "origin": "packages", "source": "packages", "digests": {"pilot": "sha256:aa"},
        "engine": {"engine": "system", "host": "unix:///somewhere"}, "topology": setup.topology, "sites": {},
        "made": "2026-11-26T12:00:00Z",
        "graph": {"steps": [step("quick", &[]), step("slow", &[]), step("last", &["quick", "slow"])]},
        "timings": [took("quick", 0.0, 1.0), took("slow", 0.0, 5.0), took("last", 5.0, 6.0)],
    })
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("evidence")).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

#[test]
fn a_stored_folder_is_enough() {
    let lines: String =
        shown(|_| ()).lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
    let told = "way\n  held  x\n\nset-up 6.0 s\n44 claims held, 0 broken, 0 unjudged, 22.5 s in all\nreport: there\n";
    let log =
        "2026-11-26T12:28:45.452Z xtask INFO  xtask: cargo xtask e2e --setup federated version=\"1\" pid=7\n";
    let world = world().to_string();
    let dir = folder(&[
        ("verdicts.jsonl", &lines),
        ("report.md", told),
        ("log.txt", log),
        (KEPT, SAMPLE),
        ("world-federated.json", &world),
    ]);
    let began = Instant::now();
    write(dir.path()).unwrap();
    println!("written in {:?}", began.elapsed());
    let page = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
    let words = [
        "44 claims held; 0 broken",
        "2026-11-26 12:28:45 UTC",
        "22.5 s",
        "cargo xtask e2e --setup federated",
        "set-up 6.0 s",
        "sha256:aa",
        "istio-test/curl of cluster1 asks istio-test/helloworld of cluster2",
        "waited last for",
    ];
    for word in words {
        assert!(page.contains(word), "{word}");
    }
    let decided: Vec<_> = page
        .split("<tr class=\"critical\">")
        .skip(1)
        .map(|row| row.contains(">slow") || row.contains(">last"))
        .collect();
    assert_eq!(decided, [true, true]);
    assert!(
        dir.path().join("picture-federated.svg").exists()
            && dir.path().join("picture-federated.mmd").exists()
    );
}

#[test]
fn a_set_up_that_failed_says_how_and_is_not_fine() {
    let told = "0 claims held, 0 broken, 0 unjudged, 3.0 s in all\nended by [setup-failed] the step `nodes` failed\nreport: there\n";
    let failure = "the step `nodes` failed\n  last seen: nothing\n\nnot collected:\n";
    let log = "2026-11-26T12:28:45.0Z xtask INFO  harness::progress: begins: nodes prepared step=\"nodes\"\n";
    let dir = folder(&[("report.md", told), ("failure.txt", failure), ("log.txt", log)]);
    let run = Run::read(dir.path()).unwrap();
    assert_eq!(run.outcome(), Outcome::Unjudged);
    let page = page(&run);
    for words in [
        "No claim was judged: the step `nodes` failed [setup-failed].",
        "the step `nodes` failed",
        "last seen: nothing",
        "did not end",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

/// What came before the failure is on the page: the cause first, then the clusters as far as they were seen.
#[test]
fn a_set_up_that_failed_midway_shows_the_cause_and_how_far_it_came() {
    let told = "0 claims held, 0 broken, 0 unjudged, 3.0 s in all\nended by [setup-failed] in c1, it is so\nreport: there\n";
    let not = json!({"not_readable": "no server"});
    let server = json!({"bundle": not, "peers": not, "relationships": not, "fetches": not, "entries": not});
    let labels = json!({"topology.istio.io/network": "n1"});
    let objects = json!({
        "services": {"seen": [{"metadata": {"name": "g", "namespace": "i", "labels": labels},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 15443}]}, "status": {"loadBalancer": {}}}]},
        "pods": {"seen": [{"metadata": {"name": "curl-x", "namespace": "a"}, "spec": {"serviceAccountName": "curl"}}]},
        "gateways.gateway.networking.k8s.io": {"seen": []},
    });
    let cluster = json!({"name": "c1", "trust_domain": "c1.local", "objects": objects, "managers": not, "agents": not,
        "mesh": not, "mesh_networks": {"seen": {}}, "server": server, "istiod_root": not, "remotes": not,
        "remote_secrets": not, "proxies": [{"namespace": "a", "pod": "curl-x", "held": not}], "clock": not});
    let observed =
        json!({"version": 1, "collected_at": "2026-11-26T12:00:00Z", "clusters": [cluster]}).to_string();
    let dir = folder(&[("report.md", told)]);
    kept::write(&dir.path().join("diagnosis/observations.json"), &observed).unwrap();
    let run = Run::read(dir.path()).unwrap();
    let looked = Looked::read(dir.path());
    let scene = looked.scene().unwrap();
    assert_eq!(scene.clusters[0].mark.why(), Some("gateway-without-address: Service i/g"));
    let titles: Vec<_> = scene.clusters[0].nodes.iter().map(|node| node.title.as_str()).collect();
    assert_eq!(titles, ["SPIRE server", "a/curl"]);
    let page = within(LONGEST, &run, &looked, &[]);
    let order: Vec<_> = [
        "No claim was judged: in c1, it is so [setup-failed].",
        "<h3>gateway-without-address</h3>",
        "What was seen before it ended",
        "its certificate was not seen",
    ]
    .iter()
    .map(|words| page.find(words).unwrap_or_else(|| panic!("{words}")))
    .collect();
    assert!(order.is_sorted(), "{order:?}");
}

/// Killed before it could say what it left unjudged: what its world owes is counted all the same.
#[test]
fn a_run_that_was_killed_owes_what_it_never_judged() {
    let mut lines = crate::due::tests::all_held(&crate::due::tests::main_set_up());
    let all = lines.len();
    lines.truncate(3);
    let text: String = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
    let dir =
        folder(&[("verdicts.jsonl", &(text + "{\"half")), ("world-federated.json", &world().to_string())]);
    let page = page(&Run::read(dir.path()).unwrap());
    assert!(page.contains(&format!("3 claims held; 0 broken; {} were due and not judged.", all - 3)));
    assert!(page.contains("It never came to its end"));
}

#[test]
fn another_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let e = write(dir.path()).unwrap_err();
    assert_eq!((e.code(), std::fs::read_dir(dir.path()).unwrap().count()), (Code::Usage, 0));
}
