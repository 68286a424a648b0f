//! What Vouchsafe proves, and the fixtures and probes that it is proven with.
//!
//! [`trials`] has a module for each question; which trials there are, and what each of them owes, follows from the
//! topology. A trial visits a world that `xtask` made, fills in what its question needs, and is judged by [`proof`]. It
//! is a process of its own (nextest's model), so nothing is shared but the world itself. A claim is never tried again:
//! what settles by itself is waited for before.

mod authorities;
mod baseline;
mod disturbance;
pub mod existing;
mod fixture;
mod history;
mod judging;
mod look;
mod metrics;
mod node;
mod objects;
mod owed;
mod pods;
mod probe;
mod requests;
mod shows;
mod snapshot;
mod tls;
mod traffic;
mod trial;
pub mod trials;
mod trust;
mod undo;
mod watched;

use std::path::Path;

use harness::layout::Layout;
use harness::setup::Setup;
use harness::world::World;
use harness::{Error, Result};
use proof::topology::Topology;

pub use baseline::Baseline;
pub use disturbance::{at_rest, left_by, put_back};
use fixture::Fixture;
pub use judging::{Failure, Outcome};
use look::{CLUSTER1, CLUSTER2, Mesh, Nth};
use objects::{AGENT, MESH, Map, SERVER, deployment, peer_authentication, secret, service};
pub use owed::Owed;
use pods::{CURL, GATEWAY, HELLOWORLD, OUTSIDER, PROXIES, Pods};
use probe::read_out;
pub use snapshot::SNAPSHOTS;
pub use trial::Trial;

/// Where the world that is visited is written down, and where a topology is when none is up yet.
pub const WORLD: &str = "VOUCHSAFE_WORLD";
/// A topology as JSON, for listing trials before their world is made.
pub const CLUSTERS: &str = "VOUCHSAFE_CLUSTERS";

/// Every trial of the world that the environment names: of one that is up, of one that is to be made, or of the main
/// set-up's.
///
/// # Errors
/// What the environment names cannot be read.
pub fn of_this_world() -> Result<Vec<Trial>> {
    Ok(trials::everything(&this_world()?))
}

fn this_world() -> Result<Topology> {
    if let Some(world) = std::env::var_os(WORLD) {
        return Ok(World::at(Path::new(&world))?.topology);
    }
    if let Ok(json) = std::env::var(CLUSTERS) {
        return serde_json::from_str(&json).map_err(|e| Error::internal("the topology").because(e));
    }
    let mut main = Setup::read(&Layout::find()?.manifests(), &["federated"], None, false)?;
    main.pop().map(|setup| setup.topology).ok_or_else(|| Error::internal("no main set-up"))
}
