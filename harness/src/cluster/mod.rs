//! Clusters made by kind, each one node in a container on our own network.
//!
//! They are called as the topology calls them, so that a person finds `kind-cluster1` where kind's own habit
//! puts it. What is ours is known by the network's label, never by a name, and what is not ours is refused.

pub mod images;
pub mod kind;
pub mod kubeconfig;
pub mod network;
pub mod nodes;
pub mod prepared;
pub mod snapshot;
