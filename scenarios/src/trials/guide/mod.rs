//! The guide (004) beyond the federation itself: each further statement of it, seen true or false on the federated pair.

mod agent;
mod control;
mod injection;
mod paths;
mod registration;
mod secrets;

use crate::trial::Scenario;

pub(super) const SCENARIOS: &[&[Scenario]] = &[
    agent::SCENARIOS,
    control::SCENARIOS,
    injection::SCENARIOS,
    paths::SCENARIOS,
    registration::SCENARIOS,
    secrets::SCENARIOS,
];
