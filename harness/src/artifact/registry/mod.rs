//! The registry source: upstream's own images by reference, its tools and manifests by download.
//!
//! Images are pulled by this program and not by the container engine: a private engine has no way out, an
//! engine's `save` loses the registry's digests (or, with containerd's image store, names layers that are not
//! there), and so nothing needs an engine until the first cluster. What was fetched lies in the
//! [cache](super::cache), an archive for each image, from which nodes are filled as with every other source.

mod faults;
pub(super) mod files;
pub(super) mod layout;
mod now;
mod probe;
pub mod pull;
pub mod reference;

use std::collections::BTreeMap;
use std::time::Instant;

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;

pub use self::now::Now;
pub use self::pull::Registries;
pub use self::reference::Mirror;
use super::cache::{Cache, Cached, Draft, Inputs};
use super::{Artifacts, Image, Origin};
use crate::error::Context as _;
use crate::layout::Layout;
use crate::lock::{ImagePin, Lock};
use crate::progress::Note;
use crate::wait::Deadline;
use crate::{Code, Error, Result, patience};

/// Images and files that are fetched side by side.
const AT_ONCE: usize = 4;

/// Where to fetch from, when not from where the lock file says.
#[derive(Clone, Debug, Default)]
pub struct Mirrors {
    /// A pull-through cache for images.
    pub images: Option<Mirror>,
    /// The base of a copy of the downloads: `https://host/path` is fetched as `BASE/host/path`.
    pub downloads: Option<String>,
}

/// What the source delivers, and what exactly it was.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Ready for use.
    pub artifacts: Artifacts,
    /// `sha256:…` of each image and each download by its name in the lock, as its server had it. Where the
    /// lock has a digest it is the same, where it has none this is the record.
    pub digests: BTreeMap<String, String>,
}

/// The source over one lock file.
pub struct Registry<'a> {
    cache: Cache,
    lock: &'a Lock,
    mirrors: &'a Mirrors,
    registries: Registries,
}

impl<'a> Registry<'a> {
    /// Prepares it; no request is made yet.
    ///
    /// # Errors
    /// [`Code::Lock`] for a download that nobody knows what to do with.
    pub fn new(lock: &'a Lock, mirrors: &'a Mirrors, layout: &Layout) -> Result<Self> {
        files::check(lock)?;
        let registries = Registries::new(lock, mirrors.images.clone());
        Ok(Self { cache: Cache::new(layout.artifacts()), lock, mirrors, registries })
    }

    /// Everything, if the cache holds all of it; no request is made.
    pub fn held(&self) -> Option<Delivery> {
        let entries = self.items().map(|item| Some((item, self.find(&item)?)));
        self.deliver(entries.collect::<Option<Vec<_>>>()?).ok()
    }

    /// What of it the cache holds, by name in the lock.
    pub fn listing(&self) -> Vec<(&'a str, Option<Cached>)> {
        self.items().map(|item| (item.name(), self.find(&item))).collect()
    }

    /// Fetches what the cache lacks.
    ///
    /// # Errors
    /// The first thing that could not be had: see [`Registries::pull`] and [`super::download::download`].
    pub async fn obtain(&self, note: &Note) -> Result<Delivery> {
        // Made before the stream is, so that the compiler need not prove the closure for every lifetime.
        let entries: Vec<_> = self.items().map(|item| self.one(item, note).boxed()).collect();
        self.deliver(stream::iter(entries).buffer_unordered(AT_ONCE).try_collect().await?)
    }

    fn items(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let images = self.lock.images.iter().map(|(role, pin)| Item::Image(role, pin));
        // The node is the largest by far and so the first.
        let (nodes, others): (Vec<_>, Vec<_>) = images.partition(|item| item.name() == NODE);
        nodes.into_iter().chain(self.lock.downloads.keys().map(|name| Item::File(name))).chain(others)
    }

    fn find(&self, item: &Item<'_>) -> Option<Cached> {
        self.cache.find(&item.artifact(), &self.inputs(item))
    }

    /// What is not pinned is only as good as who served it: then the mirror is part of the key.
    fn inputs(&self, item: &Item<'_>) -> Inputs {
        let inputs = Inputs::default().with("architecture", architecture());
        match item {
            Item::Image(_, pin) => {
                let inputs = inputs.with("reference", &pin.reference);
                match (&pin.digest, &self.mirrors.images) {
                    (Some(digest), _) => inputs.with("digest", digest),
                    (None, Some(mirror)) => inputs.with("mirror", mirror.host()),
                    (None, None) => inputs,
                }
            }
            Item::File(name) => {
                let pin = &self.lock.downloads[*name];
                let inputs = inputs.with("url", &pin.url);
                match (files::pinned(pin), &self.mirrors.downloads) {
                    (Some(sha256), _) => inputs.with("sha256", sha256),
                    (None, Some(base)) => inputs.with("mirror", base),
                    (None, None) => inputs,
                }
            }
        }
    }

