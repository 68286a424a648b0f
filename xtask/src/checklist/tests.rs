//! The list of this checkout, held against its sources; then reading, comparing and filling, with samples.

use proof::claim::Kind;
use std::path::{Path, PathBuf};

use harness::layout::Layout;
use harness::setup::Setup;
use harness::{Code, render};

use super::data::{Checklist, State};
use super::run::Run;
use super::sentence::tags_in;
use super::{fill, page};

/// Statements of the five documents.
const STATEMENTS: [usize; 5] = [18, 13, 16, 24, 52];
/// How many must be proven or refuted by a run.
const SETTLED_AT_LEAST: usize = 114;

fn layout() -> Layout {
    Layout::find().unwrap()
}

fn list() -> Checklist {
    Checklist::read(&layout()).unwrap()
}

/// The Rust files below a folder of the checkout, with their paths.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let files = fill::rust_below(&layout().repo.join(folder));
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// All that scenarios can say.
fn scenarios() -> Vec<(PathBuf, String)> {
    sources("scenarios/src")
}

#[test]
fn every_statement_of_every_document_is_there_once() {
    let list = list();
    let counts: Vec<_> = list.documents.iter().map(|document| document.statements).collect();
    assert_eq!(counts, STATEMENTS);
    assert_eq!(list.items.len(), 123);
    for document in &list.documents {
        assert_eq!(list.of(document).count(), document.statements, "{}", document.key);
    }
}

#[test]
fn nothing_is_open() {
    let list = list();
    let count = |names: &[&str]| list.items.iter().filter(|item| names.contains(&item.state.name())).count();
    let (open, settled) = (count(&["open"]), count(&["proven", "refuted"]));
    assert_eq!(open, 0, "{}", page::summary(&list.items));
    assert!(settled >= SETTLED_AT_LEAST, "{settled} settled by runs, wanted {SETTLED_AT_LEAST}");
}

#[test]
fn the_page_is_what_the_list_makes() {
    let page = std::fs::read_to_string(layout().repo.join(page::FILE)).unwrap_or_default();
    assert!(page == page::of(&list(), &layout()).unwrap(), "run `cargo xtask checklist`");
}

/// A run would tell too, but only at its end, and a run of another set-up would not.
#[test]
fn what_is_settled_is_said_in_that_set_up() {
    let scenarios = scenarios();
    let mut silent = Vec::new();
    for item in list().items {
        let Some(claims) = item.state.claims() else { continue };
        let played = modules(&claims.setup);
        let tagged: Vec<_> = scenarios
            .iter()
            .filter(|(_, text)| tags_in(text).contains(&item.id.as_str()))
            .map(|(path, _)| module(path))
            .collect();
        if tagged.iter().any(|module| played.iter().any(|part| belongs(module, part))) {
            continue;
        }
        let owed = kinds_owed(&claims.setup);
        let unsaid = claims
            .sentences
            .iter()
            .filter(|name| !Kind::named(name).is_some_and(|kind| owed.contains(&kind)));
        silent.extend(unsaid.map(|sentence| format!("\n  {} by {}: {sentence}", item.id, claims.setup)));
    }
    assert!(
        silent.is_empty(),
        "no scenario of the set-up tags the statement, and the set-up owes no claim of that kind:{}",
        silent.concat()
    );
}

/// The kinds of claim that a set-up owes.
fn kinds_owed(setup: &str) -> Vec<Kind> {
    let read = Setup::read(&layout().manifests(), &[setup], None, false).unwrap();
    let trials = read.iter().flat_map(|one| scenarios::trials::of(&one.scenarios, &one.topology).unwrap());
    trials.flat_map(|trial| trial.owes.into_iter().map(|owed| owed.claim.kind)).collect()
}

/// The modules of scenarios that a set-up plays.
fn modules(setup: &str) -> Vec<String> {
    let read = Setup::read(&layout().manifests(), &[setup], None, false).unwrap();
    let of = |setup: Setup| [setup.scenarios.reads, setup.scenarios.changes].concat();
    read.into_iter().flat_map(of).collect()
}

