//! Whose something is: the random id of one world.
//!
//! Two machines or containers can share an engine and have equal cache paths and cluster names, so neither a path nor a
//! name says whose a container is. The id does: it is drawn when a world is begun, stands in its ledger, on its network,
//! on its nodes and on its private engine, and nothing is removed, adopted or killed that does not carry it.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The Node's label that holds it.
pub const LABEL: &str = "dev.vouchsafe.world";

/// The id of one world: twelve hex digits, as many as a network interface's name has room for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorldId(String);

impl WorldId {
    /// A new one, which no other world has.
    ///
    /// # Errors
    /// [`crate::Code::Internal`] when the kernel gives no random numbers.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 6];
        getrandom::fill(&mut bytes).map_err(|e| Error::internal("no random numbers").because(e))?;
        Ok(Self(hex::encode(bytes)))
    }

    /// The id that was written down; anything else is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id =
            text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_id.then(|| Self(text.to_owned()))
    }

    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for WorldId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_equal_and_each_is_read_back() {
        let (one, other) = (WorldId::random().unwrap(), WorldId::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(WorldId::parse(one.as_str()), Some(one));
        assert_eq!(WorldId::parse("cache/world"), None);
    }
}
