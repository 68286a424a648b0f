//! The same picture as Mermaid has it, for a ticket that draws it.

use std::fmt::Write as _;

use super::seen::{End, Mark, Scene};
use super::words::shortened;

/// A label is a label, and not a page.
const LABEL: usize = 300;
const STYLES: &str = "  classDef held stroke:#1a7f37\n  classDef broken stroke:#cf222e,stroke-width:3px\n  \
                      classDef unjudged stroke:#6e7781,stroke-dasharray:5 4\n  classDef not-due stroke:#8c959f\n";

/// The flowchart's text.
pub fn of(scene: &Scene) -> String {
    let mut out = String::from("flowchart LR\n");
    for (i, group) in scene.clusters.iter().enumerate() {
        let title =
            format!("{} · {} · {}", group.cluster.name, group.cluster.trust_domain, group.cluster.network);
        let _ = writeln!(out, "  subgraph c{i} [\"{}\"]", label(&title, &[], &group.mark));
        for (n, node) in group.nodes.iter().enumerate() {
            let _ = writeln!(out, "    c{i}n{n}[\"{}\"]", label(&node.title, &node.facts, &node.mark));
        }
        out.push_str("  end\n");
    }
    let mut styles = String::from(STYLES);
    let mut links = 0;
    for edge in &scene.edges {
        let arrow = match (edge.mark.class(), edge.is_bundle) {
            ("unjudged" | "not-due", _) | (_, true) => "-.->",
            _ => "==>",
        };
        let (from, to, told) = (name(edge.from), name(edge.to), label(&edge.title, &edge.facts, &edge.mark));
        let stops = edge.via.map(name).into_iter().chain([to]);
        let mut from = from;
        for (i, to) in stops.enumerate() {
            let told = if i == 0 { format!("|\"{told}\"|") } else { String::new() };
            let _ = writeln!(out, "  {from} {arrow}{told} {to}");
            if let Some(style) = stroke(&edge.mark) {
                let _ = writeln!(styles, "  linkStyle {links} {style}");
            }
            links += 1;
            from = to;
        }
    }
    for (i, group) in scene.clusters.iter().enumerate() {
        let _ = writeln!(styles, "  class c{i} {}", group.mark.class());
        for (n, node) in group.nodes.iter().enumerate() {
            let _ = writeln!(styles, "  class c{i}n{n} {}", node.mark.class());
        }
    }
    out + &styles
}

fn name(end: End) -> String {
    let node = end.node.map(|node| format!("n{node}")).unwrap_or_default();
    format!("c{}{node}", end.cluster)
}

fn stroke(mark: &Mark) -> Option<&'static str> {
    match mark.class() {
        "broken" => Some("stroke:#cf222e,stroke-width:3px"),
        "unjudged" => Some("stroke:#6e7781,stroke-dasharray:5 4"),
        "held" => Some("stroke:#1a7f37"),
        _ => None,
    }
}

fn label(title: &str, facts: &[String], mark: &Mark) -> String {
    let title = format!("{}{title}", mark.sign());
    let lines = [title.as_str()].into_iter().chain(facts.iter().map(String::as_str)).chain(mark.why());
    lines.map(|line| escaped(&shortened(line, LABEL))).collect::<Vec<_>>().join("<br/>")
}

/// What Mermaid or HTML would read as their own goes in as the number of its character (Mermaid's entity codes).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | ';' | '|' | '[' | ']' | '\\' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
