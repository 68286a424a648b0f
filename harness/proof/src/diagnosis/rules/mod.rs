//! The table of causes, from what is first in the chain of trust to what is last.

mod agent;
mod config;
mod federation;
mod gateways;
mod injection;
mod pods;
mod proxies;
mod registration;
mod remote;
mod tls;

pub use pods::lacks_its_image;

use super::rule::Rule;

/// Every cause that a diagnosis knows.
pub fn causes() -> impl Iterator<Item = &'static Rule> {
    let families: [&'static [Rule]; 10] = [
        pods::CAUSES,
        federation::CAUSES,
        registration::CAUSES,
        agent::CAUSES,
        injection::CAUSES,
        proxies::CAUSES,
        remote::CAUSES,
        gateways::CAUSES,
        config::CAUSES,
        tls::CAUSES,
    ];
    families.into_iter().flatten()
}
