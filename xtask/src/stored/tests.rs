//! What is packed is read back, and an archive that would be more than a report is refused.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::*;

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("evidence")).unwrap();
    for (name, text) in [("evidence/a.json", "{}"), ("log.txt", "one\n"), ("report.md", "")] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// What comes of a tar file with that in it.
fn opened(fill: impl FnOnce(&mut Builder<GzEncoder<Vec<u8>>>)) -> Result<Option<Stored>> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    fill(&mut tar);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&tar.into_inner().unwrap().finish().unwrap()).unwrap();
    Stored::open(file.path())
}

/// A member whose name is written as it is, which [`Builder`] would refuse.
fn member(tar: &mut Builder<GzEncoder<Vec<u8>>>, name: &str, kind: EntryType, size: u64) {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name("report.md").unwrap();
    }
    header.set_cksum();
    tar.append(&header, std::io::empty()).unwrap();
}

fn refused(fill: impl FnOnce(&mut Builder<GzEncoder<Vec<u8>>>)) -> String {
    let e = opened(fill).unwrap_err();
    assert_eq!(e.code(), Code::Evidence, "{e}");
    e.to_string()
}

#[test]
fn what_is_packed_is_the_folder_and_nothing_else() {
    let dir = folder();
    let stored = Stored::folder(dir.path()).unwrap();
    let packed = stored.pack("run").unwrap();
    let file = dir.path().join("packed.tar.gz");
    std::fs::write(&file, &packed).unwrap();
    let read = Stored::open(&file).unwrap().unwrap();
    assert_eq!(read.files, stored.files);
    // Whoever packs it, and when, writes the same.
    assert_eq!(read.pack("run").unwrap(), packed);
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
    let names = tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["run/evidence/a.json", "run/log.txt", "run/report.md"]);
}

#[test]
fn links_in_a_folder_are_not_followed() {
    let dir = folder();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join("evidence/b.json")).unwrap();
    let e = Stored::folder(dir.path()).unwrap_err();
    assert_eq!(e.code(), Code::Evidence);
    assert!(
        e.to_string().contains("has evidence/b.json, which no run writes\n  last seen: it is no plain file"),
        "{e}"
    );
}

#[test]
fn what_is_neither_is_left_to_others() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(Stored::open(file.path()).unwrap(), None);
    std::fs::write(file.path(), "{\"version\": 3}").unwrap();
    assert_eq!(Stored::open(file.path()).unwrap(), None);
    assert_eq!(Stored::open(Path::new("/no/such/file")).unwrap_err().code(), Code::Usage);
}

#[test]
fn paths_that_lead_out_are_refused() {
    for name in ["../evil", "run/../../evil", "/etc/evil", "evil", "run/./../evil"] {
        let said = refused(|tar| member(tar, name, EntryType::Regular, 0));
        assert!(said.contains("its path leads out of the report's folder"), "{name}: {said}");
    }
    let said = refused(|tar| {
        member(tar, "run/a", EntryType::Regular, 0);
        member(tar, "other/a", EntryType::Regular, 0);
    });
    assert!(said.contains("other/a, which no run writes\n  last seen: it lies in another folder"), "{said}");
    let said = refused(|tar| {
        member(tar, "run/a", EntryType::Regular, 0);
        member(tar, "run/a", EntryType::Regular, 0);
    });
    assert!(said.contains("run/a, which no run writes\n  last seen: it is there twice"), "{said}");
}

#[test]
fn links_and_devices_in_an_archive_are_refused_and_folders_passed_over() {
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let said = refused(|tar| member(tar, "run/a", kind, 0));
        assert!(
            said.contains("run/a, which no run writes\n  last seen: it is no plain file"),
            "{kind:?}: {said}"
        );
    }
    let read = opened(|tar| {
        member(tar, "run/", EntryType::Directory, 0);
        member(tar, "run/a", EntryType::Regular, 0);
    });
    assert_eq!(read.unwrap().unwrap().files.into_keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_size_that_no_report_has_is_refused_before_it_is_read() {
    let said = refused(|tar| member(tar, "run/a", EntryType::Regular, LIMIT + 1));
    assert!(said.contains("has more than 1024 MiB, which no run writes"), "{said}");
    // Zeros are unpacked to a thousand times of what was sent: many members that are small enough, each by itself.
    let limit = 1 << 20;
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for i in 0..3 {
        let mut header = Header::new_gnu();
        header.set_size(limit / 2);
        tar.append_data(&mut header, format!("run/{i}"), std::io::repeat(0).take(limit / 2)).unwrap();
    }
    let packed = tar.into_inner().unwrap().finish().unwrap();
    let e = pack::unpacked("bomb", packed.as_slice(), limit).unwrap_err();
    assert_eq!(e.what(), "bomb has more than 1 MiB, which no run writes");
    assert_eq!(pack::unpacked("bomb", packed.as_slice(), 2 * limit).unwrap().files.len(), 3);
}

/// A folder's entry that says it has content, which is passed over: also that comes to an end.
#[test]
fn what_is_passed_over_is_bounded_too() {
    let limit = 1 << 20;
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = Header::new_gnu();
    header.set_size(8 * limit);
    header.set_entry_type(EntryType::Directory);
    tar.append_data(&mut header, "run/", std::io::repeat(0).take(8 * limit)).unwrap();
    let packed = tar.into_inner().unwrap().finish().unwrap();
    let e = pack::unpacked("bomb", packed.as_slice(), limit).unwrap_err();
    assert_eq!(e.code(), Code::Evidence, "{e}");
}

#[test]
fn what_was_cut_off_is_refused() {
    let packed = Stored::folder(folder().path()).unwrap().pack("run").unwrap();
    for length in [3, 20, packed.len() / 2, packed.len() - 9, packed.len() - 1] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&packed[..length]).unwrap();
        let e = Stored::open(file.path()).unwrap_err();
        assert_eq!(e.code(), Code::Evidence, "{length}: {e}");
        assert!(e.what().ends_with("is no packed report, or it is truncated"), "{length}: {e}");
    }
}
