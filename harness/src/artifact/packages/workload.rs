//! Programs that cargo builds: our own stand-in workloads, static so that an image needs nothing else, and the
//! programs that cargo calls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_lock::{Lockfile, Package};

use super::compilers;
use super::wheel::CargoTool;
use crate::artifact::cache::Inputs;
use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::{Code, Error, Result, patience};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What the workloads are made of: their sources and the part of `Cargo.lock` that they reach. A dependency of
/// the harness alone does not make them stale.
///
/// # Errors
/// [`Code::Internal`] when the checkout is incomplete.
pub fn inputs(repo: &Path) -> Result<Inputs> {
    let inputs = Inputs::default().with_folder(&repo.join("harness/workloads"), |_| false)?;
    let path = repo.join("Cargo.lock");
    let lock = Lockfile::load(&path).or_fail(Code::Internal, || format!("cannot read {}", path.display()))?;
    let reached =
        reached(&lock, "workloads").ok_or_else(|| Error::internal("Cargo.lock lacks the workloads"))?;
    Ok(reached.into_iter().fold(inputs, |inputs, package| {
        inputs.with(format!("{} {}", package.name, package.version), format!("{:?}", package.checksum))
    }))
}

fn reached<'a>(lock: &'a Lockfile, root: &str) -> Option<Vec<&'a Package>> {
    let packages: BTreeMap<_, _> =
        lock.packages.iter().map(|p| ((p.name.as_str(), p.version.to_string()), p)).collect();
    let mut ahead = vec![lock.packages.iter().find(|p| p.name.as_str() == root)?];
    let mut seen = BTreeSet::new();
    let mut reached = Vec::new();
    while let Some(package) = ahead.pop() {
        if !seen.insert((package.name.as_str(), package.version.to_string())) {
            continue;
        }
        reached.push(package);
        let needs = package.dependencies.iter();
        ahead.extend(needs.filter_map(|d| packages.get(&(d.name.as_str(), d.version.to_string())).copied()));
    }
    Some(reached)
}

/// Builds the workloads into `to`, with cargo's own cache in `scratch`.
///
/// # Errors
/// [`Code::CommandFailed`] with the log's last lines.
pub async fn build(repo: &Path, scratch: &Path, to: &Path, log: &Path) -> Result<()> {
    // A target named outright keeps the static C library away from build scripts, which could not load with it.
    compilers::neutral(Cmd::new("cargo"))
        .args(["build", "--locked", "--release", "--package", "workloads", "--bins", "--target", TARGET])
        .dir(repo)
        .env("CARGO_TARGET_DIR", scratch)
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env("CARGO_PROFILE_RELEASE_STRIP", "true")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .log_to(log)
        .limit(patience::BUILD)
        .run()
        .await?;
    for name in ["oci-shim", "pause", "helloworld", "csi-node-driver-registrar"] {
        let built = scratch.join(TARGET).join("release").join(name);
        std::fs::copy(&built, to.join(name))
            .or_fail(Code::BuildFailed, || format!("cargo made no {}", built.display()))?;
    }
    Ok(())
}

/// Installs a program that cargo calls below `to`.
///
/// # Errors
/// [`Code::CommandFailed`] with the log's last lines.
pub async fn cargo_tool(
    tool: &CargoTool,
    version: &str,
    scratch: &Path,
    to: &Path,
    log: &Path,
) -> Result<()> {
    compilers::neutral(Cmd::new("cargo"))
        .args(["install", tool.program, "--version", version, "--locked"])
        .args(tool.features.iter().copied())
        .args(["--no-track", "--debug", "--root"])
        .arg(to)
        .env("CARGO_TARGET_DIR", scratch)
        // Unoptimised: it takes a third of the time to build, and it only starts processes and waits for them.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .log_to(log)
        .limit(patience::BUILD)
        .run()
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_root_reaches_counts() {
        let lock: Lockfile = "version = 4\n\
            [[package]]\nname = \"workloads\"\nversion = \"0.1.0\"\ndependencies = [\"a\"]\n\
            [[package]]\nname = \"a\"\nversion = \"1.0.0\"\ndependencies = [\"b\"]\n\
            [[package]]\nname = \"b\"\nversion = \"1.0.0\"\n\
            [[package]]\nname = \"unrelated\"\nversion = \"1.0.0\"\n"
            .parse()
            .unwrap();
        let mut names: Vec<_> =
            reached(&lock, "workloads").unwrap().iter().map(|p| p.name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["a", "b", "workloads"]);
    }

    #[test]
    fn our_own_lock_file_is_understood() {
        let inputs = inputs(Path::new("..")).unwrap();
        assert_ne!(inputs, Inputs::default());
    }
}
