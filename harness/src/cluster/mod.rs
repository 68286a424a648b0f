//! Clusters made by kind, each one node in a container on our own network.
//!
//! They are called as the topology calls them, so that a person finds `kind-cluster1` where kind's own habit
//! puts it. What is ours is known by the network's label, never by a name, and what is not ours is refused.

pub mod images;
pub mod kind;
pub mod network;
pub mod nodes;
pub mod prepared;

use crate::layout::Layout;

/// The value of [`crate::engine::objects::OWNER`] on everything that this cache's world makes.
pub fn owner(layout: &Layout) -> String {
    layout.world().display().to_string()
}