    async fn one(&self, item: Item<'a>, note: &Note) -> Result<(Item<'a>, Cached)> {
        let (artifact, inputs) = (item.artifact(), self.inputs(&item));
        let note = note.of(item.name());
        if let Some(entry) = self.cache.find(&artifact, &inputs) {
            return Ok((item, entry));
        }
        let _claim = self.cache.claim(&artifact, &note).await?;
        if let Some(entry) = self.cache.find(&artifact, &inputs) {
            return Ok((item, entry));
        }
        if self.cache.is_damaged(&artifact, &inputs) {
            note.tell(format!("{artifact} in the cache is not as it was made, so it is fetched again"));
        }
        let began = Instant::now();
        note.started("", &item.what(self.lock), self.cache.last_seconds(&artifact));
        let draft = self.cache.begin(&artifact, inputs)?;
        let (what, deadline) = (item.what(self.lock), Deadline::after(patience::DOWNLOAD));
        let fetched = deadline.bounds(async {
            match item {
                Item::Image(_, pin) => self.image(pin, &draft, &note).await,
                Item::File(name) => {
                    files::fetch(name, &self.lock.downloads[name], self.mirrors, &draft.dir, &note).await
                }
            }
        });
        let slow = || Err(deadline.timed_out(&what, note.last().unwrap_or_else(|| "no answer".to_owned())));
        let fetched = fetched.await.unwrap_or_else(slow);
        let kept = fetched.and_then(|about| draft.finish(began.elapsed(), about));
        kept.inspect(|_| note.finished(began.elapsed()))
            .inspect_err(|e| note.failed(e))
            .map(|entry| (item, entry))
    }

    async fn image(&self, pin: &ImagePin, draft: &Draft, note: &Note) -> Result<serde_json::Value> {
        let work = draft.dir.join("blobs");
        let unusable = || format!("cannot write to {}", work.display());
        std::fs::create_dir(&work).or_fail(Code::CacheUnusable, unusable)?;
        let pulled = self.registries.pull(pin, &work, &draft.dir.join(ARCHIVE), note).await?;
        std::fs::remove_dir_all(&work).or_fail(Code::CacheUnusable, unusable)?;
        Ok(json!({ "digest": pulled.digest, "id": pulled.id, "origin": pulled.origin }))
    }

    fn deliver(&self, entries: Vec<(Item<'_>, Cached)>) -> Result<Delivery> {
        let (mut images, mut tools, mut manifests) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut digests = BTreeMap::new();
        let mut made_by: [Option<&str>; 2] = [None; 2];
        for (item, entry) in entries {
            let about = |key: &str| entry.stamp.about[key].as_str().unwrap_or_default().to_owned();
            digests.insert(item.name().to_owned(), about("digest"));
            match item {
                Item::Image(role, pin) => {
                    let ours = about("origin") == "packages";
                    made_by[usize::from(ours)] = Some(role);
                    let archive = entry.dir.join(ARCHIVE);
                    let image = Image { reference: pin.reference.clone(), archive, id: about("id") };
                    images.insert(role.to_owned(), image);
                }
                Item::File(name) if files::is_tool(name) => {
                    tools.insert(name.to_owned(), entry.dir.join(name));
                }
                Item::File(name) => {
                    manifests.insert(name.to_owned(), entry.dir.join(name));
                }
            }
        }
        let node = images.remove(NODE).ok_or_else(|| {
            Error::new(Code::Lock, "manifests/lock.yaml: it names no image `node`").next("correct it")
        })?;
        let origin = match made_by {
            [None, Some(_)] => Origin::Packages,
            [_, None] => Origin::Upstream,
            [Some(theirs), Some(ours)] => return Err(mixed(theirs, ours)),
        };
        Ok(Delivery { artifacts: Artifacts { origin, node, images, tools, manifests }, digests })
    }
}

fn mixed(theirs: &str, ours: &str) -> Error {
    let what = format!(
        "the registry serves upstream's {theirs} and a {ours} that Vouchsafe built: they do not go together"
    );
    Error::new(Code::ArtifactUnavailable, what).next("push all of them to the mirror, or none")
}

const NODE: &str = "node";
const ARCHIVE: &str = "image.tar";

/// One thing to fetch, with its name in the lock.
#[derive(Clone, Copy)]
enum Item<'a> {
    Image(&'a str, &'a ImagePin),
    File(&'a str),
}

impl<'a> Item<'a> {
    fn name(&self) -> &'a str {
        match self {
            Self::Image(name, _) | Self::File(name) => name,
        }
    }

    /// Its name in the cache, which the packages source shares.
    fn artifact(&self) -> String {
        format!("upstream-{}", self.name())
    }

    fn what(&self, lock: &Lock) -> String {
        match self {
            Self::Image(_, pin) => format!("pull {}", pin.reference),
            Self::File(name) => format!("download {name} {}", lock.downloads[*name].version),
        }
    }
}

/// This machine's, as image indexes and download addresses name it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
