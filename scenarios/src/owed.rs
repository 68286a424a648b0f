//! A claim that is due, with the sentence that a person reads before and after it is judged.

use proof::claim::Claim;

/// A claim that a trial owes, and its sentence: a fact's own is in its scenario's table, that of any other follows from
/// what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The claim.
    pub claim: Claim,
    /// What is true when it holds; a fact's begins with the statements of the checklist that it settles.
    pub sentence: String,
}

impl From<Claim> for Owed {
    fn from(claim: Claim) -> Self {
        Self { sentence: claim.sentence(), claim }
    }
}
