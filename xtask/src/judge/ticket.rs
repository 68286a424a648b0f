//! What people gathered by hand, in a folder: read with bounds, judged, and told with what is still missing.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use harness::error::Context as _;
use harness::{Code, Error, Result, render};
use jiff::Timestamp;
use proof::scrub;
use proof::ticket::{self, Declaration, Found, Item, Place, Ticket};
use proof::verdict::{Line, Outcome};
use serde_json::{Value, json};

use super::{outcome, told};
use crate::show::word;

/// Says which cluster a file is of, where nothing else does.
const DECLARATION: &str = "ticket.yaml";
/// A proxy's whole dump in a mesh of thousands of services has some tens of megabytes.
const LARGEST: u64 = 64 << 20;
/// All of a ticket, in memory at once.
const LARGEST_OF_ALL: u64 = 512 << 20;
/// Nobody gathers so many by hand: it is another folder than was meant.
const MOST: usize = 2000;

/// Judges the folder, tells everything, and ends as the claims do.
///
/// # Errors
/// [`Code::Usage`] for a folder that cannot be used; [`Code::Evidence`] when something due could not be judged;
/// [`Code::ClaimBroken`].
pub fn judge(folder: &Path, at: Option<Timestamp>, json: bool, out: &mut impl Write) -> Result<()> {
    let folder = &inner(folder);
    let declaration = declaration(folder)?;
    let files = files(folder)?;
    if files.is_empty() {
        let what = format!("there is no file in {}", folder.display());
        return Err(Error::new(Code::Usage, what).next("see what to gather: cargo xtask judge --gather"));
    }
    let mut items = Vec::new();
    let mut left = LARGEST_OF_ALL;
    for (name, path) in &files {
        items.extend(read(name, path, &mut left));
    }
    let judged = Ticket::of(&items, &declaration, at);
    if let Err(e) = &judged {
        // What each file was taken for is told in any case: it says why.
        for Item { place, found } in &items {
            tell(out, json, &file_line(place, &found.said(), json));
        }
        return Err(Error::new(e.code(), e.what()).next(e.advice().unwrap_or_default()));
    }
    let ticket = judged?;
    let lines: Vec<_> = ticket
        .verdicts
        .iter()
        .map(|verdict| Line {
            world: String::new(),
            trial: String::new(),
            expectation: None,
            verdict: verdict.clone(),
        })
        .collect();
    if json {
        in_json(&ticket, out)?
    } else {
        in_words(&ticket, &lines, out)
    }
    let advice = if ticket.next.is_empty() {
        "read expected and observed above"
    } else {
        "gather what is listed above into the folder, and judge it again"
    };
    outcome(&lines.iter().collect::<Vec<_>>()).map_err(|e| e.next(advice))
}

/// An archive unpacks into a folder of its own: one that is all that there is, and has folders in turn, is meant.
fn inner(folder: &Path) -> PathBuf {
    let dirs = |dir: &Path| -> Option<(usize, Vec<PathBuf>)> {
        let entries: Vec<_> = std::fs::read_dir(dir).ok()?.flatten().collect();
        let dirs = entries.iter().filter(|one| one.file_type().is_ok_and(|kind| kind.is_dir()));
        Some((entries.len(), dirs.map(std::fs::DirEntry::path).collect()))
    };
    let mut folder = folder.to_path_buf();
    while let Some((1, below)) = dirs(&folder)
        && let [only] = below.as_slice()
        && dirs(only).is_some_and(|(_, below)| !below.is_empty())
    {
        folder.clone_from(only);
    }
    folder
}

fn declaration(folder: &Path) -> Result<Declaration> {
    if folder.is_file() {
        return Ok(Declaration::default());
    }
    let file = folder.join(DECLARATION);
    match std::fs::read_to_string(&file) {
        Ok(text) => render::parse_spanned(&text, Code::Usage, &file.display().to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && folder.is_dir() => Ok(Declaration::default()),
        Err(e) => Err(Error::new(Code::Usage, format!("cannot read {}", folder.display()))
            .because(e)
            .next("name a folder or a file; cargo xtask judge --gather tells what to put into it")),
    }
}

/// Every file below the folder, by name. Links are not followed: they lead out of what somebody sent.
fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    if folder.is_file() {
        // Everything pasted into one.
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![(name, folder.to_path_buf())]);
    }
    let mut all = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(dir) = open.pop() {
        let listing =
            std::fs::read_dir(&dir).or_fail(Code::Usage, || format!("cannot read {}", dir.display()))?;
        for entry in listing {
            let entry = entry.or_fail(Code::Usage, || format!("cannot read {}", dir.display()))?;
            let kind = entry
                .file_type()
                .or_fail(Code::Usage, || format!("cannot read {}", entry.path().display()))?;
            let path = entry.path();
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            match () {
                () if kind.is_dir() && entry.file_name() != ".git" => open.push(path),
                () if kind.is_dir() || name == DECLARATION => {}
                () => all.push((name, path)),
            }
            if all.len() > MOST {
                let what = format!("{} has more than {MOST} files, which is no ticket", folder.display());
                return Err(Error::new(Code::Usage, what).next("name a folder with what was gathered alone"));
            }
        }
    }
    all.sort();
    Ok(all)
}

