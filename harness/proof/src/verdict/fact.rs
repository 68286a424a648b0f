//! Plain observations: what was seen is what the sentence says.

use super::{Finding, Located, motion, not_from_istiod, verified};
use crate::Result;
use crate::claim::{Claim, Kind};
use crate::evidence::{Evidence, Fact, Must, missing};
use crate::identity::Pem;

/// How many characters of what was seen a verdict quotes; the rest is in the evidence.
const QUOTED: usize = 300;

/// What was seen is as it must be.
///
/// # Errors
/// [`crate::Code::Evidence`] when nothing was seen where something had to be looked at, or a bundle is missing.
pub fn is_so(evidence: &Evidence, fact: &Fact) -> Result<Finding> {
    let seen = fact.seen.trim();
    Ok(match &fact.must {
        Must::Be(text) => Finding::new(seen == text.trim(), text.trim(), shortened(seen)),
        Must::Have(parts) => {
            let expected = format!("each of: {}", parts.join(" | "));
            match parts.iter().find(|part| !seen.contains(part.as_str())) {
                Some(absent) => {
                    Finding::new(false, expected, format!("no `{absent}` in: {}", shortened(seen)))
                }
                None => Finding::new(true, expected.clone(), around(seen, parts)),
            }
        }
        Must::Lack(parts) => {
            let expected = format!("none of: {}", parts.join(" | "));
            let found = parts.iter().find(|part| seen.contains(part.as_str()));
            match found {
                _ if seen.is_empty() => Finding::new(false, expected, "nothing at all, so nothing is known"),
                Some(found) => Finding::new(false, expected, format!("`{found}` in: {}", shortened(seen))),
                None => Finding::new(true, expected, shortened(seen)),
            }
        }
        Must::BeSvid { by, id } => {
            let pem = Pem::of(seen);
            let shown = Some(&pem).filter(|pem| !pem.is_empty());
            let known = evidence.intermediates();
            verified(shown, &known, evidence.cluster(by)?.published()?, id, evidence.collected_at)?
        }
        Must::BeIstiods { of } => {
            let (pem, cluster) = (Pem::of(seen), evidence.cluster(of)?);
            let Finding { held, observed, issuer_key, .. } = not_from_istiod(
                Some(&pem),
                &evidence.intermediates(),
                &[cluster.istiod()?],
                &[cluster.published()?],
            )?;
            // It is so when the same question as everywhere else has the other answer, for the key's sake.
            let istiods = !held && issuer_key.is_some();
            Finding::new(istiods, "signed by istiod's CA", observed).signed_by(issuer_key)
        }
        Must::Within(bound) => motion::within(bound, seen)?,
        Must::Answer(answers) => motion::answered(answers, seen)?,
    })
}

/// The fact of that id is so.
///
/// # Errors
/// As [`is_so`], and when the scenario never came to it.
pub fn of(evidence: &Evidence, claim: &Claim) -> Result<Located> {
    let at = evidence.facts.iter().position(|fact| fact.id == *claim);
    let at = at.ok_or_else(|| missing(format!("`{}`", claim.sentence())))?;
    Ok((is_so(evidence, &evidence.facts[at])?, format!("/facts/{at}")))
}

/// A scenario came to its end and showed something: one that judged nothing proves nothing.
///
/// # Errors
/// [`crate::Code::Evidence`] when it did not: what it would have shown is unknown, not false.
pub fn completed(evidence: &Evidence, scenario: &str) -> Result<Located> {
    let to_its_end = evidence.completed.iter().any(|one| one == scenario);
    let facts = evidence.facts.iter().filter(|fact| fact.id.kind == Kind::Fact).count();
    let shown = facts + evidence.refusals.len() + evidence.handshakes.len();
    match (to_its_end, shown) {
        (false, _) => Err(missing(format!("the end of the scenario {scenario}"))),
        (true, 0) => Err(missing(format!("anything that the scenario {scenario} would show"))),
        (true, shown) => {
            let finding =
                Finding::new(true, "its end, with something shown", format!("{shown} observations"));
            Ok((finding, "/completed".to_owned()))
        }
    }
}

fn shortened(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{} …", &flat[..end]),
        None => flat,
    }
}

/// The lines in which the parts are.
fn around(seen: &str, parts: &[String]) -> String {
    let mut lines: Vec<&str> =
        parts.iter().filter_map(|part| seen.lines().find(|line| line.contains(part.as_str()))).collect();
    lines.dedup();
    if lines.is_empty() { shortened(seen) } else { shortened(&lines.join(" / ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::fixture::{Fixture, id, name};

    fn holds(world: &Fixture, must: Must, seen: &str) -> bool {
        let id = "fact/scenario/it-is-so".parse().unwrap();
        let fact = Fact { id, claim: "it is so".into(), must, seen: seen.into() };
        is_so(&world.evidence, &fact).unwrap().held
    }

    #[test]
    fn text_is_compared_as_the_sentence_says() {
        let world = Fixture::good();
        let holds = |must, seen| holds(&world, must, seen);
        assert!(holds(Must::be("0/1"), "0/1\n"));
        assert!(!holds(Must::be("0/1"), "1/1"));
        assert!(holds(Must::have(["O=SPIRE", "URI"]), "subject O=SPIRE\nURI:spiffe://x"));
        assert!(!holds(Must::have(["O=SPIRE", "URI"]), "subject O=SPIRE"));
        assert!(holds(Must::lack(["error"]), "fine"));
        assert!(!holds(Must::lack(["error"]), "an error"));
        assert!(!holds(Must::lack(["error"]), ""), "where nothing was seen, nothing is proven");
    }

    #[test]
    fn what_was_seen_is_quoted_where_it_matters() {
        let world = Fixture::good();
        let observed = |must, seen: &str| {
            let id = "fact/scenario/it-is-so".parse().unwrap();
            let fact = Fact { id, claim: "it is so".into(), must, seen: seen.into() };
            is_so(&world.evidence, &fact).unwrap().observed
        };
        let log = "line 1\nan error here\nline 3\nfine  there\n";
        assert_eq!(observed(Must::have(["error", "fine"]), log), "an error here / fine there");
        assert_eq!(observed(Must::have(["1\nan"]), log), "line 1 an error here line 3 fine there");
        assert_eq!(observed(Must::be("x"), log), "line 1 an error here line 3 fine there");
        let long = "é".repeat(QUOTED + 1);
        assert_eq!(observed(Must::be("x"), &long), format!("{} …", "é".repeat(QUOTED)));
        assert_eq!(observed(Must::be("x"), &long[..2 * QUOTED]), "é".repeat(QUOTED));
    }

    #[test]
    fn certificates_are_judged_by_the_key_that_signed_them() {
        let world = Fixture::good();
        let (spires, istiods) = (world.spire[0].svid(&id(0, 0)), world.istiod[0].svid(&id(0, 0)));
        let verified = || Must::BeSvid { by: name(0), id: id(0, 0).parse().unwrap() };
        assert!(holds(&world, verified(), &spires));
        assert!(!holds(&world, verified(), &istiods));
        assert!(!holds(&world, verified(), ""));
        let istiod = || Must::BeIstiods { of: name(0) };
        assert!(holds(&world, istiod(), &istiods));
        assert!(!holds(&world, istiod(), &spires));
        assert!(!holds(&world, istiod(), ""), "no certificate is nobody's");
        let other = Fixture::good();
        assert!(!holds(&world, istiod(), &other.istiod[0].svid(&id(0, 0))), "another's is not istiod's");
    }
}
