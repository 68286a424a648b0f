//! The images that are built, as data: which files, and how a container starts. Paths and entry points are
//! those of the upstream images, because one manifest serves every source.

use std::collections::BTreeMap;
use std::path::Path;

use super::oci::{self, Config, Layer, Tree};
use crate::artifact::cache::Cached;
use crate::error::Context as _;
use crate::{Code, Error, Result};

/// An image of programs, from nothing or on the shared Debian layer.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its role in `manifests/lock.yaml`, or kubeadm's name for it.
    pub role: &'static str,
    /// Whether it stands on the Debian layer.
    pub debian: bool,
    /// Path in the image, artifact, path in the artifact.
    pub files: &'static [(&'static str, &'static str, &'static str)],
    /// Folders that must be there, with their owner.
    pub folders: &'static [(&'static str, u64)],
    /// The program and its fixed arguments.
    pub entrypoint: &'static [&'static str],
    /// Variables beside `PATH`.
    pub env: &'static [&'static str],
    /// `uid:gid`; empty for root.
    pub user: &'static str,
    /// Where it starts.
    pub dir: &'static str,
}

const SPEC: Spec =
    Spec { role: "", debian: false, files: &[], folders: &[], entrypoint: &[], env: &[], user: "", dir: "/" };
const CERTIFICATES: (&str, &str, &str) =
    ("etc/ssl/certs/ca-certificates.crt", "debian-base", "ca-certificates.crt");

/// What kubeadm starts: baked into the node image, named as kubeadm expects.
pub static CONTROL_PLANE: [Spec; 7] = [
    Spec {
        role: "kube-apiserver",
        files: &[("usr/local/bin/kube-apiserver", "kubernetes", "kube-apiserver")],
        ..SPEC
    },
    Spec {
        role: "kube-controller-manager",
        files: &[("usr/local/bin/kube-controller-manager", "kubernetes", "kube-controller-manager")],
        ..SPEC
    },
    Spec {
        role: "kube-scheduler",
        files: &[("usr/local/bin/kube-scheduler", "kubernetes", "kube-scheduler")],
        ..SPEC
    },
    Spec {
        role: "kube-proxy",
        debian: true,
        files: &[("usr/local/bin/kube-proxy", "kubernetes", "kube-proxy")],
        ..SPEC
    },
    Spec { role: "etcd", files: &[("usr/local/bin/etcd", "etcd", "etcd")], ..SPEC },
    Spec { role: "coredns", files: &[("coredns", "coredns", "coredns")], entrypoint: &["/coredns"], ..SPEC },
    Spec {
        role: "pause",
        files: &[("pause", "workloads", "pause")],
        entrypoint: &["/pause"],
        user: "65535:65535",
        ..SPEC
    },
];

