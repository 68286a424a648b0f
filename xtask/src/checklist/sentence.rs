//! Tags at the head of a sentence name the statements that it settles.

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
    }
}
