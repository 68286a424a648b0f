//! Fills containerd's store before any node runs: the control plane's images are then in the node image, and
//! the kubelet finds them when it starts its first static pods.
//!
//! The containerd that does it is the node's own, so that the store has exactly the form that it expects.

use std::path::{Path, PathBuf};

use super::modes;
use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::progress::Note;
use crate::wait::{self, Look};
use crate::{Code, Error, Result, patience};

/// Imports the archives with the containerd of the tree `root` into `store`, for use as `/var/lib/containerd`.
///
/// # Errors
/// [`Code::NotFit`] without root; [`Code::BuildFailed`] with containerd's words.
pub async fn fill(root: &Path, archives: &[PathBuf], store: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::new(
            Code::NotFit,
            "the node image can be built only as root (containerd fills its store)",
        )
        .next("run as root, or use `--source registry`"));
    }
    // Not in the cache: the path of a socket has room for 107 letters.
    let run =
        tempfile::tempdir().or_fail(Code::CacheUnusable, || "cannot make a temporary folder".to_owned())?;
    let socket = run.path().join("s");
    let settings = run.path().join("config.toml");
    let text = format!(
        "version = 2\nroot = {store:?}\nstate = {state:?}\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n\
         [grpc]\naddress = {socket:?}\n",
        state = run.path().join("state"),
    );
    std::fs::write(&settings, text)
        .or_fail(Code::CacheUnusable, || "cannot write containerd's settings".to_owned())?;

    let log = run.path().join("log");
    let containerd = modes::program(root.join("usr/bin/containerd"));
    let containerd = containerd.arg("--config").arg(&settings).log_to(&log).start()?;
    let ctr = |words: &[&str]| {
        Cmd::new(root.join("usr/bin/ctr"))
            .arg("--address")
            .arg(&socket)
            .args(["-n", "k8s.io"])
            .args(words.iter().copied())
    };
    let words = || crate::cmd::tail(&std::fs::read_to_string(&log).unwrap_or_default());
    wait::eventually("containerd answering", patience::ENGINE, &Note::silent(), || async {
        if let Some(status) = containerd.ended() {
            return Look::Never(Error::new(
                Code::BuildFailed,
                format!("containerd exited with {status}\n{}", words()),
            ));
        }
        match ctr(&["version"]).run().await {
            Ok(_) => Look::Ready(()),
            Err(e) => Look::not_yet(e.what()),
        }
    })
    .await?;
    for archive in archives {
        ctr(&["images", "import", "--no-unpack"]).arg(archive).run().await?;
    }
    // Its database is whole after every answer, so it needs no farewell.
    drop(containerd);
    for leftover in ["io.containerd.runtime.v2.task", "tmpmounts"] {
        let _ = std::fs::remove_dir_all(store.join(leftover));
    }
    Ok(())
}
