//! What istioctl is given for a cluster, and what it makes of it.
//!
//! It takes two seconds of a core for each rendering (measured), so what it wrote is kept in the cache, keyed by the program
//! and its input.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::rendered;
use crate::artifact::Origin;
use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::layout::Layout;
use crate::render::Values;
use crate::setup::Otherwise;
use crate::world::World;
use crate::{Code, Error, Result, render};
use proof::topology::ClusterName;

/// Istio's manifests for one cluster, before istioctl has made them.
pub struct Asked<'a> {
    /// Where the manifests lie that it is made of, and the cache.
    pub layout: &'a Layout,
    /// The cluster.
    pub cluster: &'a ClusterName,
    /// Our documents, below `manifests/`.
    pub files: Vec<&'a str>,
    /// What the set-up has otherwise; its documents have the last word.
    pub otherwise: &'a Otherwise,
    /// What documents may name.
    pub values: Values,
}

/// Our documents for a cluster whose proxies are built by `origin`, with those that its set-up adds.
pub fn files(more: &[String], origin: Origin) -> Vec<&str> {
    let mut files = vec!["istio/operator.yaml"];
    files.extend(more.iter().map(String::as_str));
    if origin == Origin::Packages {
        files.push("istio/upstream-envoy.yaml");
    }
    files
}

/// Istio as it is in one cluster of a world: its objects.
///
/// # Errors
/// [`Code::Usage`] for a world that an older version made; otherwise as [`Asked::rendered`].
pub async fn istio_of(world: &World, layout: &Layout, cluster: &ClusterName) -> Result<Vec<Value>> {
    of_world(world, layout, (cluster, cluster), None).await
}

/// Another Istio for that cluster, to be beside the one that it has: of the version that `newer` has, by a revision of its own.
///
/// # Errors
/// As [`istio_of`].
pub async fn istio_beside(
    world: &World,
    layout: &Layout,
    (cluster, newer): (&ClusterName, &ClusterName),
    revision: &str,
) -> Result<Vec<Value>> {
    of_world(world, layout, (cluster, newer), Some(revision)).await
}

async fn of_world(
    world: &World,
    layout: &Layout,
    (cluster, version_of): (&ClusterName, &ClusterName),
    revision: Option<&str>,
) -> Result<Vec<Value>> {
    let site = |name: &ClusterName| {
        world.sites.get(name).ok_or_else(|| Error::internal(format!("the world has no {name}")))
    };
    let (own, by) = (site(cluster)?, site(version_of)?);
    if by.istioctl.as_os_str().is_empty() {
        let what =
            "an older version of Vouchsafe made this world, and did not write down which istioctl it used";
        return Err(Error::new(Code::Usage, what).next("cargo xtask down, then up again"));
    }
    let mut values = own.values.clone();
    values.extend(
        IMAGES.into_iter().filter_map(|image| Some((image.to_owned(), by.values.get(image)?.clone()))),
    );
    let mut files = files(&world.istio, world.origin);
    if let Some(revision) = revision {
        files.push("istio/revision.yaml");
        values.insert("REVISION".into(), revision.into());
    }
    let asked = Asked { layout, cluster, files, otherwise: &world.otherwise, values };
    rendered::read(&asked.rendered(&by.istioctl).await?)
}

/// What of a cluster's values is Istio's version.
const IMAGES: [&str; 2] = ["IMAGE_PILOT", "IMAGE_PROXYV2"];

