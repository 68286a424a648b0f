//! Vouchsafe: an end-to-end test harness for federated service meshes.

pub mod artifact;
pub mod cluster;
pub mod cmd;
pub mod component;
pub mod doctor;
pub mod engine;
pub mod envoy;
pub mod error;
pub mod evidence;
pub mod identity;
pub mod kube;
pub mod layout;
pub mod ledger;
pub mod lifecycle;
pub mod lock;
pub mod mesh;
pub mod patience;
pub mod plan;
pub mod progress;
pub mod render;
pub mod setup;
pub mod spire;
pub mod tamper;
pub mod topology;
pub mod verdict;
pub mod wait;
pub mod world;

pub use error::{Code, Error, Result};
