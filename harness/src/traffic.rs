//! The client that scenarios put into a pod, to see what users notice while a mesh changes: built here, into no image. So it
//! is had whatever the source of images is, and a change of it makes no image and no node anew. It is static, for the pod
//! may have another C library, or none.

use std::path::PathBuf;

use kube::Client;

use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::kube::exec::exec_fed;
use crate::layout::Layout;
use crate::{Code, Error, Result, patience};

/// Where it lies in the pod.
pub const PROGRAM: &str = "/run/traffic/traffic";

/// Builds it, where that was not done yet.
///
/// # Errors
/// [`Code::BuildFailed`] on anything but Linux; [`Code::CommandFailed`] with the compiler's words.
pub async fn program(layout: &Layout) -> Result<PathBuf> {
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    if os != "linux" {
        return Err(Error::new(
            Code::BuildFailed,
            format!("the traffic client cannot be built on {os} for a pod"),
        )
        .next("run this set-up on Linux"));
    }
    // A target named outright keeps the static C library away from build scripts, which could not load with it.
    let target = format!("{arch}-unknown-linux-gnu");
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    // A folder of its own: whoever runs us may hold the lock of the usual one.
    let scratch = layout.repo.join("target/traffic");
    Cmd::new("cargo")
        .args(["build", "--locked", "--quiet", "--release", "--package", "traffic", "--target", &target])
        .dir(&layout.repo)
        .env("CARGO_TARGET_DIR", &scratch)
        .env(flags, "-Ctarget-feature=+crt-static")
        .env("CARGO_PROFILE_RELEASE_STRIP", "true")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .limit(patience::BUILD)
        .run()
        .await?;
    Ok(scratch.join(target).join("release/traffic"))
}

/// Puts it into a container, whose image has a shell.
///
/// # Errors
/// As [`exec_fed`]; [`Code::Evidence`] when the container does not take it.
pub async fn put(
    client: &Client,
    (namespace, pod, container): (&str, &str, &str),
    program: &PathBuf,
) -> Result<()> {
    let bytes = std::fs::read(program)
        .or_fail(Code::BuildFailed, || format!("cargo made no {}", program.display()))?;
    let script = format!("cat > {PROGRAM} && chmod +x {PROGRAM}");
    let said = exec_fed(client, namespace, pod, container, &["sh", "-c", &script], &bytes).await?;
    if said.status == 0 {
        return Ok(());
    }
    let what = format!("{namespace}/{pod} did not take the traffic client");
    Err(Error::new(Code::Evidence, what).seen(format!("exit status {}: {}", said.status, said.stderr.trim())))
}
