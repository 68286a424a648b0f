//! Manifests are data: YAML before any value is put in, and every image by its role in the lock.

use std::path::Path;

use harness::lock::Lock;
use harness::render;
use serde_json::Value;

use crate::Offence;
use crate::tree::{File, Tree};

/// Offences of all manifests.
pub fn check(tree: &Tree) -> Vec<Offence> {
    let yaml =
        tree.files.iter().filter(|f| f.path.starts_with("manifests/") && (f.is("yaml") || f.is("yml")));
    let mut offences: Vec<Offence> = yaml.flat_map(of).collect();
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
    if let Err(e) = Lock::read(&manifests) {
        offences.push(Offence { place: "manifests/lock.yaml".into(), advice: e.to_string() });
    }
    offences
}

fn of(file: &File) -> Vec<Offence> {
    let documents = match render::documents(&file.text, &file.path) {
        Ok(documents) => documents,
        Err(e) => return vec![Offence::of(file, format!("is not YAML: {e}"))],
    };
    if file.path == "manifests/lock.yaml" {
        return Vec::new();
    }
    let mut literals = Vec::new();
    documents.iter().for_each(|document| images(document, &mut literals));
    let advice = |image| format!("names the image `{image}`; write ${{…}} and pin it in manifests/lock.yaml");
    literals.into_iter().map(|image| Offence::of(file, advice(image))).collect()
}

/// Values of `image`, `hub` and `tag` that are written out.
fn images(value: &Value, literals: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text)
                        if matches!(key.as_str(), "image" | "hub" | "tag") && !text.contains("${") =>
                    {
                        literals.push(text.clone());
                    }
                    _ => images(value, literals),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| images(item, literals)),
        _ => {}
    }
}

#[test]
fn literal_images_and_broken_yaml_are_seen() {
    let of = |text: &str| of(&File { path: "manifests/x.yaml".into(), text: text.into() });
    assert!(of("spec: { containers: [{ image: \"${CURL}\" }] }").is_empty());
    assert!(of("spec: { containers: [{ image: busybox }] }")[0].advice.contains("the image `busybox`"));
    assert!(of("spec: { hub: docker.io/istio }")[0].advice.contains("the image `docker.io/istio`"));
    assert!(of("a: [")[0].advice.contains("is not YAML"));
}
