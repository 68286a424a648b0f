//! No two files of a folder import each other, directly or through others: whoever reads one need not have read the other
//! first. A folder's face (`mod.rs`, `lib.rs`) only hands names on, and is not counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::Offence;
use crate::tree::{File, Tree};

/// Circles of files inside one folder.
pub fn check(tree: &Tree) -> Vec<Offence> {
    let mut folders: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| file.is("rs") && file.path.contains("/src/")) {
        if let Some((folder, _)) = file.path.rsplit_once('/') {
            folders.entry(folder).or_default().push(file);
        }
    }
    folders.into_iter().flat_map(|(folder, files)| circle(folder, &files)).collect()
}

fn circle(folder: &str, files: &[&File]) -> Option<Offence> {
    let rooms: BTreeMap<&str, &File> = files.iter().filter_map(|file| Some((name(file)?, *file))).collect();
    let needs: BTreeMap<&str, BTreeSet<&str>> = rooms
        .iter()
        .map(|(room, file)| {
            let used = used(folder, file);
            let known = rooms.keys().copied().filter(|other| other != room && used.contains(*other));
            (*room, known.collect())
        })
        .collect();
    // Whatever needs nothing that is left can be read first; what never becomes so is in a circle, or behind one.
    let mut left: BTreeSet<&str> = rooms.keys().copied().collect();
    while let Some(free) = left.iter().copied().find(|room| needs[room].is_disjoint(&left)) {
        left.remove(free);
    }
    // And what nobody left needs is behind it, not in it.
    while let Some(behind) =
        left.iter().copied().find(|room| !left.iter().any(|other| needs[other].contains(room)))
    {
        left.remove(behind);
    }
    let first = rooms.get(left.first()?)?;
    let names: Vec<_> = left.iter().copied().collect();
    Some(Offence::of(
        first,
        format!("{} import each other: move what both need into a file of its own", names.join(", ")),
    ))
}

/// The module that a file is, unless it is its folder's face or a test.
fn name(file: &File) -> Option<&str> {
    let name = file.path.rsplit_once('/')?.1.strip_suffix(".rs")?;
    (!["mod", "lib", "main", "tests"].contains(&name) && !name.ends_with("_tests")).then_some(name)
}

/// The neighbours' names in a file's paths: `super::x::…`, or the folder's own path from the crate's root.
fn used(folder: &str, file: &File) -> BTreeSet<String> {
    let below = folder.split_once("/src").map_or("", |(_, below)| below).trim_start_matches('/');
    let own = if below.is_empty() {
        "crate::".to_owned()
    } else {
        format!("crate::{}::", below.replace('/', "::"))
    };
    let text: String = file.code().map(|(_, line)| format!("{line}\n")).collect();
    let mut paths: Vec<String> = Vec::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("use ") {
        let (statement, after) = rest[at + 4..].split_once(';').unwrap_or((&rest[at + 4..], ""));
        let starts = ["super::", "crate::"].iter().any(|start| statement.starts_with(start));
        if starts {
            expand("", &statement.split_whitespace().collect::<Vec<_>>().join(" "), &mut paths);
        }
        rest = if starts { after } else { &rest[at + 4..] };
    }
    for prefix in ["super::", own.as_str()] {
        paths.extend(text.split(prefix).skip(1).map(|after| format!("{prefix}{after}")));
    }
    let neighbour = |path: &String| {
        let inner = path.strip_prefix("super::").or_else(|| path.strip_prefix(&own))?;
        let word: String = inner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        Some(word).filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    paths.iter().filter_map(neighbour).collect()
}

/// `super::{a::{B, C}, d}` as `super::a::B`, `super::a::C`, `super::d`.
fn expand(prefix: &str, text: &str, into: &mut Vec<String>) {
    let Some((before, inside)) = text.split_once('{') else {
        into.push(format!("{prefix}{}", text.trim()));
        return;
    };
    let prefix = format!("{prefix}{}", before.trim());
    let (mut depth, mut part) = (0, String::new());
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, part.trim(), into);
                part.clear();
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    if !part.trim().is_empty() {
        expand(&prefix, part.trim(), into);
    }
}

#[test]
fn a_circle_is_seen_and_what_hangs_on_it_is_not_named() {
    let advice = |files: &[(&str, &str)]| {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        check(&Tree { files: files.iter().map(file).collect() })
            .into_iter()
            .map(|one| one.advice)
            .collect::<Vec<_>>()
    };
    let b = ("h/src/x/b.rs", "use super::{c::{D, E}, f};");
    assert!(
        advice(&[("h/src/x/a.rs", "use super::b::B;"), b, ("h/src/x/c.rs", "use crate::y::a::A;")])
            .is_empty()
    );
    let told = advice(&[
        ("h/src/x/a.rs", "use super::b::B;"),
        b,
        ("h/src/x/c.rs", "fn f() { crate::x::b::g(); }"),
        ("h/src/x/mod.rs", "use super::x::a;"),
    ]);
    assert_eq!(told, ["b, c import each other: move what both need into a file of its own"]);
    let tests_only = ("h/src/x/c.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use super::super::b::B; }");
    assert!(advice(&[b, tests_only]).is_empty(), "a test may look at anybody");
}
