//! What each setting does, as a page. It follows from the predictions alone where all of them came true, and is written into
//! the repository only then.

use super::file::{Cell, Predicted};
use crate::cells::Row;

/// What stands above the lines of the page.
pub const HEAD: &str = "# Which settings do something\n\n\
    Each was taken away from every cluster of the `federated` world (or given, where that world does without it), every claim \
    that is due was judged, and it was put back. What had to come of it was written down before, in `ablations.yaml` beside \
    this page. `cargo xtask ablate --write` makes the page; with `--only NAME` it repeats one line of it.\n\n\
    | setting | document | it is | without it |\n| --- | --- | --- | --- |\n";

/// A setting's line of the page; without a row, as if what is predicted had come.
pub fn line(cell: &Cell, row: Option<&Row>) -> String {
    let (is, comes) = match row.filter(|row| !row.outcome.is_expected()) {
        Some(row) => (row.outcome.to_string(), row.why.join("<br>")),
        None => (is(cell), comes(cell)),
    };
    let text = [&format!("`{}`: {}", cell.name, cell.setting), &cell.document, &is, &comes];
    let text = text.map(|text| text.replace('|', "\\|").replace('\n', " "));
    format!("| {} |\n", text.join(" | "))
}

fn is(cell: &Cell) -> String {
    match (&cell.predicted, &cell.only) {
        (Predicted::Inert, Some(only)) => format!("only with {only}"),
        (Predicted::Inert, None) => "inert".to_owned(),
        (_, _) if cell.given => "**harmful**".to_owned(),
        (_, _) => "**load-bearing**".to_owned(),
    }
}

fn comes(cell: &Cell) -> String {
    let cause = cell.predicted.cause().map(|cause| format!(", diagnosed `{cause}`")).unwrap_or_default();
    let what = match &cell.predicted {
        Predicted::Inert if cell.given => "all holds, with it as without".to_owned(),
        Predicted::Inert => "all holds".to_owned(),
        Predicted::Broken { claims, .. } => {
            let mut kinds: Vec<_> = claims.iter().map(|one| format!("`{}`", one.claim)).collect();
            kinds.dedup();
            format!("broken: {}{cause}", kinds.join(", "))
        }
        Predicted::Unready { workload, .. } => {
            let name = workload.split(['/', ' ']).next_back().unwrap_or(workload);
            format!("new pods of {name} do not become ready{cause}")
        }
    };
    format!("{what}. {}", cell.why)
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::cells;
    use super::*;

    #[test]
    fn a_line_says_what_a_setting_is() {
        let text = "settings:\n\
            - { name: a, setting: s | t, document: d, why: So., take: [{ remove: Secret a/b }] }\n\
            - { name: b, setting: s, document: d, why: So., give: [{ remove: Secret a/b }], only: old ones }\n\
            - { name: c, setting: s, document: d, why: So., take: [{ remove: Secret a/b }], cause: agent-down,\n    \
                broken: [{ claim: 'server-svid/*', because: x }] }\n\
            - { name: d, setting: s, document: d, why: So., give: [{ remove: Secret a/b }],\n    \
                unready: { workload: Deployment a/b, because: x } }\n";
        let cells = cells(text).unwrap();
        let lines: Vec<_> = cells.iter().map(|cell| line(cell, None)).collect();
        assert_eq!(lines[0], "| `a`: s \\| t | d | inert | all holds. So. |\n");
        assert_eq!(lines[1], "| `b`: s | d | only with old ones | all holds, with it as without. So. |\n");
        assert_eq!(
            lines[2],
            "| `c`: s | d | **load-bearing** | broken: `server-svid/*`, diagnosed `agent-down`. So. |\n"
        );
        assert_eq!(lines[3], "| `d`: s | d | **harmful** | new pods of b do not become ready. So. |\n");
    }
}
