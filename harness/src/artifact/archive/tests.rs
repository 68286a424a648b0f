//! An archive comes back as it went, and one that was touched is refused by the name of the member.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::*;
use crate::artifact::cache::{Draft, Inputs};
use crate::artifact::{Image, Origin};

/// A cache with a small artifacts, an engine beside it, and an archive of all of it.
struct Bench {
    dir: tempfile::TempDir,
    delivery: Delivery,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path(), "here");
        let cache = Cache::new(layout.artifacts());
        let image = |name: &str| Image {
            reference: format!("{name}:1"),
            archive: artifact(&cache, name, "image.tar", 0o644).join("image.tar"),
            id: format!("sha256:{name}"),
        };
        let artifacts = Artifacts {
            origin: Origin::Packages,
            node: image("node"),
            images: [("pilot".to_owned(), image("image-pilot"))].into(),
            tools: [("kind".to_owned(), artifact(&cache, "kind", "kind", 0o755).join("kind"))].into(),
            manifests: [("spire-crds".to_owned(), artifact(&cache, "spire-crds", "ids.yaml", 0o444))].into(),
        };
        let engine = draft(&cache, "engine", "usr/bin/dockerd", 0o755);
        // Before it is finished: what comes later makes it a damaged one.
        std::os::unix::fs::symlink("dockerd", engine.dir.join("usr/bin/docker")).unwrap();
        let engine = engine.finish(std::time::Duration::ZERO, json!({})).unwrap().dir;
        let digests = [("node".to_owned(), "sha256:node".to_owned())].into();
        let bench = Self { delivery: Delivery { artifacts, digests }, dir };
        export(&bench.file(), &bench.delivery, &[engine], &layout, &Note::silent()).await.unwrap();
        bench
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("artifacts.tar")
    }

    async fn import(&self) -> Result<(Delivery, Size)> {
        import(&self.file(), &self.there(), &Note::silent()).await
    }

    fn there(&self) -> Layout {
        layout(self.dir.path(), "there")
    }

    /// The refusal; and nothing of the archive is in the other cache.
    async fn refused(&self) -> String {
        let e = self.import().await.unwrap_err();
        let left: Vec<_> = std::fs::read_dir(self.there().artifacts()).unwrap().flatten().collect();
        assert!(left.iter().all(|entry| entry.path().is_file()), "{left:?}");
        format!("{e:?}")
    }

    /// Where the bytes of a member are in the file.
    fn place(&self, member: &str) -> (u64, u64) {
        let mut tar = tar::Archive::new(std::fs::File::open(self.file()).unwrap());
        let mut entries = tar.entries_with_seek().unwrap().map(|entry| entry.unwrap());
        let found =
            entries.find(|entry| entry.path().unwrap().display().to_string().contains(member)).unwrap();
        (found.raw_file_position(), found.size())
    }

    fn overwrite(&self, at: u64, bytes: &[u8]) {
        let mut file = std::fs::OpenOptions::new().write(true).open(self.file()).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// Writes the archive anew, with another manifest and other members, all of it consistent: as somebody would who
    /// means it.
    fn forge(&self, change: impl Fn(&mut Value, &mut Vec<(tar::Header, PathBuf, Vec<u8>)>)) {
        let mut tar = tar::Archive::new(std::fs::File::open(self.file()).unwrap());
        let mut members: Vec<_> = tar
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
                (entry.header().clone(), entry.path().unwrap().into_owned(), bytes)
            })
            .collect();
        let (header, path, text) = members.remove(0);
        let mut manifest: Value = serde_json::from_slice(&text).unwrap();
        change(&mut manifest, &mut members);
        members.insert(0, (header, path, serde_json::to_vec(&manifest).unwrap()));
        let mut tar = tar::Builder::new(std::fs::File::create(self.file()).unwrap());
        for (mut header, path, bytes) in members {
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path, bytes.as_slice()).unwrap();
        }
        tar.into_inner().unwrap();
    }

    fn cut(&self, at: u64) {
        std::fs::OpenOptions::new().write(true).open(self.file()).unwrap().set_len(at).unwrap();
    }
}

fn layout(dir: &Path, cache: &str) -> Layout {
    Layout { cache: dir.join(cache), repo: "..".into() }
}

fn artifact(cache: &Cache, name: &str, file: &str, mode: u32) -> PathBuf {
    draft(cache, name, file, mode).finish(std::time::Duration::ZERO, json!({})).unwrap().dir
}

fn draft(cache: &Cache, name: &str, file: &str, mode: u32) -> Draft {
    let draft = cache.begin(name, Inputs::default().with("name", name)).unwrap();
    let path = draft.dir.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("the {name} itself")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    draft
}