/// Everything in one file; why there is nothing, where there is nothing.
fn read(name: &str, path: &Path, left: &mut u64) -> Vec<Item> {
    let place = Place { file: name.to_owned(), line: 1, command: None };
    let refused = |why: String| vec![Item { place, found: Found::Unknown(why) }];
    let bytes = match bytes(path, left) {
        Ok(bytes) => bytes,
        Err(why) => return refused(why),
    };
    match ticket::text::text(&bytes) {
        Ok(text) => ticket::read(name, &text, |yaml| {
            render::parse::<Value>(yaml, Code::Evidence, name).map_err(|e| e.to_string().replace('\n', ";"))
        }),
        Err(why) => refused(why),
    }
}

fn bytes(path: &Path, left: &mut u64) -> Result<Vec<u8>, String> {
    let meta = std::fs::symlink_metadata(path).map_err(|e| format!("it cannot be read: {e}"))?;
    if !meta.is_file() {
        return Err("it is no file but a link or a device, which is not followed".to_owned());
    }
    let most = LARGEST.min(*left);
    if meta.len() > most {
        let (has, most) = (meta.len() >> 20, most >> 20);
        return Err(format!(
            "it has {has} MB, and at most {most} are read: cut out what matters (?resource=dynamic_active_secrets)"
        ));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| format!("it cannot be read: {e}"))?;
    // A file may grow meanwhile.
    file.take(most).read_to_end(&mut bytes).map_err(|e| format!("it cannot be read: {e}"))?;
    *left -= bytes.len() as u64;
    Ok(bytes)
}

fn in_words(ticket: &Ticket, lines: &[Line], out: &mut impl Write) {
    let mut say = |text: &str| tell(out, false, text);
    say(&format!("judged as of {} ({})", ticket.at.0, ticket.at.1));
    say("\nfiles, and what each was taken for");
    for (place, said) in &ticket.taken {
        say(&file_line(place, said, false));
    }
    say("\nclusters");
    for side in &ticket.sides {
        say(&format!("  {}: trust domain {}", side.name, side.trust_domain));
    }
    for remark in &ticket.remarks {
        say(&format!("  {remark}"));
    }
    say("\nclaims");
    for line in lines {
        if line.verdict.verdict == Outcome::Unjudged {
            say(&format!("{:8}  {}: {}", word(Outcome::Unjudged), line.verdict.id, line.verdict.observed));
        } else {
            say(&told(line));
        }
    }
    if !ticket.next.is_empty() {
        say("\ngather next");
    }
    for next in &ticket.next {
        let wait = if next.decides.len() == 1 { "claim waits" } else { "claims wait" };
        say(&format!("  # {}: {}; {} {wait} for it", next.cluster, next.what, next.decides.len()));
        next.commands.iter().for_each(|command| say(&format!("  {command}")));
    }
}

fn in_json(ticket: &Ticket, out: &mut impl Write) -> Result<()> {
    let mut say = |value: Value| tell(out, true, &value.to_string());
    say(json!({ "ticket": { "at": ticket.at.0, "by": ticket.at.1 } }));
    for (place, said) in &ticket.taken {
        say(json!({ "file": place.file, "line": place.line, "taken_for": said }));
    }
    for side in &ticket.sides {
        say(json!({ "cluster": side.name, "trust_domain": side.trust_domain, "peers": side.peers }));
    }
    ticket.remarks.iter().for_each(|remark| say(json!({ "remark": remark })));
    for verdict in &ticket.verdicts {
        say(serde_json::to_value(verdict).or_fail(Code::Internal, || "a verdict cannot be written".into())?);
    }
    for next in &ticket.next {
        say(
            json!({ "gather": next.what, "cluster": next.cluster, "commands": next.commands, "decides": next.decides }),
        );
    }
    Ok(())
}

fn file_line(place: &Place, said: &str, json: bool) -> String {
    if json {
        return json!({ "file": place.file, "line": place.line, "taken_for": said }).to_string();
    }
    format!("  {place}: {said}")
}

/// A line of stdout. Others' files are told of here, so it is looked through for secrets; a reader that has gone away is no
/// fault of ours.
fn tell(out: &mut impl Write, json: bool, line: &str) {
    let line = if json { scrub::document(line).replace('\n', "") } else { scrub::text(line) };
    let _ = writeln!(out, "{line}");
}

#[cfg(test)]
#[path = "ticket_tests.rs"]
mod tests;