/// What a run deploys, by role.
pub static COMPONENTS: [Spec; 11] = [
    Spec {
        role: "pilot",
        files: &[("usr/local/bin/pilot-discovery", "istio", "pilot-discovery"), CERTIFICATES],
        folders: &[("tmp", 1337)],
        entrypoint: &["/usr/local/bin/pilot-discovery"],
        user: "1337:1337",
        ..SPEC
    },
    Spec {
        role: "proxyv2",
        debian: true,
        files: &[
            ("usr/local/bin/pilot-agent", "istio", "pilot-agent"),
            ("usr/local/bin/envoy", "envoy", "envoy"),
            ("var/lib/istio/envoy/envoy_bootstrap_tmpl.json", "istio-bootstrap", "envoy_bootstrap.json"),
        ],
        entrypoint: &["/usr/local/bin/pilot-agent"],
        ..SPEC
    },
    Spec {
        role: "spire-server",
        files: &[("opt/spire/bin/spire-server", "spire", "spire-server"), CERTIFICATES],
        folders: &[
            ("opt/spire/bin", 1000),
            ("etc/spire/server", 1000),
            ("run/spire/server/private", 1000),
            ("tmp/spire-server/private", 1000),
            ("var/lib/spire/server", 1000),
        ],
        entrypoint: &["/opt/spire/bin/spire-server", "run"],
        user: "1000:1000",
        dir: "/opt/spire",
        ..SPEC
    },
    Spec {
        role: "spire-agent",
        files: &[("opt/spire/bin/spire-agent", "spire", "spire-agent"), CERTIFICATES],
        folders: &[
            ("etc/spire/agent", 0),
            ("run/spire/agent/public", 0),
            ("tmp/spire-agent/public", 0),
            ("var/lib/spire/agent", 0),
        ],
        entrypoint: &["/opt/spire/bin/spire-agent", "run"],
        dir: "/opt/spire",
        ..SPEC
    },
    Spec {
        role: "spire-controller-manager",
        files: &[("spire-controller-manager", "spire-controller-manager", "spire-controller-manager")],
        entrypoint: &["/spire-controller-manager"],
        ..SPEC
    },
    Spec {
        role: "spiffe-csi-driver",
        files: &[("spiffe-csi-driver", "spiffe-csi", "spiffe-csi-driver")],
        entrypoint: &["/spiffe-csi-driver"],
        ..SPEC
    },
    Spec {
        role: "csi-node-driver-registrar",
        files: &[("csi-node-driver-registrar", "workloads", "csi-node-driver-registrar")],
        entrypoint: &["/csi-node-driver-registrar"],
        ..SPEC
    },
    Spec { role: "helloworld", env: &["SERVICE_VERSION=v1"], ..HELLOWORLD },
    Spec { role: "curl", debian: true, entrypoint: &["/usr/bin/curl"], user: "100:101", ..SPEC },
    Spec {
        role: "prometheus",
        files: &[("bin/prometheus", "prometheus", "prometheus"), CERTIFICATES],
        folders: &[("etc/prometheus", 0), ("prometheus", 65534)],
        entrypoint: &["/bin/prometheus"],
        user: "65534:65534",
        dir: "/prometheus",
        ..SPEC
    },
    // Without its page, which yarn would have to build: the folder must be there, the API needs nothing in it.
    Spec {
        role: "kiali",
        files: &[("opt/kiali/kiali", "kiali", "kiali"), CERTIFICATES],
        folders: &[("opt/kiali/console", 1000), ("tmp", 1000)],
        entrypoint: &["/opt/kiali/kiali"],
        user: "1000:1000",
        dir: "/opt/kiali",
        ..SPEC
    },
];

const HELLOWORLD: Spec = Spec {
    files: &[("usr/local/bin/helloworld", "workloads", "helloworld")],
    entrypoint: &["/usr/local/bin/helloworld"],
    ..SPEC
};

impl Spec {
    /// The artifacts that it is made of.
    pub fn needs(&self) -> Vec<&'static str> {
        let mut needs: Vec<_> = self.files.iter().map(|(_, artifact, _)| *artifact).collect();
        needs.extend(self.debian.then_some("debian-base"));
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// Writes the image's archive under those names; blocking.
    ///
    /// # Errors
    /// [`Code::BuildFailed`] for a file that an artifact lacks, [`Code::CacheUnusable`] for a full disk.
    pub fn write(&self, parts: &BTreeMap<&str, Cached>, names: &[&str], archive: &Path) -> Result<String> {
        let part = |name: &str| {
            parts
                .get(name)
                .map(|entry| &entry.dir)
                .ok_or_else(|| Error::internal(format!("image {} lacks its part {name}", self.role)))
        };
        let mut tree = Tree::default();
        for (path, artifact, file) in self.files {
            let mode = if file.contains('.') { 0o644 } else { 0o755 };
            tree.copy(*path, part(artifact)?.join(file), mode);
        }
        for (path, owner) in self.folders {
            tree.folder(*path, 0o755, *owner);
        }
        let failed = || format!("cannot write the image {}", self.role);
        let own = tree.write(&archive.with_extension("layer")).or_fail(Code::BuildFailed, failed)?;
        let base = if self.debian { Some(base_layer(part("debian-base")?)?) } else { None };
        let mut layers: Vec<&Layer> = base.iter().collect();
        layers.extend((!self.files.is_empty()).then_some(&own));
        let id =
            oci::write_archive(archive, names, &layers, &self.config()).or_fail(Code::BuildFailed, failed)?;
        std::fs::remove_file(&own.path).or_fail(Code::CacheUnusable, failed)?;
        Ok(id)
    }

    fn config(&self) -> Config {
        let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let mut env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
        env.extend(owned(self.env));
        Config {
            entrypoint: owned(self.entrypoint),
            env,
            user: self.user.to_owned(),
            working_dir: self.dir.to_owned(),
            ..Config::default()
        }
    }
}

/// The Debian layer, of which a node stores one copy however many images stand on it.
fn base_layer(dir: &Path) -> Result<Layer> {
    let path = dir.join("layer.tar");
    let digest = std::fs::read_to_string(dir.join("layer.sha256"))
        .or_fail(Code::BuildFailed, || format!("the Debian layer in {} is incomplete", dir.display()))?;
    Ok(Layer { path, digest })
}
