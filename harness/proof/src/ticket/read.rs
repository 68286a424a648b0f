//! A file taken apart, and each piece taken for what it is.

use serde_json::Value;

use super::found::{Found, Place};
use super::pieces::{Body, pieces};
use super::sides::Item;
use super::{json, plain};
use crate::scrub;

/// The longest text that is searched for secrets to warn of.
const SEARCHED: usize = 4 << 20;

/// Everything in the text of that file. `yaml` reads a YAML document, which this crate cannot.
pub fn read(file: &str, text: &str, yaml: impl Fn(&str) -> Result<Value, String>) -> Vec<Item> {
    let mut items = Vec::new();
    for piece in pieces(text) {
        let command = piece.command.as_deref();
        let found = match &piece.body {
            Body::Json(value) => json::read(value, piece.heading.as_deref(), command),
            Body::Yaml(text) => match yaml(text) {
                Ok(value) => json::read(&value, None, command),
                Err(why) => vec![Found::Unknown(format!("YAML that cannot be read: {why}"))],
            },
            Body::Text(text) => plain::read(text, command, file),
            Body::Broken(why) => vec![Found::Unknown(why.clone())],
        };
        let place = Place { file: file.to_owned(), line: piece.line, command: piece.command.clone() };
        for found in found {
            // Envoy takes keys out of what it tells; whoever did not is warned, whatever else it is good for.
            if let Found::Proxy(dump) = &found
                && dump.has_key
            {
                let found = Found::Secret("a private key among a proxy's secrets".to_owned());
                items.push(Item { place: place.clone(), found });
            }
            add(&mut items, Item { place: place.clone(), found });
        }
    }
    warn(file, text, &mut items);
    for (line, command) in unanswered(text, &items) {
        let found = Found::Unknown(format!("what `{}` printed", shortened(&command)));
        items.push(Item { place: Place { file: file.to_owned(), line, command: Some(command) }, found });
    }
    if items.is_empty() {
        let place = Place { file: file.to_owned(), line: 1, command: None };
        let found = Found::Unknown("text without anything in it that is known here".to_owned());
        items.push(Item { place, found });
    }
    items
}

/// Secrets of kinds that no reader above looks for: tokens, passwords, credentials in addresses.
fn warn(file: &str, text: &str, items: &mut Vec<Item>) {
    let known = items.iter().any(|item| matches!(item.found, Found::Secret(_)));
    // The text of a whole mesh takes long to search, and nothing of it is kept.
    if known || text.len() > SEARCHED || scrub::text(text) == text {
        return;
    }
    let place = Place { file: file.to_owned(), line: 1, command: None };
    let found = Found::Secret("something that looks like a token, a password or a key".to_owned());
    items.push(Item { place, found });
}

/// Commands of the text of whose output nothing was understood: the others' words beside them are noise.
fn unanswered(text: &str, items: &[Item]) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    for piece in pieces(text) {
        let Some(command) = piece.command else { continue };
        let known = |item: &Item| item.place.command.as_ref() == Some(&command);
        if !items.iter().any(known) && !all.iter().any(|(_, other)| *other == command) {
            all.push((piece.line, command));
        }
    }
    all
}

fn shortened(command: &str) -> String {
    let short: String = command.chars().take(60).collect();
    if short.len() < command.len() { format!("{short}…") } else { short }
}

/// A log has a value a line, and is one thing; what nobody understood is named once.
fn add(items: &mut Vec<Item>, item: Item) {
    if let Some(last) = items.last_mut().filter(|last| last.place.command == item.place.command) {
        match (&mut last.found, &item.found) {
            (Found::Records(all), Found::Records(more)) => return all.extend(more.iter().cloned()),
            (Found::Calls { requests, failed }, Found::Calls { requests: more, failed: also }) => {
                *requests += more;
                failed.extend(also.iter().cloned());
                return;
            }
            (Found::Unknown(one), Found::Unknown(other)) if one == other => return,
            (Found::Idle(one), Found::Idle(other)) if one == other => return,
            _ => {}
        }
    }
    items.push(item);
}
