//! What a child inherits from whoever started us: everything but what cargo, rustup and nextest set for *our* run.
//!
//! `cargo run` tells the program which package it is of (`CARGO_MANIFEST_DIR`, `CARGO_PKG_*`, a library path). Handed
//! on, a cargo below us passes them to build scripts; ring's names one with `rerun-if-env-changed`, so everything
//! above ring was compiled anew by each run, and compiled back by the next command. nextest's are as bad: with
//! `NEXTEST_RETRIES` in the environment, a claim would be tried again.
//!
//! What people set themselves stays (`CARGO_HOME`, `CARGO_TARGET_DIR`, `CARGO_BUILD_*`, `RUSTFLAGS`, …), and so does
//! rustup's choice of toolchain: below `cargo +1.95.0 xtask`, another compiler would build everything twice.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Set by cargo for the one process that it runs (The Cargo Book, "Environment Variables").
const OF_ONE_PROCESS: [&str; 11] = [
    "CARGO",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
    // rustup counts how often it called itself, and gives up at twenty.
    "RUST_RECURSION_COUNT",
    "RUSTUP_TOOLCHAIN_SOURCE",
];
const FAMILIES: [&str; 6] =
    ["CARGO_PKG_", "CARGO_BIN_EXE_", "CARGO_CFG_", "CARGO_FEATURE_", "NEXTEST", "__NEXTEST"];

/// Where cargo and rustup put the folders of the libraries that they built or brought.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// The environment that a child starts from.
pub(super) fn by_a_child() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter_map(|(name, value)| handed_on(&name, value).map(|value| (name, value)))
}

/// The variable's value for a child; none when it is not for it.
fn handed_on(name: &OsStr, value: OsString) -> Option<OsString> {
    let text = name.to_string_lossy();
    if OF_ONE_PROCESS.contains(&&*text) || FAMILIES.iter().any(|family| text.starts_with(family)) {
        return None;
    }
    if text != LIBRARIES {
        return Some(value);
    }
    let of_users: Vec<PathBuf> = std::env::split_paths(&value).filter(|dir| !is_cargos(dir)).collect();
    match of_users.is_empty() {
        true => None,
        false => std::env::join_paths(of_users).ok(),
    }
}

/// A folder below the target folder that our own program lies in, or of a toolchain.
fn is_cargos(dir: &Path) -> bool {
    let program = std::env::current_exe().unwrap_or_default();
    let profile = program.ancestors().find(|above| above.join(".fingerprint").is_dir());
    profile.is_some_and(|profile| dir.starts_with(profile))
        || dir.join("rustlib").is_dir()
        || dir.components().any(|part| part.as_os_str() == "rustlib")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, value: &str) -> Option<String> {
        handed_on(OsStr::new(name), value.into()).map(|value| value.to_string_lossy().into_owned())
    }

    #[test]
    fn what_people_set_stays() {
        for name in
            ["PATH", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"]
        {
            assert_eq!(kept(name, "theirs").as_deref(), Some("theirs"), "{name}");
        }
        assert_eq!(kept(LIBRARIES, "/opt/lib:/usr/local/lib").as_deref(), Some("/opt/lib:/usr/local/lib"));
    }

    #[test]
    fn what_is_of_our_own_run_goes() {
        for name in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "OUT_DIR", "NEXTEST_RETRIES", "NEXTEST"]
        {
            assert_eq!(kept(name, "x"), None, "{name}");
        }
    }

    #[test]
    fn the_library_path_loses_what_cargo_put_there() {
        let ours = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let rustc = "/opt/rust/lib/rustlib/x86_64-unknown-linux-gnu/lib";
        assert_eq!(
            kept(LIBRARIES, &format!("{}:/opt/lib:{rustc}", ours.display())).as_deref(),
            Some("/opt/lib")
        );
        assert_eq!(kept(LIBRARIES, &ours.display().to_string()), None);
    }

    #[tokio::test]
    async fn a_child_sees_none_of_them() {
        // The test itself runs below cargo, which has set them.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let seen = super::super::Cmd::new("env").run().await.unwrap().stdout;
        let names: Vec<_> =
            seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        assert!(names.contains(&"PATH"), "{seen}");
        assert!(
            !names.iter().any(|name| name.starts_with("CARGO_PKG_") || *name == "CARGO_MANIFEST_DIR"),
            "{seen}"
        );
    }
}
