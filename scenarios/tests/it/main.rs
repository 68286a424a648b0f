//! What Vouchsafe proves, a module for each question. `cargo xtask verify` runs them against a world.

mod auto_injection;
mod auto_registration;
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
mod ingress;
mod ingress_ablations;
mod ingress_patch;
mod ingress_variants;
mod manual_bundle;
mod manual_federation;
mod manual_names;
mod manual_registration;
mod quick_start;
mod registration;
mod single_cluster;
mod stranger;
mod templates;
