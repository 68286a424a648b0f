//! The list as a page for people who know the documents.

use std::fmt::Write as _;

use proof::claim::Kind;

use super::data::{Checklist, Claims, Document, Item, State};
use super::registry::Registry;

/// Where it is, from the root of the checkout.
pub const FILE: &str = "scenarios/CHECKLIST.md";

const OPENING: &str = "\
<!-- Written by `cargo xtask checklist` from scenarios/checklist.yaml. Change that file, then run the command. -->

# What the documents say, and what is so

Five documents describe how SPIRE and Istio work together. Each line below is one thing that a document says, and what
settles it.

- **proven**: claims of the named set-up say so; `cargo xtask e2e --setup NAME` judges them on real clusters.
- **refuted**: the claims of the set-up show what is true instead.
- **tested**: a test that needs no cluster says so; `cargo xtask test` runs it.
- **not applicable**: it does not exist on KIND.
- **open**: nothing settles it yet.

A claim is quoted as the run's report has it; `…` stands for a name, such as a cluster's. `cargo xtask e2e` ends by
comparing what it judged with this list, and `cargo xtask checklist --run REPORT` does so again.

";

/// The whole page.
pub fn of(list: &Checklist, registry: &Registry) -> String {
    let mut out = OPENING.to_owned();
    let _ = writeln!(out, "{}.\n", summary(&list.items));
    let _ = writeln!(out, "| document | statements | {} |", State::NAMES.join(" | "));
    let _ = writeln!(out, "| --- {}|", "| ---: ".repeat(State::NAMES.len() + 1));
    for document in &list.documents {
        let items: Vec<_> = list.of(document).collect();
        let counts = State::NAMES.map(|name| counted(items.iter().copied(), name).to_string());
        let Document { key, title, .. } = document;
        let _ = writeln!(out, "| {key} · {title} | {} | {} |", items.len(), counts.join(" | "));
    }
    for document in &list.documents {
        let of_it = registry
            .0
            .iter()
            .filter(|setup| setup.document.as_deref().is_some_and(|source| document.has(source)));
        let names: Vec<_> = of_it.map(|setup| format!("`{}`", setup.name)).collect();
        let names = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
        let Document { key, title, file, .. } = document;
        let _ = writeln!(out, "\n## {key} · {title}\n\n`{file}`; set-ups: {names}.\n");
        let _ = writeln!(
            out,
            "| item | the document says | state | what settles it |\n| --- | --- | --- | --- |"
        );
        for Item { id, says, state } in list.of(document) {
            let _ = writeln!(
                out,
                "| {id} | {} | {} | {} |",
                cell(says),
                state.name(),
                cell(&settles(state, registry))
            );
        }
    }
    out
}

/// `123 statements: 20 proven, …`
pub fn summary(items: &[Item]) -> String {
    let counts = State::NAMES.map(|name| format!("{} {name}", counted(items, name)));
    format!("{} statements: {}", items.len(), counts.join(", "))
}

fn counted<'a>(items: impl IntoIterator<Item = &'a Item>, name: &str) -> usize {
    items.into_iter().filter(|item| item.state.name() == name).count()
}

fn settles(state: &State, registry: &Registry) -> String {
    let quoted = |Claims { setup, names }: &Claims| {
        let said = |name: &String| registry.setup(setup).and_then(|setup| setup.said(name));
        let told: Vec<_> = names
            .iter()
            .map(|name| match said(name) {
                Some(said) if Kind::named(name).is_some() => format!("`{name}` ({})", said.sentence),
                Some(said) => format!("“{}”", said.sentence),
                None => format!("`{name}`"),
            })
            .collect();
        format!("`{setup}`: {}", told.join("; "))
    };
    match state {
        State::Proven(claims) => quoted(claims),
        State::Refuted(claims, because) => format!("{because} {}", quoted(claims)),
        State::Tested(test) => format!("`{test}`"),
        State::NotApplicable(why) | State::Open(why) => why.clone(),
    }
}

/// Within a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