impl Asked<'_> {
    /// The documents that istioctl gets, filled; those of the set-up's own have the last word.
    ///
    /// # Errors
    /// [`Code::Lock`] for an image of istiod that has no tag; otherwise as [`Otherwise::patch`].
    pub fn documents(&self) -> Result<Vec<String>> {
        let pilot = self.values.get("IMAGE_PILOT").map(String::as_str).unwrap_or_default();
        let (hub, tag) = pilot
            .rsplit_once(':')
            .and_then(|(name, tag)| Some((name.strip_suffix("/pilot")?, tag)))
            .ok_or_else(|| {
                Error::new(Code::Lock, format!("image pilot (`{pilot}`) is not <hub>/pilot:<tag>"))
            })?;
        let mut values = self.values.clone();
        values.insert("ISTIO_HUB".into(), hub.into());
        values.insert("ISTIO_TAG".into(), tag.into());

        let filled = self.files.iter().map(|file| {
            let path = self.layout.manifests().join(file);
            let text = std::fs::read_to_string(&path)
                .or_fail(Code::Internal, || format!("cannot read {}", path.display()))?;
            let text = render::fill(&text, &values, file)?;
            let mut documents = render::documents(&text, file)?;
            // Text that nothing changes stays what it is, and with it the key of what istioctl made of it.
            Ok(match self.otherwise.patch(file, self.cluster, &values, &mut documents)? {
                true => documents.iter().map(|one| format!("---\n{one}\n")).collect(),
                false => text,
            })
        });
        let own = self.otherwise.overlays.iter().map(|own| render::fill(&own.text, &values, &own.file));
        filled.chain(own).collect()
    }

    /// What that istioctl makes of them, from the cache or freshly made.
    ///
    /// # Errors
    /// As [`Asked::documents`]; what istioctl refuses; [`Code::CacheUnusable`].
    pub async fn rendered(&self, istioctl: &Path) -> Result<PathBuf> {
        let inputs = self.documents()?;
        let program = [istioctl.as_os_str().as_encoded_bytes()];
        let out = rendered::place(
            self.layout,
            "istio",
            program.into_iter().chain(inputs.iter().map(String::as_bytes)),
        );
        if out.is_file() {
            return Ok(out);
        }

        let fail = || "cannot write what istioctl is given".to_owned();
        let scratch = tempfile::tempdir().or_fail(Code::Internal, fail)?;
        let mut render = Cmd::new(istioctl).args(["manifest", "generate"]).env("KUBECONFIG", "/dev/null");
        for (i, text) in inputs.iter().enumerate() {
            let path = scratch.path().join(format!("{i}.yaml"));
            std::fs::write(&path, text).or_fail(Code::Internal, fail)?;
            render = render.arg("-f").arg(path);
        }
        let yaml = render.run().await?.stdout;
        rendered::keep(&out, &render::documents(&yaml, "istioctl's output")?)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Setup;

    #[test]
    fn istioctl_is_told_the_version_the_revision_and_last_what_the_set_up_has() {
        let layout = Layout { cache: "/nowhere".into(), repo: "..".into() };
        let setup = Setup::read(&layout.manifests(), &["federated"], None, false).unwrap().remove(0);
        let cluster = &setup.topology.clusters[0];
        let more = ["istio/documented-gateway.yaml".to_owned()];
        let mut asked = Asked {
            layout: &layout,
            cluster: &cluster.name,
            files: files(&more, Origin::Packages),
            otherwise: &setup.otherwise,
            values: setup.values_of(cluster),
        };
        asked.files.push("istio/revision.yaml");
        asked.values.insert("REVISION".into(), "9-9-9".into());
        assert_eq!(asked.documents().unwrap_err().code(), Code::Lock, "no image of istiod");
        asked.values.insert("IMAGE_PILOT".into(), "registry.example/istio/pilot:9.9.9".into());
        let documents = asked.documents().unwrap();
        let first = render::documents(&documents[0], "the first").unwrap().remove(0);
        assert_eq!(
            (&first["spec"]["hub"], &first["spec"]["tag"]),
            (&"registry.example/istio".into(), &"9.9.9".into())
        );
        let last = render::documents(documents.last().unwrap(), "the last").unwrap().remove(0);
        assert_eq!((documents.len(), &last["spec"]["revision"]), (4, &"9-9-9".into()));
    }
}
