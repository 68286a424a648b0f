//! Unpacks Debian packages into a folder as if they were installed there. Maintainer scripts do not run, since
//! they would need a root of their own: the few things they would do that matter here are done by [`unpack`].

use std::path::{Path, PathBuf};

use super::debian::cannot_write;
use super::modes;
use crate::artifact::cache::files_below;
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
        modes::program("dpkg-deb").arg("-x").arg(deb).arg(root).run().await?;
    }
    merge_usr(root).and_then(|()| finish_tree(root)).or_fail(Code::CacheUnusable, || cannot_write(root))
}

/// `/bin` becomes a link to `/usr/bin` and so on. The packages of release 12 still hold files in both.
fn merge_usr(root: &Path) -> std::io::Result<()> {
    for name in ["bin", "sbin", "lib", "lib64"] {
        let (old, new) = (root.join(name), root.join("usr").join(name));
        modes::folder(&new)?;
        if old.is_dir() {
            for file in files_below(&old)? {
                let target = new.join(&file);
                modes::folder(target.parent().unwrap_or(&new))?;
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
            modes::folder(dir)?;
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
            modes::folder(&root.join("etc"))?;
            std::fs::copy(master, root.join("etc").join(name))?;
        }
    }
    let authorities = root.join("usr/share/ca-certificates");
    if authorities.exists() {
        let mut bundle = Vec::new();
        for file in files_below(&authorities)? {
            bundle.extend(std::fs::read(authorities.join(file))?);
        }
        modes::folder(&root.join("etc/ssl/certs"))?;
        modes::file(&root.join("etc/ssl/certs/ca-certificates.crt"), &bundle)?;
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
    use std::os::unix::fs::PermissionsExt as _;

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

    /// The umask is the whole process's.
    static UMASK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    /// The layer of a package that has a folder of its own for everybody, one for root alone, and files in both of the
    /// places that are merged.
    fn layer(umask: u32, dir: &Path) -> Vec<(PathBuf, u32)> {
        let root = dir.join("root");
        for folder in ["usr/lib", "lib/deep/er", "root", "usr/sbin", "usr/bin"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let mode = |path: &str, mode| {
            std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for file in ["lib/deep/er/file", "usr/sbin/xtables-nft-multi", "usr/bin/mawk"] {
            std::fs::write(root.join(file), file).unwrap();
            mode(file, 0o755);
        }
        for name in ["usr/share/base-passwd/passwd.master", "usr/share/ca-certificates/one.crt"] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), name).unwrap();
            mode(name, 0o644);
        }
        for folder in ["usr", "usr/lib", "usr/sbin", "usr/bin", "usr/share", "usr/share/base-passwd"] {
            mode(folder, 0o755);
        }
        mode("root", 0o700);
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        let made = merge_usr(&root).and_then(|()| finish_tree(&root));
        rustix::process::umask(before);
        made.unwrap();
        let mut tree = super::super::oci::Tree::default();
        tree.below(Path::new(""), &root, &is_needed).unwrap();
        let layer = tree.write(&dir.join("layer.tar")).unwrap();
        let mut archive = tar::Archive::new(std::fs::File::open(layer.path).unwrap());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().into_owned(), entry.header().mode().unwrap())
        });
        entries.collect()
    }

    #[test]
    fn a_layer_is_the_same_under_every_umask() {
        let _alone = UMASK.blocking_lock();
        let made = [0o022, 0o027, 0o077].map(|umask| layer(umask, tempfile::tempdir().unwrap().path()));
        let mode = |path: &str| made[0].iter().find(|(p, _)| p == Path::new(path)).map(|(_, mode)| *mode);
        for folder in ["usr/lib64", "usr/lib/deep/er", "etc", "etc/ssl/certs"] {
            assert_eq!(mode(folder), Some(0o755), "{folder}");
        }
        assert_eq!(mode("etc/ssl/certs/ca-certificates.crt"), Some(0o644));
        assert_eq!(mode("root"), Some(0o700), "a package's own modes stay");
        assert_eq!(made[1], made[0], "027");
        assert_eq!(made[2], made[0], "077");
    }

    #[tokio::test]
    async fn what_a_program_unpacks_is_for_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("made");
        let _alone = UMASK.lock().await;
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        let ran = modes::program("mkdir").arg(&made).run().await;
        rustix::process::umask(before);
        ran.unwrap();
        assert_eq!(std::fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn documentation_is_left_out_and_programs_are_not() {
        assert!(!is_needed(Path::new("usr/share/doc/tini/copyright")));
        assert!(is_needed(Path::new("usr/bin/tini")));
        assert!(is_needed(Path::new("usr/share/docker/x")));
    }
}
