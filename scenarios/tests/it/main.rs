//! What Vouchsafe proves, a module for each question. `cargo xtask verify` runs them against a world.

mod disturbing;
mod federation;
mod identities;
mod kiali;
mod observability;
mod stranger;
