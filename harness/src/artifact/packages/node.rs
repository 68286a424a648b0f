//! kind's node image: Debian with systemd and containerd, kind's own files out of its module, Kubernetes, and
//! the images that kubeadm starts already lying in containerd's store.
//!
//! It follows `images/base/Dockerfile` and `pkg/build/nodeimage` of kind, and differs where the machine may:
//! it starts without `CAP_SYS_RESOURCE`, on cgroup v1 and on v2, and it has no kindnetd (no package registry
//! holds it), so a cluster brings a static network of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::images::CONTROL_PLANE;
use super::oci::{self, Config, Tree};
use super::{node_system, preload};
use crate::artifact::cache::Cached;
use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::lock::Lock;
use crate::progress::Note;
use crate::{Code, Error, Result};

/// What the node image is made of, besides what the control plane's images are.
pub const PARTS: [&str; 3] = ["debian-node", "kind-base", "kubernetes"];

/// The name of the node image: our own, so that an engine that someone else uses keeps its `kindest/node`.
pub fn reference(lock: &Lock) -> String {
    format!("vouchsafe/node:{}", lock.packages.kubernetes)
}

/// The names of a control-plane image, as this version of kubeadm writes them.
pub fn control_plane_names(role: &str, lock: &Lock) -> Vec<String> {
    let pins = &lock.packages;
    let registry = "registry.k8s.io";
    match role {
        "etcd" => vec![format!("{registry}/etcd:{}", pins.etcd)],
        "coredns" => vec![format!("{registry}/coredns/coredns:{}", pins.coredns)],
        "pause" => vec![format!("{registry}/pause:{}", pins.pause)],
        _ => vec![format!("{registry}/{role}:{}", pins.kubernetes)],
    }
}

/// Builds the node image's archive in `to` and returns its id.
///
/// # Errors
/// [`Code::NotFit`] without root, which containerd's store needs; [`Code::BuildFailed`] otherwise.
pub async fn build(
    parts: &BTreeMap<&'static str, Cached>,
    lock: &Lock,
    recipes: &Path,
    to: &Path,
    note: &Note,
) -> Result<String> {
    let part = |name: &str| {
        let found = parts.get(name).map(|entry| entry.dir.clone());
        found.ok_or_else(|| Error::internal(format!("the node image lacks its part {name}")))
    };
    let (debian, kind, kubernetes) = (part("debian-node")?, part("kind-base")?, part("kubernetes")?);
    let root = debian.join("root");

    note.say("writing the control plane's images");
    let archives = control_plane(parts, lock, to).await?;
    note.say("filling containerd's store");
    let store = to.join("store");
    preload::fill(&root, &archives, &store).await?;
    let spec = Cmd::new(root.join("usr/bin/ctr")).args(["oci", "spec"]).run().await?;
    let storage = recipes.join("node/default-storage.yaml");

    note.say("writing the image");
    let (lock, to) = (lock.clone(), to.to_path_buf());
    let written = tokio::task::spawn_blocking(move || -> Result<String> {
        let mut tree = Tree::default();
        let cannot = || "cannot put the node image together".to_owned();
        node_system::install(&mut tree, &root).or_fail(Code::BuildFailed, cannot)?;
        kind_files(&mut tree, &kind, &lock)?;
        for program in ["kubeadm", "kubelet", "kubectl"] {
            tree.copy(format!("usr/bin/{program}"), kubernetes.join(program), 0o755);
        }
        tree.text("etc/containerd/cri-base.json", without_limits(&spec.stdout)?, 0o644);
        tree.text("kind/version", lock.packages.kubernetes.as_str(), 0o644);
        tree.copy("kind/manifests/default-storage.yaml", storage, 0o644);
        tree.below(Path::new("var/lib/containerd"), &store, &|_| true).or_fail(Code::BuildFailed, cannot)?;

        let layer = tree.write(&to.join("node.layer")).or_fail(Code::BuildFailed, cannot)?;
        let names = [reference(&lock)];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let id = oci::write_archive(&to.join("image.tar"), &names, &[&layer], &config())
            .or_fail(Code::BuildFailed, cannot)?;
        let tidied = std::fs::remove_file(&layer.path)
            .and_then(|()| std::fs::remove_dir_all(&store))
            .and_then(|()| archives.iter().try_for_each(std::fs::remove_file));
        tidied.or_fail(Code::CacheUnusable, cannot)?;
        Ok(id)
    });
    written.await.or_fail(Code::Internal, || "writing the node image".to_owned())?
}

