//! The guide (004) beyond the federation itself: each further statement of it, seen true or false on the federated pair.

mod agent;
mod control;
mod injection;
mod paths;
mod registration;
mod secrets;

use crate::trial::Story;

pub(super) const STORIES: &[&[Story]] = &[
    agent::STORIES,
    control::STORIES,
    injection::STORIES,
    paths::STORIES,
    registration::STORIES,
    secrets::STORIES,
];
