//! The forms of what a run stores, as JSON Schema, for readers in other languages. They are made from the types that write
//! it, so they say what is written now; whoever reads older documents finds their version in them.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::evidence::Evidence;
use crate::manifest::Manifest;
use crate::verdict::Line;

/// A document of `evidence/`.
pub fn evidence() -> Value {
    of::<Evidence>()
}

/// A line of `verdicts.jsonl`.
pub fn verdict() -> Value {
    of::<Line>()
}

/// `manifest.json`.
pub fn manifest() -> Value {
    of::<Manifest>()
}

fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::claim::{Claim, due};
    use crate::evidence::{Fact, Must};
    use crate::identity::SpiffeId;
    use crate::manifest::{self, Covered, Ended, Harness};
    use crate::topology::tests::of_size;
    use crate::verdict::fixture::{Fixture, id, name};

    /// Everything that a document can have.
    fn full() -> Evidence {
        let mut evidence = Fixture::good().evidence;
        evidence.due = due::everything(&of_size(2));
        let svid: SpiffeId = id(0, 0).parse().unwrap();
        let must = [
            Must::be("this"),
            Must::have(["one", "other"]),
            Must::lack(["none"]),
            Must::BeSvid { by: name(0), id: svid },
            Must::BeIstiods { of: name(1) },
        ];
        for (i, must) in must.into_iter().enumerate() {
            let id: Claim = format!("fact/a-scenario/{i}").parse().unwrap();
            evidence.sentences.insert(id.clone(), "it is so".into());
            evidence.facts.push(Fact { id, claim: "it is so".into(), must, seen: "that".into() });
        }
        evidence.ended_early = Some("no answer".into());
        evidence.completed.push("a-scenario".into());
        evidence
    }

    fn a_manifest() -> Manifest {
        let at = Timestamp::UNIX_EPOCH;
        let mut files = BTreeMap::from([("report.md".to_owned(), Covered::of(b"held"))]);
        files.insert("log.txt".into(), Covered { grows: true, ..Covered::of(b"") });
        Manifest {
            version: manifest::VERSION,
            run: "a-run".into(),
            began: at,
            closed: at,
            harness: Harness { version: "1".into(), code: Some("0".repeat(64)) },
            evidence: crate::evidence::VERSION,
            ended_by: Some(Ended { code: "claim-broken".into(), what: "one did not hold".into() }),
            files,
        }
    }

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// What is wrong with a document by its schema.
    fn faults(schema: &Value, document: &Value) -> Vec<String> {
        let validator = jsonschema::draft202012::new(schema).unwrap();
        validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect()
    }

    #[test]
    fn what_is_written_is_what_the_schemas_say() {
        let evidence = full();
        assert_eq!(faults(&super::evidence(), &json(&evidence.to_json().unwrap())), [""; 0]);
        let oldest = include_str!("evidence/testdata/version-1.json");
        assert_eq!(faults(&super::evidence(), &json(oldest)), [""; 0], "nothing was taken away since");
        let lines = Line::all_of("federated", "a-trial", &evidence.to_json().unwrap()).unwrap();
        assert!(lines.len() > 60);
        for line in lines {
            assert_eq!(faults(&verdict(), &json(&line.text().unwrap())), [""; 0]);
        }
        assert_eq!(faults(&super::manifest(), &serde_json::to_value(a_manifest()).unwrap()), [""; 0]);
    }

    /// Each field of a document taken away, or with another one beside it: most are required, and none is unknown.
    #[test]
    fn what_is_not_written_is_none_of_it() {
        let line = Line::all_of("federated", "a-trial", &full().to_json().unwrap()).unwrap().remove(0);
        let documents = [
            (super::evidence(), json(&full().to_json().unwrap()), "clusters"),
            (verdict(), json(&line.text().unwrap()), "verdict"),
            (super::manifest(), serde_json::to_value(a_manifest()).unwrap(), "files"),
        ];
        for (schema, document, field) in documents {
            let mut without = document.clone();
            without.as_object_mut().unwrap().remove(field).unwrap();
            assert_eq!(faults(&schema, &without).len(), 1, "{field} is required");
            let mut more = document.clone();
            more["surplus"] = Value::Null;
            assert_eq!(faults(&schema, &more).len(), 1, "beside {field}");
            let mut other = document;
            other[field] = json("7");
            assert!(!faults(&schema, &other).is_empty(), "{field} is no number");
        }
    }
}
