//! The operating system of kind's node image: Debian's files, tuned as kind's Dockerfile does it.

use std::path::Path;

use super::oci::Tree;
use super::tree::{FIREWALL_TOOLS, is_needed};

/// The only plugins that a node's network uses; Debian's package holds two dozen.
const NETWORK_PLUGINS: [&str; 5] = ["host-local", "loopback", "portmap", "ptp", "bridge"];

/// Puts the tree of packages below `root` into the image.
pub fn install(tree: &mut Tree, root: &Path) -> std::io::Result<()> {
    let unwanted = |path: &Path| {
        let path = path.to_string_lossy();
        let in_folder = |folder: &str, names: &str| {
            path.strip_prefix(folder).is_some_and(|name| !name.contains('/') && name.contains(names))
        };
        path == "usr/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service"
            || in_folder("usr/lib/systemd/system/multi-user.target.wants/", "")
            || in_folder("usr/lib/systemd/system/local-fs.target.wants/", "")
            || in_folder("usr/lib/systemd/system/basic.target.wants/", "")
            || in_folder("usr/lib/systemd/system/sockets.target.wants/", "udev")
            || in_folder("usr/lib/systemd/system/sockets.target.wants/", "initctl")
            || (path.starts_with("etc/systemd/system/") && path.contains(".wants/"))
            || path.strip_prefix("usr/lib/cni/").is_some_and(|name| !NETWORK_PLUGINS.contains(&name))
            || path == "usr/bin/containerd-stress"
    };
    tree.below(Path::new(""), root, &|path| is_needed(path) && !unwanted(path))?;

    let mut journald = std::fs::read_to_string(root.join("etc/systemd/journald.conf"))?;
    // The kernel's messages are the host's, and would confuse.
    journald.push_str("ReadKMsg=no\n");
    tree.text("etc/systemd/journald.conf", journald, 0o644);
    for unit in ["kubelet", "containerd", "undo-mount-hacks"] {
        let unit = format!("{unit}.service");
        tree.link(
            format!("etc/systemd/system/multi-user.target.wants/{unit}"),
            format!("/etc/systemd/system/{unit}"),
        );
    }
    // It would register formats with the host's kernel.
    tree.link("etc/systemd/system/systemd-binfmt.service", "/dev/null");
    for program in ["containerd", "containerd-shim-runc-v2", "ctr"] {
        tree.link(format!("usr/local/bin/{program}"), format!("/usr/bin/{program}"));
    }
    for plugin in NETWORK_PLUGINS {
        tree.link(format!("opt/cni/bin/{plugin}"), format!("/usr/lib/cni/{plugin}"));
    }
    // kind's entry point chooses between legacy and nft with update-alternatives, which wants its links.
    for tool in FIREWALL_TOOLS {
        let flavoured = tool.replacen("tables", "tables-nft", 1);
        tree.link(format!("usr/sbin/{tool}"), format!("/etc/alternatives/{tool}"));
        tree.link(format!("etc/alternatives/{tool}"), format!("/usr/sbin/{flavoured}"));
    }
    for family in ["iptables", "ip6tables"] {
        tree.text(format!("var/lib/dpkg/alternatives/{family}"), alternatives(family), 0o644);
    }
    for folder in ["etc/kubernetes/manifests", "var/log/journal"] {
        tree.folder(folder, 0o755, 0);
    }
    Ok(())
}

/// The database entry of those links.
fn alternatives(family: &str) -> String {
    let slaves = ["restore", "save"];
    let mut text = format!("auto\n/usr/sbin/{family}\n");
    slaves.iter().for_each(|s| text += &format!("{family}-{s}\n/usr/sbin/{family}-{s}\n"));
    text.push('\n');
    for (flavour, priority) in [("legacy", 10), ("nft", 20)] {
        text += &format!("/usr/sbin/{family}-{flavour}\n{priority}\n");
        slaves.iter().for_each(|s| text += &format!("/usr/sbin/{family}-{flavour}-{s}\n"));
    }
    text.push('\n');
    text
}
