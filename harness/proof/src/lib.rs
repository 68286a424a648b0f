//! The proof: from what was observed to what is proven.
//!
//! Nothing in this crate can touch anything. It has no runtime and no client, reads no file, starts no process, and
//! knows no clock but the moments that the evidence carries; its dependencies show it. So a verdict is a function of a
//! document, and `cargo xtask judge` comes to the same one years later, with no cluster.
//!
//! | question | module |
//! | --- | --- |
//! | which clusters, which trust domains, which way | [`topology`] |
//! | when is a certificate good, and whose is it | [`identity`] |
//! | what did a proxy hold, what did it use, why did it refuse | [`envoy`] |
//! | what was observed | [`evidence`] |
//! | what does a run owe | [`claim`] |
//! | what makes a claim hold | [`verdict`] |
//! | why does it not hold | [`diagnosis`] |
//! | how long may a change take, and what did traffic see meanwhile | [`motion`] |
//! | is a report what its run left | [`manifest`] |
//! | which form do stored documents have | [`schema`] |
//! | what never leaves: secrets in anything that is kept or shown | [`scrub`] |

pub mod claim;
pub mod diagnosis;
pub mod envoy;
pub mod error;
pub mod evidence;
pub mod identity;
pub mod manifest;
pub mod motion;
pub mod schema;
pub mod scrub;
pub mod ticket;
pub mod topology;
pub mod verdict;

pub use error::{Code, Error, Result};
