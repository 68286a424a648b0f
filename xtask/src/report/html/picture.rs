//! The picture as SVG: a column for each cluster, a line down from each of its nodes that trusts or meets somebody, and
//! a row for each trust bundle and each way. So no two labels share a place, however many clusters there are.

use maud::{Markup, PreEscaped, html};

use super::seen::{Edge, End, Mark, Scene};
use super::words::wrapped;

/// The style of a picture that stands alone; the page has it too.
pub const STYLE: &str = include_str!("picture.css");
const COLUMN: i32 = 336;
/// From the column's edge to its nodes.
const MARGIN: i32 = 10;
/// Between the lines that go down.
const STAIR: i32 = 12;
const LINE: i32 = 14;

/// The picture within a page; `about` is read to whoever does not see it.
pub fn inline(scene: &Scene, about: &str) -> Markup {
    let (width, height, drawn) = drawing(scene);
    html! {
        svg.picture role="img" aria-label=(about) viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) {
            (drawn)
        }
    }
}

/// The picture as a file of its own.
pub fn alone(scene: &Scene, about: &str) -> String {
    let (width, height, drawn) = drawing(scene);
    let picture = html! {
        svg.picture xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) {
            title { (about) }
            style { (PreEscaped(STYLE)) }
            rect.paper width="100%" height="100%" {}
            (drawn)
        }
    };
    picture.into_string()
}

fn drawing(scene: &Scene) -> (i32, i32, Markup) {
    let columns = Columns::of(scene);
    let (mut y, mut rows) = (columns.bottom + 26, Vec::new());
    for (is_bundle, heading) in [(true, "Trust bundles"), (false, "Handshakes")] {
        let edges: Vec<_> = scene.edges.iter().filter(|edge| edge.is_bundle == is_bundle).collect();
        if edges.is_empty() {
            continue;
        }
        rows.push(html! { text.heading x=(MARGIN) y=(y) { (heading) } });
        y += 8;
        for edge in edges {
            let (row, height) = columns.row(edge, y);
            rows.push(row);
            y += height;
        }
        y += 26;
    }
    let ends = y - 20;
    let lines = columns.lines.iter().map(|(_, x, top)| (x, top));
    let drawn = html! {
        @for group in &columns.groups { (group) }
        @for (x, top) in lines { line.life x1=(x) x2=(x) y1=(top) y2=(ends) {} }
        @for row in &rows { (row) }
        (legend(ends + 16))
    };
    (columns.width, ends + 30, drawn)
}

/// The clusters, drawn, and where the lines of their nodes are.
struct Columns {
    groups: Vec<Markup>,
    /// The middle of each.
    middles: Vec<i32>,
    /// Whose, at which x, and from which y down.
    lines: Vec<(End, i32, i32)>,
    width: i32,
    bottom: i32,
}

impl Columns {
    fn of(scene: &Scene) -> Self {
        let gap = match scene.clusters.len() {
            2 => 230,
            3 => 100,
            _ => 16,
        };
        let heights: Vec<_> =
            (0..scene.clusters.len()).map(|cluster| column(scene, cluster, 0, 0).1).collect();
        let bottom = heights.into_iter().max().unwrap_or_default();
        let (mut groups, mut middles, mut lines, mut x) = (Vec::new(), Vec::new(), Vec::new(), 2);
        for cluster in 0..scene.clusters.len() {
            let (drawn, _, own) = column(scene, cluster, x, bottom);
            groups.push(drawn);
            lines.extend(own);
            middles.push(x + COLUMN / 2);
            x += COLUMN + gap;
        }
        Self { groups, middles, lines, width: (x - gap).max(720) + 2, bottom }
    }

    /// The line of a node; the middle of a cluster of which no such node was seen.
    fn x(&self, end: End) -> i32 {
        let own = self.lines.iter().find(|(of, _, _)| *of == end).map(|(_, x, _)| *x);
        own.or_else(|| self.middles.get(end.cluster).copied()).unwrap_or_default()
    }

    /// An edge, and how high it is.
    fn row(&self, edge: &Edge, top: i32) -> (Markup, i32) {
        let stops: Vec<_> = [Some(edge.from), edge.via, Some(edge.to)].into_iter().flatten().collect();
        let xs: Vec<_> = stops.into_iter().map(|end| self.x(end)).collect();
        let left = xs.iter().copied().min().unwrap_or_default().min(self.width - 470).max(0) + 10;
        let room = room(self.width - left).min(86);
        let y = top + 22;
        let mut texts = Texts::at(left, y + LINE + 2);
        edge.facts.iter().for_each(|fact| texts.add("fact", fact, room, 2));
        edge.mark.why().iter().for_each(|why| texts.add("why", why, room, 3));
        let drawn = html! {
            g.edge.(edge.mark.class()) {
                text.title x=(left) y=(y - 6) { (edge.mark.sign()) (edge.title) }
                @for pair in xs.windows(2) { (arrow(pair[0], pair[1], y)) }
                (texts.drawn())
            }
        };
        (drawn, texts.y - top + 10)
    }
}