/// The module that a file of scenarios is: `guide::paths`.
fn module(path: &Path) -> String {
    let below = path.to_str().unwrap().rsplit_once("/src/trials/").map_or("", |(_, below)| below);
    below.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::")
}

/// Whether `module` is played with `part`: as part of it, or as what its parts share.
fn belongs(module: &str, part: &str) -> bool {
    let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}::"));
    within(module, part) || within(part, module)
}

#[test]
fn a_tag_names_a_statement_that_exists_here() {
    let list = list();
    for (path, text) in scenarios() {
        for tag in tags_in(&text) {
            let item = list.items.iter().find(|item| item.id == tag);
            let item = item.unwrap_or_else(|| panic!("{}: there is no {tag}", path.display()));
            let here = !matches!(item.state, State::NotApplicable(_));
            assert!(here, "{}: {tag} is claimed, and the list calls it not applicable", path.display());
        }
    }
}

#[test]
fn the_tests_that_settle_something_exist() {
    for item in list().items {
        let State::Tested(test) = &item.state else { continue };
        let (file, name) = test.split_once("::").unwrap_or((test, ""));
        let text = std::fs::read_to_string(layout().repo.join(file)).unwrap_or_default();
        assert!(text.contains(&format!("fn {name}()")), "{}: there is no test {test}", item.id);
    }
}

const DOCUMENTS: &str = "documents:\n  - { key: S4, title: T, file: 004_x.txt, statements: 3 }\n";
const SETUPS: [(&str, Option<&str>); 2] = [("federated", Some("004, the guide")), ("of-none", None)];

fn parsed(items: &str) -> Result<Checklist, String> {
    let text = format!("{DOCUMENTS}items:\n{items}");
    render::parse(&text, Code::Usage, "list.yaml").map_err(|e| e.to_string())
}

