//! Manifests are data: YAML before any value is put in, every image by its role in the lock, every name a text.

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
    let mut offences = bare_names(file);
    let mut literals = Vec::new();
    documents.iter().for_each(|document| images(document, &mut literals));
    let advice = |image| format!("names the image `{image}`; write ${{…}} and pin it in manifests/lock.yaml");
    offences.extend(literals.into_iter().map(|image| Offence::of(file, advice(image))));
    offences
}

/// Names of the topology that stand alone without quotes. Kubernetes reads YAML by older rules than we do: a cluster
/// called `no` is false there, and one called `122` a number.
fn bare_names(file: &File) -> Vec<Offence> {
    const NAMES: [&str; 7] =
        ["CLUSTER", "TRUST_DOMAIN", "NETWORK", "VERSION", "PEER", "PEER_TRUST_DOMAIN", "SERVER_TRUST_DOMAIN"];
    // Between braces and brackets the parser asks for quotes by itself.
    let alone = |line: &str, name: &str| {
        let before = line.trim_end().strip_suffix(&format!("${{{name}}}"));
        before.is_some_and(|before| before.ends_with(' '))
    };
    let found = file
        .lines()
        .flat_map(|(i, line)| NAMES.iter().filter(move |name| alone(line, name)).map(move |name| (i, name)));
    found
        .map(|(i, name)| Offence::at(file, i, format!("put ${{{name}}} in quotes: `no` is a name too")))
        .collect()
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

#[test]
fn names_without_quotes_are_seen() {
    let of = |text: &str| of(&File { path: "manifests/x.yaml".into(), text: text.into() });
    assert!(of("a: \"${CLUSTER}\"\nb: helloworld-${VERSION}\nc: ${PEER_TRUST_DOMAINS}\n").is_empty());
    for bare in ["a: ${CLUSTER}", "- a: ${NETWORK} ", "- ${PEER}"] {
        let found = of(bare);
        assert_eq!(found.len(), 1, "{bare}");
        assert!(found[0].advice.contains("in quotes"), "{bare}");
    }
}
