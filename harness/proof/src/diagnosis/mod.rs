//! From a symptom to one cause: with its evidence, the next command, and why it is none of the others.
//!
//! What was looked at is a document ([`Observations`]); causes are rows of a table ([`causes`]), each with a pure function
//! that proves it, excludes it or leaves it open. So a stored document is diagnosed again anywhere, and one more cause is
//! one more row.
//!
//! Most of what is seen in a broken mesh is a consequence: a resource that the controller manager skips leaves a bundle
//! missing, and that an entry, and that a proxy without a certificate. A row names what it explains; what is explained in
//! the same cluster, or in the one that it is about, is told as a consequence. Two faults that do not explain each other are
//! both causes.

mod objects;
mod polls;
mod rule;
mod rules;
mod seen;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use objects::{Scene, setting};
pub use polls::last_failure;
pub use rule::{Judged, Rule};
pub use rules::{causes, lacks_its_image};
pub use seen::{
    ClusterLook, Look, Observations, ProxyLook, Reader, Relationship, RemoteSecret, Server, Unread,
};

/// What a diagnosis comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Proven, and explained by none of the others; the one that explains most comes first.
    pub causes: Vec<Cause>,
    /// Seen, and explained by a cause.
    pub consequences: Vec<Consequence>,
    /// Looked for everywhere, and not so.
    pub excluded: Vec<Ruled>,
    /// Neither proven nor excluded, for something could not be read.
    pub open: Vec<Ruled>,
}

/// A cause that was proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Its name in the table.
    pub name: &'static str,
    /// What is wrong and what comes of it.
    pub sentence: &'static str,
    /// Where it was seen.
    pub evidence: Vec<Seen>,
    /// The next command.
    pub next: String,
    /// Where it is written.
    pub source: &'static str,
}

/// A place where a cause was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// In which cluster.
    pub cluster: String,
    /// Which other cluster it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The object.
    pub object: String,
    /// What was seen of it.
    pub seen: String,
}

/// Something that was seen and comes of a cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consequence {
    /// Its name in the table.
    pub name: &'static str,
    /// What explains it.
    pub of: &'static str,
    /// Where it was seen.
    #[serde(flatten)]
    pub seen: Seen,
}

/// Why a cause is excluded, or stays open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ruled {
    /// Its name in the table.
    pub name: &'static str,
    /// Why.
    pub why: String,
}

/// Judges every cause of the table.
pub fn diagnose(observed: &Observations) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let mut found: Vec<(&'static Rule, Seen)> = Vec::new();
    for rule in causes() {
        let (mut excluded, mut open, before) = (Vec::new(), Vec::new(), found.len());
        for here in &observed.clusters {
            match (rule.judge)(&Scene { all: observed, here }) {
                Ok(Judged { found: now, checked }) => {
                    let cluster = &here.name;
                    found.extend(now.into_iter().map(|one| {
                        let (cluster, peer) = (cluster.clone(), one.peer);
                        (rule, Seen { cluster, peer, object: one.object, seen: one.seen })
                    }));
                    excluded.push(format!("{}: {checked}", here.name));
                }
                Err(Unread(why)) => open.push(format!("{}: {why}", here.name)),
            }
        }
        match (found.len() == before, open.is_empty()) {
            (false, _) => {}
            (true, false) => diagnosis.open.push(Ruled { name: rule.name, why: open.join("; ") }),
            (true, true) => diagnosis.excluded.push(Ruled { name: rule.name, why: excluded.join("; ") }),
        }
    }
    let explained: Vec<_> = found.iter().map(|one| explanation(one, &found)).collect();
    for ((rule, seen), of) in found.iter().zip(explained) {
        match of {
            Some(of) => {
                diagnosis.consequences.push(Consequence { name: rule.name, of, seen: seen.clone() });
            }
            None => add(&mut diagnosis.causes, rule, seen),
        }
    }
    let weight = |cause: &Cause| diagnosis.consequences.iter().filter(|one| one.of == cause.name).count();
    let mut causes = std::mem::take(&mut diagnosis.causes);
    causes.sort_by_key(|cause| std::cmp::Reverse(weight(cause)));
    diagnosis.causes = causes;
    diagnosis
}

/// The first cause that explains it: in its own cluster, or in the one that it is about. What is wrong with one pod explains
/// nothing of another, and of a workload only that of its own; and a workload that is down for its own pods explains nothing
/// of these.
fn explanation(
    (rule, seen): &(&'static Rule, Seen),
    found: &[(&'static Rule, Seen)],
) -> Option<&'static str> {
    let near = |cause: &Seen| cause.cluster == seen.cluster || Some(&cause.cluster) == seen.peer.as_ref();
    let fits = |cause: &Rule, at: &Seen| match (pod(at), pod(seen)) {
        (Some(of), Some(one)) => of == one,
        (Some(of), None) => is_of(of, seen),
        (None, Some(one)) => !(rule.explains.contains(&cause.name) && is_of(one, at)),
        (None, None) => true,
    };
    let explains =
        |cause: &Rule, at: &Seen| near(at) && cause.explains.contains(&rule.name) && fits(cause, at);
    found.iter().find(|(cause, at)| explains(cause, at)).map(|(cause, _)| cause.name)
}

/// The pod that something was seen of: `namespace/name`.
fn pod(seen: &Seen) -> Option<&str> {
    seen.object.strip_prefix("Pod ")
}

/// Whether a pod is one of that workload's, by its name.
fn is_of(pod: &str, workload: &Seen) -> bool {
    let name = workload.object.split_once(' ').map(|(_, name)| name);
    name.and_then(|name| pod.strip_prefix(name)).is_some_and(|rest| rest.starts_with('-'))
}

fn add(causes: &mut Vec<Cause>, rule: &Rule, seen: &Seen) {
    if let Some(cause) = causes.iter_mut().find(|cause| cause.name == rule.name) {
        cause.evidence.push(seen.clone());
        return;
    }
    let next = rule.next.replace("{cluster}", &seen.cluster).replace("{object}", &in_command(&seen.object));
    let next = next.replace("{peer}", seen.peer.as_deref().unwrap_or("the other cluster"));
    let evidence = vec![seen.clone()];
    causes.push(Cause { name: rule.name, sentence: rule.sentence, evidence, next, source: rule.source });
}

/// An object as `kubectl` takes it: `deployment curl -n istio-test`.
fn in_command(object: &str) -> String {
    let Some((kind, name)) = object.split_once(' ') else { return object.to_owned() };
    let kind = kind.to_lowercase();
    match name.split_once('/') {
        Some((namespace, name)) => format!("{kind} {name} -n {namespace}"),
        None => format!("{kind} {name}"),
    }
}

impl Cause {
    /// The cause in one line, as a failed run ends with it.
    pub fn brief(&self) -> String {
        let at = self.evidence.first();
        let at = at.map(|at| format!(" in {}: {}: {}", at.cluster, at.object, at.seen));
        format!("{}{}", self.name, at.unwrap_or_default())
    }
}
