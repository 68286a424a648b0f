//! The README tells what the code says: every error code with its exit status, every variable, and every command
//! that an advice sends a user to.

use std::collections::BTreeSet;

use harness::Code;

use crate::Offence;
use crate::tree::Tree;

/// What the README leaves out, or tells otherwise.
pub fn check(tree: &Tree) -> Vec<Offence> {
    let Some(readme) = tree.get("README.md") else {
        return vec![Offence { place: "README.md".into(), advice: "there is none".into() }];
    };
    let rust = tree.files.iter().filter(|f| f.is("rs")).map(|f| f.text.as_str());
    let mut missing = codes(&readme.text);
    missing.extend(variables(&readme.text, rust));
    missing.extend(commands(&readme.text, tree.files.iter().map(|f| f.text.as_str())));
    missing.into_iter().map(|advice| Offence::of(readme, advice)).collect()
}

fn codes(readme: &str) -> Vec<String> {
    let row = |code: &Code| format!("| `{}` | {} |", code.name(), code.exit());
    let missing =
        Code::ALL.iter().map(row).filter(|row| !readme.lines().any(|line| line.starts_with(row.as_str())));
    missing.map(|row| format!("the table of codes lacks the row `{row} …`")).collect()
}

fn variables<'a>(readme: &str, rust: impl Iterator<Item = &'a str>) -> Vec<String> {
    const PREFIX: &str = concat!("VOUCH", "SAFE_");
    let part_of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let names: BTreeSet<&str> = rust
        .flat_map(|text| text.match_indices(PREFIX).map(move |(at, _)| &text[at..]))
        .map(|text| &text[..text.find(|c| !part_of_name(c)).unwrap_or(text.len())])
        .filter(|name| name.len() > PREFIX.len())
        .collect();
    let missing = names.into_iter().filter(|name| !readme.contains(&format!("`{name}")));
    missing.map(|name| format!("the variable {name} is read but not described")).collect()
}

/// A "next command" that does not exist is worse than none. The command line's own test compares the table with it.
fn commands<'a>(readme: &str, texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    const PREFIX: &str = concat!("cargo xt", "ask ");
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    let names: BTreeSet<&str> = texts
        .flat_map(|text| text.match_indices(PREFIX).map(move |(at, _)| &text[at + PREFIX.len()..]))
        .map(|text| &text[..text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len())])
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) && !name.is_empty())
        .collect();
    let known = |name: &str| {
        rows.iter().any(|row| row.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{name}"))))
    };
    let unknown = names.into_iter().filter(|name| !known(name));
    unknown
        .map(|name| format!("the command `{name}` is named somewhere, and is not in the table of commands"))
        .collect()
}

#[test]
fn what_the_readme_leaves_out_is_seen() {
    assert_eq!(codes("").len(), Code::ALL.len());
    assert!(codes("| `internal` | 7 | … |\n").iter().any(|m| m.contains("| `internal` | 1 |")));
    let code = ["let x = \"", "VOUCH", "SAFE_CACHE\";"].concat();
    assert_eq!(variables("nothing", std::iter::once(code.as_str())).len(), 1);
    assert!(variables("`VOUCHSAFE_CACHE`", std::iter::once(code.as_str())).is_empty());
    let advice = ["run `cargo xt", "ask explode --now`"].concat();
    assert_eq!(commands("| `down` | … |\n", std::iter::once(advice.as_str())).len(), 1);
    assert!(commands("| `up`, `explode` | … |\n", std::iter::once(advice.as_str())).is_empty());
}
