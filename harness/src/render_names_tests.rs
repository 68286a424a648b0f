//! Every manifest, rendered with names that are something else to the Go programs that read it: each stays a text.
//!
//! Go's readers follow YAML 1.1, ours 1.2: `no` is a text to us and false to them. Whether a value stands in quotes is
//! seen by putting a number there, which is a number to both only where it stands bare.

use std::path::{Path, PathBuf};

use super::*;
use crate::artifact::cache::files_below;

/// What a topology may be called, and no text in YAML 1.1 (yaml.org/type) or to gopkg.in/yaml.
const NAMES: [&str; 20] = [
    "no",
    "off",
    "on",
    "yes",
    "y",
    "n",
    "true",
    "false",
    "null",
    "122",
    "007",
    "1e3",
    "0x1f",
    "0o17",
    "0b11",
    "10.5",
    "1_000",
    "2001-01-01",
    "12:30:45",
    "~",
];

/// Values that a topology decides, alone and in lists.
const OF_TOPOLOGY: [&str; 7] =
    ["CLUSTER", "TRUST_DOMAIN", "NETWORK", "VERSION", "PEER", "PEER_TRUST_DOMAIN", "SERVER_TRUST_DOMAIN"];
const LISTS: [&str; 2] = ["TRUST_DOMAINS", "PEER_TRUST_DOMAINS"];

#[test]
fn a_name_is_a_text_in_every_manifest() {
    let mut offences = Vec::new();
    let mut seen = 0;
    for (path, text) in manifests() {
        let plain = leaves(&filled(&text, "x"), &path);
        let bare = leaves(&filled(&text, "122"), &path);
        for name in NAMES {
            let with = leaves(&filled(&text, name), &path);
            assert_eq!(with.len(), plain.len(), "{path}: {name} changes the form");
            for ((value, as_number), other) in with.iter().zip(&bare).zip(&plain) {
                if value == other {
                    continue;
                }
                seen += 1;
                let stays = |text: &str| !as_number.is_number() && (text == name || is_text(text));
                if !value.as_str().is_some_and(stays) {
                    offences.push(format!("{path}: {name} stands bare, and we read {value}"));
                }
            }
        }
    }
    assert!(offences.is_empty(), "put the name in quotes:\n{}", offences.join("\n"));
    assert!(
        seen > 20 * NAMES.len(),
        "only {seen} values depend on names: are the placeholders called otherwise?"
    );
}

#[test]
fn what_go_reads_as_no_text_is_known() {
    for name in NAMES {
        assert!(!is_text(name), "{name}");
    }
    for name in ["cluster1", "v1", "no.example", "10.5.example", "helloworld-122", "e3", "-", "1.2.3"] {
        assert!(is_text(name), "{name}");
    }
}

/// The manifests that are applied, or given to a program of Go's.
fn manifests() -> Vec<(String, String)> {
    let root = Path::new("../manifests");
    let data = ["lock.yaml", "tuning.yaml", "setups", "worlds", "packages"];
    let ours = |file: &PathBuf| {
        file.extension().is_some_and(|e| e == "yaml") && !data.iter().any(|data| file.starts_with(data))
    };
    let files = files_below(root).unwrap().into_iter().filter(ours);
    files
        .map(|file| (file.display().to_string(), std::fs::read_to_string(root.join(file)).unwrap()))
        .collect()
}

/// The text with this name wherever the topology decides, and something harmless elsewhere.
fn filled(text: &str, name: &str) -> String {
    let places = text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(place, _)| place);
    let values = places
        .map(|place| {
            let value = match place {
                _ if OF_TOPOLOGY.contains(&place) => name.to_owned(),
                _ if LISTS.contains(&place) => Value::from(vec![name]).to_string(),
                _ => "harmless".to_owned(),
            };
            (place.to_owned(), value)
        })
        .collect();
    fill(text, &values, "a manifest").unwrap()
}

/// Every value in order, those of YAML within a ConfigMap too.
fn leaves(text: &str, name: &str) -> Vec<Value> {
    let mut found = Vec::new();
    documents(text, name).unwrap().iter().for_each(|document| walk(document, "", &mut found));
    found
}

fn walk(value: &Value, key: &str, found: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| walk(value, key, found)),
        Value::Array(items) => items.iter().for_each(|item| walk(item, "", found)),
        Value::String(text) if [".yaml", ".yml"].iter().any(|end| key.ends_with(end)) => {
            found.extend(leaves(text, key));
        }
        leaf => found.push(leaf.clone()),
    }
}

/// Whether a bare word is a text to Go's reader (`resolve` of gopkg.in/yaml.v2) and to the letter of YAML 1.1.
fn is_text(word: &str) -> bool {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"];
    let number = word.replace('_', "");
    let number = number.trim_start_matches(['-', '+']);
    let prefixed = ["0x", "0o", "0b"].iter().any(|prefix| number.starts_with(prefix));
    let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    // Of base 60, and dates.
    let parts = |by: char| number.contains(by) && number.split(by).all(digits);
    !(word.is_empty()
        || WORDS.contains(&&*word.to_lowercase())
        || prefixed
        || number.parse::<f64>().is_ok()
        || parts(':')
        || parts('-'))
}
