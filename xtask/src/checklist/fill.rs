//! Settles open statements by what held in a run. The file is changed line by line, so that its order and its
//! comments stay.

use std::fmt::Write as _;

use harness::{Error, Result};

use super::data::Checklist;
use super::registry::{OfSetup, Registry};
use super::run::Run;

/// The changed text, and what was settled, a line each.
///
/// # Errors
/// [`harness::Code::Internal`].
pub fn fill(text: &str, list: &Checklist, run: &Run, registry: &Registry) -> Result<(String, Vec<String>)> {
    let (mut out, mut settled) = (String::with_capacity(text.len()), Vec::new());
    let mut id = "";
    for line in text.lines() {
        id = line.strip_prefix("  - id: ").unwrap_or(id);
        let found = match line.starts_with("    open: ") {
            true => settles(list, run, registry, id),
            false => None,
        };
        let Some((setup, names)) = found else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let claim = match names.as_slice() {
            [one] => (*one).to_owned(),
            more => format!("[{}]", more.join(", ")),
        };
        writeln!(out, "    proven: {{ setup: {setup}, claim: {claim} }}")
            .map_err(|e| Error::internal("a claim").because(e))?;
        settled.push(format!("{id}: proven by {setup}"));
    }
    settled.push(format!("{} statements settled", settled.len()));
    Ok((out, settled))
}

/// Of the set-ups that were shown, first those of the statement's document: one whose claims are about it and all held,
/// and these claims.
fn settles<'a>(
    list: &Checklist,
    run: &Run,
    registry: &'a Registry,
    id: &str,
) -> Option<(&'a str, Vec<&'a str>)> {
    let document = list.documents.iter().find(|one| id.starts_with(&format!("{}-", one.key)))?;
    let shown = run.worlds.iter().flat_map(|world| {
        world.setups().filter_map(move |name| registry.setup(name).map(|setup| (world, setup)))
    });
    let (own, others): (Vec<_>, Vec<_>) =
        shown.partition(|(_, setup)| setup.document.as_deref().is_some_and(|source| document.has(source)));
    own.into_iter().chain(others).find_map(|(world, setup): (_, &OfSetup)| {
        let about = setup.said.iter().filter(|said| said.is_about(id));
        let names: Vec<_> = about.map(|said| said.name.as_str()).collect();
        let held = !names.is_empty() && names.iter().all(|name| run.wrong(world, name).is_none());
        held.then_some((setup.name.as_str(), names))
    })
}
