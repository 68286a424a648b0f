//! What must be said twice must be said alike: versions that two entries, or an entry and a recipe, share.

use std::collections::BTreeMap;
use std::path::Path;

use harness::Result;
use harness::artifact::packages::go;
use harness::lock::{Download, Lock};

/// The module versions of the Go recipes, by recipe, without the `v`.
pub type Recipes = BTreeMap<String, String>;

const RECIPES: [&str; 10] = [
    "kubernetes",
    "etcd",
    "coredns",
    "kind",
    "spire",
    "spire-controller-manager",
    "spiffe-csi",
    "gateway-api",
    "prometheus",
    "kiali",
];

/// Reads the recipes' versions.
///
/// # Errors
/// [`harness::Code::Internal`] for an incomplete checkout.
pub fn recipes(manifests: &Path) -> Result<Recipes> {
    let pinned = RECIPES.map(|name| {
        let (_, version) = go::pinned(&manifests.join("packages"), name)?;
        Ok((name.to_owned(), plain(&version).to_owned()))
    });
    pinned.into_iter().collect()
}

/// One sentence for each contradiction.
pub fn contradictions(lock: &Lock, recipes: &Recipes) -> Vec<String> {
    let image = |role: &str| (format!("image {role}"), lock.images.get(role).map(|pin| tag(&pin.reference)));
    let file = |name: &str| (format!("download {name}"), lock.downloads.get(name).map(|d| plain(&d.version)));
    let recipe = |name: &str| (format!("recipe {name}"), recipes.get(name).map(String::as_str));
    let packages = &lock.packages;
    let own = |name: &str, version| (format!("packages.{name}"), Some(plain(version)));
    let prometheus = image("prometheus").1.and_then(prometheus_module);
    let alike = [
        (image("spire-server"), image("spire-agent")),
        (image("spire-server"), recipe("spire")),
        (image("spire-controller-manager"), file("spire-crds")),
        (image("spire-controller-manager"), recipe("spire-controller-manager")),
        (image("spiffe-csi-driver"), recipe("spiffe-csi")),
        (image("pilot"), image("proxyv2")),
        (image("pilot"), file("istioctl")),
        (image("pilot"), own("istio", &packages.istio)),
        (("image prometheus".to_owned(), prometheus.as_deref()), recipe("prometheus")),
        (image("kiali"), recipe("kiali")),
        (file("kind"), recipe("kind")),
        (file("gateway-api-crds"), recipe("gateway-api")),
        (own("kubernetes", &packages.kubernetes), recipe("kubernetes")),
        (own("coredns", &packages.coredns), recipe("coredns")),
        (own("etcd", packages.etcd.split('-').next().unwrap_or_default()), recipe("etcd")),
    ];
    let mut found: Vec<String> = alike
        .iter()
        .filter(|((_, a), (_, b))| a != b)
        .map(|((a, x), (b, y))| {
            format!("{a} is {} and {b} is {}", x.unwrap_or("missing"), y.unwrap_or("missing"))
        })
        .collect();
    let (node, own) = (image("node").1.unwrap_or_default(), plain(&packages.kubernetes));
    match &packages.node_differs {
        _ if minor(node) != minor(own) => {
            found.push(format!("image node is {node} and packages.kubernetes is {own}: another minor version"));
        }
        None if node != own => found.push(format!(
            "image node is {node} and packages.kubernetes is {own}: the sources deliver different Kubernetes; make \
             them one, or say why they cannot be: node_differs"
        )),
        Some(_) if node == own => found
            .push(format!("image node and packages.kubernetes are both {own}, and node_differs says why they are not")),
        _ => {}
    }
    let elsewhere = |(name, d): (&String, &Download)| {
        let named = d.url.contains(plain(&d.version));
        (!named).then(|| format!("the url of download {name} does not have its version {}", d.version))
    };
    found.extend(lock.downloads.iter().filter_map(elsewhere));
    found
}

