//! Vouchsafe: an end-to-end test harness for federated service meshes.

pub mod artifact;
pub mod cluster;
pub mod cmd;
pub mod doctor;
pub mod engine;
pub mod envoy;
pub mod error;
pub mod evidence;
pub mod identity;
pub mod kube;
pub mod layout;
pub mod ledger;
pub mod lock;
pub mod patience;
pub mod plan;
pub mod progress;
pub mod render;
pub mod setup;
pub mod topology;
pub mod verdict;
pub mod wait;

pub use error::{Code, Error, Result};
