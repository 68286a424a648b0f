//! What Vouchsafe proves, a module for each question. `cargo xtask verify` runs them against a world.

mod bluegreen;
mod disturbing;
mod federation;
mod guide;
mod identities;
mod ingress;
mod manual_bundle;
mod observability;
mod registration;
mod single_cluster;
mod stranger;
mod templates;
