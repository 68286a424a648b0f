//! SPIFFE identities, the certificates that carry them and the bundles that vouch for them.
//!
//! An issuer is a key, not a name. SPIRE's default names for its authorities are nearly equal from one
//! server to the next, and anybody can write any name into a certificate; so a leaf is judged by verifying
//! its signature with a key of the bundle that its trust domain's SPIRE server publishes. Names are shown,
//! never judged.
//!
//! X.509 lives here and nowhere else. Nothing here does any I/O.

mod algorithm;
mod bundle;
mod cert;
mod chain;
pub mod declared;
mod entry;
mod flaw;
#[cfg(test)]
pub(crate) mod forge;
mod id;
mod path;
mod pem;
#[cfg(test)]
mod tests;

pub use bundle::{Authority, Bundle};
pub use cert::{Certificate, KeyUsage};
pub use chain::{Chain, Path};
pub use declared::Declared;
pub use entry::{Entry, entries_of};
pub use flaw::Flaw;
pub use id::{InvalidId, SpiffeId, TrustDomain};
pub use pem::Pem;
