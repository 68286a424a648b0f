//! What a proxy says of itself, in every form that people paste: the whole of `/config_dump`, what `?resource=` leaves of
//! it, `istioctl proxy-config secret -o json` or `-o yaml`, or a part that somebody cut out.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::envoy::secrets::{Content, Trust, secret};
use crate::envoy::{Held, maximum_tls};
use crate::identity::Pem;

/// A proxy's own words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dump {
    /// What it holds.
    pub held: Held,
    /// Whether these are all of its secrets; of a part that was cut out, absence says nothing.
    pub whole: bool,
    /// What it waits for.
    pub waiting: Vec<String>,
    /// Secrets that are named and cannot be read, with why: cut short or replaced before they were pasted.
    pub lost: Vec<String>,
    /// Who it says it is, where the dump has its bootstrap.
    pub node: Option<Node>,
    /// The latest TLS version that its listeners were told to take.
    pub latest_tls: Option<String>,
    /// The newest moment that the dump names.
    pub newest: Option<Timestamp>,
    /// Whether a private key came along that Envoy had not taken out.
    pub has_key: bool,
}

/// A proxy's name in its bootstrap, given by Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its pod.
    pub pod: String,
    /// Its namespace.
    pub namespace: String,
    /// Its service account.
    pub service_account: Option<String>,
    /// Its cluster's name in Istio.
    pub cluster: Option<String>,
}

impl Dump {
    /// Whether that secret was there and could not be read, or may have been there.
    pub fn may_have(&self, name: &str) -> bool {
        !self.whole || self.lost.iter().any(|lost| lost.starts_with(&format!("{name}: ")))
    }
}

/// Reads it; nothing when it is something else.
pub fn read(value: &Value) -> Option<Dump> {
    let value = snake(value);
    let mut dump = Dump::default();
    let mut found = false;
    gather(&value, &mut dump, &mut found);
    if !found {
        return None;
    }
    dump.node = node(&value);
    dump.latest_tls = maximum_tls(&value.to_string());
    dump.newest = newest(&value);
    dump.has_key = has_key(&value);
    Some(dump)
}

/// Goes through all of it: a dump's parts are lists of lists, and people keep some.
fn gather(value: &Value, dump: &mut Dump, found: &mut bool) {
    match value {
        Value::Object(object) => {
            let kind = object.get("@type").and_then(Value::as_str).unwrap_or_default();
            if let Some(all) = object.get("dynamic_active_secrets").and_then(Value::as_array) {
                (*found, dump.whole) = (true, true);
                all.iter().for_each(|one| take(one, dump));
            }
            if let Some(all) = object.get("dynamic_warming_secrets").and_then(Value::as_array) {
                *found = true;
                // What is active and warming at once is being replaced.
                let names = all.iter().filter_map(|one| one["name"].as_str().map(str::to_owned));
                dump.waiting.extend(names);
            }
            if kind.ends_with("SecretsConfigDump.DynamicSecret") {
                (*found, dump.whole) = (true, true);
                take(value, dump);
            } else if object.contains_key("name") && object.get("secret").is_some_and(is_secret) {
                *found = true;
                take(value, dump);
            } else if kind.ends_with("SecretsConfigDump") {
                // Envoy leaves empty lists out.
                (*found, dump.whole) = (true, true);
            } else if object.contains_key("name") && is_secret(value) {
                *found = true;
                take(&serde_json::json!({ "name": object["name"], "secret": value }), dump);
            } else if let Some(configs) = object.get("configs") {
                gather(configs, dump, found);
            }
        }
        Value::Array(all) => all.iter().for_each(|one| gather(one, dump, found)),
        _ => {}
    }
}

fn is_secret(value: &Value) -> bool {
    ["tls_certificate", "validation_context"].iter().any(|kind| value.get(kind).is_some())
}

/// One secret. What cannot be read is no evidence of anything: a proxy takes no certificate that is none, so somebody cut
/// it since.
fn take(one: &Value, dump: &mut Dump) {
    let name = one["name"].as_str().unwrap_or("without a name").to_owned();
    if dump.held.secrets.iter().any(|held| held.name == name) {
        return;
    }
    match secret(one) {
        Err(_) => {
            dump.lost.push(format!("{name}: it cannot be read; it was cut or replaced before it was pasted"))
        }
        Ok(secret) => match unreadable(&secret.content) {
            Some(why) => {
                dump.lost.push(format!("{name}: {why}; it was cut or replaced before it was pasted"))
            }
            None => dump.held.secrets.push(secret),
        },
    }
}

fn unreadable(content: &Content) -> Option<String> {
    let of = |pem: &Pem| pem.certificates().err().map(|flaw| flaw.to_string());
    match content {
        Content::Certificate(chain) => of(chain),
        Content::Trust(Trust::AnyName(roots)) => of(roots),
        Content::Trust(Trust::PerTrustDomain(all)) => all.iter().find_map(|one| of(&one.bundle)),
        Content::Other => None,
    }
}

/// `istioctl` writes Envoy's names as protobuf's JSON does, `lastUpdated` for `last_updated`.
fn snake(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let fields = object.iter().map(|(name, value)| (snake_name(name), snake(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(all) => Value::Array(all.iter().map(snake).collect()),
        other => other.clone(),
    }
}

fn snake_name(name: &str) -> String {
    let camel =
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_alphanumeric());
    if !camel {
        return name.to_owned();
    }
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// `sidecar~10.10.0.7~curl-7d….istio-test~…` and the metadata beside it, wherever a bootstrap has it.
fn node(value: &Value) -> Option<Node> {
    let found = find(value, &|object| {
        let id = object.get("id")?.as_str()?;
        (id.split('~').count() == 4)
            .then(|| (id.to_owned(), object.get("metadata").cloned().unwrap_or_default()))
    });
    let (id, metadata) = found?;
    let (pod, namespace) = id.split('~').nth(2)?.rsplit_once('.')?;
    let said = |name: &str| metadata[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Some(Node {
        pod: pod.to_owned(),
        namespace: namespace.to_owned(),
        service_account: said("SERVICE_ACCOUNT"),
        cluster: said("CLUSTER_ID"),
    })
}

fn find<T>(value: &Value, wanted: &impl Fn(&Map<String, Value>) -> Option<T>) -> Option<T> {
    match value {
        Value::Object(object) => wanted(object).or_else(|| object.values().find_map(|one| find(one, wanted))),
        Value::Array(all) => all.iter().find_map(|one| find(one, wanted)),
        _ => None,
    }
}

fn newest(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Object(object) => {
            let own = object.get("last_updated").and_then(Value::as_str).and_then(|time| time.parse().ok());
            object.values().filter_map(newest).chain(own).max()
        }
        Value::Array(all) => all.iter().filter_map(newest).max(),
        _ => None,
    }
}

/// Envoy writes `[redacted]` in the place of keys; whoever took a key from elsewhere did not.
fn has_key(value: &Value) -> bool {
    const REDACTED: [&str; 3] = ["W3JlZGFjdGVkXQ==", "[redacted]", ""];
    let key = |object: &Map<String, Value>| {
        let key = object.get("private_key")?;
        let text = key["inline_bytes"].as_str().or_else(|| key["inline_string"].as_str())?;
        // A word in its place is what a careful person writes.
        (!REDACTED.contains(&text) && text.len() > 100).then_some(())
    };
    find(value, &key).is_some()
}
