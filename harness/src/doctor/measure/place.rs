//! What can be done in the cache's folder: each thing is tried there and taken away again.

use std::path::Path;

use crate::artifact::packages::{Packages, debian};
use crate::cmd::Cmd;
use crate::doctor::measured::{Cache, Debian, FileSystem};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::{Code, Error, Result};

pub async fn cache(layout: &Layout) -> Cache {
    let whole = |name: &str| !name.starts_with('.');
    let artifacts = std::fs::read_dir(layout.artifacts()).into_iter().flatten().flatten();
    let unwritable = layout.probe().err().map(|e| e.to_string());
    // The engine's folder may be a disk of its own.
    let engine = if layout.engine().is_dir() { layout.engine() } else { layout.cache.clone() };
    let (not_executable, no_overlay) = match unwritable {
        Some(_) => (None, None),
        None => (execute(&layout.cache).await.err(), overlay(&engine).await),
    };
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Cache {
        path: layout.cache.clone(),
        unwritable,
        // What stands before is the shell's name for itself and for the file.
        not_executable: not_executable
            .map(|e| last_words(&e).rsplit(": ").next().unwrap_or_default().to_owned()),
        no_overlay: no_overlay.map(|tried| tried.err().map(|e| last_words(&e))),
        file_system: file_system(&table, &layout.cache),
        engine_file_system: file_system(&table, &engine),
        free: super::machine::free(&layout.cache),
        artifacts: artifacts.filter(|entry| whole(&entry.file_name().to_string_lossy())).count(),
    }
}

/// What the packages source has yet to unpack.
pub fn missing(layout: &Layout) -> Vec<&'static str> {
    let lock = Lock::read(&layout.manifests()).ok();
    lock.and_then(|lock| Packages::new(layout, &lock).lacks_unpacked().ok()).unwrap_or_default()
}

/// What apt knows of the release that packages come from; nothing where there is no apt, and where no package is wanted
/// any more, for apt takes its time.
pub async fn debian(layout: &Layout, missing: &[&'static str]) -> Option<Debian> {
    super::programs::find("apt-get")?;
    let lock = Lock::read(&layout.manifests()).ok()?;
    if !missing.iter().any(|name| name.starts_with("debian-")) {
        return None;
    }
    let release = lock.packages.debian;
    let targets = debian::targets().await.unwrap_or_default();
    let about = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    Some(Debian {
        configured: !debian::sources(&targets, &release).is_empty(),
        release,
        mirror: about.lines().any(|line| line == "ID=debian").then(|| debian::mirror(&targets)).flatten(),
        system: about
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="))
            .map(|name| name.trim_matches('"').to_owned()),
        keyring: Path::new(debian::KEYRING).exists(),
    })
}

/// Runs a file that lies there.
async fn execute(dir: &Path) -> Result<()> {
    let dir = scratch(dir)?;
    // The shell writes it: a file that this process held open while another thread starts a program would be busy.
    let script = "printf '#!/bin/sh\\n' >\"$0\" && chmod 755 \"$0\" && exec \"$0\"";
    Cmd::new("sh").args(["-c", script]).arg(dir.path().join("program")).run().await.map(drop)
}

/// Mounts an overlay there, out of everybody's sight; nothing is known without the right to.
async fn overlay(dir: &Path) -> Option<Result<()>> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    // An engine of ours has done so here.
    if dir.join("data/overlay2").is_dir() {
        return Some(Ok(()));
    }
    let script = "cd \"$0\"; mkdir lower upper work merged; \
                  mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged; \
                  echo text >merged/file; test -e upper/file";
    let tried = async {
        let dir = scratch(dir)?;
        let mount = Cmd::new("unshare").args(["--mount", "--propagation=private", "sh", "-ec", script]);
        mount.arg(dir.path()).run().await.map(drop)
    };
    Some(tried.await)
}

fn scratch(dir: &Path) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(".probe")
        .tempdir_in(dir)
        .map_err(|e| Error::new(Code::CacheUnusable, format!("cannot write to {}", dir.display())).because(e))
}

/// The last line is the program's own reason.
fn last_words(error: &Error) -> String {
    error.what().lines().last().unwrap_or_default().trim().to_owned()
}

/// What is mounted where `path` is, or will be: the last of the longest mount points, proc_pid_mountinfo(5).
fn file_system(table: &str, path: &Path) -> Option<FileSystem> {
    let there = path.ancestors().find_map(|above| above.canonicalize().ok())?;
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        // Spaces in a path are written as octal.
        let at = left.split(' ').nth(4)?.replace("\\040", " ");
        let kind = right.split(' ').next()?.to_owned();
        there.starts_with(&at).then_some(FileSystem { kind, mounted_at: at.into() })
    };
    table.lines().filter_map(mount).max_by_key(|mount| mount.mounted_at.as_os_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_like_any_other_lets_programs_run() {
        let dir = tempfile::tempdir().unwrap();
        execute(dir.path()).await.unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays");
        // A folder of the kernel's, where nobody can write.
        assert!(execute(Path::new("/proc")).await.is_err());
    }

    #[test]
    fn the_mount_nearest_to_a_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().canonicalize().unwrap();
        let table = format!(
            "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
             40 27 0:30 / {0} rw - xfs /dev/vdb rw\n\
             41 40 0:31 / {0} rw,noexec shared:3 - tmpfs tmpfs rw\n\
             42 27 0:32 / {0}er rw - zfs pool rw\n",
            here.display()
        );
        let found = file_system(&table, &here.join("not/there/yet")).unwrap();
        assert_eq!((found.kind.as_str(), found.mounted_at), ("tmpfs", here.clone()));
        assert_eq!(file_system(&table, Path::new("/proc")).unwrap().kind, "ext4");
        assert_eq!(file_system("", &here), None);
    }
}
