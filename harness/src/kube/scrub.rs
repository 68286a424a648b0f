//! Taking secrets out of what is kept: private keys and tokens never enter a report.

use serde_json::Value;

const REMOVED: &str = "[removed]";

/// Removes a Secret's values, bookkeeping that repeats them, and keys and tokens in any text of the object.
pub fn object(object: &mut Value) {
    if object["kind"] == "Secret" {
        for field in ["data", "stringData"] {
            for value in
                object.get_mut(field).and_then(Value::as_object_mut).into_iter().flat_map(|m| m.values_mut())
            {
                *value = Value::from(REMOVED);
            }
        }
    }
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
        if let Some(notes) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
            // kubectl's copy of the whole object, a Secret's values included.
            notes.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    strings(object);
}

fn strings(value: &mut Value) {
    match value {
        Value::String(s) => *s = text(s),
        Value::Array(items) => items.iter_mut().for_each(strings),
        Value::Object(fields) => fields.values_mut().for_each(strings),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Removes PEM private keys and JSON web tokens from a text, such as a log.
pub fn text(text: &str) -> String {
    without_tokens(&without_keys(text))
}

fn without_keys(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const KEY: &str = "PRIVATE KEY-----";
    const END: &str = "-----END ";
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(begin) = rest.find(BEGIN) {
        let block = &rest[begin..];
        let header = &block[BEGIN.len()..];
        // The label stands between BEGIN and the next dashes: "RSA PRIVATE KEY", "CERTIFICATE".
        let is_key = header.find("-----").is_some_and(|dashes| header[..dashes + 5].ends_with(KEY));
        if !is_key {
            out.push_str(&rest[..begin + BEGIN.len()]);
            rest = header;
            continue;
        }
        out.push_str(&rest[..begin]);
        out.push_str(REMOVED);
        // A key without an end was cut off: everything after its beginning goes.
        rest = header.find(END).map_or("", |end| {
            let tail = &header[end + END.len()..];
            tail.find(KEY).map_or("", |key| &tail[key + KEY.len()..])
        });
    }
    out.push_str(rest);
    out
}

/// A token is three base64url parts with dots between them; the first is a JSON object, hence "eyJ".
fn without_tokens(text: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(begin) = rest.find("eyJ") {
        let word = &rest[begin..];
        let end = word.find(|c| !inside(c)).unwrap_or(word.len());
        out.push_str(&rest[..begin]);
        out.push_str(if word[..end].matches('.').count() == 2 { REMOVED } else { &word[..end] });
        rest = &word[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_keeps_its_keys_and_loses_its_values() {
        let mut secret = json!({"kind": "Secret", "metadata": {"name": "istio-remote-secret",
            "managedFields": [{}], "annotations": {"a": "b",
            "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"cluster2\":\"c2VjcmV0\"}}"}},
            "data": {"cluster2": "c2VjcmV0"}, "stringData": {"x": "y"}});
        object(&mut secret);
        assert_eq!(
            secret,
            json!({"kind": "Secret", "metadata": {"name": "istio-remote-secret", "annotations": {"a": "b"}},
                "data": {"cluster2": "[removed]"}, "stringData": {"x": "[removed]"}})
        );
    }

    #[test]
    fn keys_go_and_certificates_stay() {
        let log = "a\n-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n\
                   -----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nb";
        let kept = "a\n-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n[removed]\nb";
        assert_eq!(text(log), kept);
        assert_eq!(text("x -----BEGIN PRIVATE KEY-----\nMIG"), "x [removed]");
    }

    #[test]
    fn tokens_go_wherever_they_stand() {
        let mut map = json!({"kind": "ConfigMap", "data": {"cfg": "token: eyJhbGci.eyJpc3Mi.c2ln\nnext: eyJust-a-word"}});
        object(&mut map);
        assert_eq!(map["data"]["cfg"], "token: [removed]\nnext: eyJust-a-word");
    }
}