/// A cluster's column, the height that it needs, and the lines that go down from it.
fn column(scene: &Scene, cluster: usize, x: i32, bottom: i32) -> (Markup, i32, Vec<(End, i32, i32)>) {
    let group = &scene.clusters[cluster];
    let (mut drawn, mut lines, mut stair, mut y) = (Vec::new(), Vec::new(), 0, 48);
    let mut own = Texts::at(x + MARGIN + 4, y + 4);
    group.mark.why().iter().for_each(|why| own.add("why", why, room(COLUMN - MARGIN), 3));
    y = if group.mark.why().is_some() { own.y } else { y };
    for (i, node) in group.nodes.iter().enumerate() {
        let end = End { cluster, node: Some(i) };
        let width = COLUMN - 2 * MARGIN - stair;
        let mut texts = Texts::at(x + MARGIN + 8, y + 2 * LINE + 2);
        node.facts.iter().for_each(|fact| texts.add("fact", fact, room(width), 2));
        node.mark.why().iter().for_each(|why| texts.add("why", why, room(width), 3));
        let height = texts.y - y - 4;
        drawn.push(html! {
            g.node.(node.mark.class()) {
                rect x=(x + MARGIN) y=(y) width=(width) height=(height) rx="5" {}
                text.title x=(x + MARGIN + 8) y=(y + LINE + 2) { (node.mark.sign()) (wrapped(&node.title, room(width) - 4, 1).concat()) }
                (texts.drawn())
            }
        });
        if scene.edges.iter().any(|edge| [Some(edge.from), Some(edge.to), edge.via].contains(&Some(end))) {
            lines.push((end, x + MARGIN + width - 6, y + height));
            stair += STAIR;
        }
        y += height + 8;
    }
    let drawn = html! {
        g.cluster.(group.mark.class()) {
            rect x=(x) y="2" width=(COLUMN) height=(bottom - 2) rx="8" {}
            text.name x=(x + MARGIN + 4) y="21" { (group.mark.sign()) (group.cluster.name) }
            text.fact x=(x + MARGIN + 4) y="37" {
                (wrapped(&group.cluster.trust_domain, 34, 1).concat()) " · " (group.cluster.network)
            }
            (own.drawn())
            @for node in &drawn { (node) }
        }
    };
    (drawn, y + 2, lines)
}

/// Lines of text below one another.
struct Texts {
    x: i32,
    y: i32,
    all: Vec<(&'static str, String, i32)>,
}

impl Texts {
    fn at(x: i32, y: i32) -> Self {
        Self { x, y, all: Vec::new() }
    }

    fn add(&mut self, class: &'static str, text: &str, room: usize, most: usize) {
        for line in wrapped(text, room, most) {
            self.all.push((class, line, self.y));
            self.y += LINE;
        }
    }

    fn drawn(&self) -> Markup {
        html! { @for (class, line, y) in &self.all { text.(class) x=(self.x) y=(y) { (line) } } }
    }
}

/// How many characters of the small monospaced text go into that width.
fn room(width: i32) -> usize {
    usize::try_from((width - 16) * 10 / 61).unwrap_or_default()
}

fn arrow(from: i32, to: i32, y: i32) -> Markup {
    let back = if to > from { to - 8 } else { to + 8 };
    html! {
        line x1=(from) x2=(back) y1=(y) y2=(y) {}
        circle cx=(from) cy=(y) r="3" {}
        polygon points={ (to) "," (y) " " (back) "," (y - 5) " " (back) "," (y + 5) } {}
    }
}

/// What the signs and lines mean.
fn legend(y: i32) -> Markup {
    let all = [
        ("held", "✓ held"),
        ("broken", "✗ broken"),
        ("unjudged", "? due, and not judged"),
        ("not-due", "no claim is about it"),
    ];
    let x = |i: usize| i32::try_from(i).unwrap_or_default() * 180 + MARGIN;
    html! {
        g.legend {
            @for (i, (class, words)) in all.into_iter().enumerate() {
                g.edge.(class) {
                    line x1=(x(i)) x2=(x(i) + 24) y1=(y - 4) y2=(y - 4) {}
                    text.fact x=(x(i) + 30) y=(y) { (words) }
                }
            }
        }
    }
}

/// What the picture shows, in a sentence.
pub fn about(scene: &Scene, world: &str) -> String {
    let names: Vec<_> = scene.clusters.iter().map(|group| group.cluster.name.to_string()).collect();
    let wrong = |class: &str| {
        let of = |mark: &Mark| mark.class() == class;
        scene.not_held().filter(|(_, mark)| of(mark)).map(|(what, _)| what).collect::<Vec<_>>()
    };
    let told = |class: &str| match wrong(class) {
        none if none.is_empty() => "nothing".to_owned(),
        some => some.join("; "),
    };
    format!(
        "What was seen of the world {world}: {}. Broken: {}. Due and not judged: {}.",
        names.join(", "),
        told("broken"),
        told("unjudged")
    )
}
