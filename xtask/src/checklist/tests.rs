//! The list of this checkout, held against what its set-ups owe; then reading, comparing and filling, with samples.

use std::path::Path;

use harness::layout::Layout;
use harness::{Code, render};

use super::data::{Checklist, State};
use super::registry::{OfSetup, Registry, Said};
use super::run::{Run, Wrong};
use super::{fill, page};

/// Statements of the five documents.
const STATEMENTS: [usize; 5] = [18, 13, 16, 24, 52];
/// How many must be proven or refuted by a run.
const SETTLED_AT_LEAST: usize = 114;

fn layout() -> Layout {
    Layout::find().unwrap()
}

fn registry() -> Registry {
    Registry::read(&layout()).unwrap()
}

/// Reading it holds each claim that it names against what the set-up owes.
fn list() -> Checklist {
    Checklist::read(&layout(), &registry()).unwrap()
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
    assert!(page == page::of(&list(), &registry()), "run `cargo xtask checklist`");
}

/// A fact's name and sentence stand for every way that it is owed for, a kind's for all claims of it.
#[test]
fn what_the_set_ups_owe_is_called_by_its_name() {
    let registry = registry();
    let guide = registry.setup("guide").unwrap();
    let said = guide.said("reached/gateway-reached").unwrap();
    assert_eq!((said.sentence.as_str(), said.tags.len()), ("port 15443 of … is reached from …", 1));
    let alone = guide.said("far-gateway/no-way-without-it").unwrap();
    assert_eq!(alone.sentence, "with no gateway in the far cluster there is no way to it");
    let federated = registry.setup("federated").unwrap();
    let kind = federated.said("server-svid").unwrap();
    assert!(kind.tags.is_empty() && kind.sentence.contains("of …"), "{kind:?}");
    assert!(federated.said("reached/gateway-reached").is_none());
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

/// A set-up that owes these claims: each with the statements that it is about.
fn owing(name: &str, document: &str, claims: &[(&str, &[&str])]) -> OfSetup {
    let said = |(name, tags): &(&str, &[&str])| Said {
        name: (*name).to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        sentence: "it is so".to_owned(),
    };
    OfSetup { name: name.into(), document: Some(document.into()), said: claims.iter().map(said).collect() }
}

const OWED: [(&str, &[&str]); 4] = [
    ("peer-bundle-held", &[]),
    ("reached/not-so", &["S4-2"]),
    ("reached/it", &["S4-3"]),
    ("reached/both", &["S4-2", "S4-3"]),
];

fn sample() -> Registry {
    Registry(vec![owing("federated", "004, the guide", &OWED)])
}

fn parsed(items: &str) -> Result<Checklist, String> {
    let text = format!("{DOCUMENTS}items:\n{items}");
    render::parse(&text, Code::Usage, "list.yaml").map_err(|e| e.to_string())
}

/// Three statements: one by a kind of claim, one by a fact, one open.
const ITEMS: &str = "  # a comment
  - id: S4-1
    says: one
    proven: { setup: federated, claim: peer-bundle-held }
  - id: S4-2
    says: two
    refuted: { setup: federated, claim: [reached/not-so], because: it is otherwise }
  - id: S4-3
    says: three
    open: not yet
";

#[test]
fn what_is_wrong_with_a_list_is_named() {
    assert_eq!(parsed(ITEMS).unwrap().flaws(&sample()), Vec::<String>::new());
    let flaws = |from: &str, to: &str| parsed(&ITEMS.replace(from, to)).unwrap().flaws(&sample()).join("; ");
    let untold =
        |fact: &str| format!("`reached/{fact}` of federated is about S4-3, which is not in the list");
    let gone = format!("{}; {}", untold("it"), untold("both"));
    assert_eq!(flaws("S4-3", "S4-2"), format!("S4-3 is missing; S4-2 is there twice; {gone}"));
    assert_eq!(flaws("S4-3", "S4-4"), format!("S4-3 is missing; S4-4 is in no document; {gone}"));
    assert_eq!(
        flaws("proven: { setup: federated", "proven: { setup: x"),
        "S4-1 names the set-up `x`, which does not exist"
    );
    assert_eq!(
        flaws("reached/not-so", "reached/no"),
        "S4-2 names `reached/no`, which federated does not owe"
    );
    assert_eq!(
        flaws("peer-bundle-held", "plain-text-refused"),
        "S4-1 names `plain-text-refused`, which federated does not owe"
    );
    assert_eq!(flaws("reached/not-so", "reached/it"), "S4-2 names `reached/it`, which is about S4-3");
    let absent = flaws("open: not yet", "not_applicable: never");
    assert_eq!(absent, gone.replace("is not in the list", "is not applicable by the list"));
    let two = Registry(vec![sample().0.remove(0), owing("y", "005, none", &[])]);
    let elsewhere = parsed(ITEMS).unwrap().flaws(&two);
    assert_eq!(elsewhere, ["the set-up y is of `005, none`, which is no document here"]);
    let refused = |from: &str, to: &str| parsed(&ITEMS.replace(from, to)).unwrap_err();
    assert!(refused("open: not yet", "opens: x").contains("unknown field `opens`"));
    assert!(refused("    open: not yet\n", "").contains("S4-3 needs exactly one of proven, refuted"));
    assert!(refused("open: not yet", "open: x\n    tested: y").contains("S4-3 needs exactly one of"));
    assert!(refused(", because: it is otherwise", "").contains("missing field `because`"));
    assert!(refused("open: not yet", "open: \" \"").contains("S4-3 leaves something empty"));
    assert!(refused("[reached/not-so]", "[]").contains("S4-2 leaves something empty"));
}

/// A report of the federated world with these claims; a `-` before one says that it is broken.
fn report(claims: &[&str]) -> (tempfile::TempDir, Run) {
    let dir = tempfile::tempdir().unwrap();
    let world = serde_json::json!({ "name": "federated", "setup": "federated" });
    std::fs::write(dir.path().join("world-federated.json"), world.to_string()).unwrap();
    let line = |id: &&str| {
        let (verdict, id) = id.strip_prefix('-').map_or(("held", *id), |id| ("broken", id));
        let line = serde_json::json!({ "world": "federated", "trial": "x", "id": id, "claim": "it is so",
            "way": null, "verdict": verdict, "expected": "e", "observed": "o", "issuer_key": null,
            "evidence": "evidence/federated-x.json#/facts/0" });
        format!("{line}\n")
    };
    let lines: String = claims.iter().map(line).collect();
    std::fs::write(dir.path().join("verdicts.jsonl"), lines).unwrap();
    let run = Run::read(dir.path()).unwrap();
    (dir, run)
}

const HELD: [&str; 2] = ["peer-bundle-held/cluster1→cluster2", "peer-bundle-held/cluster2→cluster1"];

#[test]
fn a_run_settles_what_it_judged_and_held() {
    let list = parsed(ITEMS).unwrap();
    let unsettled = |claims: &[&str]| report(claims).1.unsettled(&list);
    let both = "fact/reached/not-so/cluster1→cluster2";
    for fact in ["fact/reached/not-so", both] {
        assert_eq!(unsettled(&[HELD[0], HELD[1], fact]), (2, vec![]));
    }
    let (all, wrong) = unsettled(&HELD);
    assert_eq!((all, wrong.len()), (2, 1));
    let absent = "no verdict in the world federated is of `reached/not-so`".to_owned();
    assert_eq!(wrong[0], ("S4-2".to_owned(), Wrong::Absent(absent)));
    let (_, wrong) = unsettled(&[HELD[0], "-peer-bundle-held/cluster2→cluster1", both]);
    assert_eq!(wrong, [("S4-1".to_owned(), Wrong::Broken("it is so, observed o".to_owned()))]);
    let (_, wrong) = unsettled(&[HELD[0], "fact/reached/not-so-either", "fact/other/not-so"]);
    assert_eq!(wrong.len(), 1, "another fact settles nothing: {wrong:?}");
}

/// What is missing was not refuted: only a broken claim ends with 5.
#[test]
fn a_statement_that_was_not_judged_is_no_broken_claim() {
    let code = |wrong: Vec<Wrong>| {
        let unsettled = wrong.into_iter().map(|wrong| ("S4-1".to_owned(), wrong)).collect();
        super::outcome(2, unsettled).unwrap_err().code()
    };
    let (broken, unjudged) = (|| Wrong::Broken("b".to_owned()), || Wrong::Unjudged("u".to_owned()));
    assert_eq!(code(vec![Wrong::Absent("a".to_owned())]), Code::Evidence);
    assert_eq!(code(vec![unjudged()]), Code::Evidence);
    assert_eq!(code(vec![unjudged(), broken()]), Code::ClaimBroken);
    assert!(super::outcome(2, Vec::new()).is_ok());
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
    let filled = |claims: &[&str], owed: &[(&str, &[&str])]| {
        let registry = Registry(vec![owing("federated", "004, the guide", owed)]);
        fill::fill(ITEMS, &list, &report(claims).1, &registry).unwrap()
    };
    let (it, both) = (["fact/reached/it/cluster1", "fact/reached/it/cluster2"], "fact/reached/both");
    let (text, lines) = filled(&it, &OWED[..3]);
    assert_eq!(text, ITEMS.replace("open: not yet", "proven: { setup: federated, claim: reached/it }"));
    assert_eq!(lines, ["S4-3: proven by federated", "1 statements settled"]);
    let (text, _) = filled(&[it[0], it[1], both], &OWED);
    assert!(text.contains("claim: [reached/it, reached/both] }"), "{text}");
    assert_eq!(parsed(&text).unwrap().items[2].state.claims().unwrap().names, ["reached/it", "reached/both"]);
    assert_eq!(filled(&it, &OWED).0, ITEMS, "one that was not judged settles nothing");
    assert_eq!(filled(&[it[0], it[1], "-fact/reached/both"], &OWED).0, ITEMS, "nor one that is broken");
}
