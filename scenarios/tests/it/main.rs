//! What Vouchsafe proves, a module for each question. `cargo xtask verify` runs them against a world.

mod bluegreen;
mod disturbing;
mod federation;
mod guide_agent;
mod guide_control;
mod guide_injection;
mod guide_paths;
mod guide_registration;
mod guide_secrets;
mod identities;
mod manual_bundle;
mod single_cluster;
mod stranger;
mod templates;
