//! Secrets that are known by the object they are in: Kubernetes' Secrets, as values, and as text in something else.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::named::is_secret;
use super::{REMOVED, rule};

/// Removes a Secret's values, wherever in it one stands, bookkeeping that repeats them, and what [`super::text`] finds
/// in any string.
pub fn object(object: &mut Value) {
    match object {
        Value::String(s) => *s = super::text(s),
        Value::Array(items) => items.iter_mut().for_each(self::object),
        Value::Object(fields) => {
            if fields.get("kind").is_some_and(|kind| kind == "Secret") {
                for values in ["data", "stringData"].map(|field| fields.remove(field).map(|v| (field, v))) {
                    let Some((field, mut values)) = values else { continue };
                    values.as_object_mut().into_iter().flat_map(|m| m.values_mut()).for_each(|value| {
                        *value = Value::from(REMOVED);
                    });
                    fields.insert(field.to_owned(), values);
                }
            }
            if let Some(meta) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
                meta.remove("managedFields");
                if let Some(notes) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
                    // kubectl's copy of the whole object.
                    notes.remove("kubectl.kubernetes.io/last-applied-configuration");
                }
            }
            named(fields);
            fields.values_mut().for_each(self::object);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// In text a name and its value stand together, and [`super::text`] sees both; here each is a string of its own.
fn named(fields: &mut Map<String, Value>) {
    let scrub = |name: &str, value: &mut Value| {
        if let Value::String(text) = value
            && is_secret(name, text)
        {
            *text = REMOVED.to_owned();
        }
    };
    let variable = fields.get("name").and_then(Value::as_str).map(str::to_owned);
    if let (Some(name), Some(value)) = (variable, fields.get_mut("value")) {
        scrub(&name, value);
    }
    let is_jwk = fields.contains_key("kty");
    for (name, value) in fields {
        if is_jwk && PRIVATE_OF_JWK.contains(&name.as_str()) {
            *value = Value::from(REMOVED);
        }
        scrub(name, value);
        // `["-joinToken", "…"]`
        for pair in 1..value.as_array().map_or(0, Vec::len) {
            let flag = value[pair - 1].as_str().filter(|flag| flag.starts_with('-')).map(str::to_owned);
            if let Some(flag) = flag.filter(|_| !value[pair].as_str().unwrap_or_default().starts_with('-')) {
                scrub(&flag, &mut value[pair]);
            }
        }
    }
}

/// RFC 7518, section 6.
const PRIVATE_OF_JWK: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Secrets as JSON, with or without the backslashes of JSON in JSON, and as YAML.
pub(super) fn secrets_in(text: &str) -> Cow<'_, str> {
    static IN_JSON: LazyLock<Regex> = LazyLock::new(|| rule(r#"\\*"kind\\*"\s*:\s*\\*"Secret\\*""#));
    static IN_YAML: LazyLock<Regex> = LazyLock::new(|| rule(r#"\bkind:[ \t]*\\*["']?Secret\b"#));
    let step: Cow<'_, str> = match IN_JSON.is_match(text) {
        true => Cow::Owned(in_json(text, &IN_JSON)),
        false => Cow::Borrowed(text),
    };
    match IN_YAML.is_match(&step) {
        true => Cow::Owned(in_yaml(&step, &IN_YAML)),
        false => step,
    }
}

/// Each object around a mark without the values of its `data` and `stringData`.
fn in_json(text: &str, mark: &Regex) -> String {
    static DATA: LazyLock<Regex> = LazyLock::new(|| rule(r#"\\*"(?:data|stringData)\\*"\s*:\s*\{"#));
    static PLAIN: LazyLock<Regex> =
        LazyLock::new(|| rule(r#"^\s*(?:\\*"[^"\\]*\\*"\s*:\s*\\*"[^"\\]*\\*"\s*,?\s*)*$"#));
    static VALUE: LazyLock<Regex> = LazyLock::new(|| rule(r#"(?P<colon>:\s*\\*")[^"\\]*"#));
    let mut gone: Vec<(usize, usize)> = Vec::new();
    for found in mark.find_iter(text) {
        let around = begin_of(&text[..found.start()])..found.end() + end_of(&text[found.end()..]);
        for data in DATA.find_iter(&text[around.clone()]) {
            let begin = around.start + data.end();
            gone.push((begin, begin + end_of(&text[begin..])));
        }
    }
    gone.sort_unstable();
    let (mut out, mut kept) = (String::with_capacity(text.len()), 0);
    for (begin, end) in gone {
        if begin < kept {
            continue;
        }
        out.push_str(&text[kept..begin]);
        // With quotes inside quotes nobody knows where a value ends.
        if PLAIN.is_match(&text[begin..end]) {
            out.push_str(&VALUE.replace_all(&text[begin..end], format!("${{colon}}{REMOVED}")));
        }
        kept = end;
    }
    out + &text[kept..]
}

/// Where the innermost object begins that is still open at the end of the text.
fn begin_of(text: &str) -> usize {
    let mut deep = 0;
    let open = text.bytes().rposition(|b| {
        deep += i32::from(b == b'}') - i32::from(b == b'{');
        deep < 0
    });
    open.unwrap_or_default()
}

/// Where the object ends in whose midst the text begins.
fn end_of(text: &str) -> usize {
    let mut deep = 0;
    let close = text.bytes().position(|b| {
        deep += i32::from(b == b'{') - i32::from(b == b'}');
        deep < 0
    });
    close.unwrap_or(text.len())
}

/// What stands below `data` and `stringData`, in each document that is a Secret. A line ends where it does in a file, or
/// in a string of JSON.
fn in_yaml(text: &str, mark: &Regex) -> String {
    static END: LazyLock<Regex> = LazyLock::new(|| rule(r"\r?\n|\\+n"));
    static FIELD: LazyLock<Regex> =
        LazyLock::new(|| rule(r#"^.*?(?P<deep>[ \t-]*)(?:data|stringData):[ \t]*(?P<flow>\{[^}]*\})?"#));
    static VALUE: LazyLock<Regex> =
        LazyLock::new(|| rule(r#"^(?P<key>[ \t]*(?:[^\s:"'\\]+:[ \t]*)?\\*["']?)[^"'\\]*"#));
    let mut lines: Vec<(String, &str)> = Vec::new();
    let mut begin = 0;
    for end in END.find_iter(text) {
        lines.push((text[begin..end.start()].to_owned(), end.as_str()));
        begin = end.end();
    }
    lines.push((text[begin..].to_owned(), ""));
    for document in lines.split_mut(|(line, _)| line.trim() == "---") {
        if !document.iter().any(|(line, _)| mark.is_match(line)) {
            continue;
        }
        let mut inside = None;
        for (line, _) in document {
            let deep = line.len() - line.trim_start().len();
            if inside.is_some_and(|above| deep > above) {
                *line = VALUE
                    .replace(line, |found: &Captures<'_>| format!("{}{REMOVED}", &found["key"]))
                    .into_owned();
                continue;
            }
            let field = FIELD.captures(line).filter(|_| !line.trim().is_empty());
            inside = field.as_ref().and_then(|field| field.name("deep")).map(|deep| deep.len());
            if let Some(flow) = field.and_then(|field| field.name("flow")).map(|flow| flow.range()) {
                line.replace_range(flow, "{}");
                inside = None;
            }
        }
    }
    lines.into_iter().flat_map(|(line, end)| [line, end.to_owned()]).collect()
}