/// What is recorded and not verified, and why.
pub fn unpinned(lock: &Lock) -> Vec<String> {
    let both: BTreeMap<_, _> = ["amd64", "arm64"].into_iter().flat_map(|on| lock.unpinned(on)).collect();
    both.into_iter().map(|(name, why)| format!("{name}: {why}")).collect()
}

/// As a Go module Prometheus 3.11.3 is 0.311.3.
fn prometheus_module(version: &str) -> Option<String> {
    let (major, rest) = version.split_once('.')?;
    let (minor, patch) = rest.split_once('.')?;
    Some(format!("0.{major}{minor:0>2}.{patch}"))
}

fn tag(reference: &str) -> &str {
    plain(reference.rsplit(':').next().unwrap_or_default())
}

fn plain(version: &str) -> &str {
    version.strip_prefix('v').unwrap_or(version)
}

fn minor(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> (Lock, Recipes) {
        let manifests = Path::new("../manifests");
        (Lock::read(manifests).unwrap(), recipes(manifests).unwrap())
    }

    #[test]
    fn the_committed_lock_fits_together() {
        let (lock, recipes) = read();
        assert_eq!(contradictions(&lock, &recipes), Vec::<String>::new());
    }

    /// The contradictions after a change to one of the two.
    fn after(change: impl FnOnce(&mut Lock, &mut Recipes)) -> String {
        let (mut lock, mut recipes) = read();
        change(&mut lock, &mut recipes);
        contradictions(&lock, &recipes).join("; ")
    }

    fn tagged(role: &str, tag: &str) -> String {
        after(|lock, _| {
            let pin = lock.images.get_mut(role).unwrap();
            let (name, _) = pin.reference.rsplit_once(':').unwrap();
            pin.reference = format!("{name}:{tag}");
        })
    }

    #[test]
    fn images_that_go_together_have_one_version() {
        for role in [
            "spire-agent",
            "spire-server",
            "spire-controller-manager",
            "spiffe-csi-driver",
            "pilot",
            "proxyv2",
        ] {
            let found = tagged(role, "0.0");
            assert!(found.contains(&format!("image {role} is 0.0")), "{role}: {found}");
        }
        let found = tagged("node", "v1.1");
        assert!(
            found.contains("image node is 1.1 and") && found.contains("another minor version"),
            "{found}"
        );
        let found = after(|lock, _| lock.packages.node_differs = None);
        assert!(found.contains("the sources deliver different Kubernetes"), "{found}");
        let found = after(|lock, _| {
            let own = lock.packages.kubernetes.clone();
            lock.images.get_mut("node").unwrap().reference = format!("kindest/node:{own}");
        });
        assert!(found.contains("and node_differs says why they are not"), "{found}");
        let found = after(|lock, _| drop(lock.images.remove("pilot")));
        assert!(found.contains("image pilot is missing"), "{found}");
    }

    #[test]
    fn recipes_build_what_the_lock_names() {
        for name in RECIPES {
            let found = after(|_, recipes| drop(recipes.insert(name.into(), "0.0".into())));
            assert!(found.contains(&format!("recipe {name} is 0.0")), "{name}: {found}");
        }
        let found = after(|lock, _| lock.packages.istio = "0.0".into());
        assert!(found.contains("packages.istio is 0.0"), "{found}");
    }

    #[test]
    fn a_download_is_fetched_in_its_own_version() {
        let found = after(|lock, _| lock.downloads.get_mut("istioctl").unwrap().version = "0.0".into());
        assert!(found.contains("the url of download istioctl does not have its version 0.0"), "{found}");
    }

    #[test]
    fn what_has_no_digest_is_listed() {
        let (mut lock, _) = read();
        lock.images.values_mut().for_each(|pin| pin.digest = None);
        let roles = lock.images.len();
        assert!(unpinned(&lock).iter().filter(|line| line.starts_with("image ")).count() == roles);
    }
}
