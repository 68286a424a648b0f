//! Looking at the machine: the half of `doctor` that reads, and judges nothing.
//!
//! Nothing here fails: what cannot be seen is `None`, or the reason as text. Nothing is changed, but for a probe
//! file that is written to the cache and removed.

mod engine;
mod machine;
mod programs;

use std::collections::BTreeMap;

use super::measured::{Cache, Measured};
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
    let (engine, programs) = futures::join!(engine::look(), programs::look());
    Measured {
        machine: machine::machine(),
        rights: machine::rights(),
        cache: cache(layout),
        programs,
        go_needed: programs::go_needed(&layout.manifests().join("packages")),
        variables: variables(),
        engine,
        routes: machine::routes(),
        ledger: ledger::things(&layout.world()).map_err(|e| e.to_string()),
    }
}

fn cache(layout: &Layout) -> Cache {
    let whole = |name: &str| !name.starts_with('.');
    let artifacts = std::fs::read_dir(layout.artifacts()).into_iter().flatten().flatten();
    Cache {
        path: layout.cache.clone(),
        unwritable: layout.probe().err().map(|e| e.to_string()),
        free: machine::free(&layout.cache),
        artifacts: artifacts.filter(|entry| whole(&entry.file_name().to_string_lossy())).count(),
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
        assert!(m.ledger.is_ok_and(|things| things.is_empty()));
        if cfg!(target_os = "linux") {
            assert!(m.machine.memory.is_some() && m.rights.bounding.is_some());
        }
    }
}
