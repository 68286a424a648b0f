//! The same files give the same image, byte for byte.

use super::*;

fn sample(dir: &Path) -> Tree {
    let source = dir.join("source");
    std::fs::create_dir_all(source.join("bin")).unwrap();
    std::fs::write(source.join("bin/tool"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(source.join("bin/tool"), std::fs::Permissions::from_mode(0o4755)).unwrap();
    let mut tree = Tree::default();
    tree.below(Path::new("opt"), &source, &|_| true).unwrap();
    tree.link("bin", "usr/bin");
    tree.text("etc/app/name", "vouchsafe", 0o600);
    tree.folder("var/data", 0o755, 1000);
    tree
}

fn listing(tar: &Path) -> Vec<(String, u32, u64, u64)> {
    let mut archive = tar::Archive::new(File::open(tar).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let h = entry.header();
        (entry.path().unwrap().display().to_string(), h.mode().unwrap(), h.uid().unwrap(), h.mtime().unwrap())
    });
    entries.collect()
}

#[test]
fn a_layer_has_its_folders_first_and_its_rights_kept() {
    let dir = tempfile::tempdir().unwrap();
    let layer = sample(dir.path()).write(&dir.path().join("layer.tar")).unwrap();
    let own = |(path, mode, owner): (&str, u32, u64)| (path.to_owned(), mode, owner, 0);
    let expected = [
        ("bin", 0o777, 0),
        ("etc", 0o755, 0),
        ("etc/app", 0o755, 0),
        ("etc/app/name", 0o600, 0),
        ("opt", 0o755, 0),
        ("opt/bin", 0o755, 0),
        ("opt/bin/tool", 0o4755, 0),
        ("var", 0o755, 0),
        ("var/data", 0o755, 1000),
    ];
    assert_eq!(listing(&layer.path), expected.map(own));
    assert_eq!(layer.digest, digest_of(&layer.path).unwrap());
}

#[test]
fn the_same_files_give_the_same_image() {
    let build = |dir: &Path| {
        let layer = sample(dir).write(&dir.join("layer.tar")).unwrap();
        let config = Config { entrypoint: vec!["/opt/bin/tool".into()], ..Config::default() };
        let archive = dir.join("image.tar");
        let id = write_archive(&archive, &["example.test/tool:1"], &[&layer], &config).unwrap();
        (id, digest_of(&archive).unwrap())
    };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(build(one.path()), build(two.path()));
}

#[test]
fn an_archive_names_what_it_holds_by_content() {
    let dir = tempfile::tempdir().unwrap();
    let layer = sample(dir.path()).write(&dir.path().join("layer.tar")).unwrap();
    let archive = dir.path().join("image.tar");
    let config = Config { user: "1337:1337".into(), stop_signal: "SIGRTMIN+3".into(), ..Config::default() };
    let id = write_archive(&archive, &["example.test/tool:1"], &[&layer], &config).unwrap();

    let mut files = BTreeMap::new();
    let mut tar = tar::Archive::new(File::open(&archive).unwrap());
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.path().unwrap().display().to_string(), bytes);
    }
    let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"], json!(["example.test/tool:1"]));
    let description = &files[manifest[0]["Config"].as_str().unwrap()];
    assert_eq!(id, format!("sha256:{}", hex(&Sha256::digest(description))));
    let layer_bytes = &files[manifest[0]["Layers"][0].as_str().unwrap()];
    let description: serde_json::Value = serde_json::from_slice(description).unwrap();
    assert_eq!(description["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(&Sha256::digest(layer_bytes))));
    assert_eq!(description["config"]["User"], "1337:1337");
    assert_eq!(description["config"]["StopSignal"], "SIGRTMIN+3");
}
