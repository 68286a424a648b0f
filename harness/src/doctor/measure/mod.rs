//! Looking at the machine: the half of `doctor` that reads, and judges nothing.
//!
//! Nothing here fails: what cannot be seen is `None`, or the reason as text. Nothing is changed, but for probes: files
//! in the cache and namespaces that are gone again when this ends.

mod engine;
mod machine;
mod place;
mod programs;

use std::collections::BTreeMap;

use super::measured::Measured;
use crate::layout::Layout;
use crate::ledger;

/// Variables that change what a run does.
const VARIABLES: [&str; 11] = [
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KIND_CLUSTER_NAME",
    "KIND_EXPERIMENTAL_DOCKER_NETWORK",
    "KIND_EXPERIMENTAL_PROVIDER",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Everything that the checks judge.
pub async fn measure(layout: &Layout) -> Measured {
    // First, for the engine is asked whether it sees what lies there.
    let cache = place::cache(layout).await;
    let missing = place::missing(layout);
    let (engine, programs, debian, no_pip, no_network) = futures::join!(
        engine::look(&cache),
        programs::look(),
        place::debian(layout, &missing),
        programs::no_pip(&missing),
        machine::no_network()
    );
    Measured {
        machine: machine::machine(no_network),
        rights: machine::rights(),
        cache,
        missing,
        debian,
        no_pip,
        programs,
        go_needed: programs::go_needed(&layout.manifests().join("packages")),
        variables: variables(),
        engine,
        routes: machine::routes(),
        ledger: ledger::things(&layout.world()).map_err(|e| e.to_string()),
    }
}

/// Set variables; a proxy's value may hold a password, so only the list of exceptions is kept as it is.
fn variables() -> BTreeMap<&'static str, String> {
    let value = |name: &'static str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        let secret = ["http_proxy", "https_proxy"].iter().any(|proxy| name.eq_ignore_ascii_case(proxy));
        Some((name, if secret { "set".to_owned() } else { value }))
    };
    VARIABLES.into_iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_can_be_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let repo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let layout = Layout { cache: dir.path().join("cache"), repo: repo.to_path_buf() };
        let m = measure(&layout).await;
        assert!(m.machine.cores >= 1);
        assert!(m.cache.unwritable.is_none() && m.cache.free.is_some(), "{:?}", m.cache);
        assert_eq!(std::fs::read_dir(dir.path().join("cache")).unwrap().count(), 0, "no probe stays");
        assert!(m.ledger.is_ok_and(|things| things.is_empty()));
        if cfg!(target_os = "linux") {
            assert!(m.machine.memory.is_some() && m.rights.bounding.is_some());
        }
    }
}
