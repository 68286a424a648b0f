//! Trust in motion: how long a change may take by the set-up's own timers, and what users of the mesh noticed meanwhile.
//!
//! A bound is computed before anything is changed, from what the SPIRE servers and agents were told, and says its terms.
//! What users noticed is a flow: requests of one way, at a steady rate, each of which was answered or failed for a cause.

mod bound;
mod flow;
mod timers;
mod upstream;

pub use bound::{Bound, Took};
pub use flow::{Answers, Connection, Flow, Request, Stretch, Window};
pub use timers::{Timers, polled_every};
pub use upstream::{
    envoy_asks_again, informer_asks_again, istiod_tells, kubelet_starts_again, kubelet_takes_for_ready,
    proxy_drains,
};
