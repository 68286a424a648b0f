//! Every scenario is of a set-up. What no set-up names is never run, and nobody would notice; a name that no scenario
//! has selects nothing, and nobody would notice either.

use harness::render;

use crate::Offence;
use crate::tree::{File, Tree};

/// Scenarios of no set-up, and names of no scenarios.
pub fn check(tree: &Tree) -> Vec<Offence> {
    let named: Vec<(&File, String)> =
        tree.files.iter().flat_map(|file| names(file).into_iter().map(move |name| (file, name))).collect();
    let told: Vec<(&File, String)> =
        tree.files.iter().filter_map(|file| Some((file, module(file)?))).collect();
    let never_run = told.iter().filter(|(_, module)| !named.iter().any(|(_, name)| is_of(module, name))).map(
        |(file, module)| Offence::of(file, format!("no set-up names {module}, so its scenarios never run")),
    );
    let empty = named
        .iter()
        .filter(|(_, name)| !told.iter().any(|(_, module)| is_of(module, name)))
        .map(|(file, name)| Offence::of(file, format!("there are no scenarios {name}")));
    never_run.chain(empty).collect()
}

/// As nextest's filter has it, which the set-ups' names are put into.
fn is_of(module: &str, name: &str) -> bool {
    module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The scenarios that a set-up names.
fn names(file: &File) -> Vec<String> {
    if !file.path.starts_with("manifests/setups/") {
        return Vec::new();
    }
    let documents = render::documents(&file.text, &file.path).unwrap_or_default();
    let lists = documents.iter().flat_map(|document| [&document["reads"], &document["changes"]]);
    let names = lists.filter_map(|list| list.as_array()).flatten();
    names.filter_map(|name| name.as_str()).map(str::to_owned).collect()
}

/// The module that a file of scenarios is, if it has any.
fn module(file: &File) -> Option<String> {
    let path = file.path.strip_prefix("scenarios/tests/it/")?.strip_suffix(".rs")?;
    let has_any = ["#[tokio::test]", "each_way!("].iter().any(|mark| file.text.contains(mark));
    has_any.then(|| path.trim_end_matches("/mod").replace('/', "::"))
}

#[test]
fn scenarios_that_nobody_runs_and_names_of_none_are_seen() {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let offences = |setup: &str| {
        let files = vec![
            file("manifests/setups/one.yaml", setup),
            file("scenarios/tests/it/single.rs", "#[tokio::test]"),
            file("scenarios/tests/it/group/mod.rs", "mod first;"),
            file("scenarios/tests/it/group/first.rs", "#[tokio::test]"),
            file("scenarios/tests/it/group/second.rs", "each_way!(story);"),
        ];
        check(&Tree { files }).into_iter().map(|one| one.advice).collect::<Vec<_>>()
    };
    assert!(offences("reads: [single]\nchanges: [group]").is_empty());
    assert!(offences("changes: [single, group::first, group::second]").is_empty());
    assert_eq!(
        offences("changes: [single, group::first]"),
        ["no set-up names group::second, so its scenarios never run"]
    );
    assert_eq!(offences("reads: [single, group, grou]"), ["there are no scenarios grou"]);
}
