//! Tools and upstream manifests by download: what each is once it is unpacked.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::{Mirrors, architecture};
use crate::artifact::cache::hex;
use crate::artifact::download::download;
use crate::artifact::print;
use crate::error::Context as _;
use crate::lock::{Download, Lock};
use crate::progress::Note;
use crate::{Code, Error, Result};

/// What is served under the address.
enum Shape {
    /// The program itself.
    Program,
    /// A `.tar.gz` with the program at this path.
    ProgramIn(&'static str),
    /// A manifest itself.
    Manifest,
    /// A `.tar.gz` of a source tree, one folder of which holds manifests.
    FolderIn(&'static str),
}

/// What the server sent, where it was unpacked.
const SERVED: &str = "served";

const KNOWN: [(&str, Shape); 4] = [
    ("kind", Shape::Program),
    ("istioctl", Shape::ProgramIn("istioctl")),
    ("spire-crds", Shape::FolderIn("config/crd/bases")),
    ("gateway-api-crds", Shape::Manifest),
];

/// Refuses a lock file that names other downloads than those, before anything is fetched.
pub(super) fn check(lock: &Lock) -> Result<()> {
    let refuse =
        |what: String| Err(Error::new(Code::Lock, format!("manifests/lock.yaml: {what}")).next("correct it"));
    if let Some((name, _)) = KNOWN.iter().find(|(name, _)| !lock.downloads.contains_key(*name)) {
        return refuse(format!("it names no download `{name}`"));
    }
    match lock.downloads.keys().find(|name| shape(name).is_none()) {
        Some(name) => refuse(format!("nobody knows what to do with the download `{name}`")),
        None => Ok(()),
    }
}

pub(super) fn is_tool(name: &str) -> bool {
    matches!(shape(name), Some(Shape::Program | Shape::ProgramIn(_)))
}

/// The hash for this machine's architecture.
pub(in crate::artifact) fn pinned(pin: &Download) -> Option<&str> {
    let hash = pin.sha256.get(architecture()).or_else(|| pin.sha256.get("any"));
    hash.and_then(Option::as_deref)
}

/// The address for an architecture, through the mirror if there is one.
pub(super) fn address(pin: &Download, architecture: &str, mirrors: &Mirrors) -> String {
    let url = pin.url.replace("${ARCH}", architecture);
    match &mirrors.downloads {
        None => url,
        Some(base) => {
            let place = url.split_once("://").map_or(url.as_str(), |(_, place)| place);
            format!("{}/{place}", base.trim_end_matches('/'))
        }
    }
}

/// Downloads `name` into `dir`, where it is `dir/<name>` afterwards, and says what was served. An archive that it came
/// out of stays beside it: the lock pins that one's hash.
pub(super) async fn fetch(
    name: &str,
    pin: &Download,
    mirrors: &Mirrors,
    dir: &Path,
    note: &Note,
) -> Result<Value> {
    let url = address(pin, architecture(), mirrors);
    let served = dir.join(SERVED);
    let sha256 = download(&url, &served, pinned(pin), note).await?;
    let (shape, target) = (shape(name).unwrap_or(&Shape::Manifest), dir.join(name));
    let unpacking = tokio::task::spawn_blocking(move || unpack(shape, &served, &target));
    let unpacked = unpacking.await.or_fail(Code::Internal, || format!("unpacking {name}"))?;
    unpacked.or_fail(Code::ArtifactUnavailable, || format!("{url} is not what was expected"))?;
    Ok(json!({ "digest": format!("sha256:{sha256}"), "version": pin.version }))
}

fn shape(name: &str) -> Option<&'static Shape> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, shape)| shape)
}

fn unpack(shape: &Shape, served: &Path, target: &Path) -> std::io::Result<()> {
    match shape {
        Shape::Program | Shape::Manifest => std::fs::rename(served, target)?,
        Shape::ProgramIn(path) => {
            take(served, |member| (member == Path::new(path)).then(|| target.to_owned()))?;
        }
        Shape::FolderIn(folder) => {
            std::fs::create_dir(target)?;
            // GitHub puts the whole tree into one folder of the version's name.
            take(served, |member| {
                let inside = member.components().skip(1).collect::<PathBuf>();
                let manifest = inside.strip_prefix(folder).ok()?;
                let plain =
                    manifest.components().count() == 1 && manifest.extension().is_some_and(|e| e == "yaml");
                plain.then(|| target.join(manifest))
            })?;
        }
    }
    if matches!(shape, Shape::Program | Shape::ProgramIn(_)) {
        std::fs::set_permissions(target, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Whether what lies in `dir` is the download that the lock pins: by its hash, or unpacked from what has that hash.
///
/// # Errors
/// The file system's, and what [`unpack`] says of a file that is no archive.
pub(in crate::artifact) fn is_pinned(name: &str, pin: &Download, dir: &Path) -> std::io::Result<bool> {
    let Some(expected) = pinned(pin) else { return Ok(true) };
    let is = |file: &Path| {
        Ok::<_, std::io::Error>(hex(&print::hash(File::open(file)?)?) == expected.to_ascii_lowercase())
    };
    let (shape, here, served) = (shape(name).unwrap_or(&Shape::Manifest), dir.join(name), dir.join(SERVED));
    let unpacked = tempfile::tempdir()?;
    let again = unpacked.path().join(name);
    match shape {
        Shape::Program | Shape::Manifest => is(&here),
        _ if !is(&served)? => Ok(false),
        Shape::ProgramIn(_) => {
            unpack(shape, &served, &again)?;
            Ok(print::hash(File::open(here)?)? == print::hash(File::open(again)?)?)
        }
        Shape::FolderIn(_) => {
            unpack(shape, &served, &again)?;
            Ok(print::content(&here)? == print::content(&again)?)
        }
    }
}

/// Unpacks the members for which `to` has a place; none at all is an error.
fn take(tgz: &Path, to: impl Fn(&Path) -> Option<PathBuf>) -> std::io::Result<()> {
    let mut taken = 0;
    for member in tar::Archive::new(GzDecoder::new(File::open(tgz)?)).entries()? {
        let mut member = member?;
        let place = if member.header().entry_type().is_file() { to(&member.path()?) } else { None };
        if let Some(place) = place {
            std::io::copy(&mut member, &mut File::create(place)?)?;
            taken += 1;
        }
    }
    if taken == 0 { Err(std::io::Error::other("the archive does not hold it")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `.tar.gz` whose members contain their own names.
    fn tgz(dir: &Path, members: &[&str]) -> PathBuf {
        let path = dir.join("served");
        let gz = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for member in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(member.len() as u64);
            tar.append_data(&mut header, member, member.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        path
    }

    #[test]
    fn the_folder_of_manifests_is_taken_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let members = [
            "manager-0.7/go.mod",
            "manager-0.7/config/crd/bases/ids.yaml",
            "manager-0.7/config/crd/bases/more/x.yaml",
            "manager-0.7/config/crd/kustomization.yaml",
        ];
        let served = tgz(dir.path(), &members);
        let target = dir.path().join("spire-crds");
        unpack(shape("spire-crds").unwrap(), &served, &target).unwrap();
        let found: Vec<_> = std::fs::read_dir(&target).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(found, ["ids.yaml"]);
        assert!(served.exists(), "its hash is what is pinned");
    }

    #[test]
    fn a_program_out_of_an_archive_can_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let served = tgz(dir.path(), &["README", "istioctl"]);
        let target = dir.path().join("istioctl");
        unpack(shape("istioctl").unwrap(), &served, &target).unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "istioctl");
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn an_archive_without_it_and_no_archive_at_all_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("istioctl");
        let served = tgz(dir.path(), &["README"]);
        let e = unpack(shape("istioctl").unwrap(), &served, &target).unwrap_err();
        assert!(e.to_string().contains("does not hold it"), "{e}");
        std::fs::write(&served, "<html>please log in</html>").unwrap();
        unpack(shape("istioctl").unwrap(), &served, &target).unwrap_err();
    }

    #[test]
    fn addresses_know_the_architecture_and_the_mirror() {
        let lock = Lock::read(Path::new("../manifests")).unwrap();
        let kind = &lock.downloads["kind"];
        let direct = address(kind, "arm64", &Mirrors::default());
        assert!(direct.starts_with("https://kind.sigs.k8s.io/"), "{direct}");
        assert!(direct.ends_with("-linux-arm64"), "{direct}");
        let mirrors = Mirrors { images: None, downloads: Some("http://127.0.0.1:8000/files/".into()) };
        let through = direct.replace("https://", "http://127.0.0.1:8000/files/");
        assert_eq!(address(kind, "arm64", &mirrors), through);
    }

    #[test]
    fn a_download_that_nobody_knows_is_refused_first() {
        let mut lock = Lock::read(Path::new("../manifests")).unwrap();
        check(&lock).unwrap();
        let kind = lock.downloads.remove("kind").unwrap();
        assert!(check(&lock).unwrap_err().to_string().contains("names no download `kind`"));
        lock.downloads.insert("kind".into(), kind.clone());
        lock.downloads.insert("helm".into(), kind);
        assert!(check(&lock).unwrap_err().to_string().contains("the download `helm`"));
    }
}
