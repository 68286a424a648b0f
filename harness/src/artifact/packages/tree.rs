//! Unpacks Debian packages into a folder as if they were installed there. Maintainer scripts do not run, since
//! they would need a root of their own: the few things they would do that matter here are done by [`unpack`].

use std::path::{Path, PathBuf};

use super::debian::cannot_write;
use crate::artifact::cache::files_below;
use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::{Code, Result};

/// The names under which one program of the iptables package is called.
pub const FIREWALL_TOOLS: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// Unpacks packages below `root`, which becomes a tree with a merged `/usr` as Debian has had since release 12.
///
/// # Errors
/// [`Code::CommandFailed`] for a damaged package, [`Code::CacheUnusable`] for a full disk.
pub async fn unpack(debs: &[PathBuf], root: &Path) -> Result<()> {
    for deb in debs {
        Cmd::new("dpkg-deb").arg("-x").arg(deb).arg(root).run().await?;
    }
    merge_usr(root).and_then(|()| finish_tree(root)).or_fail(Code::CacheUnusable, || cannot_write(root))
}

/// `/bin` becomes a link to `/usr/bin` and so on. The packages of release 12 still hold files in both.
fn merge_usr(root: &Path) -> std::io::Result<()> {
    for name in ["bin", "sbin", "lib", "lib64"] {
        let (old, new) = (root.join(name), root.join("usr").join(name));
        std::fs::create_dir_all(&new)?;
        if old.is_dir() {
            for file in files_below(&old)? {
                let target = new.join(&file);
                std::fs::create_dir_all(target.parent().unwrap_or(&new))?;
                std::fs::rename(old.join(file), target)?;
            }
            std::fs::remove_dir_all(&old)?;
        }
        std::os::unix::fs::symlink(format!("usr/{name}"), old)?;
    }
    Ok(())
}

/// What the maintainer scripts of the packages would have done, as far as it matters here.
fn finish_tree(root: &Path) -> std::io::Result<()> {
    let link = |path: &str, target: &str| -> std::io::Result<()> {
        let path = root.join(path);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::os::unix::fs::symlink(target, path)
    };
    if root.join("usr/sbin/xtables-nft-multi").exists() {
        for tool in FIREWALL_TOOLS {
            link(&format!("usr/sbin/{tool}"), "xtables-nft-multi")?;
        }
    }
    for (name, program) in [("awk", "mawk"), ("which", "which.debianutils")] {
        if root.join("usr/bin").join(program).exists() {
            link(&format!("usr/bin/{name}"), program)?;
        }
    }
    for name in ["passwd", "group"] {
        let master = root.join(format!("usr/share/base-passwd/{name}.master"));
        if master.exists() {
            std::fs::create_dir_all(root.join("etc"))?;
            std::fs::copy(master, root.join("etc").join(name))?;
        }
    }
    let authorities = root.join("usr/share/ca-certificates");
    if authorities.exists() {
        let mut bundle = Vec::new();
        for file in files_below(&authorities)? {
            bundle.extend(std::fs::read(authorities.join(file))?);
        }
        std::fs::create_dir_all(root.join("etc/ssl/certs"))?;
        std::fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), bundle)?;
    }
    Ok(())
}

/// What of an unpacked tree is worth carrying: no documentation, no translations, no other languages.
pub fn is_needed(path: &Path) -> bool {
    const LEFT_OUT: [&str; 13] = [
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "usr/share/info",
        "usr/share/lintian",
        "usr/share/bug",
        "usr/share/bash-completion",
        "usr/share/zsh",
        "usr/share/perl5",
        "usr/share/common-licenses",
        "usr/share/ca-certificates",
        "usr/lib/x86_64-linux-gnu/perl-base",
        "usr/lib/x86_64-linux-gnu/gconv",
    ];
    !LEFT_OUT.iter().any(|left_out| path.starts_with(left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_the_old_folders_moves_below_usr() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for (folder, file) in [("lib/systemd", "a"), ("usr/lib/systemd", "b"), ("bin", "sh")] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
            std::fs::write(root.join(folder).join(file), file).unwrap();
        }
        merge_usr(root).unwrap();
        assert_eq!(std::fs::read_link(root.join("lib")).unwrap(), Path::new("usr/lib"));
        for file in ["usr/lib/systemd/a", "usr/lib/systemd/b", "usr/bin/sh", "lib/systemd/a"] {
            assert!(root.join(file).is_file(), "{file}");
        }
    }

    #[test]
    fn documentation_is_left_out_and_programs_are_not() {
        assert!(!is_needed(Path::new("usr/share/doc/tini/copyright")));
        assert!(is_needed(Path::new("usr/bin/tini")));
        assert!(is_needed(Path::new("usr/share/docker/x")));
    }
}
