//! Clusters that others run: named by kubeconfig and context, reached, searched, and looked at.
//!
//! An audit changes nothing in them; a probe brings a namespace of its own, and takes it away ([`Guests`]). Whatever has a name of its own there is found: a SPIRE server by its container or image,
//! istiod by its label or program, proxies by the container that Istio injects; labels that the user gives come first. What
//! the caller's rights do not allow is not asked for, and is part of what was seen: [`ClusterSeen::unread`].
//!
//! One look asks somebody to act, as for a diagnosis: a SPIRE server is made to poll a peer's bundle, as it does by itself
//! every few minutes, and only where that peer publishes what is held already, so that the answer changes nothing.
//!
//! [`ClusterSeen::unread`]: proof::evidence::ClusterSeen::unread

mod config;
mod find;
mod guests;
mod list;
mod look;
mod named;
mod pods;
mod reach;
mod rights;
mod sample;
mod visits;

pub use find::{Found, find};
pub use guests::{Guests, NAMESPACE, leave};
pub use look::look;
pub use named::{Named, read};
pub use reach::{Existing, reach};
pub use rights::{cluster_role, needed, role_of_probe};
pub use visits::{Visit, cleaned, leave_all};
