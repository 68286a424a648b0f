//! The registry source against a real registry: what it delivers, and what each way of failing says.
//!
//! `cargo xtask test --with-engine` runs these; Debian's `docker-registry` is downloaded if it is not there.

#![expect(clippy::unwrap_used, reason = "a failed preparation is a failed test")]

mod artifacts;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "artifacts are for tests that make clusters")]
mod common;
mod made;
mod real;

use std::path::Path;

use harness::Code;
use harness::artifact::Artifacts;
use harness::artifact::packages::Packages;
use harness::artifact::registry::{Delivery, Mirrors, Registry as Source};
use harness::engine::private;
use harness::layout::Layout;
use harness::lock::{ImagePin, Lock};
use harness::progress::{Event, Events, Note};
use harness::world_id::WorldId;
use tempfile::TempDir;

use made::{Made, files, image, index, push};
use real::{Registry, deadly_after};

const SERVER: &str = "ghcr.io/spiffe/spire-server:1.15";
const NODE: &str = "kindest/node:v1.34";

/// A lock of two images, a cache, and a registry's store.
struct Bench {
    dir: TempDir,
    lock: Lock,
    downloads: String,
}

impl Bench {
    async fn new() -> Self {
        let mut lock = Lock::read(Path::new("../manifests")).unwrap();
        let pin = |reference: &str| ImagePin {
            reference: reference.into(),
            digest: None,
            unpinned: None,
            extra: false,
        };
        lock.images = [("node".into(), pin(NODE)), ("spire-server".into(), pin(SERVER))].into();
        let hashes = lock.downloads.values_mut().flat_map(|download| download.sha256.values_mut());
        hashes.for_each(|hash| *hash = None);
        Self { dir: tempfile::tempdir().unwrap(), lock, downloads: files().await }
    }

    fn store(&self) -> &Path {
        self.dir.path()
    }

    fn pin(&mut self, role: &str, digest: &str) {
        self.lock.images.get_mut(role).unwrap().digest = Some(digest.into());
    }

    async fn obtain(&self, mirror: impl ToString) -> (harness::Result<Delivery>, Vec<String>) {
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        let mirrors = self.mirrors(mirror);
        let source = Source::new(&self.lock, &mirrors, &self.layout()).unwrap();
        let delivered = source.obtain(&Note::new("source", sender)).await;
        (delivered, told(events))
    }

    fn held(&self, mirror: impl ToString) -> Option<Delivery> {
        Source::new(&self.lock, &self.mirrors(mirror), &self.layout()).unwrap().held()
    }

    fn mirrors(&self, mirror: impl ToString) -> Mirrors {
        Mirrors { images: Some(mirror.to_string().parse().unwrap()), downloads: Some(self.downloads.clone()) }
    }

    fn layout(&self) -> Layout {
        Layout { cache: self.dir.path().join("cache"), repo: "..".into() }
    }
}

/// Started things and notes, as words.
fn told(mut events: Events) -> Vec<String> {
    let mut words = Vec::new();
    while let Ok(event) = events.try_recv() {
        match event {
            Event::Started { what, .. } => words.push(what),
            Event::Note { text, .. } => words.push(text),
            _ => {}
        }
    }
    words
}

