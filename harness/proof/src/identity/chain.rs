//! A leaf with its intermediates, and who stands behind it.

use std::fmt;

use jiff::Timestamp;

use super::path::Search;
use super::{Authority, Certificate, Flaw};

/// A leaf and the certificates that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Whom it is about.
    pub leaf: Certificate,
    /// What should lead from it to an authority, in any order.
    pub intermediates: Vec<Certificate>,
}

impl Chain {
    /// The same leaf, with intermediates that are known from elsewhere: Envoy's access log shows the leaf alone. They
    /// vouch for nothing by themselves, for each must be signed up to an authority as if it had come along.
    #[must_use]
    pub fn with(mut self, more: &[Certificate]) -> Self {
        self.intermediates.extend_from_slice(more);
        self
    }

    /// The authority whose key signed the leaf, through intermediates if need be; nothing when it is none of
    /// them. Only signatures count here: neither time nor names nor what the certificates allow.
    pub fn signer<'a>(&self, authorities: &'a [Authority]) -> Option<&'a Authority> {
        self.signed(authorities).ok().map(|path| path.authority)
    }

    /// Like [`Chain::signer`], with the way to it.
    ///
    /// # Errors
    /// Why there is none; [`Flaw::is_uncheckable`] tells that there may be one.
    pub fn signed<'c, 'a>(&'c self, authorities: &'a [Authority]) -> Result<Path<'c, 'a>, Flaw> {
        Search::new(self, authorities, None).run()
    }

    /// Like [`Chain::signed`], and every link must be allowed to sign, be valid at `at` and be strong enough. Where
    /// several ways lead to an authority, one that is good is enough.
    ///
    /// Name constraints and revocation are not looked at: SPIRE uses neither.
    ///
    /// # Errors
    /// The first flaw, from the leaf upwards, of the way that has the fewest.
    pub fn verified<'c, 'a>(
        &'c self,
        authorities: &'a [Authority],
        at: Timestamp,
    ) -> Result<Path<'c, 'a>, Flaw> {
        Search::new(self, authorities, Some(at)).run()
    }
}

/// Who stands behind a leaf: an authority, and the intermediates between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'c, 'a> {
    /// Those in between, from the leaf's side upwards.
    pub intermediates: Vec<&'c Certificate>,
    /// Whose key vouches.
    pub authority: &'a Authority,
}

impl fmt::Display for Path<'_, '_> {
    /// After "signed by": the key that did, and what it is below.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for intermediate in &self.intermediates {
            write!(f, "`{}` (key {}), below ", intermediate.subject, intermediate.key_name())?;
        }
        write!(f, "key {}", self.authority.key_id())
    }
}
