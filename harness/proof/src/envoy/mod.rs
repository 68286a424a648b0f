//! What an Envoy proxy says about itself, read from its own words: which secrets it *holds* ([`secrets`]),
//! which certificates a request *used* ([`access_log`]), why a call failed ([`cause`]) and what passed
//! through it ([`stats`]).
//!
//! A dump says what a proxy holds, not what it used: a claim about a handshake takes both. Everything here
//! is a pure function of text. The samples below `testdata/` are upstream Envoy 1.39.3's own output, from a
//! client, an SNI-routing gateway and a server with certificates made for it.

pub mod access_log;
pub mod cause;
mod endpoints;
mod listener;
pub mod secrets;
pub mod stats;

pub use access_log::Record;
pub use cause::Cause;
pub use endpoints::Endpoint;
pub use listener::maximum_tls;
pub use secrets::{Held, Secret, Trust};
pub use stats::Counters;
