//! The README has every set-up, with the world that it is shown in and whether a document is behind it, and no other.

use std::collections::BTreeMap;

use harness::render;

use crate::Offence;
use crate::tree::{File, Tree};

/// In the column of documents.
const NO_DOCUMENT: &str = "–";

/// What the README's table of set-ups leaves out, or tells otherwise.
pub fn check(tree: &Tree) -> Vec<Offence> {
    let Some(readme) = tree.get("README.md") else { return Vec::new() };
    let worlds = tree.files.iter().filter_map(|file| Some((name(file)?, said(file)))).collect();
    told(&readme.text, &worlds).into_iter().map(|advice| Offence::of(readme, advice)).collect()
}

fn name(file: &File) -> Option<&str> {
    file.path.strip_prefix("manifests/setups/")?.strip_suffix(".yaml")
}

/// Its world, and whether a source document is behind it; a file without a world is refused where it is read.
fn said(file: &File) -> (String, bool) {
    let documents = render::documents(&file.text, &file.path).unwrap_or_default();
    let text = |key: &str| documents.first().and_then(|document| document[key].as_str());
    (text("world").unwrap_or_default().to_owned(), text("document").is_some())
}

fn told(readme: &str, worlds: &BTreeMap<&str, (String, bool)>) -> Vec<String> {
    let section = readme.split("\n## ").find(|section| section.starts_with("Set-ups\n")).unwrap_or_default();
    let cells = |row: &'_ str| row.split('|').map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>();
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
    let mut wrong = Vec::new();
    for (name, (world, has_document)) in worlds {
        match rows.iter().find(|row| row[1] == *name) {
            None => wrong.push(format!("the table of set-ups lacks `{name}`")),
            Some(row) if row.get(3) != Some(world) => {
                wrong.push(format!("the table of set-ups names another world for `{name}` than `{world}`"));
            }
            Some(row) if *has_document == (row[2] == NO_DOCUMENT) => {
                let whether =
                    if *has_document { "leaves out the document of" } else { "makes up a document for" };
                wrong.push(format!("the table of set-ups {whether} `{name}`"));
            }
            Some(_) => {}
        }
    }
    let strangers = rows.iter().map(|row| &row[1]).filter(|name| !worlds.contains_key(name.as_str()));
    wrong.extend(strangers.map(|name| format!("the table of set-ups has `{name}`, which does not exist")));
    wrong
}

#[test]
fn set_ups_that_are_missing_or_elsewhere_or_made_up_are_seen() {
    let worlds = BTreeMap::from([("one", ("here".to_owned(), true)), ("two", ("there".to_owned(), true))]);
    let told = |table: &str| told(&format!("# x\n\n## Set-ups\n\n{table}\n## Else\n| `no` | |\n"), &worlds);
    assert!(told("| `one` | D | `here` | … |\n| `two` | D | `there` | … |\n").is_empty());
    assert_eq!(told("| `one` | D | `here` | … |\n"), ["the table of set-ups lacks `two`"]);
    let elsewhere =
        told("| `one` | D | `there` | … |\n| `two` | D | `there` | … |\n| `three` | D | `x` | … |\n");
    assert_eq!(elsewhere.len(), 2, "{elsewhere:?}");
    assert!(elsewhere[0].contains("another world for `one`"), "{elsewhere:?}");
    assert!(elsewhere[1].contains("`three`, which does not exist"), "{elsewhere:?}");
}

#[test]
fn a_document_that_is_left_out_or_made_up_is_seen() {
    let worlds = BTreeMap::from([("one", ("here".to_owned(), true)), ("two", ("here".to_owned(), false))]);
    let told = |table: &str| told(&format!("# x\n\n## Set-ups\n\n{table}"), &worlds);
    assert!(told("| `one` | D | `here` | … |\n| `two` | – | `here` | … |\n").is_empty());
    assert_eq!(
        told("| `one` | – | `here` | … |\n| `two` | D | `here` | … |\n"),
        [
            "the table of set-ups leaves out the document of `one`",
            "the table of set-ups makes up a document for `two`"
        ]
    );
}
