//! What Vouchsafe proves, a module for each question. `cargo xtask verify` runs them against a world.

mod auto_injection;
mod auto_registration;
mod disturbing;
mod federation;
mod identities;
mod ingress;
mod ingress_ablations;
mod ingress_patch;
mod ingress_variants;
mod manual_federation;
mod manual_names;
mod manual_registration;
mod quick_start;
mod registration;
mod stranger;