/// Three statements: one by a verdict's sentence, one by a tag, one open.
const ITEMS: &str = "  # a comment
  - id: S4-1
    says: one
    proven: { setup: federated, claim: \"the bundle of {} is held\" }
  - id: S4-2
    says: two
    refuted: { setup: federated, claim: [\"it is not so\"], because: it is otherwise }
  - id: S4-3
    says: three
    open: not yet
";

#[test]
fn what_is_wrong_with_a_list_is_named() {
    assert_eq!(parsed(ITEMS).unwrap().flaws(&SETUPS), Vec::<String>::new());
    let flaws = |from: &str, to: &str| parsed(&ITEMS.replace(from, to)).unwrap().flaws(&SETUPS).join("; ");
    assert_eq!(flaws("S4-3", "S4-2"), "S4-3 is missing; S4-2 is there twice");
    assert_eq!(flaws("S4-3", "S4-4"), "S4-3 is missing; S4-4 is in no document");
    assert_eq!(
        flaws("proven: { setup: federated", "proven: { setup: x"),
        "S4-1 names the set-up `x`, which does not exist"
    );
    let elsewhere = parsed(ITEMS).unwrap().flaws(&[SETUPS[0], ("y", Some("005, none"))]);
    assert_eq!(elsewhere, ["the set-up y is of `005, none`, which is no document here"]);
    let refused = |from: &str, to: &str| parsed(&ITEMS.replace(from, to)).unwrap_err();
    assert!(refused("open: not yet", "opens: x").contains("unknown field `opens`"));
    assert!(refused("    open: not yet\n", "").contains("S4-3 needs exactly one of proven, refuted"));
    assert!(refused("open: not yet", "open: x\n    tested: y").contains("S4-3 needs exactly one of"));
    assert!(refused(", because: it is otherwise", "").contains("missing field `because`"));
    assert!(refused("open: not yet", "open: \" \"").contains("S4-3 leaves something empty"));
    assert!(refused("[\"it is not so\"]", "[]").contains("S4-2 leaves something empty"));
}

/// A report of the federated world with these claims; a `-` before one says that it is broken.
fn report(claims: &[&str]) -> (tempfile::TempDir, Run) {
    let dir = tempfile::tempdir().unwrap();
    let cluster = |i: u8| {
        serde_json::json!({ "name": format!("cluster{i}"), "trust_domain": format!("c{i}.local"),
            "network": format!("n{i}"), "pods": format!("10.{i}0.0.0/16"), "services": format!("10.{i}1.0.0/16"),
            "version": format!("v{i}") })
    };
    let world = serde_json::json!({ "name": "federated", "setup": "federated",
        "topology": { "clusters": [cluster(1), cluster(2)] } });
    std::fs::write(dir.path().join("world-federated.json"), world.to_string()).unwrap();
    let line = |claim: &&str| {
        let (verdict, claim) = claim.strip_prefix('-').map_or(("held", *claim), |claim| ("broken", claim));
        let line = serde_json::json!({ "world": "federated", "trial": "x", "id": "fact/x/1", "claim": claim, "way": null, "verdict": verdict, "expected": "e",
            "observed": "o", "issuer_key": null, "evidence": "evidence/federated-x.json#/facts/0" });
        format!("{line}\n")
    };
    let lines: String = claims.iter().map(line).collect();
    std::fs::write(dir.path().join("verdicts.jsonl"), lines).unwrap();
    let run = Run::read(dir.path()).unwrap();
    (dir, run)
}

#[test]
fn a_run_settles_what_it_judged_and_held() {
    let list = parsed(ITEMS).unwrap();
    let unsettled = |claims: &[&str]| report(claims).1.unsettled(&list);
    let good = ["the bundle of cluster1 is held", "the bundle of cluster2 is held", "[S4-2] it is not so"];
    assert_eq!(unsettled(&good), (2, vec![]));
    let (all, wrong) = unsettled(&good[..2]);
    assert_eq!((all, wrong.len()), (2, 1));
    assert_eq!(wrong[0], "S4-2: no verdict in the world federated says `it is not so`");
    let (_, wrong) = unsettled(&["-the bundle of cluster1 is held", good[1], good[2]]);
    assert_eq!(wrong, ["S4-1: broken: the bundle of cluster1 is held, observed o"]);
    let (_, wrong) = unsettled(&[good[0], "[S4-3] it is not so"]);
    assert_eq!(wrong.len(), 1, "a sentence of another statement settles nothing: {wrong:?}");
}

#[test]
fn what_is_no_report_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    for folder in [empty.path(), Path::new("no-such-folder")] {
        let e = Run::read(folder).unwrap_err();
        assert_eq!(e.code(), Code::Usage);
        assert!(e.to_string().contains("target/vouchsafe/latest"), "{e}");
    }
}

#[test]
fn filling_changes_the_open_line_alone() {
    let list = parsed(ITEMS).unwrap();
    let filled = |claims: &[&str]| fill::fill(ITEMS, &list, &report(claims).1, &layout()).unwrap();
    let (text, lines) = filled(&["[S4-3] cluster1 has \"it\"", "[S4-3] cluster2 has \"it\"", "[S4-2] x"]);
    let proven = "proven: { setup: federated, claim: \"{} has \\\"it\\\"\" }";
    assert_eq!(text, ITEMS.replace("open: not yet", proven));
    assert_eq!(lines, ["S4-3: proven by federated", "1 statements settled"]);
    assert_eq!(parsed(&text).unwrap().items[2].state.claims().unwrap().sentences, ["{} has \"it\""]);
    let (text, _) = filled(&["[S4-3] a", "[S4-2, S4-3] b"]);
    assert!(text.contains("claim: [\"a\",\"b\"] }"), "{text}");
    assert_eq!(filled(&["[S4-3] a", "-[S4-3] b"]).0, ITEMS, "one that is broken settles nothing");
}
