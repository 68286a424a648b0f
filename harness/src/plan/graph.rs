//! The plan's graph, pure: checked, layered, and asked for its critical path.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One step, without its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Unique: `cluster1/spire-server`.
    pub id: String,
    /// The cluster it belongs to; empty for steps of the whole world.
    pub lane: String,
    /// One line for people.
    pub what: String,
    /// Steps that must be done first.
    pub needs: Vec<String>,
}

/// Nodes in an order in which each comes after its needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Graph {
    /// Topologically ordered; ties keep the order in which they were added.
    pub steps: Vec<Node>,
}

impl Graph {
    /// Orders and checks.
    ///
    /// # Errors
    /// [`crate::Code::Internal`]: a plan is made by code, so a fault in it is ours.
    pub fn new(nodes: Vec<Node>) -> Result<Self> {
        let mut ids = BTreeSet::new();
        for node in &nodes {
            if !ids.insert(node.id.clone()) {
                return Err(Error::internal(format!("the plan has two steps `{}`", node.id)));
            }
        }
        for node in &nodes {
            if let Some(unknown) = node.needs.iter().find(|n| !ids.contains(*n)) {
                return Err(Error::internal(format!(
                    "step `{}` needs `{unknown}`, which is no step",
                    node.id
                )));
            }
        }
        let (mut steps, mut done, mut rest) = (Vec::new(), BTreeSet::new(), nodes);
        while !rest.is_empty() {
            let (ready, blocked): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|n: &Node| n.needs.iter().all(|need| done.contains(need)));
            if ready.is_empty() {
                let names: Vec<_> = blocked.iter().map(|n| n.id.as_str()).collect();
                return Err(Error::internal(format!(
                    "these steps wait for one another: {}",
                    names.join(", ")
                )));
            }
            done.extend(ready.iter().map(|n| n.id.clone()));
            steps.extend(ready);
            rest = blocked;
        }
        Ok(Self { steps })
    }

    /// The chain of steps that decided the total time: from the step that ended last back through the need
    /// that ended last each time. `end` gives each step's end in seconds.
    pub fn critical_path(&self, end: &BTreeMap<String, f64>) -> Vec<String> {
        let at = |id: &String| end.get(id).copied().unwrap_or(0.0);
        let find = |id: &str| self.steps.iter().find(|n| n.id == id);
        let mut path = Vec::new();
        let mut next = self.steps.iter().max_by(|a, b| at(&a.id).total_cmp(&at(&b.id)));
        while let Some(node) = next {
            path.push(node.id.clone());
            next = node.needs.iter().max_by(|a, b| at(a).total_cmp(&at(b))).and_then(|id| find(id));
        }
        path.reverse();
        path
    }

    /// How long all of it takes where each step takes so many seconds and begins when its needs are done; nothing where that
    /// is not known of one of them.
    pub fn longest(&self, took: &BTreeMap<String, f64>) -> Option<f64> {
        let mut ends = BTreeMap::new();
        for node in &self.steps {
            let begin = node.needs.iter().filter_map(|need| ends.get(need)).copied().fold(0.0, f64::max);
            ends.insert(&node.id, begin + took.get(&node.id)?);
        }
        ends.into_values().reduce(f64::max)
    }

    /// As text, a line a step.
    pub fn text(&self) -> String {
        let width = self.steps.iter().map(|n| n.id.len()).max().unwrap_or(0);
        self.steps.iter().fold(String::new(), |mut out, node| {
            let after = if node.needs.is_empty() {
                String::new()
            } else {
                format!("  ← {}", node.needs.join(", "))
            };
            let _ = writeln!(out, "{:width$}  {}{after}", node.id, node.what);
            out
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, needs: &[&str]) -> Node {
        Node {
            id: id.into(),
            lane: String::new(),
            what: String::new(),
            needs: needs.iter().map(|s| (*s).into()).collect(),
        }
    }

    #[test]
    fn a_step_comes_after_its_needs() {
        let graph = Graph::new(vec![node("c", &["b"]), node("b", &["a"]), node("a", &[])]).unwrap();
        let order: Vec<_> = graph.steps.iter().map(|n| n.id.as_str()).collect();
        assert_eq!(order, ["a", "b", "c"]);
    }

    #[test]
    fn the_longest_chain_is_what_all_of_it_takes() {
        let nodes =
            vec![node("a", &[]), node("b", &["a"]), node("quick", &["a"]), node("c", &["b", "quick"])];
        let graph = Graph::new(nodes).unwrap();
        let mut took: BTreeMap<_, _> =
            [("a", 1.0), ("b", 5.0), ("quick", 0.5), ("c", 2.0)].map(|(id, s)| (id.to_owned(), s)).into();
        assert_eq!(graph.longest(&took), Some(8.0));
        took.remove("quick");
        assert_eq!(graph.longest(&took), None, "nobody knows");
    }

    #[test]
    fn circles_strangers_and_twins_are_refused() {
        let text = |nodes| Graph::new(nodes).unwrap_err().to_string();
        assert!(text(vec![node("a", &["b"]), node("b", &["a"])]).contains("wait for one another: a, b"));
        assert!(text(vec![node("a", &["x"])]).contains("needs `x`, which is no step"));
        assert!(text(vec![node("a", &[]), node("a", &[])]).contains("two steps `a`"));
    }

    #[test]
    fn the_critical_path_follows_the_latest_need() {
        let graph = Graph::new(vec![node("a", &[]), node("b", &[]), node("c", &["a", "b"])]).unwrap();
        let end = [("a", 5.0), ("b", 9.0), ("c", 12.0)].map(|(k, v)| (k.to_owned(), v)).into();
        assert_eq!(graph.critical_path(&end), ["b", "c"]);
    }
}
