//! Vouchsafe: an end-to-end test harness for federated service meshes.

pub mod cmd;
pub mod error;
pub mod patience;
pub mod progress;
pub mod wait;

pub use error::{Code, Error, Result};
