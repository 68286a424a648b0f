//! Serves what this machine's cache holds the way a company's mirror does, from a real registry (Debian's) and a
//! file server on loopback, until it is stopped. So the registry source can be run for real where no registry is
//! reached:
//!
//! ```text
//! cargo run --package harness --example mirror            # prints the two variables
//! VOUCHSAFE_MIRROR=… VOUCHSAFE_DOWNLOADS=… cargo xtask e2e --source registry
//! ```
//!
//! Upstream's node image is pinned by digest and ours is another: take that pin out of the lock file first.
#![expect(clippy::unwrap_used, reason = "a stand for tests: what is missing is said by a panic")]

use std::path::Path;

use harness::artifact::packages::Packages;
use harness::layout::Layout;
use harness::lock::Lock;
use harness::progress::Note;

#[path = "../tests/registry/artifacts.rs"]
mod artifacts;
#[path = "../tests/registry/made.rs"]
#[expect(dead_code, reason = "shared with the test")]
mod made;
#[path = "../tests/registry/real.rs"]
#[expect(dead_code, reason = "shared with the test")]
mod real;

#[tokio::main]
async fn main() {
    let layout = Layout::find().unwrap();
    let lock = Lock::read(&layout.manifests()).unwrap();
    let packages = Packages::new(&layout, &lock);
    assert!(packages.is_held().unwrap(), "run `cargo xtask images build --source packages` first");
    let built = packages.obtain(&Note::silent()).await.unwrap();
    let store = tempfile::tempdir().unwrap();
    let registry = real::Registry::start(Path::new(store.path()), None, "").await;
    artifacts::push(&registry, &built, &lock.image("node").unwrap().reference).await;
    println!("VOUCHSAFE_MIRROR={}", registry.address);
    println!("VOUCHSAFE_DOWNLOADS={}", artifacts::downloads(&built).await);
    tokio::signal::ctrl_c().await.unwrap();
}