async fn both(registry: &Registry, small: &Made, large: &Made) -> (String, String) {
    let node = push(registry, "docker.io/kindest/node:v1.34", large).await;
    (node, push(registry, "ghcr.io/spiffe/spire-server:1.15", small).await)
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry: cargo xtask test --with-engine"]
async fn everything_is_delivered_recorded_and_then_held() {
    let bench = Bench::new().await;
    let registry = Registry::start(bench.store(), None, "").await;
    let (small, large) = (image(b"small", 1 << 10), image(b"large", 1 << 20));
    let (node, server) = both(&registry, &small, &large).await;
    assert!(bench.held(registry.address).is_none());

    let (delivered, told) = bench.obtain(registry.address).await;
    let delivered = delivered.unwrap();
    assert!(told.contains(&format!("pull {SERVER}")), "{told:?}");
    assert_eq!((&delivered.digests["node"], &delivered.digests["spire-server"]), (&node, &server));
    // From `printf standard-install.yaml | sha256sum`: the file server serves a name's last part.
    let crds = "sha256:d78e327fd34280c2205b2b57b32d37018fd742b17915e076a4c34e24bb563c6c";
    assert_eq!(delivered.digests["gateway-api-crds"], crds);
    let artifacts = &delivered.artifacts;
    assert_eq!(artifacts.node.reference, NODE);
    assert_eq!(artifacts.image("spire-server").unwrap().id, small.config);
    let names = made::names(&artifacts.image("spire-server").unwrap().archive);
    assert_eq!(names, [SERVER]);
    assert!(artifacts.tool("kind").unwrap().is_file());
    assert!(artifacts.manifest("spire-crds").unwrap().join("ids.yaml").is_file());

    let address = registry.address;
    drop(registry);
    let held = bench.held(address).expect("the cache holds it");
    assert_eq!(held.digests, delivered.digests);
    let (again, told) = bench.obtain(address).await;
    assert_eq!(again.unwrap().digests, delivered.digests);
    assert_eq!(told, Vec::<String>::new());
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry: cargo xtask test --with-engine"]
async fn an_index_is_followed_and_recorded_by_its_own_digest() {
    let mut bench = Bench::new().await;
    let registry = Registry::start(bench.store(), None, "").await;
    let (ours, large) = (image(b"ours", 1 << 10), image(b"large", 1 << 10));
    both(&registry, &ours, &large).await;
    let digest =
        index(&registry, "ghcr.io/spiffe/spire-server:1.15", &image(b"foreign", 1 << 10), &ours).await;
    bench.pin("spire-server", &digest);
    let (delivered, _) = bench.obtain(registry.address).await;
    let delivered = delivered.unwrap();
    assert_eq!(delivered.digests["spire-server"], digest);
    assert_eq!(delivered.artifacts.image("spire-server").unwrap().id, ours.config);
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry: cargo xtask test --with-engine"]
async fn another_digest_than_the_pinned_one_is_refused_with_both() {
    let mut bench = Bench::new().await;
    let registry = Registry::start(bench.store(), None, "").await;
    let (_, server) = both(&registry, &image(b"small", 1 << 10), &image(b"large", 1 << 10)).await;
    let pinned = format!("sha256:{}", "0".repeat(64));
    bench.pin("spire-server", &pinned);
    let e = bench.obtain(registry.address).await.0.unwrap_err();
    assert_eq!(e.code(), Code::DigestMismatch);
    let text = e.to_string();
    assert!(text.contains(&format!("the registry has another {SERVER}")), "{text}");
    assert!(text.contains(&format!("{server}, pinned {pinned}")), "{text}");
    assert!(text.contains("cargo xtask lock update"), "{text}");
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry: cargo xtask test --with-engine"]
async fn a_damaged_layer_is_refused_by_name() {
    let bench = Bench::new().await;
    let registry = Registry::start(bench.store(), None, "").await;
    let small = image(b"small", 1 << 10);
    both(&registry, &small, &image(b"large", 1 << 10)).await;
    Registry::damage(bench.store(), &small.layer);
    let e = bench.obtain(registry.address).await.0.unwrap_err();
    assert_eq!(e.code(), Code::DigestMismatch);
    assert!(e.to_string().contains(&small.layer), "{e}");
    assert!(bench.held(registry.address).is_none());
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry: cargo xtask test --with-engine"]
async fn a_missing_tag_is_said_at_once() {
    let bench = Bench::new().await;
    let registry = Registry::start(bench.store(), None, "").await;
    push(&registry, "docker.io/kindest/node:v1.34", &image(b"large", 1 << 10)).await;
    push(&registry, "ghcr.io/spiffe/spire-server:1.14", &image(b"old", 1 << 10)).await;
    let (delivered, told) = bench.obtain(registry.address).await;
    let e = delivered.unwrap_err();
    assert_eq!(e.code(), Code::ArtifactUnavailable);
    let expected = format!("the registry has no {}/{SERVER}", registry.address);
    assert!(e.to_string().starts_with(&expected), "{e}");
    assert!(e.to_string().contains("manifests/lock.yaml"), "{e}");
    assert!(!told.iter().any(|words| words.contains("once more")), "{told:?}");
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry: cargo xtask test --with-engine"]
async fn a_registry_that_asks_for_a_password_is_told_from_one_that_is_down() {
    let bench = Bench::new().await;
    let closed = "auth: {silly: {realm: test, service: test}}\n";
    let registry = Registry::start(bench.store(), None, closed).await;
    let e = bench.obtain(registry.address).await.0.unwrap_err();
    assert_eq!(e.code(), Code::ArtifactUnavailable);
    assert!(e.to_string().contains("refuses"), "{e}");
    assert!(e.to_string().contains("docker login"), "{e}");
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry: cargo xtask test --with-engine"]
async fn a_registry_that_dies_half_way_is_tried_once_more_and_what_came_whole_is_kept() {
    let mut bench = Bench::new().await;
    let registry = Registry::start(bench.store(), None, "").await;
    let (_, server) = both(&registry, &image(b"small", 1 << 10), &image(b"large", 8 << 20)).await;
    push(&registry, "docker.io/kindest/node:v1.33", &image(b"old", 1 << 10)).await;
    // All but the new node comes whole.
    bench.pin("spire-server", &server);
    bench.lock.images.get_mut("node").unwrap().reference = "kindest/node:v1.33".into();
    bench.obtain(registry.address).await.0.unwrap();
    bench.lock.images.get_mut("node").unwrap().reference = NODE.into();

    let home = registry.address;
    // Its layer has 8 MiB.
    let address = deadly_after(4 << 20, registry).await;
    let (delivered, told) = bench.obtain(address).await;
    let e = delivered.unwrap_err();
    assert_eq!(e.code(), Code::ArtifactUnavailable);
    let text = e.to_string();
    assert!(text.starts_with(&format!("pulling {address}/docker.io/{NODE}")), "{text}");
    assert!(text.contains("failed twice"), "{text}");
    assert!(text.contains("last seen: at the first attempt: "), "{text}");
    assert!(text.contains("next: "), "{text}");
    assert!(told.iter().any(|words| words.contains("failed, trying once more")), "{told:?}");
    assert!(bench.held(address).is_none());

    // It is back behind the same name.
    let _back = Registry::start(bench.store(), Some(home), "").await;
    let (delivered, told) = bench.obtain(address).await;
    delivered.unwrap();
    assert_eq!(told, [format!("pull {NODE}")]);
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry: cargo xtask test --with-engine"]
async fn a_registry_that_is_not_there_is_named_with_the_reason() {
    let bench = Bench::new().await;
    let e = bench.obtain("127.0.0.1:1").await.0.unwrap_err();
    assert_eq!(e.code(), Code::ArtifactUnavailable);
    assert!(e.to_string().contains("127.0.0.1:1/"), "{e}");
    assert!(e.to_string().contains("Connection refused"), "{e}");
    assert!(e.to_string().contains("--source packages"), "{e}");
}

/// The images that this machine's cache holds, byte for byte, by way of a registry.
#[tokio::test]
#[ignore = "needs a full cache (cargo xtask images build --source packages) and Debian's docker-registry"]
async fn what_packages_built_comes_back_the_same() {
    let (here, lock) = (Layout::find().unwrap(), Lock::read(Path::new("../manifests")).unwrap());
    let packages = Packages::new(&here, &lock);
    assert!(packages.is_held().unwrap(), "run `cargo xtask images build --source packages` first");
    let built = packages.obtain(&Note::silent()).await.unwrap();

    let mut bench = Bench::new().await;
    bench.lock = lock;
    bench.lock.images.values_mut().for_each(|pin| pin.digest = None);
    let hashes = bench.lock.downloads.values_mut().flat_map(|download| download.sha256.values_mut());
    hashes.for_each(|hash| *hash = None);
    let registry = Registry::start(bench.store(), None, "").await;
    artifacts::push(&registry, &built, &bench.lock.image("node").unwrap().reference).await;
    bench.downloads = artifacts::downloads(&built).await;
    let pulled = bench.obtain(registry.address).await.0.unwrap().artifacts;

    assert_eq!(pulled.origin, built.origin);
    assert_eq!(pulled.node.id, built.node.id);
    assert_eq!(pulled.images.len(), built.images.len());
    for (role, image) in &built.images {
        let same = &pulled.images[role];
        assert_eq!((&same.id, &same.reference), (&image.id, &image.reference), "{role}");
    }
    for tool in ["kind", "istioctl"] {
        let read = |artifacts: &Artifacts| std::fs::read(artifacts.tool(tool).unwrap()).unwrap();
        assert!(read(&pulled) == read(&built), "{tool}");
    }
}

/// A registry's manifest and layers go into the archive as they came, and an engine must read them.
#[tokio::test]
#[ignore = "starts a private engine as root: cargo xtask test --with-engine"]
async fn an_engine_loads_what_was_pulled_under_upstreams_name() {
    let bench = Bench::new().await;
    let registry = Registry::start(bench.store(), None, "").await;
    both(&registry, &image(b"small", 1 << 10), &image(b"large", 1 << 20)).await;
    let node = bench.obtain(registry.address).await.0.unwrap().artifacts.node;

    let note = Note::silent();
    let programs = common::programs().await;
    let engine = private::start(&bench.store().join("engine"), &programs, &WorldId::random().unwrap(), &note)
        .await
        .unwrap();
    let loaded = match engine.load(&node.archive).await {
        Ok(()) => engine.image_id(&node.reference).await,
        Err(e) => Err(e),
    };
    engine.stop(&note).await.unwrap();
    assert_eq!(loaded.unwrap(), Some(node.id));
}
