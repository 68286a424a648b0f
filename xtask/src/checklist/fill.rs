//! Settles open statements by what held in a run. The file is changed line by line, so that its order and its
//! comments stay.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use harness::layout::Layout;
use harness::setup::{self, Setup};
use harness::{Error, Result};

use super::data::Checklist;
use super::run::{Run, Shown};
use super::sentence::{general, says, tags_in};

/// The changed text, and what was settled, a line each.
///
/// # Errors
/// A set-up that this checkout does not have.
pub fn fill(text: &str, list: &Checklist, run: &Run, layout: &Layout) -> Result<(String, Vec<String>)> {
    let (mut out, mut settled) = (String::with_capacity(text.len()), Vec::new());
    let mut id = "";
    for line in text.lines() {
        id = line.strip_prefix("  - id: ").unwrap_or(id);
        let found = match line.starts_with("    open: ") {
            true => run.worlds.iter().find_map(|world| {
                let held = run.held_for(world, id);
                (!held.is_empty()).then_some((world, held))
            }),
            false => None,
        };
        let Some((world, held)) = found else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let (setup, claims) = home(layout, list, world, id, in_general(world, &held))?;
        // What JSON calls a string or a list is one for YAML, too.
        let claim = match claims.as_slice() {
            [one] => serde_json::to_string(one),
            more => serde_json::to_string(more),
        };
        let claim = claim.map_err(|e| Error::internal("a claim").because(e))?;
        let _ = writeln!(out, "    proven: {{ setup: {setup}, claim: {claim} }}");
        settled.push(format!("{id}: proven by {setup}"));
    }
    settled.push(format!("{} statements settled", settled.len()));
    Ok((out, settled))
}

/// Each sentence once, as it would be in any world.
fn in_general(world: &Shown, held: &[&str]) -> Vec<String> {
    let names = || world.topology.clusters.iter().map(|cluster| cluster.name.0.as_str());
    let mut claims: Vec<String> = Vec::new();
    for claim in held.iter().map(|claim| general(claim, names())) {
        if !claims.contains(&claim) {
            claims.push(claim);
        }
    }
    claims
}

/// Of the set-ups that were shown in a world, the one of the statement's document whose scenarios tag it, and which
/// of the claims are theirs.
fn home<'a>(
    layout: &Layout,
    list: &Checklist,
    world: &'a Shown,
    id: &str,
    held: Vec<String>,
) -> Result<(&'a str, Vec<String>)> {
    let document = list.documents.iter().find(|one| id.starts_with(&format!("{}-", one.key)));
    let known = setup::list(&layout.manifests())?;
    let of_document = |name: &str| {
        let file = known.iter().find(|(known, _)| known == name).map(|(_, file)| file);
        let source = file.and_then(|file| file.document.as_ref());
        source.zip(document).is_some_and(|(source, document)| document.has(source))
    };
    let (of, others): (Vec<&str>, Vec<&str>) = world.setups().partition(|name| of_document(name));
    let setups = if of.is_empty() { others } else { of };
    for name in setups.iter().copied() {
        let text = scenarios_of(layout, name)?;
        if tags_in(&text).contains(&id) {
            let theirs: Vec<_> = held.iter().filter(|claim| says(&text, claim)).cloned().collect();
            if !theirs.is_empty() {
                return Ok((name, theirs));
            }
        }
    }
    // A sentence that is put together while it runs is in nobody's text.
    let first = setups.first().copied();
    let name = first.ok_or_else(|| Error::internal(format!("the world {} is of no set-up", world.name)))?;
    Ok((name, held))
}

/// The text of a set-up's modules: files, or folders of them.
fn scenarios_of(layout: &Layout, name: &str) -> Result<String> {
    let tests = layout.repo.join("scenarios/src/trials");
    let mut text = String::new();
    for setup in Setup::read(&layout.manifests(), &[name], None, false)? {
        for module in setup.scenarios.reads.iter().chain(&setup.scenarios.changes) {
            let module = tests.join(module.replace("::", "/"));
            let files = rust_below(&module).into_iter().chain([module.with_extension("rs")]);
            files.for_each(|file| text += &on_one_line(&std::fs::read_to_string(file).unwrap_or_default()));
        }
    }
    Ok(text)
}

/// A sentence that the source breaks over lines with `\\` is one again.
fn on_one_line(source: &str) -> String {
    let mut lines = source.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}

/// The Rust files below a folder, in a fixed order.
pub fn rust_below(dir: &Path) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<_> = listing.map(|entry| entry.path()).collect();
    paths.sort();
    let below = |path: PathBuf| match path.is_dir() {
        true => rust_below(&path),
        false => vec![path],
    };
    let rust = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "rs");
    paths.into_iter().flat_map(below).filter(rust).collect()
}