async fn control_plane(
    parts: &BTreeMap<&'static str, Cached>,
    lock: &Lock,
    to: &Path,
) -> Result<Vec<PathBuf>> {
    let (parts, lock, to) = (parts.clone(), lock.clone(), to.to_path_buf());
    let written = tokio::task::spawn_blocking(move || -> Result<Vec<PathBuf>> {
        let mut archives = Vec::new();
        for image in &CONTROL_PLANE {
            let archive = to.join(format!("{}.tar", image.role));
            let names = control_plane_names(image.role, &lock);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            image.write(&parts, &names, &archive)?;
            archives.push(archive);
        }
        Ok(archives)
    });
    written.await.or_fail(Code::Internal, || "writing the control plane's images".to_owned())?
}

/// kind's own files out of its module, with its containerd settings adapted.
fn kind_files(tree: &mut Tree, kind: &Path, lock: &Lock) -> Result<()> {
    let cannot = || format!("cannot read kind's files in {}", kind.display());
    for file in crate::artifact::cache::files_below(kind).or_fail(Code::BuildFailed, cannot)? {
        let program = file.starts_with("usr/local/bin") || file.starts_with("kind/bin");
        tree.copy(&file, kind.join(&file), if program { 0o755 } else { 0o644 });
    }
    let settings = std::fs::read_to_string(kind.join("etc/containerd/config.toml"))
        .or_fail(Code::BuildFailed, cannot)?;
    let pause = control_plane_names("pause", lock).concat();
    tree.text("etc/containerd/config.toml", adapted(&settings, &pause)?, 0o644);
    Ok(())
}

/// kind's containerd settings, for a node that may lack `CAP_SYS_RESOURCE` and with the pause image we have.
fn adapted(settings: &str, pause: &str) -> Result<String> {
    let mut lines = Vec::new();
    let mut changed = 0;
    for line in settings.lines() {
        let (before, value) = line.split_once('=').map(|(b, v)| (b.trim(), v.trim())).unwrap_or_default();
        match before {
            "sandbox_image" => lines.push(format!("  sandbox_image = \"{pause}\"")),
            "restrict_oom_score_adj" if value == "false" => {
                lines.push("  restrict_oom_score_adj = true".into())
            }
            _ => {
                lines.push(line.to_owned());
                continue;
            }
        }
        changed += 1;
    }
    if changed != 2 {
        return Err(Error::new(Code::BuildFailed, "kind's containerd settings are not as expected")
            .next("compare images/base/files/etc/containerd/config.toml of the pinned kind with node.rs"));
    }
    Ok(lines.join("\n") + "\n")
}

/// containerd's default container, without the limits that raising needs `CAP_SYS_RESOURCE` for.
///
/// kind also adds a hook that hides the host's product name from every container. It costs a shell and a jq for
/// each of a hundred containers and nothing here asks for that name, so it is left out.
fn without_limits(spec: &str) -> Result<String> {
    let mut spec: Value =
        serde_json::from_str(spec).or_fail(Code::BuildFailed, || "ctr wrote no JSON".to_owned())?;
    if let Some(process) = spec.pointer_mut("/process").and_then(Value::as_object_mut) {
        process.remove("rlimits");
    }
    Ok(spec.to_string())
}

fn config() -> Config {
    Config {
        // Only for the record: kind gives its own command.
        entrypoint: vec!["/usr/local/bin/entrypoint".into(), "/sbin/init".into()],
        env: vec![
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            // systemd asks whether it is in a container.
            "container=docker".into(),
        ],
        // systemd ends on this one; SIGTERM makes it start again.
        stop_signal: "SIGRTMIN+3".into(),
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_kind_are_adapted_or_refused() {
        let theirs =
            "a = 1\n  sandbox_image = \"registry.k8s.io/pause:3.10\"\n  restrict_oom_score_adj = false\n";
        let ours = adapted(theirs, "registry.k8s.io/pause:3.10.1").unwrap();
        assert_eq!(
            ours,
            "a = 1\n  sandbox_image = \"registry.k8s.io/pause:3.10.1\"\n  restrict_oom_score_adj = true\n"
        );
        assert_eq!(adapted("a = 1\n", "x").unwrap_err().code(), Code::BuildFailed);
    }

    #[test]
    fn only_the_limits_are_taken_from_the_default_container() {
        let spec = r#"{"process":{"rlimits":[{"type":"RLIMIT_NOFILE"}],"cwd":"/"},"root":{}}"#;
        let changed: Value = serde_json::from_str(&without_limits(spec).unwrap()).unwrap();
        assert_eq!(changed, serde_json::json!({"process": {"cwd": "/"}, "root": {}}));
    }
}
