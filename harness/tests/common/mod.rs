//! What tests with a real engine run on, from the cache or made for them: nothing has to be set.

use std::path::Path;

use harness::artifact::Artifacts;
use harness::artifact::packages::Packages;
use harness::engine::private::Programs;
use harness::layout::Layout;
use harness::lock::Lock;
use harness::progress::Note;

fn packages() -> Packages {
    let lock = Lock::read(Path::new("../manifests")).unwrap().with_extras(&[]).unwrap();
    Packages::new(&Layout::find().unwrap(), &lock)
}

/// The programs of a private engine.
pub async fn programs() -> Programs {
    let (packages, note) = (packages(), Note::silent());
    Programs {
        root: packages.obtain_engine(&note).await.unwrap(),
        shim: packages.obtain_workloads(&note).await.unwrap().join("oci-shim"),
    }
}

/// Images, tools and manifests.
pub async fn artifacts() -> Artifacts {
    packages().obtain(&Note::silent()).await.unwrap()
}
