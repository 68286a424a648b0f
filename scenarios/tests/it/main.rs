//! What Vouchsafe proves, a module for each question. `cargo xtask verify` runs them against a world.

mod bluegreen;
mod disturbing;
mod federation;
mod identities;
mod stranger;
mod templates;
