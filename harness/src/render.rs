//! YAML and the values in it: the one place that reads YAML.
//!
//! Manifests stay valid YAML; `${NAME}` is replaced by a value, strictly: an unknown name and a value nobody
//! used are both errors. No loops, no conditions: what varies is a different file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A value, and where in its file it stands.
pub use serde_saphyr::Spanned;

use crate::error::Context as _;
use crate::{Code, Error, Result};

/// Values for `${NAME}`.
pub type Values = BTreeMap<String, String>;

/// Reads a YAML file into a type; unknown keys are refused where the type says so.
///
/// # Errors
/// `code`, with the file, the line and the column.
pub fn read<T: DeserializeOwned>(path: &Path, code: Code) -> Result<T> {
    let text = std::fs::read_to_string(path).or_fail(code, || format!("cannot read {}", path.display()))?;
    parse(&text, code, &path.display().to_string())
}

/// As [`read`], from a text called `name`.
///
/// # Errors
/// `code`, with the line and the column.
pub fn parse<T: DeserializeOwned>(text: &str, code: Code, name: &str) -> Result<T> {
    serde_yaml::from_str(text).map_err(|e| {
        let at = e.location().map(|l| format!(":{}:{}", l.line(), l.column())).unwrap_or_default();
        Error::new(code, format!("{name}{at} is malformed"))
            .because(e)
            .next(format!("correct {name}; nothing was touched"))
    })
}

/// As [`parse`], for files in which what reads well may still be refused: a [`Spanned`] value says where it stands.
/// (`serde_yaml` knows where it stumbled, and forgets where everything else stood.)
///
/// # Errors
/// `code`, with the line and the column.
pub fn parse_spanned<T: DeserializeOwned>(text: &str, code: Code, name: &str) -> Result<T> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| {
        let at = e.location().map(|l| format!(":{}:{}", l.line(), l.column())).unwrap_or_default();
        // Its own words begin with the place, which stands at the front already.
        let told = e.render_with_formatter(&serde_saphyr::UserMessageFormatter);
        let place = e.location().map(|l| format!(" at line {}, column {}", l.line(), l.column()));
        let told = place.map_or(told.clone(), |place| told.replace(&place, ""));
        Error::new(code, format!("{name}{at} is malformed: {told}"))
            .next(format!("correct {name}; nothing was touched"))
    })
}

/// All documents of a YAML stream, as Kubernetes objects; empty documents are dropped.
///
/// # Errors
/// [`Code::Internal`] for our own manifests, which a test reads too.
pub fn documents(text: &str, name: &str) -> Result<Vec<Value>> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| {
            Value::deserialize(document).or_fail(Code::Internal, || format!("{name} is malformed"))
        })
        .filter(|value| !matches!(value, Ok(Value::Null)))
        .collect()
}

/// Replaces every `${NAME}` of `text`.
///
/// # Errors
/// [`Code::Internal`] for a name without a value.
pub fn fill(text: &str, values: &Values, name: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = rest.split_at(start);
        let end = after.find('}').ok_or_else(|| Error::internal(format!("{name}: `${{` is never closed")))?;
        let key = &after[2..end];
        let value =
            values.get(key).ok_or_else(|| Error::internal(format!("{name}: no value for ${{{key}}}")))?;
        out.push_str(before);
        // A value of several lines keeps the indentation of the place it is put into.
        let line_start = out.rfind('\n').map_or(0, |i| i + 1);
        let indent: String = out[line_start..].chars().take_while(|c| *c == ' ').collect();
        out.push_str(&value.replace('\n', &format!("\n{indent}")));
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// [`fill`] of every text in it.
///
/// # Errors
/// As [`fill`].
pub fn fill_all(value: &Value, values: &Values, name: &str) -> Result<Value> {
    Ok(match value {
        Value::String(text) => Value::String(fill(text, values, name)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| fill_all(item, values, name)).collect::<Result<_>>()?)
        }
        Value::Object(fields) => {
            let filled = fields.iter().map(|(key, value)| Ok((key.clone(), fill_all(value, values, name)?)));
            Value::Object(filled.collect::<Result<Map<_, _>>>()?)
        }
        other => other.clone(),
    })
}

/// [`fill`], then [`documents`], of one manifest file.
///
/// # Errors
/// As theirs; a file that cannot be read is ours, too.
pub fn manifest(path: &Path, values: &Values) -> Result<Vec<Value>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).or_fail(Code::Internal, || format!("cannot read {name}"))?;
    documents(&fill(&text, values, &name)?, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn values_are_put_in_and_blocks_keep_their_indentation() {
        let text = "a: ${A}\nb: |\n  ${B}\n";
        let out = fill(text, &values(&[("A", "1"), ("B", "x\ny")]), "t").unwrap();
        assert_eq!(out, "a: 1\nb: |\n  x\n  y\n");
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        assert!(fill("${NO}", &values(&[]), "t").unwrap_err().to_string().contains("no value for ${NO}"));
    }

    #[test]
    fn documents_are_split_by_the_parser_not_by_dashes() {
        let text = "a: |\n  text\n  --- not a border\n---\n---\nb: 2\n";
        assert_eq!(documents(text, "t").unwrap().len(), 2);
    }

    #[test]
    fn a_fault_says_line_and_column() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct T {
            #[expect(dead_code, reason = "only its name matters here")]
            known: u8,
        }
        let e = parse::<T>("known: 1\nunknown: 2\n", Code::Topology, "topology.yaml").unwrap_err();
        assert!(e.to_string().starts_with("topology.yaml:2:1 is malformed: unknown field `unknown`"), "{e}");
    }
}

#[cfg(test)]
#[path = "render_names_tests.rs"]
mod names;
