//! Merges (RFC 7396) that lead from one object to another, and back.

use serde_json::{Map, Value};

/// The merge (RFC 7396) that leads from one object to another.
pub fn leading(from: &Value, to: &Value) -> Value {
    let (Some(from), Some(to)) = (from.as_object(), to.as_object()) else { return to.clone() };
    let gone = from.keys().filter(|key| !to.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let other = to.iter().filter(|(key, value)| from.get(*key) != Some(*value));
    let other =
        other.map(|(key, value)| (key.clone(), leading(from.get(key).unwrap_or(&Value::Null), value)));
    Value::Object(gone.chain(other).collect())
}

/// The merge that undoes `patch` in what was `before`.
pub fn reverse(patch: &Value, before: &Value) -> Value {
    let Some(fields) = patch.as_object() else { return before.clone() };
    let none = Map::new();
    let there = before.as_object().unwrap_or(&none);
    let back = fields.iter().map(|(key, value)| {
        let before = there.get(key).unwrap_or(&Value::Null);
        let back =
            if value.is_object() && before.is_object() { reverse(value, before) } else { before.clone() };
        (key.clone(), back)
    });
    Value::Object(back.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_is_undone_by_another() {
        let before = json!({"spec": {"a": 1, "list": [1, 2], "deep": {"x": "y"}}});
        let patch =
            json!({"spec": {"a": null, "list": [3], "deep": {"x": "z", "new": 1}, "added": {"b": 1}}});
        let back = json!({"spec": {"a": 1, "list": [1, 2], "deep": {"x": "y", "new": null}, "added": null}});
        assert_eq!(reverse(&patch, &before), back);
    }

    #[test]
    fn a_merge_leads_from_one_object_to_another_and_back() {
        let one = json!({"spec": {"a": 1, "list": [{"n": 1}], "deep": {"x": "y"}}, "same": {"k": 1}});
        let other =
            json!({"spec": {"a": 1, "list": [], "deep": {"z": "y"}, "more": {"b": 1}}, "same": {"k": 1}});
        let there = json!({"spec": {"list": [], "deep": {"x": null, "z": "y"}, "more": {"b": 1}}});
        assert_eq!(leading(&one, &other), there);
        let back = json!({"spec": {"list": [{"n": 1}], "deep": {"x": "y", "z": null}, "more": null}});
        assert_eq!(leading(&other, &one), back);
        assert_eq!(leading(&one, &one), json!({}));
    }
}