#[tokio::test]
async fn another_cache_is_the_same_afterwards() {
    let bench = Bench::new().await;
    let (delivery, size) = bench.import().await.unwrap();
    let there = Cache::new(bench.there().artifacts());
    for name in ["node", "image-pilot", "kind", "spire-crds"] {
        assert!(there.find(name, &Inputs::default().with("name", name)).is_some(), "{name}");
    }
    assert_eq!(delivery.digests, bench.delivery.digests);
    let artifacts = &delivery.artifacts;
    assert_eq!((artifacts.origin, &artifacts.node.id[..]), (Origin::Packages, "sha256:node"));
    assert_eq!(std::fs::read_to_string(&artifacts.node.archive).unwrap(), "the node itself");
    let kind = artifacts.tool("kind").unwrap();
    assert_eq!(kind.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    assert!(kind.starts_with(bench.there().artifacts()));
    let engine = there.find("engine", &Inputs::default().with("name", "engine")).unwrap();
    assert_eq!(std::fs::read_to_string(engine.dir.join("usr/bin/docker")).unwrap(), "the engine itself");
    // Five artifacts of a file and a stamp each, and the link.
    assert_eq!(size.members, 11);
    let aside: Vec<_> = std::fs::read_dir(bench.there().artifacts()).unwrap().flatten().collect();
    assert!(
        !aside.iter().any(|entry| entry.file_name().display().to_string().ends_with(".making")),
        "{aside:?}"
    );
}

#[tokio::test]
async fn a_second_import_writes_nothing_and_still_checks() {
    let bench = Bench::new().await;
    let (delivery, _) = bench.import().await.unwrap();
    let written =
        |delivery: &Delivery| delivery.artifacts.node.archive.metadata().unwrap().modified().unwrap();
    let before = written(&delivery);
    let (again, _) = bench.import().await.unwrap();
    assert_eq!(written(&again), before);
    let (at, _) = bench.place("node");
    bench.overwrite(at, b"x");
    assert_eq!(bench.import().await.unwrap_err().code(), Code::DigestMismatch);
}

#[tokio::test]
async fn what_a_killed_import_left_is_cleared_away() {
    let bench = Bench::new().await;
    let left = bench.there().artifacts().join(".archive.making/node-0/image.tar");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(&left, "half of it").unwrap();
    bench.import().await.unwrap();
    assert!(!bench.there().artifacts().join(".archive.making").exists());
    assert!(!bench.there().artifacts().join("node-0").exists());
}

#[tokio::test]
async fn what_the_cache_lost_is_put_back() {
    let bench = Bench::new().await;
    let (delivery, _) = bench.import().await.unwrap();
    std::fs::remove_file(&delivery.artifacts.node.archive).unwrap();
    bench.import().await.unwrap();
    assert_eq!(std::fs::read_to_string(&delivery.artifacts.node.archive).unwrap(), "the node itself");
}

#[tokio::test]
async fn an_altered_member_is_refused_by_name() {
    let bench = Bench::new().await;
    let (at, _) = bench.place("pilot");
    bench.overwrite(at + 2, b"E");
    let text = bench.refused().await;
    assert!(text.starts_with("[digest-mismatch]"), "{text}");
    assert!(text.contains("/image.tar is not what it was\n  last seen: sha256 "), "{text}");
    assert!(text.contains("image-pilot-"), "{text}");
}

#[tokio::test]
async fn a_truncated_file_is_refused_wherever_it_ends() {
    let whole = Bench::new().await.file().metadata().unwrap().len();
    // The last 1024 bytes only say that it ends.
    for at in [0, 300, 512, 1000].into_iter().chain((2048..whole - 1024).step_by(512)) {
        let bench = Bench::new().await;
        bench.cut(at);
        let text = bench.refused().await;
        assert!(text.contains("artifacts.tar"), "{at}: {text}");
    }
    let bench = Bench::new().await;
    let (at, size) = bench.place("node-");
    bench.cut(at + size / 2);
    let text = bench.refused().await;
    assert!(text.contains("image.tar is not what it was\n  last seen: it has 7 of 15 bytes"), "{text}");
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_refused() {
    let bench = Bench::new().await;
    let manifest = bench.place("manifest.json");
    let text = std::fs::read(bench.file()).unwrap();
    let text =
        String::from_utf8_lossy(&text[manifest.0 as usize..(manifest.0 + manifest.1) as usize]).into_owned();
    let at = text.find("\"to\": \"dockerd\"").unwrap() as u64;
    bench.overwrite(manifest.0 + at, b"\"to\": \"../shad\"");
    let text = bench.refused().await;
    assert!(text.contains("usr/bin/docker is not what it was\n  last seen: it leads elsewhere"), "{text}");
}

#[tokio::test]
async fn a_manifest_that_points_out_of_the_cache_is_refused() {
    for (from, to) in [("\"kind-", "\"/ind-"), ("/kind\": {", "/../.\": {")] {
        let bench = Bench::new().await;
        let (start, size) = bench.place("manifest.json");
        let bytes = std::fs::read(bench.file()).unwrap();
        let text = String::from_utf8_lossy(&bytes[start as usize..(start + size) as usize]).into_owned();
        let at = text.find(from).unwrap_or_else(|| panic!("{from} in {text}")) as u64;
        bench.overwrite(start + at, to.as_bytes());
        let text = bench.refused().await;
        assert!(text.contains("manifest.json is truncated or altered"), "{text}");
    }
}

/// The manifest names it, the member is what the manifest says, and it is refused all the same.
#[tokio::test]
async fn a_forged_member_is_refused_by_name() {
    let link = |members: &mut Vec<(tar::Header, PathBuf, Vec<u8>)>, to: &str| {
        let (header, ..) = members.iter_mut().find(|(_, path, _)| path.ends_with("usr/bin/docker")).unwrap();
        header.set_link_name(to).unwrap();
    };
    for to in ["/etc/shadow", "../../../other-0/x", "sub/../../../../x", "../../../../../../etc/shadow"] {
        let bench = Bench::new().await;
        bench.forge(|manifest, members| {
            named(manifest, "usr/bin/docker")["link"]["to"] = json!(to);
            link(members, to);
        });
        let text = bench.refused().await;
        assert!(
            text.contains("usr/bin/docker is none that an export writes\n  last seen: it leads out"),
            "{to}: {text}"
        );
    }
    for mode in [0o4755, 0o2755, 0o1755, 0o777, 0o666] {
        let bench = Bench::new().await;
        bench.forge(|manifest, _| named(manifest, "usr/bin/dockerd")["file"]["mode"] = json!(mode));
        let text = bench.refused().await;
        assert!(
            text.contains("usr/bin/dockerd is none that an export writes\n  last seen: its mode"),
            "{mode:o}: {text}"
        );
    }
    // Through a link that stays inside, somebody else's folder cannot be written, but nor is it any artifact of ours.
    let bench = Bench::new().await;
    bench.forge(|manifest, _| {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let below = manifest["members"].as_object_mut().unwrap();
        let at = below.keys().find(|path| path.ends_with("usr/bin/docker")).unwrap().clone() + "/below";
        below.insert(at, json!({"file": {"sha256": empty, "bytes": 0, "mode": 0o644}}));
    });
    let text = bench.refused().await;
    assert!(
        text.contains("docker/below is none that an export writes\n  last seen: it lies behind a link"),
        "{text}"
    );
}

/// A device or a hard link of no bytes is as good as an empty file, to who looks at bytes alone.
#[tokio::test]
async fn only_plain_files_and_symlinks_are_members() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for kind in [tar::EntryType::Char, tar::EntryType::Block, tar::EntryType::Fifo, tar::EntryType::Directory]
    {
        let bench = Bench::new().await;
        bench.forge(|manifest, members| {
            *named(manifest, "usr/bin/dockerd") =
                json!({"file": {"sha256": empty, "bytes": 0, "mode": 0o755}});
            let (header, _, bytes) =
                members.iter_mut().find(|(_, path, _)| path.ends_with("usr/bin/dockerd")).unwrap();
            header.set_entry_type(kind);
            bytes.clear();
        });
        let text = bench.refused().await;
        assert!(
            text.contains("dockerd is not what it was\n  last seen: it is no plain file"),
            "{kind:?}: {text}"
        );
    }
    let bench = Bench::new().await;
    bench.forge(|_, members| {
        let found = members.iter_mut().find(|(_, path, _)| path.ends_with("usr/bin/docker"));
        found.unwrap().0.set_entry_type(tar::EntryType::Link);
    });
    assert!(bench.refused().await.contains("docker is not what it was\n  last seen: it is no symlink"));
}

/// A member of a manifest, by how its path ends.
fn named<'a>(manifest: &'a mut Value, end: &str) -> &'a mut Value {
    let members = manifest["members"].as_object_mut().unwrap();
    members.iter_mut().find(|(path, _)| path.ends_with(end)).unwrap().1
}

#[tokio::test]
async fn another_lock_file_is_said() {
    let bench = Bench::new().await;
    let (start, size) = bench.place("manifest.json");
    let bytes = std::fs::read(bench.file()).unwrap();
    let text = String::from_utf8_lossy(&bytes[start as usize..(start + size) as usize]).into_owned();
    let at = text.find("\"lock\": \"").unwrap() as u64 + 9;
    bench.overwrite(start + at, b"0000");
    let text = bench.refused().await;
    assert!(text.contains("was made with another manifests/lock.yaml"), "{text}");
}

#[tokio::test]
async fn what_is_no_archive_of_ours_is_said() {
    let bench = Bench::new().await;
    std::fs::write(bench.file(), "<html>please log in</html>".repeat(100)).unwrap();
    let text = bench.refused().await;
    assert!(text.contains("artifacts.tar is no archive of Vouchsafe"), "{text}");
    std::fs::remove_file(bench.file()).unwrap();
    let text = bench.refused().await;
    assert!(text.contains("cannot read"), "{text}");
}
