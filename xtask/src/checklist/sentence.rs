//! Sentences as claims and the list have them: tags name statements, `{…}` stands for whatever a run puts there.

/// The statements that a claim says it settles, and the claim without them: `[S0-10, S0-13] it is so`.
pub fn tagged(claim: &str) -> (Vec<&str>, &str) {
    let inside = claim.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match inside {
        Some((ids, rest)) if ids.split(',').all(|id| is_id(id.trim())) => {
            (ids.split(',').map(str::trim).collect(), rest.trim_start())
        }
        _ => (Vec::new(), claim),
    }
}

/// Every statement that a text tags a sentence with, such as the source of a scenario.
pub fn tags_in(text: &str) -> Vec<&str> {
    text.match_indices('[').flat_map(|(at, _)| tagged(&text[at..]).0).collect()
}

/// Whether a claim, without its tags, has `sentence` in it.
pub fn says(claim: &str, sentence: &str) -> bool {
    let mut rest = claim;
    parts(sentence).into_iter().all(|part| {
        let found = rest.find(part);
        rest = found.map_or("", |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

/// The sentence for a reader: `…` where a run puts something.
pub fn told(sentence: &str) -> String {
    parts(sentence).join("…")
}

/// A run's sentence for the list: what is called differently in another world is left to it.
pub fn general<'a>(claim: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().fold(claim.to_owned(), |claim, name| claim.replace(name, "{}"))
}

fn parts(sentence: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else { break };
        parts.push(before);
        rest = after;
    }
    parts.push(rest);
    parts
}

fn is_id(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    text.strip_prefix('S')
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(document, item)| number(document) && number(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_from_other_brackets() {
        assert_eq!(tagged("[S0-10] it is so"), (vec!["S0-10"], "it is so"));
        assert_eq!(tagged("[S0-10, S4-2] it is so"), (vec!["S0-10", "S4-2"], "it is so"));
        assert_eq!(tagged("it is [S0-10] so"), (vec![], "it is [S0-10] so"));
        assert_eq!(tagged("[S0-10, else] so"), (vec![], "[S0-10, else] so"));
        assert_eq!(tags_in("a[0], \"[S0-1] x\", \"[S0-2, S0-3] y\", [S-1], [S4]"), ["S0-1", "S0-2", "S0-3"]);
    }

    #[test]
    fn what_a_run_puts_in_may_be_anything() {
        let claim = "the SPIRE server of cluster1 holds the bundle that cluster2 publishes";
        assert!(says(claim, "the SPIRE server of {} holds the bundle that {name} publishes"));
        assert!(says(claim, "holds the bundle"));
        assert!(!says(claim, "the SPIRE server of {} lacks the bundle"));
        assert!(!says(claim, "holds {} the SPIRE server"), "the order counts");
        assert_eq!(told("the server of {} and {name}."), "the server of … and ….");
        assert_eq!(
            general(claim, ["cluster1", "cluster2"]),
            told(claim).replace("cluster1", "{}").replace("cluster2", "{}")
        );
    }
}
